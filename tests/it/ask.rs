//! What nodes are asked while a query is planned: better estimates, within the grants of the asker,
//! and never another answer.

use std::fmt::Write;
use std::time::Duration;

use harness::{
    Client, Mesh, MeshOptions, Published, Rows, assert_same_rows, grant, grant_table, run,
};
use weft_coordinator::QueryLimits;

const SALE: &[harness::Column<'static>] = &[
    ("id", "integer", "bigint"),
    ("item", "integer", "bigint"),
    ("region", "string", "varchar"),
    ("note", "string", "varchar"),
];

const ITEM: &[harness::Column<'static>] =
    &[("id", "integer", "bigint"), ("kind", "string", "varchar")];

/// Of the home region one in eight hundred is rare, of the other region, a fifth of all, every one is.
const SALES: usize = 280_000;
const RARE: &str = "SELECT s.id, i.kind FROM north.shop.sale s JOIN south.stock.item i ON s.item = i.id WHERE s.note LIKE '%rare%'";

fn sales() -> String {
    let mut rows = String::new();
    for id in 0..SALES {
        let away = id % 5 == 0;
        let region = if away { "away" } else { "home" };
        let note = if away || id % 1_000 == 3 {
            "a rare one"
        } else {
            "plain"
        };
        writeln!(rows, "{id},{},{region},{note}", id % 100).expect("a text takes all");
    }
    rows.trim_end().to_owned()
}

fn items() -> String {
    let rows: Vec<_> = (0..100).map(|id| format!("{id},k{}", id % 7)).collect();
    rows.join("\n")
}

/// The analyst sees the home region, the admin all; planning waits for answers for so long.
async fn mesh(ask_wait: Duration) -> Mesh {
    let (sales, items) = (sales(), items());
    let shop = Published {
        domain: "north",
        product: "shop",
        tables: &[("sale", SALE, &sales)],
    };
    let stock = Published {
        domain: "south",
        product: "stock",
        tables: &[("item", ITEM, &items)],
    };
    let home = Some("region = 'home'");
    let grants = vec![
        ("north", grant_table("analyst", "shop", "sale", home, &[])),
        ("south", grant("analyst", "stock")),
        ("north", grant("admin", "shop")),
        ("south", grant("admin", "stock")),
    ];
    let options = MeshOptions {
        query_limits: QueryLimits {
            ask_wait,
            ..QueryLimits::default()
        },
        ..MeshOptions::empty()
    };
    Mesh::publish_with(options, &[shop, stock], grants).await
}

/// A client that has learned what the nodes know of their tables' rows.
async fn acquainted(mesh: &Mesh, user: &str) -> Client {
    let mut client = mesh.sign_in(user).await;
    let stats = "SHOW STATS FOR north.shop.sale";
    client.query(stats).await.expect("granted");
    mesh.wait_for_statistics("north").await;
    let known = client.query(stats).await.expect("granted");
    assert!(known.column("row_count").iter().any(|rows| *rows != "NULL"));
    client
}

async fn ask(client: &mut Client, on: bool) {
    let state = if on { "on" } else { "off" };
    let sql = format!("SET weft.optimizer.ask = {state}");
    client.query(&sql).await.expect("a setting");
}

/// The rows that EXPLAIN expects from the north.
async fn expected(client: &mut Client) -> u64 {
    let sql = format!("EXPLAIN FLOW {RARE}");
    let flows = client.query(&sql).await.expect("flows");
    let place = index(&flows, "north", "rows").expect("rows of the north");
    flows.column("expected_rows")[place]
        .parse()
        .expect("a number")
}

fn index(flows: &Rows, source: &str, form: &str) -> Option<usize> {
    let (sources, forms) = (flows.column("source"), flows.column("form"));
    (0..flows.len()).find(|at| sources[*at] == source && forms[*at] == form)
}

/// Columns, rows and requests of what was asked for the query.
async fn asked(client: &mut Client) -> Option<[String; 3]> {
    let sql = format!("EXPLAIN ANALYZE FLOW {RARE}");
    let flows = client.query(&sql).await.expect("flows");
    let place = index(&flows, "north", "estimate")?;
    Some(["columns", "rows", "requests"].map(|name| flows.column(name)[place].to_owned()))
}

/// Fragments that the north has admitted, by its own log.
fn admitted(mesh: &Mesh) -> usize {
    let log = weft_ledger::Ledger::open(&mesh.ledger("north")).expect("log");
    let records = log.read(0, 1_000).expect("records").into_iter();
    let kinds = records.map(|record| format!("{:?}", record.event.kind));
    kinds.filter(|kind| kind == "Admitted").count()
}

#[test]
fn an_estimate_is_asked_of_the_node_within_the_grants_of_the_asker() {
    run(async {
        let mesh = mesh(Duration::from_secs(60)).await;
        let mut analyst = acquainted(&mesh, "analyst").await;
        ask(&mut analyst, false).await;
        let guess = expected(&mut analyst).await;
        assert!((20_000..25_000).contains(&guess), "{guess}");
        let plain = analyst.query(RARE).await.expect("an answer");
        assert_eq!(plain.len(), 280);

        ask(&mut analyst, true).await;
        // All visible rows are of the home region, whatever there is beside them.
        let visible = expected(&mut analyst).await;
        assert!((100..1_000).contains(&visible), "{visible}");
        let informed = analyst.query(RARE).await.expect("an answer");
        assert_same_rows(RARE, plain, informed);
        let mut admin = acquainted(&mesh, "admin").await;
        let all = expected(&mut admin).await;
        assert!((50_000..62_000).contains(&all), "{all}");

        let mut outsider = mesh.sign_in("outsider").await;
        let refused = outsider.error(RARE).await.to_string();
        ask(&mut outsider, false).await;
        assert_eq!(outsider.error(RARE).await.to_string(), refused);
    });
}

#[test]
fn a_session_asks_once_and_shows_what_it_asked() {
    run(async {
        let mesh = mesh(Duration::from_secs(60)).await;
        let mut admin = acquainted(&mesh, "admin").await;
        let before = admitted(&mesh);
        let first = asked(&mut admin).await.expect("a question");
        assert_eq!(first, ["note", "1", "1"]);
        assert_eq!(admitted(&mesh), before + 2, "the question and the query");
        expected(&mut admin).await;
        assert_eq!(admitted(&mesh), before + 2, "the answer is known");
        let again = asked(&mut admin).await.expect("a known answer");
        assert_eq!(again, ["note", "0", "0"]);
        let plan = admin.query(&format!("EXPLAIN {RARE}")).await.expect("plan");
        let lines = plan.column("plan");
        let line = lines.iter().find(|it| it.starts_with("estimate"));
        assert!(line.expect("a line").contains("note LIKE"), "{plan}");
        ask(&mut admin, false).await;
        assert_eq!(asked(&mut admin).await, None);

        // What a query asked for itself is in its record.
        let mut other = acquainted(&mesh, "admin").await;
        other.query(RARE).await.expect("an answer");
        let recorded = "SELECT form, source, requests FROM system.runtime.flows WHERE query_id = (SELECT query_id FROM system.runtime.queries WHERE fragments > 0 ORDER BY started_at DESC LIMIT 1)";
        let recorded = other.query(recorded).await.expect("flows");
        let place = index(&recorded, "north", "estimate").expect("what was asked");
        assert_eq!(recorded.column("requests")[place], "1");
    });
}

#[test]
fn a_node_that_does_not_answer_in_time_holds_no_query_up() {
    run(async {
        let mesh = mesh(Duration::ZERO).await;
        let mut analyst = acquainted(&mesh, "analyst").await;
        let guess = expected(&mut analyst).await;
        assert!((20_000..25_000).contains(&guess), "{guess}");
        let rows = analyst.query(RARE).await.expect("an answer");
        assert_eq!(rows.len(), 280);
    });
}
