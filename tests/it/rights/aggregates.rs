//! Grants of aggregates: rows leave in groups alone, and groups of few rows not at all.

use weft_governance::code;

use super::*;

/// Twelve people of A, ten of B and three of C; number `i` is worth 2 to the `i`, so that a sum tells who is
/// in it.
fn people() -> String {
    let segment = |i: u32| match i {
        0..12 => "A",
        12..22 => "B",
        _ => "C",
    };
    let line = |i: u32| {
        let city = if i.is_multiple_of(2) { "Rome" } else { "Oslo" };
        format!("{i},n{i},{},{city},{}", segment(i), 1_u64 << i)
    };
    (0..25).map(line).collect::<Vec<_>>().join("\n")
}

const CITIES: Published<'static> = Published {
    domain: "geo",
    product: "places",
    tables: &[
        (
            "city",
            &[
                ("name", "string", "varchar"),
                ("country", "string", "varchar"),
            ],
            "Rome,IT\nOslo,NO",
        ),
        (
            "twice",
            &[
                ("name", "string", "varchar"),
                ("country", "string", "varchar"),
            ],
            "Rome,IT\nRome,IT\nOslo,NO",
        ),
    ],
};

async fn mesh_with(flow: &[&str]) -> Mesh {
    let mut options = MeshOptions::empty();
    let groups = vec!["crm-owners".to_owned()];
    options.users.push(("owner".to_owned(), groups));
    let rows = people();
    let columns = [
        ("id", "integer", "bigint"),
        ("name", "string", "varchar"),
        ("segment", "string", "varchar"),
        ("city", "string", "varchar"),
        ("worth", "integer", "bigint"),
    ];
    let tables = [("p", columns.as_slice(), rows.as_str())];
    let people = Published {
        domain: "crm",
        product: "people",
        tables: &tables,
    };
    let mut cities = grant("analyst", "places");
    cities.flow_to = Some(flow.iter().map(ToString::to_string).collect());
    let grants = vec![("crm", grant("admin", "people")), ("geo", cities)];
    let mesh = Mesh::publish_with(options, &[people, CITIES], grants).await;
    let mut owner = mesh.sign_in_at("crm", "owner").await;
    let give = "GRANT AGGREGATE (MIN GROUP SIZE 10) ON TABLE crm.people.p TO USER analyst";
    owner.query(give).await.expect("granted");
    let epoch = mesh.node("crm").epoch();
    mesh.wait_for("crm", |entry| entry.epoch >= epoch).await;
    mesh
}

#[test]
fn groups_of_enough_rows_are_shown_and_others_are_not() {
    run(async {
        let mesh = mesh_with(&[]).await;
        let cases: &[(&str, &[&str])] = &[
            (
                "SELECT segment, count(*), sum(worth), count(DISTINCT city) FROM crm.people.p \
                 GROUP BY segment ORDER BY segment",
                &["A 12 4095 2", "B 10 4190208 2"],
            ),
            (
                "SELECT count(*), avg(id) FROM crm.people.p",
                &["25 1.200000000e1"],
            ),
            (
                "SELECT DISTINCT segment FROM crm.people.p ORDER BY 1",
                &["A", "B"],
            ),
            (
                "SELECT count(*) FROM crm.people.p WHERE segment = 'C' OR name LIKE 'n1%'",
                &["14"],
            ),
            ("SELECT count(*) FROM crm.people.p WHERE id < 9", &[]),
            ("SELECT name, count(*) FROM crm.people.p GROUP BY name", &[]),
            (
                "SELECT segment, n FROM (SELECT segment, count(*) AS n FROM crm.people.p GROUP BY segment) \
                 WHERE n < 12 OR segment = 'C'",
                &["B 10"],
            ),
            (
                "SELECT g.segment, v.x FROM (SELECT segment, count(*) AS n FROM crm.people.p GROUP BY segment) g \
                 JOIN (VALUES ('A', 1), ('C', 2)) v(s, x) ON v.s = g.segment",
                &["A 1"],
            ),
            ("SELECT count(DISTINCT segment) FROM crm.people.p", &["3"]),
        ];
        for client in [
            &mut mesh.sign_in("analyst").await,
            &mut mesh.sign_in_at("crm", "analyst").await,
        ] {
            for (sql, expected) in cases {
                let rows = client.query(sql).await;
                let rows = rows.unwrap_or_else(|error| panic!("{sql}: {error}"));
                assert_eq!(lines(&rows), *expected, "{sql}");
            }
        }
        let all = "SELECT count(*), count(DISTINCT segment) FROM crm.people.p";
        let control = mesh.sign_in("admin").await.query(all).await;
        assert_eq!(lines(&control.expect("granted")), ["25 3"]);
    });
}

#[test]
fn whatever_could_tell_a_single_row_is_refused() {
    run(async {
        let mesh = mesh_with(&["crm"]).await;
        let attacks = [
            "SELECT name FROM crm.people.p",
            "SELECT * FROM crm.people.p LIMIT 1",
            "SELECT min(worth) FROM crm.people.p",
            "SELECT max(name) FROM crm.people.p GROUP BY segment",
            "SELECT array_agg(name) FROM crm.people.p",
            "SELECT string_agg(name, ',') FROM crm.people.p",
            "SELECT first_value(name) FROM crm.people.p",
            "SELECT median(worth) FROM crm.people.p",
            "SELECT sum(worth) FILTER (WHERE id = 5) FROM crm.people.p",
            "SELECT sum(CASE WHEN id = 5 THEN worth ELSE 0 END) FROM crm.people.p",
            "SELECT sum(worth * id) FROM crm.people.p",
            "SELECT count(NULLIF(id, 5)) FROM crm.people.p",
            "SELECT count(*) FROM crm.people.p WHERE 1 / (id - 5) > 0",
            "SELECT count(*) FROM crm.people.p WHERE CAST(name AS BIGINT) > 0",
            "SELECT count(*) FROM crm.people.p GROUP BY 1 / (id - 5)",
            "SELECT segment, count(*) FROM crm.people.p GROUP BY segment
               HAVING CASE segment WHEN 'C' THEN 1 / (length(segment) - 1) ELSE 1 END > 0",
            "SELECT sum(worth) FROM (SELECT worth FROM crm.people.p ORDER BY worth LIMIT 11)",
            "SELECT sum(worth) FROM (SELECT worth, row_number() OVER (ORDER BY id) n FROM crm.people.p)
               WHERE n < 12",
            "SELECT v.id FROM (VALUES (5), (99)) v(id) WHERE v.id IN (SELECT id FROM crm.people.p)",
            "SELECT v.id, p.worth FROM (VALUES (5)) v(id) LEFT JOIN crm.people.p p ON p.id = v.id",
            "SELECT sum(v.w) FROM (VALUES (5, 1), (6, 1000)) v(id, w) JOIN crm.people.p p ON p.id = v.id",
            "SELECT count(v.id) FROM crm.people.p p LEFT JOIN (VALUES (5)) v(id) ON p.id = v.id",
            "SELECT sum(worth) FROM (SELECT worth FROM crm.people.p UNION ALL SELECT 1)",
            "SELECT segment, sum(worth) FROM crm.people.p GROUP BY ROLLUP (segment)",
            "SELECT avg(worth) > (SELECT max(worth) FROM crm.people.p) FROM crm.people.p",
            "SELECT name FROM crm.people.p WHERE worth > (SELECT avg(worth) FROM crm.people.p)",
            "SELECT count(*) FROM crm.people.p p WHERE EXISTS (SELECT 1 FROM crm.people.p q WHERE q.id = p.id + 1)",
        ];
        let mut far = mesh.sign_in("analyst").await;
        let mut near = mesh.sign_in_at("crm", "analyst").await;
        let mut admin = mesh.sign_in("admin").await;
        for sql in attacks {
            for client in [&mut far, &mut near] {
                let refused = client.error(sql).await;
                assert_eq!(refused.code(), code::NOT_GRANTED, "{sql}: {refused}");
            }
            match admin.query(sql).await {
                Ok(rows) => assert!(!rows.is_empty(), "{sql}"),
                Err(error) => assert_eq!(error.code(), code::EVALUATION, "{sql}: {error}"),
            }
        }
        let refused = far.error("SELECT min(worth) FROM crm.people.p").await;
        let told = refused.to_string();
        assert!(
            told.contains("groups of 10 rows") && told.contains("`min`"),
            "{told}"
        );
        let hint = refused.hint().expect("a hint");
        assert!(
            hint.contains("GROUP BY") && hint.contains("REQUEST ACCESS"),
            "{hint}"
        );
    });
}

#[test]
fn nobody_stands_in_a_group_twice_or_as_a_decoy() {
    run(async {
        let mesh = mesh_with(&["crm"]).await;
        let mut far = mesh.sign_in("analyst").await;
        let mut near = mesh.sign_in_at("crm", "analyst").await;
        let ids = |ids: &[u32]| {
            let ids = ids.iter().map(|id| format!("({id})"));
            ids.collect::<Vec<_>>().join(", ")
        };
        let eleven: Vec<u32> = (0..11).collect();
        let many_fives: Vec<u32> = (0..11).chain([5; 20]).collect();
        let decoys: Vec<u32> = (100..120).chain([5]).collect();
        for client in [&mut far, &mut near] {
            for (chosen, expected) in [
                (&eleven, vec!["11 2047"]),
                (&many_fives, vec![]),
                (&decoys, vec![]),
            ] {
                let sql = format!(
                    "SELECT count(*), sum(p.worth) FROM crm.people.p p JOIN (VALUES {}) v(id) ON p.id = v.id",
                    ids(chosen)
                );
                let rows = client.query(&sql).await;
                let rows = rows.unwrap_or_else(|error| panic!("{sql}: {error}"));
                assert_eq!(lines(&rows), expected, "{sql}");
            }
            let joined =
                "SELECT count(*) FROM crm.people.p a JOIN crm.people.p b ON a.segment = b.segment";
            assert!(client.query(joined).await.expect("withheld").is_empty());
        }
    });
}

#[test]
fn rows_of_another_domain_come_to_the_node_that_groups() {
    run(async {
        let mesh = mesh_with(&["crm"]).await;
        let mut analyst = mesh.sign_in("analyst").await;
        let sql = "SELECT c.country, count(*), avg(p.id) FROM crm.people.p p \
                   JOIN geo.places.city c ON c.name = p.city GROUP BY c.country ORDER BY c.country";
        let rows = analyst.query(sql).await;
        let rows = rows.unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(lines(&rows), ["IT 13 1.200000000e1", "NO 12 1.200000000e1"]);
        let few = sql.replace("GROUP BY", "WHERE p.segment <> 'A' AND p.id > 14 GROUP BY");
        assert!(analyst.query(&few).await.expect("withheld").is_empty());
        let twice = sql.replace("places.city", "places.twice");
        let rows = analyst.query(&twice).await.expect("the rest");
        assert_eq!(lines(&rows), ["NO 12 1.200000000e1"]);
        // Nobody but their node has seen a row of people.
        let flows = "SELECT count(*) FROM system.runtime.flows WHERE source = 'crm' AND rows > 2";
        assert_eq!(analyst.value(flows).await, "0");

        // Where they may not come, single rows would have to leave.
        let mesh = mesh_with(&[]).await;
        let mut analyst = mesh.sign_in("analyst").await;
        let refused = analyst.error(sql).await;
        assert_eq!(refused.code(), code::NOT_GRANTED, "{refused}");
    });
}

#[test]
fn what_is_said_of_groups_knows_nothing_of_those_that_are_withheld() {
    run(async {
        let mesh = mesh_with(&[]).await;
        // C has three rows, and would be divided by zero.
        let failing = [
            "SELECT segment FROM (SELECT segment, count(*) n FROM crm.people.p GROUP BY segment)
               WHERE 1 / (n - 3) > -9",
            "SELECT 1 / (n - 3) FROM (SELECT segment, count(*) n FROM crm.people.p GROUP BY segment)",
            "SELECT segment FROM crm.people.p GROUP BY segment HAVING 1 / (count(*) - 3) > -9",
            "SELECT segment FROM (SELECT segment, sum(id) n FROM crm.people.p GROUP BY segment)
               WHERE CAST(substr('1x', CAST(n AS INT) - 68, 1) AS INT) IS NULL OR TRUE",
        ];
        let mut admin = mesh.sign_in("admin").await;
        for client in [
            &mut mesh.sign_in("analyst").await,
            &mut mesh.sign_in_at("crm", "analyst").await,
        ] {
            for sql in failing {
                let rows = client.query(sql).await;
                let rows = rows.unwrap_or_else(|error| panic!("{sql}: {error}"));
                assert_eq!(rows.len(), 2, "{sql}");
            }
        }
        for sql in failing.iter().take(3) {
            let control = admin.error(sql).await;
            assert_eq!(control.code(), code::EVALUATION, "{sql}: {control}");
        }
    });
}

#[test]
fn what_is_shown_in_groups_has_no_statistics_and_ends_with_its_right() {
    run(async {
        let mesh = mesh_with(&[]).await;
        let mut analyst = mesh.sign_in("analyst").await;
        mesh.wait_for_statistics("crm").await;
        let stats = analyst.query("SHOW STATS FOR crm.people.p").await;
        let stats = stats.expect("stats");
        let known = |row: &Vec<String>| row.iter().skip(1).any(|it| it != "NULL");
        assert!(!stats.rows().iter().any(known), "{stats}");
        let mut owner = mesh.sign_in_at("crm", "owner").await;
        let grants = owner.query("SHOW GRANTS FOR USER analyst").await;
        let id = grants.expect("grants").column("grant_id")[0].to_owned();
        owner
            .query(&format!("REVOKE GRANT '{id}'"))
            .await
            .expect("revoked");
        let epoch = mesh.node("crm").epoch();
        mesh.wait_for("crm", |entry| entry.epoch >= epoch).await;
        let refused = analyst.error("SELECT count(*) FROM crm.people.p").await;
        assert_eq!(refused.code(), code::NOT_GRANTED, "{refused}");
    });
}
