//! The first rows of an order tell running fragments which rows are of no use: the same answers,
//! fewer rows, no more told than owners allow.

use std::fmt::Write;
use std::path::Path;

use harness::{Client, Mesh, Published, Rows, assert_same_rows, grant, run, single_process};
use weft_node::GrantSettings;

/// So many rows that not all of them fit on the way.
const MANY: usize = 60_000;
/// Characters that come along with each.
const PADDING: usize = 400;

type Columns = [(&'static str, &'static str, &'static str)];

const BIG: &Columns = &[
    ("id", "integer", "bigint"),
    ("k", "integer", "bigint"),
    ("v", "integer", "bigint"),
    ("name", "string", "varchar"),
    ("price", "number", "decimal(12,2)"),
    ("day", "date", "date"),
    ("note", "string", "varchar"),
];

const FEW: &Columns = &[("k", "integer", "bigint"), ("label", "string", "varchar")];

/// Each names `id` after the column that is ordered by, so that there is one answer only.
const QUERIES: &[&str] = &[
    "SELECT b.id, b.v, b.note, f.label FROM big.a.b JOIN few.c.f ON b.k = f.k ORDER BY b.v DESC NULLS LAST, b.id LIMIT 10",
    "SELECT b.id, b.v, b.note, f.label FROM big.a.b JOIN few.c.f ON b.k = f.k ORDER BY b.v DESC NULLS FIRST, b.id LIMIT 10",
    "SELECT b.id, b.v, b.note, f.label FROM big.a.b JOIN few.c.f ON b.k = f.k ORDER BY b.v NULLS FIRST, b.id DESC LIMIT 200",
    "SELECT b.id, b.v, b.note, f.label FROM big.a.b JOIN few.c.f ON b.k = f.k ORDER BY b.v, b.id LIMIT 7 OFFSET 5",
    "SELECT b.id, b.name, b.note, f.label FROM big.a.b JOIN few.c.f ON b.k = f.k ORDER BY b.name DESC, b.id LIMIT 10",
    "SELECT b.id, b.price, b.note, f.label FROM big.a.b JOIN few.c.f ON b.k = f.k ORDER BY b.price, b.id LIMIT 10",
    "SELECT b.id, b.day d, b.note, f.label FROM big.a.b JOIN few.c.f ON b.k = f.k ORDER BY d DESC, b.id LIMIT 30",
    "SELECT b.id, b.v + 1, b.note, f.label FROM big.a.b JOIN few.c.f ON b.k = f.k ORDER BY f.label, b.v, b.id LIMIT 10",
    "SELECT b.id, b.v, b.note, f.label FROM few.c.f LEFT JOIN big.a.b ON b.k = f.k ORDER BY b.v DESC NULLS LAST, b.id, f.label LIMIT 10",
    "SELECT b.id, b.v, b.note, f.label FROM few.c.f LEFT JOIN big.a.b ON b.k = f.k ORDER BY b.v DESC NULLS FIRST, b.id, f.label LIMIT 10",
    "SELECT b.id, b.v, b.note, f.label FROM few.c.f FULL JOIN big.a.b ON b.k = f.k ORDER BY b.v NULLS LAST, b.id, f.label LIMIT 10",
    "SELECT b.id, b.v, b.note FROM big.a.b WHERE NOT EXISTS (SELECT 1 FROM few.c.f WHERE f.k = b.k) ORDER BY b.v NULLS FIRST, b.id LIMIT 10",
    "SELECT u.id, u.v, u.note, f.label FROM (SELECT id, k, v, note FROM big.a.b UNION ALL SELECT id, k, v, note FROM more.d.m) u JOIN few.c.f ON u.k = f.k ORDER BY u.v DESC NULLS LAST, u.id, u.note LIMIT 10",
    "SELECT b.name, count(*), max(f.label), min(b.note) FROM big.a.b JOIN few.c.f ON b.k = f.k GROUP BY b.name ORDER BY b.name LIMIT 10",
    "SELECT DISTINCT b.v, b.note, f.label FROM big.a.b JOIN few.c.f ON b.k = f.k ORDER BY b.v DESC NULLS LAST, b.note, f.label LIMIT 10",
    "SELECT s.id, s.v, m.note FROM (SELECT b.id, b.v, b.note FROM big.a.b JOIN few.c.f ON b.k = f.k ORDER BY b.v NULLS LAST, b.id LIMIT 50) s JOIN more.d.m ON m.id = s.id ORDER BY s.id DESC LIMIT 5",
    "SELECT s.id, s.n, f.label FROM (SELECT id, k, row_number() OVER (ORDER BY v, id) n FROM big.a.b) s JOIN few.c.f ON s.k = f.k ORDER BY s.n, s.id LIMIT 10",
];

/// Rows in no order, among them NULLs and equal values.
fn rows(count: usize, seed: u64) -> String {
    let mut rows = String::new();
    let mut state = seed;
    for id in 0..count {
        let mut next = || {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1);
            (state >> 33) % 1_000_000
        };
        let k = next() % 50;
        let v = match next() {
            few if few % 5_000 == 0 => String::new(),
            value => (value % 20_000).to_string(),
        };
        let (name, price, day) = (next() % 5_000, next(), next());
        let (year, month) = (1990 + day % 30, 1 + day % 12);
        writeln!(
            rows,
            "{id},{k},{v},n{name},{}.{:02},{year}-{month:02}-{:02},{:0PADDING$}",
            price / 100,
            price % 100,
            1 + day % 28,
            next(),
        )
        .expect("text");
    }
    rows
}

fn few() -> String {
    let rows = (0..40).map(|k| format!("{},label {k}", k * 7 % 60));
    rows.chain([",nothing".to_owned()])
        .collect::<Vec<_>>()
        .join("\n")
}

fn in_domain<'a>(domain: &'a str, product: &'a str, tables: &'a [Table<'a>]) -> Published<'a> {
    Published {
        domain,
        product,
        tables,
    }
}

type Table<'a> = (&'a str, &'a Columns, &'a str);

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

/// Rows that nodes sent for the last query.
async fn sent(client: &mut Client) -> u64 {
    let sql = "SELECT sum(rows) FROM system.runtime.flows WHERE form = 'rows' \
               AND query_id = (SELECT query_id FROM system.runtime.queries \
               WHERE fragments > 0 ORDER BY started_at DESC LIMIT 1)";
    client.value(sql).await.parse().expect("a number")
}

/// Which fragments are told something.
async fn told(client: &mut Client, sql: &str) -> Vec<String> {
    let plan = client.query(&format!("EXPLAIN {sql}")).await.expect(sql);
    let lines = plan.rows().iter().map(|row| row.join(" "));
    let lines = lines.filter_map(|line| Some(line.split_once("Tighten: ")?.1.to_owned()));
    lines.collect()
}

#[test]
fn answers_are_those_of_one_process_and_fewer_rows_cross() {
    run(async {
        let (big, more, few) = (rows(MANY, 1), rows(MANY / 4, 2), few());
        let tables: [[Table<'_>; 1]; 3] =
            [[("b", BIG, &big)], [("m", BIG, &more)], [("f", FEW, &few)]];
        let products = [
            in_domain("big", "a", &tables[0]),
            in_domain("more", "d", &tables[1]),
            in_domain("few", "c", &tables[2]),
        ];
        let folder = tempfile::tempdir().expect("folder");
        for product in &products {
            product.write(&folder.path().join(product.domain));
        }
        let domains = ["big", "more", "few"].map(|domain| (domain, folder.path().join(domain)));
        let domains: Vec<(&str, &Path)> = domains
            .iter()
            .map(|(name, path)| (*name, path.as_path()))
            .collect();
        let oracle = single_process(&domains).await;
        let grants = vec![
            ("big", grant("analyst", "a")),
            ("more", grant("analyst", "d")),
            ("few", grant("analyst", "c")),
        ];
        let mesh = Mesh::publish(&products, grants).await;
        let mut analyst = mesh.sign_in("analyst").await;
        // Rows meet at the coordinator.
        switch(&mut analyst, "ship", "off").await;
        let (mut all, mut fewer) = (0, 0);
        for sql in QUERIES {
            let expected = oracle.sql(sql).await.expect(sql);
            let expected = Rows::of(&expected.collect().await.expect(sql));
            for (tighten, reduce) in [("off", "off"), ("on", "off"), ("on", "on")] {
                switch(&mut analyst, "tighten", tighten).await;
                switch(&mut analyst, "reduce", reduce).await;
                let answer = analyst.query(sql).await;
                let answer = answer.unwrap_or_else(|error| panic!("{sql}: {error}"));
                let what = format!("{sql} [tighten: {tighten}, reduce: {reduce}]");
                assert_same_rows(&what, answer, expected.clone());
                let sent = sent(&mut analyst).await;
                println!("{sent} rows: {what}");
                match (tighten, reduce) {
                    ("on", "off") => fewer += sent,
                    ("off", "off") => all += sent,
                    _ => {}
                }
            }
        }
        assert!(fewer < all, "{fewer} of {all} rows");
    });
}

#[test]
fn nodes_are_told_what_the_owners_of_other_rows_let_them_know() {
    run(async {
        let (big, few) = (rows(10, 1), few());
        let tables: [[Table<'_>; 1]; 2] = [[("b", BIG, &big)], [("f", FEW, &few)]];
        let products = [
            in_domain("big", "a", &tables[0]),
            in_domain("few", "c", &tables[1]),
        ];
        let inner =
            "SELECT b.id, f.label FROM big.a.b JOIN few.c.f ON b.k = f.k ORDER BY b.v LIMIT 2";
        let outer = "SELECT b.id, f.label FROM few.c.f LEFT JOIN big.a.b ON b.k = f.k ORDER BY b.v";
        let last = format!("{outer} NULLS LAST LIMIT 2");
        let first = format!("{outer} NULLS FIRST LIMIT 2");
        for (disclosure, allowed) in [("none", false), ("range", true), ("list", true)] {
            let grants = vec![
                ("big", disclosing("a", "none")),
                ("few", disclosing("c", disclosure)),
            ];
            let mesh = Mesh::publish(&products, grants).await;
            let mut analyst = mesh.sign_in("analyst").await;
            switch(&mut analyst, "ship", "off").await;
            // Few rows are on their way before anything is known of them.
            assert!(told(&mut analyst, inner).await.is_empty());
            switch(&mut analyst, "weigh", "off").await;
            for (sql, sound) in [(inner, true), (&last, true), (&first, false)] {
                let told = told(&mut analyst, sql).await;
                assert_eq!(
                    told.len(),
                    usize::from(allowed && sound),
                    "{disclosure}: {sql}"
                );
                assert!(told.iter().all(|it| it.ends_with(" by v")), "{told:?}");
            }
            switch(&mut analyst, "tighten", "off").await;
            assert!(told(&mut analyst, inner).await.is_empty());
        }
    });
}
