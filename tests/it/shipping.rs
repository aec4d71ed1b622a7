//! Few rows of one domain that go to the node of another: the same answers, fewer bytes, nowhere that
//! the owner does not let them go. That all kinds of joins stay right is tested beside the keys.

use harness::{Client, Mesh, MeshOptions, Published, Rows, assert_same_rows, grant, run};
use weft_node::GrantSettings;

const SHOP: Published<'static> = Published {
    domain: "north",
    product: "shop",
    tables: &[(
        "sale",
        &[
            ("id", "integer", "bigint"),
            ("item", "integer", "bigint"),
            ("price", "number", "decimal(10,2)"),
        ],
        "1,1,1.00\n2,2,2.00\n3,2,3.00\n4,9,4.00\n5,,5.00",
    )],
};

const STOCK: Published<'static> = Published {
    domain: "south",
    product: "stock",
    tables: &[(
        "item",
        &[("id", "integer", "bigint"), ("kind", "string", "varchar")],
        "1,nut\n2,bolt\n3,bolt\n4,",
    )],
};

/// Revenue by kind: the north sends its sales on, the south groups.
const BY_KIND: &str = "SELECT i.kind, sum(s.price) AS sum FROM north.shop.sale s JOIN south.stock.item i ON s.item = i.id GROUP BY i.kind";

async fn mesh(shop: GrantSettings) -> Mesh {
    let grants = vec![("north", shop), ("south", grant("analyst", "stock"))];
    Mesh::publish(&[SHOP, STOCK], grants).await
}

/// An analyst whose queries ship whatever they may.
async fn eager(mesh: &Mesh) -> Client {
    let mut analyst = mesh.sign_in("analyst").await;
    set(&mut analyst, "weigh", "off").await;
    analyst
}

async fn set(client: &mut Client, step: &str, to: &str) {
    let sql = format!("SET weft.optimizer.{step} = {to}");
    client.query(&sql).await.expect("a setting");
}

async fn flows(client: &mut Client, sql: &str) -> Rows {
    let sql = format!("EXPLAIN ANALYZE FLOW {sql}");
    client.query(&sql).await.expect("flows")
}

#[test]
fn rows_go_to_the_other_node_and_the_answer_comes_from_there() {
    run(async {
        let mesh = mesh(grant("analyst", "shop")).await;
        let mut analyst = eager(&mesh).await;
        let answer = analyst.query(BY_KIND).await.expect("an answer");
        let flows = flows(&mut analyst, BY_KIND).await;
        assert_eq!(flows.column("form"), ["rows", "shipped rows", "rows"]);
        let (from, to) = (flows.column("source"), flows.column("destination"));
        assert_eq!(to[0], "coordinator");
        assert_eq!(
            (from[0], to[1]),
            (from[1], from[2]),
            "one node sends, the other joins"
        );
        assert_eq!(to[2], "coordinator");
        assert_eq!(flows.column("rows")[2], "2", "the groups");
        assert_eq!(flows.column("rows")[0], flows.column("rows")[1]);
        assert_eq!(
            flows.column("operator")[0],
            format!("sent on to {}", from[2])
        );
        assert_eq!(
            flows.column("operator")[1],
            format!("joined at {}", from[2])
        );
        let tables = flows.column("tables");
        assert!(tables[2].contains("north.shop.sale") && tables[2].contains("south.stock.item"));

        // The record of the running query says the same.
        let recorded = analyst
            .query(
                "SELECT form, rows, bytes FROM system.runtime.flows WHERE query_id = (SELECT query_id \
                 FROM system.runtime.queries WHERE fragments > 0 ORDER BY started_at DESC LIMIT 1)",
            )
            .await
            .expect("flows");
        for column in ["form", "rows", "bytes"] {
            assert_eq!(recorded.column(column), flows.column(column));
        }

        set(&mut analyst, "ship", "off").await;
        let here = analyst.query(BY_KIND).await.expect("an answer");
        let rows: Vec<Vec<String>> = here.rows().to_vec();
        assert_eq!(rows.len(), 2);
        assert_same_rows(BY_KIND, answer, here);
    });
}

#[test]
fn rows_go_nowhere_that_their_owner_does_not_let_them_go() {
    run(async {
        let kept = GrantSettings {
            flow_to: Some(Vec::new()),
            ..grant("analyst", "shop")
        };
        let mesh = mesh(kept).await;
        let mut analyst = eager(&mesh).await;
        // Many items of the south may still come to the few sales of the north.
        let flows = flows(&mut analyst, BY_KIND).await;
        let shipped = flows
            .rows()
            .iter()
            .filter(|row| row.join(" ").contains("shipped rows"));
        assert!(
            shipped.clone().all(|row| row.contains(&"south".to_owned())),
            "{flows}"
        );

        let nothing = GrantSettings {
            flow_to: Some(vec!["east".to_owned()]),
            ..grant("analyst", "stock")
        };
        let shop = GrantSettings {
            flow_to: Some(vec!["east".to_owned()]),
            ..grant("analyst", "shop")
        };
        let mesh = Mesh::publish(&[SHOP, STOCK], vec![("north", shop), ("south", nothing)]).await;
        let mut analyst = eager(&mesh).await;
        // Rows that wait for keys would not go anywhere anyway.
        set(&mut analyst, "reduce", "off").await;
        let flows = self::flows(&mut analyst, BY_KIND).await;
        assert!(
            flows
                .column("form")
                .iter()
                .all(|form| *form != "shipped rows"),
            "{flows}"
        );
        let why = flows.column("alternatives").join("; ");
        assert!(
            why.contains("the owner does not let rows of `north.shop.sale` flow there"),
            "{why}"
        );
    });
}

/// At this scale the orders of a quarter are few enough for the customers' node, and the groups that
/// come back are fewer still.
#[test]
fn what_is_small_travels_and_what_is_large_stays() {
    run(async {
        let mesh = Mesh::start(MeshOptions::tpch(0.05)).await;
        let mut analyst = mesh.sign_in("analyst").await;
        let sql = "SELECT c_custkey, c_name, c_comment, sum(o_totalprice) AS total \
                   FROM crm.customers.customer JOIN sales.orders.orders ON c_custkey = o_custkey \
                   WHERE o_orderdate >= DATE '1994-01-01' AND o_orderdate < DATE '1994-04-01' \
                   GROUP BY c_custkey, c_name, c_comment ORDER BY total DESC, c_custkey LIMIT 5";
        let bytes = |flows: &Rows| -> u64 {
            let bytes = flows.column("bytes");
            bytes
                .iter()
                .map(|it| it.parse::<u64>().expect("a number"))
                .sum()
        };
        let shipped = flows(&mut analyst, sql).await;
        assert!(
            shipped.column("form").contains(&"shipped rows"),
            "{shipped}"
        );
        let answer = analyst.query(sql).await.expect("an answer");
        set(&mut analyst, "ship", "off").await;
        let kept = flows(&mut analyst, sql).await;
        assert!(!kept.column("form").contains(&"shipped rows"), "{kept}");
        assert!(bytes(&shipped) * 2 < bytes(&kept), "{shipped}\n{kept}");
        let here = analyst.query(sql).await.expect("an answer");
        assert_same_rows(sql, answer, here);
    });
}

/// Rows that are checked against shipped rows before they are joined among themselves are compared as
/// the join will compare them.
#[test]
fn null_that_is_equal_to_null_stays_so_below_a_join() {
    run(async {
        let parts = (0..40).map(|id| match id % 20 {
            0 => format!("{id},\n"),
            _ => format!("{id},code {id}\n"),
        });
        let parts: String = parts.collect();
        let bins: String = (0..40).map(|part| format!("{part}\n")).collect();
        let stock = Published {
            domain: "south",
            product: "stock",
            tables: &[
                (
                    "part",
                    &[("id", "integer", "bigint"), ("code", "string", "varchar")],
                    &parts,
                ),
                ("bin", &[("part", "integer", "bigint")], &bins),
            ],
        };
        let orders = Published {
            domain: "north",
            product: "shop",
            tables: &[(
                "sale",
                &[("id", "integer", "bigint"), ("code", "string", "varchar")],
                "1,\n2,code 3\n3,code 99",
            )],
        };
        let grants = vec![
            ("north", grant("analyst", "shop")),
            ("south", grant("analyst", "stock")),
        ];
        let mesh = Mesh::publish(&[orders, stock], grants).await;
        let mut analyst = eager(&mesh).await;
        let sql = "SELECT s.id, p.id AS part FROM north.shop.sale s JOIN (south.stock.part p \
                   JOIN south.stock.bin b ON p.id = b.part) ON s.code IS NOT DISTINCT FROM p.code \
                   ORDER BY 1, 2";
        let explained = analyst.query(&format!("EXPLAIN {sql}")).await;
        let explained = explained.expect("a plan").to_string();
        assert!(explained.contains("__shipped_key_0"), "{explained}");
        let rows = analyst.query(sql).await.expect("rows");
        let rows: Vec<String> = rows.rows().iter().map(|row| row.join(" ")).collect();
        assert_eq!(rows, ["1 0", "1 20", "2 3"]);
    });
}

#[test]
fn a_flow_to_no_domain_is_refused_at_start() {
    run(async {
        let folder = tempfile::tempdir().expect("folder");
        SHOP.write(&folder.path().join("north"));
        let contract = folder.path().join("north/shop/shop.odcs.yaml");
        let text = std::fs::read_to_string(&contract).expect("a contract");
        let text = text.replace("value: \"*\"", "value: everywhere");
        std::fs::write(&contract, text).expect("written");
        let domain = "north".parse().expect("valid");
        let loaded = weft_node::product::load(&domain, &folder.path().join("north")).await;
        let problem = loaded.problems[0].to_string();
        assert!(
            problem.contains("`weft.flowTo` must be a list of domains, or `*` for all"),
            "{problem}"
        );
    });
}
