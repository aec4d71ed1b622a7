//! What drivers are told of tables and columns, for drawing diagrams and naming what they show.

use harness::{Client, Mesh, MeshOptions, Published, grant, grant_table, run};

/// What the owners of three products say of each other's tables.
const PRODUCTS: &[Published<'static>] = &[
    Published {
        domain: "sales",
        product: "orders",
        tables: &[
            (
                "orders",
                &[
                    ("*id", "integer", "bigint"),
                    ("buyer>weft://crm/people#person.id", "integer", "bigint"),
                    ("email>weft://crm/people#person.email", "string", "varchar"),
                    ("gone>weft://crm/people#nobody.id", "integer", "bigint"),
                    ("far>weft://nowhere/people#person.id", "integer", "bigint"),
                    (
                        "shelf>../stock/stock.odcs.yaml#shelf.id",
                        "integer",
                        "bigint",
                    ),
                ],
                "1,1,a@x,1,1,1",
            ),
            ("line", &[("order>orders.id", "integer", "bigint")], "1"),
        ],
    },
    Published {
        domain: "sales",
        product: "stock",
        tables: &[("shelf", &[("*id", "integer", "bigint")], "1")],
    },
    Published {
        domain: "crm",
        product: "people",
        tables: &[(
            "person",
            &[("*id", "integer", "bigint"), ("email", "string", "varchar")],
            "1,a@x",
        )],
    },
];

/// Column, and the one that it refers to.
async fn references(client: &mut Client, table: [&str; 3]) -> Vec<String> {
    let told = client.references(table).await.expect("told");
    let line = |row: &Vec<String>| format!("{} {}", row[7], row[..4].join("."));
    let mut lines: Vec<String> = told.rows().iter().map(line).collect();
    lines.sort();
    lines
}

#[test]
fn foreign_keys_are_told_where_both_ends_are_seen_as_they_are() {
    run(async {
        let mut options = MeshOptions::empty();
        for user in ["seller", "clerk"] {
            options.users.push((user.to_owned(), Vec::new()));
        }
        let masked = grant_table("clerk", "people", "person", None, &[("email", "sha-256")]);
        let grants = vec![
            ("sales", grant("analyst", "orders")),
            ("sales", grant("analyst", "stock")),
            ("crm", grant("analyst", "people")),
            ("sales", grant("seller", "orders")),
            ("sales", grant("clerk", "orders")),
            ("crm", masked),
        ];
        let mesh = Mesh::publish_with(options, PRODUCTS, grants).await;
        let orders = ["sales", "orders", "orders"];
        let (buyer, email, shelf) = (
            "buyer crm.people.person.id",
            "email crm.people.person.email",
            "shelf sales.stock.shelf.id",
        );
        for (user, expected) in [
            ("analyst", vec![buyer, email, shelf]),
            ("seller", vec![]),
            ("clerk", vec![buyer]),
            ("outsider", vec![]),
        ] {
            let mut client = mesh.sign_in(user).await;
            assert_eq!(references(&mut client, orders).await, expected, "{user}");
        }
        // A node knows of nobody else's tables.
        let mut analyst = mesh.sign_in_at("sales", "analyst").await;
        assert_eq!(references(&mut analyst, orders).await, [shelf]);
        let line = ["sales", "orders", "line"];
        assert_eq!(
            references(&mut analyst, line).await,
            ["order sales.orders.orders.id"]
        );
    });
}

#[test]
fn columns_of_an_answer_say_which_tables_they_are_of() {
    run(async {
        let mesh = Mesh::start(MeshOptions::tpch(0.01)).await;
        for mut client in [
            mesh.sign_in("analyst").await,
            mesh.sign_in_at("sales", "analyst").await,
        ] {
            let columns = client.columns(
                "SELECT k AS key, 1 + k AS more, p FROM \
                 (SELECT o_orderkey AS k, o_totalprice AS p FROM sales.orders.orders WHERE o_orderkey < ?) \
                 ORDER BY k LIMIT 1",
            );
            let columns = columns.await;
            assert!(columns.is_err(), "a parameter that is not bound");
            let columns = client
                .columns(
                    "SELECT k AS key, 1 + k AS more, p FROM \
                     (SELECT o_orderkey AS k, o_totalprice AS p FROM sales.orders.orders) \
                     WHERE k < 7 ORDER BY k LIMIT 1",
                )
                .await
                .expect("announced");
            let told = |column: usize, name: &str| {
                let metadata = columns.field(column).metadata();
                metadata
                    .get(&format!("ARROW:FLIGHT:SQL:{name}"))
                    .map(String::as_str)
            };
            for column in [0, 2] {
                assert_eq!(told(column, "CATALOG_NAME"), Some("sales"));
                assert_eq!(told(column, "DB_SCHEMA_NAME"), Some("orders"));
                assert_eq!(told(column, "TABLE_NAME"), Some("orders"));
            }
            let remarks = told(0, "REMARKS").expect("described");
            assert!(remarks.contains("Number of the order"), "{remarks}");
            assert_eq!(told(2, "TYPE_NAME"), Some("DECIMAL"));
            let metadata = columns.field(2).metadata();
            assert_eq!(metadata["weft.classification"], "confidential");
            assert_eq!(told(1, "TYPE_NAME"), Some("BIGINT"));
            for name in ["CATALOG_NAME", "TABLE_NAME", "REMARKS"] {
                assert_eq!(told(1, name), None);
            }
        }
    });
}

#[test]
fn tables_of_the_coordinator_itself_are_listed_for_whoever_may_query_them() {
    run(async {
        let mesh = Mesh::publish(PRODUCTS, Vec::new()).await;
        let mut outsider = mesh.sign_in("outsider").await;
        let listed = outsider.metadata().await.expect("told");
        let tables = &listed[2];
        assert!(tables.len() >= 10, "{tables}");
        for row in tables.rows() {
            let name = row[..3].join(".");
            assert_eq!(row[0], "system", "{name} is listed");
            assert_eq!(row[3], "SYSTEM TABLE", "{name}");
            let asked = outsider.columns(&format!("SELECT * FROM {name}")).await;
            asked.unwrap_or_else(|error| panic!("{name}: {error}"));
        }
    });
}
