//! Join keys that spare another domain rows: the same answers, fewer rows, no more disclosed than
//! owners allow.

use std::path::Path;

use harness::{Client, Mesh, Published, Rows, assert_same_rows, grant, run, single_process};
use weft_governance::code;
use weft_node::GrantSettings;

const LEFT: Published<'static> = Published {
    domain: "left",
    product: "a",
    tables: &[
        (
            "l",
            &[
                ("id", "integer", "bigint"),
                ("code", "integer", "integer"),
                ("name", "string", "varchar"),
                ("price", "number", "decimal(10,2)"),
                ("day", "date", "date"),
                ("v", "integer", "bigint"),
            ],
            "1,1,ant,1.00,2024-01-01,10\n2,2,bee,2.50,2024-01-02,20\n2,,bee,,,30\n,3,,3.00,2024-02-29,40\n5,5,Bee,5.00,1969-12-31,50\n,,,,,60",
        ),
        (
            "few",
            &[("id", "integer", "bigint"), ("note", "string", "varchar")],
            "2,two\n7,seven\n,nothing",
        ),
    ],
};

const RIGHT: Published<'static> = Published {
    domain: "right",
    product: "b",
    tables: &[
        (
            "r",
            &[
                ("id", "integer", "integer"),
                ("code", "integer", "bigint"),
                ("name", "string", "varchar"),
                ("price", "number", "decimal(12,3)"),
                ("day", "date", "date"),
                ("w", "integer", "bigint"),
            ],
            "1,1,ant,1.000,2024-01-01,100\n2,2,bee,2.500,2024-01-02,200\n2,9,bee,2.501,2024-01-02,300\n3,,cat,,,400\n,3,,3.000,2024-02-29,500\n9,5,bee ,5.000,1969-12-31,600\n-4,,Bee,,,700",
        ),
        (
            "empty",
            &[("id", "integer", "bigint"), ("what", "string", "varchar")],
            "",
        ),
    ],
};

const THIRD: Published<'static> = Published {
    domain: "third",
    product: "c",
    tables: &[(
        "t",
        &[
            ("w", "integer", "bigint"),
            ("city", "string", "varchar"),
            ("id", "integer", "bigint"),
        ],
        "100,Oslo,1\n200,Bergen,2\n200,Narvik,\n500,,3\n,Oslo,5",
    )],
};

const QUERIES: &[&str] = &[
    "SELECT l.v, r.w FROM left.a.l JOIN right.b.r ON l.id = r.id",
    "SELECT l.v, r.w FROM left.a.l LEFT JOIN right.b.r ON l.id = r.id",
    "SELECT l.v, r.w FROM left.a.l RIGHT JOIN right.b.r ON l.id = r.id",
    "SELECT l.v, r.w FROM left.a.l FULL JOIN right.b.r ON l.id = r.id",
    "SELECT l.v, r.w FROM left.a.l JOIN right.b.r ON l.id = r.id AND l.v * 10 < r.w",
    "SELECT l.v, r.w FROM left.a.l LEFT JOIN right.b.r ON l.id = r.id AND r.w > 250",
    "SELECT l.v, r.w FROM left.a.l JOIN right.b.r ON l.id = r.id AND l.code = r.code",
    "SELECT l.v, r.w FROM left.a.l JOIN right.b.r ON l.name = r.name",
    "SELECT l.v, r.w FROM left.a.l JOIN right.b.r ON l.price = r.price",
    "SELECT l.v, r.w FROM left.a.l JOIN right.b.r ON r.price = l.code",
    "SELECT l.v, r.w FROM left.a.l JOIN right.b.r ON l.day = r.day AND l.name = r.name",
    "SELECT l.v, r.w FROM left.a.l JOIN right.b.r ON l.id IS NOT DISTINCT FROM r.id",
    "SELECT l.v, r.w FROM left.a.l JOIN right.b.r ON (l.name IS NOT DISTINCT FROM r.name) AND (l.id IS NOT DISTINCT FROM r.id)",
    "SELECT l.v, r.w FROM left.a.l JOIN right.b.r ON l.id + 1 = r.id",
    "SELECT l.v FROM left.a.l WHERE EXISTS (SELECT 1 FROM right.b.r WHERE r.id = l.id)",
    "SELECT l.v FROM left.a.l WHERE NOT EXISTS (SELECT 1 FROM right.b.r WHERE r.id = l.id)",
    "SELECT l.v FROM left.a.l WHERE l.id IN (SELECT r.id FROM right.b.r)",
    "SELECT l.v FROM left.a.l WHERE l.id NOT IN (SELECT r.id FROM right.b.r)",
    "SELECT l.v FROM left.a.l WHERE l.id NOT IN (SELECT r.id FROM right.b.r WHERE r.id IS NOT NULL)",
    "SELECT l.v FROM left.a.l WHERE l.id IN (SELECT r.id FROM right.b.r) OR l.v = 60",
    "SELECT l.v, few.note, r.w FROM left.a.l JOIN left.a.few ON l.id = few.id JOIN right.b.r ON r.id = few.id",
    "SELECT l.v, r.w, t.city FROM left.a.l JOIN right.b.r ON l.id = r.id JOIN third.c.t ON t.w = r.w",
    "SELECT l.v, r.w, t.city FROM left.a.l LEFT JOIN right.b.r ON l.id = r.id LEFT JOIN third.c.t ON t.w = r.w",
    "SELECT l.v, r.w, t.city FROM left.a.l LEFT JOIN right.b.r ON l.id = r.id JOIN third.c.t ON t.w = r.w",
    "SELECT l.v, r.w, t.city FROM left.a.l FULL JOIN right.b.r ON l.id = r.id JOIN third.c.t ON t.id = l.id",
    "SELECT l.v, r.w, t.city FROM third.c.t JOIN (left.a.l LEFT JOIN right.b.r ON l.id = r.id) ON t.w IS NOT DISTINCT FROM r.w",
    "SELECT l.v, s.n FROM left.a.l JOIN (SELECT id, count(*) n, sum(w) FROM right.b.r GROUP BY id) s ON l.id = s.id",
    "SELECT l.v, s.w FROM left.a.l JOIN (SELECT id, w, sum(w) OVER (PARTITION BY id) FROM right.b.r) s ON l.id = s.id",
    "SELECT l.v, s.w, s.n FROM left.a.l JOIN (SELECT id, w, row_number() OVER (ORDER BY w) n FROM right.b.r) s ON l.id = s.id",
    "SELECT l.v, s.w FROM left.a.l JOIN (SELECT id, w FROM right.b.r ORDER BY w LIMIT 2) s ON l.id = s.id",
    "SELECT l.v, s.x FROM left.a.l JOIN (SELECT id, w x FROM right.b.r UNION ALL SELECT id, w FROM third.c.t) s ON l.id = s.id",
    "SELECT l.v, s.x FROM left.a.l JOIN (SELECT id, w x FROM right.b.r UNION SELECT id, w FROM third.c.t) s ON l.id = s.id",
    "SELECT f.note, s.code, s.n FROM left.a.few f JOIN (SELECT id, code, count(*) n, max(w) m FROM right.b.r GROUP BY id, code) s ON f.id = s.id WHERE s.m > 100",
    "SELECT l.v, s.d FROM left.a.l JOIN (SELECT DISTINCT id, day d FROM right.b.r) s ON l.id = s.id",
    "SELECT l.v, e.what FROM left.a.l JOIN right.b.empty e ON l.id = e.id",
    "SELECT l.v, e.what FROM left.a.l LEFT JOIN right.b.empty e ON l.id = e.id",
    "SELECT count(*), sum(l.v) FROM left.a.l JOIN right.b.empty e ON l.id = e.id",
    "SELECT l.v, r.w, e.what FROM left.a.l JOIN right.b.empty e ON l.id = e.id JOIN third.c.t ON t.id = l.id JOIN right.b.r ON r.w = t.w",
    "WITH k AS (SELECT id, w FROM right.b.r) SELECT l.v, k.w, k2.w FROM left.a.l JOIN k ON l.id = k.id LEFT JOIN k k2 ON k2.w = k.w AND k2.id > 1",
    "SELECT a.v, b.v FROM left.a.l a JOIN right.b.r ON a.id = r.id JOIN left.a.l b ON b.code = r.code",
    // A key of two reads of one fragment is in no row of it.
    "SELECT a.id, a.code, a.w, b.id, b.code, b.w, t.w AS found FROM right.b.r a FULL JOIN left.a.l ON a.code = l.code FULL JOIN right.b.r b ON b.id = l.code LEFT JOIN third.c.t ON t.w = a.w AND t.id = b.id",
    "SELECT a.id, a.w, b.id, b.w, l.v FROM right.b.r a LEFT JOIN third.c.t ON a.w = t.w LEFT JOIN right.b.r b ON b.w = t.w AND b.id = a.id LEFT JOIN left.a.l ON l.id = a.id AND l.code = b.id",
    "SELECT l.v, r.w FROM left.a.l JOIN right.b.r ON l.id = r.id AND l.code = r.id",
    "SELECT l.v, r.w FROM left.a.l JOIN right.b.r ON l.id = r.id AND l.id = r.code",
    "SELECT l.v, s.w FROM left.a.l JOIN (SELECT id, w FROM right.b.r UNION ALL SELECT id, w FROM right.b.r WHERE w > 100) s ON l.id = s.id",
    "SELECT l.v, s.id, s.n FROM left.a.l JOIN (SELECT r.id, count(*) n FROM right.b.r FULL JOIN third.c.t ON t.w = r.w GROUP BY r.id) s ON l.id = s.id",
    "SELECT l.v, s.id, s.n FROM left.a.l JOIN (SELECT r.id, count(*) OVER (PARTITION BY r.id) n FROM right.b.r LEFT JOIN third.c.t ON t.w = r.w) s ON (l.id IS NOT DISTINCT FROM s.id)",
    "SELECT l.v, s.id FROM left.a.l JOIN (SELECT r.id FROM right.b.r EXCEPT SELECT t.id FROM third.c.t) s ON l.id = s.id",
    "SELECT l.v FROM left.a.l WHERE l.v > (SELECT w FROM right.b.r WHERE w = 12345)",
    "SELECT l.v FROM left.a.l WHERE l.v < (SELECT w FROM right.b.r ORDER BY w LIMIT 1)",
    "SELECT l.v, (SELECT max(w) FROM right.b.r WHERE id > 100) m FROM left.a.l WHERE l.id IN (SELECT t.id FROM third.c.t WHERE t.w < (SELECT max(w) FROM right.b.r))",
    "SELECT l.v FROM left.a.l WHERE l.v > (SELECT min(w) / 10 FROM right.b.r WHERE r.id = l.id)",
    "SELECT l.v, r.w FROM left.a.l JOIN right.b.r ON l.id = r.id ORDER BY r.w DESC, l.v LIMIT 2",
];

async fn mesh(left: GrantSettings, right: GrantSettings) -> Mesh {
    let grants = vec![
        ("left", left),
        ("right", right),
        ("third", grant("analyst", "c")),
    ];
    Mesh::publish(&[LEFT, RIGHT, THIRD], grants).await
}

async fn open_mesh() -> Mesh {
    mesh(grant("analyst", "a"), grant("analyst", "b")).await
}

/// A grant on a product whose columns travel as keys up to `disclosure`.
fn disclosing(product: &str, disclosure: &str) -> GrantSettings {
    GrantSettings {
        key_disclosure: Some(disclosure.to_owned()),
        ..grant("analyst", product)
    }
}

async fn switch(client: &mut Client, step: &str, to: &str) {
    let sql = format!("SET weft.optimizer.{step} = {to}");
    client.query(&sql).await.expect("a setting");
}

/// What crossed for the last query that was asked: source, destination, form, rows, requests.
async fn crossed(client: &mut Client) -> Vec<String> {
    let flows = client
        .query(
            "SELECT source, destination, form, rows, requests FROM system.runtime.flows \
             WHERE query_id = (SELECT query_id FROM system.runtime.queries \
             WHERE fragments > 0 ORDER BY started_at DESC LIMIT 1)",
        )
        .await
        .expect("flows");
    let mut flows: Vec<String> = flows.rows().iter().map(|row| row.join(" ")).collect();
    flows.sort();
    flows
}

#[test]
fn answers_are_those_of_one_process_whichever_keys_flow() {
    run(async {
        let folder = tempfile::tempdir().expect("folder");
        let domains = ["left", "right", "third"].map(|domain| (domain, folder.path().join(domain)));
        for product in [&LEFT, &RIGHT, &THIRD] {
            product.write(&folder.path().join(product.domain));
        }
        let domains: Vec<(&str, &Path)> = domains
            .iter()
            .map(|(name, path)| (*name, path.as_path()))
            .collect();
        let oracle = single_process(&domains).await;
        for disclosure in ["list", "bloom", "range", "none"] {
            let mesh = mesh(disclosing("a", disclosure), disclosing("b", disclosure)).await;
            let mut analyst = mesh.sign_in("analyst").await;
            // Rows go to the other node only where costs do not keep them here.
            let rounds: &[(&str, &str)] = if disclosure == "list" {
                &[("on", "on"), ("off", "off"), ("off", "on")]
            } else {
                &[("off", "off")]
            };
            for (weigh, ship) in rounds {
                switch(&mut analyst, "weigh", weigh).await;
                switch(&mut analyst, "ship", ship).await;
                // Half of the rounds join by sorting, as the coordinator does when memory is short.
                let hash = if disclosure == "none" || *weigh == "on" {
                    "off"
                } else {
                    "on"
                };
                switch(&mut analyst, "hash", hash).await;
                for sql in QUERIES {
                    let batches = oracle
                        .sql(sql)
                        .await
                        .expect(sql)
                        .collect()
                        .await
                        .expect(sql);
                    let answer = analyst.query(sql).await;
                    let answer = answer.unwrap_or_else(|error| panic!("{sql}: {error}"));
                    let what =
                        format!("{sql} [keys: {disclosure}, weighed: {weigh}, shipped: {ship}]");
                    assert_same_rows(&what, answer, Rows::of(&batches));
                }
            }
        }
    });
}

#[test]
fn keys_spare_rows_and_an_empty_set_spares_the_call() {
    run(async {
        let mesh = open_mesh().await;
        let mut analyst = mesh.sign_in("analyst").await;
        let sql = "SELECT l.v, r.w FROM left.a.l JOIN right.b.r ON l.id = r.id WHERE l.v = 20";
        let both = ["left coordinator rows 1 1", "right coordinator rows 6 1"];
        switch(&mut analyst, "reduce", "off").await;
        analyst.query(sql).await.expect("answer");
        assert_eq!(crossed(&mut analyst).await, both);

        switch(&mut analyst, "reduce", "on").await;
        analyst.query(sql).await.expect("answer");
        let reduced = [
            "left coordinator rows 1 1",
            "left right key list 1 0",
            "right coordinator rows 2 1",
        ];
        assert_eq!(crossed(&mut analyst).await, reduced);

        let nobody = "SELECT l.v, r.w FROM left.a.l JOIN right.b.r ON l.id = r.id WHERE l.v = 21";
        assert!(analyst.query(nobody).await.expect("answer").is_empty());
        let spared = [
            "left coordinator rows 0 1",
            "left right key list 0 0",
            "right coordinator rows 0 0",
        ];
        assert_eq!(crossed(&mut analyst).await, spared);
    });
}

/// The node may be told of a fragment before its keys are known, and be gone by then.
#[test]
fn a_node_that_is_gone_is_missed_only_where_there_are_keys() {
    run(async {
        let mut mesh = open_mesh().await;
        let mut analyst = mesh.sign_in("analyst").await;
        let of = |v| {
            format!("SELECT l.v, r.w FROM left.a.l JOIN right.b.r ON l.id = r.id WHERE l.v = {v}")
        };
        analyst.query(&of(20)).await.expect("answer");
        mesh.kill_node("right");
        assert!(analyst.query(&of(21)).await.expect("answer").is_empty());
        let error = analyst.query(&of(20)).await.expect_err("it is gone");
        assert_eq!(error.code(), code::DOMAIN_UNAVAILABLE, "{error}");
    });
}

#[test]
fn keys_travel_only_as_far_as_the_narrowest_of_contract_and_grants_says() {
    run(async {
        let sql = "SELECT l.v, r.w FROM left.a.l JOIN right.b.r ON l.id = r.id WHERE l.v = 20";
        // The keys of `left` are what is disclosed; the other side's rows show how well they tell.
        for (disclosure, keys, rows) in [
            ("list", Some("left right key list 1 0"), 2),
            ("bloom", Some("left right key bloom 1 0"), 2),
            ("range", Some("left right key range 1 0"), 2),
            ("none", None, 6),
        ] {
            let mesh = mesh(disclosing("a", disclosure), disclosing("b", "none")).await;
            let mut analyst = mesh.sign_in("analyst").await;
            switch(&mut analyst, "weigh", "off").await;
            switch(&mut analyst, "ship", "off").await;
            assert_eq!(analyst.query(sql).await.expect("answer").len(), 2);
            let flows = crossed(&mut analyst).await;
            let found = flows.iter().find(|flow| flow.contains(" key "));
            assert_eq!(found.map(String::as_str), keys);
            let came = format!("right coordinator rows {rows} 1");
            assert!(flows.contains(&came), "{disclosure}: {flows:?}");
        }
    });
}

#[test]
fn an_explanation_says_what_crosses_why_and_why_not_less() {
    run(async {
        let mesh = mesh(grant("analyst", "a"), disclosing("b", "none")).await;
        let mut analyst = mesh.sign_in("analyst").await;
        let sql = "SELECT l.v, r.w FROM left.a.l LEFT JOIN right.b.r ON l.id = r.id WHERE l.v = 20";
        let plan = analyst
            .query(&format!("EXPLAIN FLOW {sql}"))
            .await
            .expect("flows");
        assert_eq!(plan.column("source"), ["left", "left", "right"]);
        assert_eq!(
            plan.column("destination"),
            ["coordinator", "right", "coordinator"]
        );
        assert_eq!(plan.column("form"), ["rows", "key list", "rows"]);
        assert_eq!(plan.column("tables"), ["left.a.l", "left.a.l", "right.b.r"]);
        assert_eq!(plan.column("columns"), ["id, v", "id", "id, w"]);
        assert_eq!(
            plan.column("grants"),
            ["left.a: config-1", "left.a: config-1", "right.b: config-1"]
        );
        let [kept, ..] = plan.column("alternatives")[..] else {
            panic!("three flows");
        };
        assert_eq!(
            kept,
            "no keys of right: a Left join keeps rows without a partner"
        );

        let actual = analyst
            .query(&format!("EXPLAIN ANALYZE FLOW {sql}"))
            .await
            .expect("flows");
        assert_eq!(actual.column("rows"), ["1", "1", "2"]);
        let shown = analyst
            .query(
                "SELECT rows, bytes FROM system.runtime.flows WHERE query_id = (SELECT query_id \
                 FROM system.runtime.queries WHERE fragments > 0 ORDER BY started_at DESC LIMIT 1)",
            )
            .await
            .expect("flows");
        assert_eq!(shown.column("rows"), actual.column("rows"));
        assert_eq!(shown.column("bytes"), actual.column("bytes"));
        let analyzed = analyst
            .query(&format!("EXPLAIN ANALYZE {sql}"))
            .await
            .expect("plan");
        let bytes: Vec<&str> = analyzed
            .column("bytes")
            .into_iter()
            .filter(|it| *it != "NULL")
            .collect();
        assert_eq!(bytes, actual.column("bytes"));

        let inner = "SELECT l.v FROM left.a.l JOIN right.b.r ON l.id = r.id WHERE r.w = 200";
        let plan = analyst
            .query(&format!("EXPLAIN FLOW {inner}"))
            .await
            .expect("flows");
        let why = plan.column("alternatives").join("; ");
        assert!(
            why.contains("the owner does not disclose `id` as a join key"),
            "{why}"
        );
    });
}

#[test]
fn the_order_of_the_text_does_not_change_the_plan() {
    run(async {
        let mesh = open_mesh().await;
        let mut analyst = mesh.sign_in("analyst").await;
        let conditions = "l.id = r.id AND r.w = t.w AND few.id = t.id AND l.v > 10";
        let mut plans = Vec::new();
        for tables in [
            "left.a.l, left.a.few, right.b.r, third.c.t",
            "third.c.t, right.b.r, left.a.few, left.a.l",
            "right.b.r, left.a.l, third.c.t, left.a.few",
        ] {
            let sql = format!("EXPLAIN SELECT l.v, t.city FROM {tables} WHERE {conditions}");
            plans.push(analyst.query(&sql).await.expect("plan").to_string());
        }
        assert_eq!(plans[0], plans[1]);
        assert_eq!(plans[0], plans[2]);
        switch(&mut analyst, "order", "off").await;
        let sql = format!(
            "EXPLAIN SELECT l.v, t.city FROM third.c.t, right.b.r, left.a.few, left.a.l WHERE {conditions}"
        );
        let in_order_of_text = analyst.query(&sql).await.expect("plan").to_string();
        assert_ne!(plans[0], in_order_of_text);
    });
}

const SCALARS: &[&str] = &[
    "SELECT v FROM left.a.l WHERE v > (SELECT min(w) / 10 FROM right.b.r)",
    "SELECT v FROM left.a.l WHERE id = (SELECT max(id) FROM right.b.r WHERE id < 9) AND v < (SELECT max(w) FROM third.c.t)",
    "SELECT v FROM left.a.l WHERE v > (SELECT w FROM right.b.r WHERE w = 12345)",
    "SELECT v, (SELECT count(*) FROM right.b.r) AS n FROM left.a.l",
    "SELECT v FROM left.a.l WHERE name = (SELECT min(name) FROM right.b.r)",
    "SELECT v FROM left.a.l WHERE day > (SELECT min(day) FROM right.b.r)",
    "SELECT name, sum(v) FROM left.a.l GROUP BY name HAVING sum(v) > (SELECT min(w) / 10 FROM right.b.r)",
    "SELECT v FROM left.a.l WHERE v > (SELECT min(w) / 10 FROM right.b.r WHERE w > (SELECT min(w) FROM third.c.t))",
    "SELECT v FROM left.a.l WHERE v > (SELECT min(r.w) / 10 FROM right.b.r JOIN third.c.t ON r.w = t.w)",
    "SELECT l.v, r.w FROM left.a.l JOIN right.b.r ON l.id = r.id WHERE l.v >= (SELECT min(w) / 10 FROM third.c.t) AND r.w >= (SELECT min(v) FROM left.a.l)",
    "SELECT v FROM left.a.l WHERE v > (SELECT sum(w) FROM right.b.empty JOIN right.b.r ON empty.id = r.id)",
    "SELECT v FROM left.a.l ORDER BY v LIMIT 2",
    "SELECT count(*) FROM left.a.l WHERE v > (SELECT min(w) FROM right.b.r) OR id IN (SELECT id FROM left.a.few)",
];

#[test]
fn scalars_of_other_domains_are_found_first_and_bound_where_they_are_compared() {
    run(async {
        let folder = tempfile::tempdir().expect("folder");
        let domains = ["left", "right", "third"].map(|domain| (domain, folder.path().join(domain)));
        for product in [&LEFT, &RIGHT, &THIRD] {
            product.write(&folder.path().join(product.domain));
        }
        let domains: Vec<(&str, &Path)> = domains
            .iter()
            .map(|(name, path)| (*name, path.as_path()))
            .collect();
        let oracle = single_process(&domains).await;
        let mesh = open_mesh().await;
        let mut analyst = mesh.sign_in("analyst").await;
        for bind in ["on", "off"] {
            switch(&mut analyst, "bind", bind).await;
            for sql in SCALARS {
                let batches = oracle
                    .sql(sql)
                    .await
                    .expect(sql)
                    .collect()
                    .await
                    .expect(sql);
                let answer = analyst.query(sql).await;
                let answer = answer.unwrap_or_else(|error| panic!("{sql}: {error}"));
                assert_same_rows(&format!("{sql} [bind: {bind}]"), answer, Rows::of(&batches));
            }
        }
        let several = "SELECT v FROM left.a.l WHERE v > (SELECT w FROM right.b.r)";
        for bind in ["off", "on"] {
            switch(&mut analyst, "bind", bind).await;
            assert_eq!(analyst.error(several).await.code(), code::EVALUATION);
        }

        let sql = "SELECT v FROM left.a.l WHERE v > (SELECT min(w) / 10 + 40 FROM right.b.r)";
        assert_eq!(analyst.query(sql).await.expect("answer").rows(), [["60"]]);
        let sent_down = [
            "left coordinator rows 1 1",
            "right coordinator rows 1 1",
            "right left literal 1 0",
        ];
        assert_eq!(crossed(&mut analyst).await, sent_down);
    });
}

#[test]
fn a_scalar_whose_owner_discloses_nothing_stays_at_the_coordinator() {
    run(async {
        let mesh = mesh(grant("analyst", "a"), disclosing("b", "bloom")).await;
        let mut analyst = mesh.sign_in("analyst").await;
        let sql = "SELECT v FROM left.a.l WHERE v > (SELECT min(w) / 10 + 40 FROM right.b.r)";
        assert_eq!(analyst.query(sql).await.expect("answer").rows(), [["60"]]);
        let compared_here = ["left coordinator rows 6 1", "right coordinator rows 1 1"];
        assert_eq!(crossed(&mut analyst).await, compared_here);
    });
}

#[test]
fn keys_of_several_columns_are_those_of_rows_and_not_of_two_reads_of_them() {
    run(async {
        let mesh = open_mesh().await;
        let mut analyst = mesh.sign_in("analyst").await;
        switch(&mut analyst, "weigh", "off").await;
        switch(&mut analyst, "ship", "off").await;
        let sql = QUERIES.iter().find(|sql| sql.contains("AS found"));
        let sql = sql.expect("the query that reads a fragment twice");
        let answer = analyst.query(sql).await.expect("answer");
        // `a.w` is of the row with code 3, `b.id` of the row with id 3.
        assert!(answer.column("found").contains(&"500"), "{answer}");
        let flows = crossed(&mut analyst).await;
        let keys = flows
            .iter()
            .filter(|flow| flow.starts_with("right third key"));
        assert_eq!(keys.count(), 2, "{flows:?}");
    });
}

#[test]
fn every_possible_flow_is_used_where_costs_do_not_decide() {
    run(async {
        let mesh = open_mesh().await;
        let mut analyst = mesh.sign_in("analyst").await;
        switch(&mut analyst, "ship", "off").await;
        // The keys would take more bytes than they could spare.
        let sql = "SELECT r.id, r.w, t.city FROM right.b.r LEFT JOIN third.c.t ON t.w = r.w";
        for (weigh, used) in [("on", false), ("off", true)] {
            switch(&mut analyst, "weigh", weigh).await;
            analyst.query(sql).await.expect("answer");
            let flows = crossed(&mut analyst).await;
            let is_key = |flow: &String| flow.starts_with("right third key");
            assert_eq!(flows.iter().any(is_key), used, "{weigh}: {flows:?}");
        }
    });
}
