//! Products that change while somebody uses them.

use futures::TryStreamExt;
use harness::{Mesh, Published, Rows, grant, run};
use weft_governance::{ErrorKind, code};

const BEFORE: Published<'static> = Published {
    domain: "sales",
    product: "orders",
    tables: &[(
        "t",
        &[("id", "integer", "bigint"), ("amount", "integer", "bigint")],
        "1,10\n2,20",
    )],
};

/// The columns change places, one comes in between, and amounts have cents.
const AFTER: Published<'static> = Published {
    domain: "sales",
    product: "orders",
    tables: &[(
        "t",
        &[
            ("amount", "number", "decimal(10,2)"),
            ("note", "string", "varchar"),
            ("id", "integer", "bigint"),
        ],
        "10.00,x,1\n20.00,y,2\n30.50,z,3",
    )],
};

#[test]
fn a_planned_query_sees_a_product_that_changed_or_says_that_it_did() {
    run(async {
        let mut mesh = Mesh::publish(&[BEFORE], vec![("sales", grant("analyst", "orders"))]).await;
        let mut analyst = mesh.sign_in("analyst").await;
        let few = "SELECT max(id) AS m, count(*) AS n FROM sales.orders.t WHERE amount > 15";
        let few = analyst.announce(few).await.expect("planned");
        let all = "SELECT * FROM sales.orders.t";
        let all = analyst.announce(all).await.expect("planned");
        mesh.replace(&AFTER).await;

        let rows = analyst.fetch(few).await.expect("starts");
        let rows: Vec<_> = rows.try_collect().await.expect("planned anew");
        assert_eq!(Rows::of(&rows).rows(), [["3", "2"]]);

        let rows = analyst.fetch(all).await.expect("starts");
        let error = rows.try_collect::<Vec<_>>().await;
        let error = error.expect_err("other columns than were announced");
        assert_eq!(
            (error.kind(), error.code()),
            (ErrorKind::SchemaDrift, code::SCHEMA_DRIFT),
            "{error}"
        );
        let again = analyst
            .query("SELECT * FROM sales.orders.t WHERE id = 3")
            .await;
        assert_eq!(again.expect("rows").rows(), [["30.5", "z", "3"]]);
    });
}

#[test]
fn a_planned_query_reads_no_column_that_has_gone() {
    run(async {
        let mut mesh = Mesh::publish(&[BEFORE], vec![("sales", grant("analyst", "orders"))]).await;
        let mut analyst = mesh.sign_in("analyst").await;
        let sql = "SELECT sum(amount) AS s FROM sales.orders.t";
        let planned = analyst.announce(sql).await.expect("planned");
        mesh.replace(&Published {
            tables: &[("t", &[("id", "integer", "bigint")], "1\n2")],
            ..BEFORE
        })
        .await;
        let rows = analyst.fetch(planned).await.expect("starts");
        let error = rows
            .try_collect::<Vec<_>>()
            .await
            .expect_err("no such column");
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
        assert!(error.to_string().contains("amount"), "{error}");
    });
}
