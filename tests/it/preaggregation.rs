//! Nodes group rows that a query needs by the group: the answer stays, and less crosses.

use harness::{
    Client, Column, Mesh, Published, Rows, assert_same_rows, grant, run, single_process,
};

const FACT: &[Column<'static>] = &[
    ("*id", "integer", "bigint"),
    ("k", "integer", "bigint"),
    ("m", "integer", "bigint"),
    ("g", "string", "varchar"),
    ("v", "number", "decimal(15,2)"),
    ("n", "integer", "bigint"),
    ("x", "number", "double"),
    ("day", "date", "date"),
];

const SIDE: &[Column<'static>] = &[
    ("k", "integer", "bigint"),
    ("m", "integer", "bigint"),
    ("name", "string", "varchar"),
    ("p", "number", "decimal(10,2)"),
];

/// Keys twice, a key without rows on the other side, and no key at all.
const SIDES: &str = "0,1,zero,1.50\n1,2,one,-2.25\n1,3,uno,\n2,2,,0.10\n3,1,three,7\n3,4,,\n77,1,none,1\n,2,nobody,5";

const NONE: &[Column<'static>] = &[("k", "integer", "bigint"), ("z", "integer", "bigint")];

/// 400 rows with few keys, some of them absent.
fn facts() -> String {
    let some = |value: String, row: usize, every: usize| match row % every {
        0 => String::new(),
        _ => value,
    };
    let rows = (1..=400_usize).map(|row| {
        let mixed = row * 7919 % 1009;
        [
            row.to_string(),
            some((mixed % 5).to_string(), row, 11),
            (mixed % 4).to_string(),
            some(["red", "green", "blue"][mixed % 3].to_owned(), row, 7),
            some(format!("{}.{:02}", mixed, mixed % 100), row, 13),
            some((mixed % 17).to_string(), row, 5),
            some(format!("{}.25", mixed % 50), row, 9),
            some(format!("199{}-0{}-11", mixed % 6, mixed % 9 + 1), row, 17),
        ]
        .join(",")
    });
    rows.collect::<Vec<_>>().join("\n")
}

/// Queries of which less crosses where that is estimated to be worth it.
const LESS: &[&str] = &[
    "SELECT s.name, sum(f.v) FROM left.d.fact f JOIN right.d.side s ON f.k = s.k GROUP BY s.name",
    "SELECT s.name, sum(f.v * (1 - s.p)), sum(f.v - s.p * f.n), sum(s.p) FROM left.d.fact f JOIN right.d.side s ON f.k = s.k GROUP BY s.name",
    "SELECT s.name, count(*), count(f.v), sum(f.v) FROM right.d.side s LEFT JOIN left.d.fact f ON f.k = s.k GROUP BY s.name",
    "SELECT s.name, count(*), count(f.v), sum(f.v) FROM left.d.fact f FULL JOIN right.d.side s ON f.k = s.k GROUP BY s.name",
    "SELECT s.name, count(*) FILTER (WHERE s.p > 0), sum(f.v) FILTER (WHERE f.n > 3) FROM left.d.fact f JOIN right.d.side s ON f.k = s.k GROUP BY s.name",
    "SELECT c, count(*) FROM (SELECT s.k, count(f.id) AS c FROM right.d.side s LEFT JOIN left.d.fact f ON f.k = s.k AND f.g <> 'red' GROUP BY s.k) GROUP BY c",
    "SELECT s.name, sum(f.v) AS t FROM left.d.fact f JOIN right.d.side s ON f.k = s.k GROUP BY s.name HAVING count(*) > 60 ORDER BY t DESC",
    "SELECT s.k, s.name FROM right.d.side s WHERE s.k NOT IN (SELECT f.m FROM left.d.fact f)",
    "SELECT DISTINCT s.name FROM left.d.fact f JOIN right.d.side s ON f.k = s.k",
    "SELECT count(DISTINCT f.k) FROM left.d.fact f JOIN right.d.side s ON f.k = s.k",
    "SELECT sum(f.v), count(*) FROM left.d.fact f WHERE f.k IN (SELECT s.k FROM right.d.side s)",
];

/// Queries of which as much may cross as before.
const EQUAL: &[&str] = &[
    "SELECT s.name, sum(s.p) FILTER (WHERE f.g = 'violet'), sum(s.k) FILTER (WHERE f.n > 15) FROM left.d.fact f JOIN right.d.side s ON f.k = s.k GROUP BY s.name",
    "SELECT s.k, s.name FROM right.d.side s WHERE NOT EXISTS (SELECT 1 FROM left.d.fact f WHERE f.k = s.k)",
    "SELECT sum(f.v), count(*), count(f.n), avg(f.v), avg(f.n), avg(f.x), min(f.g), max(f.day) FROM left.d.fact f JOIN right.d.side s ON f.k = s.k",
    "SELECT s.name, f.g, sum(f.v), count(*) FROM left.d.fact f JOIN right.d.side s ON f.k = s.k AND f.m <> s.m GROUP BY s.name, f.g",
    "SELECT extract(year FROM f.day), sum(f.v) FROM left.d.fact f JOIN right.d.side s ON f.k = s.k GROUP BY 1",
    "SELECT s.name, sum(f.v), count(DISTINCT f.n), count(DISTINCT f.g) FROM left.d.fact f JOIN right.d.side s ON f.k = s.k GROUP BY s.name",
    "SELECT s.name, sum(f.v) FROM left.d.fact f JOIN right.d.side s ON f.k = s.k GROUP BY ROLLUP (s.name)",
    "SELECT s.name, sum(100 / f.n) FROM left.d.fact f JOIN right.d.side s ON f.k = s.k WHERE f.n <> 0 GROUP BY s.name",
    "SELECT count(*), sum(f.v) FROM left.d.fact f LEFT JOIN right.d.none e ON f.k = e.k",
    "SELECT f.m, sum(CASE WHEN s.name = 'one' THEN f.v ELSE 0 END), sum(f.v) FROM left.d.fact f JOIN right.d.side s ON f.k = s.k GROUP BY f.m",
];

/// Queries that end before all has crossed that was asked for: how much did is chance.
const EARLY: &[&str] =
    &["SELECT sum(f.v), count(*), count(e.z) FROM left.d.fact f JOIN right.d.none e ON f.k = e.k"];

#[test]
fn less_crosses_where_nodes_group_and_answers_stay() {
    run(async {
        let facts = facts();
        let left = Published {
            domain: "left",
            product: "d",
            tables: &[("fact", FACT, &facts)],
        };
        let right = Published {
            domain: "right",
            product: "d",
            tables: &[("side", SIDE, SIDES), ("none", NONE, "")],
        };
        let folder = tempfile::tempdir().expect("folder");
        let place = |domain: &str| folder.path().join(domain);
        left.write(&place("left"));
        right.write(&place("right"));
        let oracle = single_process(&[("left", &place("left")), ("right", &place("right"))]).await;
        let grants = vec![
            ("left", grant("analyst", "d")),
            ("right", grant("analyst", "d")),
        ];
        let mesh = Mesh::publish(&[left, right], grants).await;
        let mut analyst = mesh.sign_in("analyst").await;
        // Keys that flow between the domains spare rows of their own.
        let off = analyst.query("SET weft.optimizer.reduce = off").await;
        assert!(off.expect("set").is_empty());
        for sql in EARLY {
            let known = oracle.sql(sql).await.expect(sql).collect().await;
            let known = Rows::of(&known.expect(sql));
            for to in ["off", "on"] {
                let (_, answer) = crossing(&mut analyst, to, sql).await;
                assert_same_rows(sql, answer, known.clone());
            }
        }
        let mut fewer = 0;
        for (sql, less) in LESS
            .iter()
            .map(|sql| (sql, true))
            .chain(EQUAL.iter().map(|sql| (sql, false)))
        {
            let known = oracle.sql(sql).await.expect(sql).collect().await;
            let known = Rows::of(&known.expect(sql));
            assert!(!known.is_empty(), "{sql}");
            let (without, apart) = crossing(&mut analyst, "off", sql).await;
            let (with, grouped) = crossing(&mut analyst, "on", sql).await;
            assert_same_rows(sql, apart, known.clone());
            assert_same_rows(sql, grouped, known);
            assert!(with <= without, "{with} rows, {without} before: {sql}");
            fewer += usize::from(less && with < without);
        }
        assert!(
            fewer * 4 >= LESS.len() * 3,
            "of {} only {fewer} cross with fewer rows",
            LESS.len()
        );
    });
}

/// The rows that cross, and the answer.
async fn crossing(analyst: &mut Client, setting: &str, sql: &str) -> (u64, Rows) {
    let set = format!("SET weft.optimizer.preaggregate = '{setting}'");
    analyst.query(&set).await.expect("set");
    let crossed = "SELECT coalesce(sum(rows), 0) FROM system.runtime.flows";
    let before: u64 = analyst.value(crossed).await.parse().expect("a number");
    let rows = analyst
        .query(sql)
        .await
        .unwrap_or_else(|error| panic!("{sql}: {error}"));
    let after: u64 = analyst.value(crossed).await.parse().expect("a number");
    (after - before, rows)
}
