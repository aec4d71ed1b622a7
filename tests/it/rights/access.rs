//! What somebody may see, told before anything is read.

use super::*;

async fn with_grants() -> Mesh {
    let mut options = MeshOptions::empty();
    let groups = vec!["sales-owners".to_owned()];
    options.users.push(("owner".to_owned(), groups));
    let mesh = Mesh::publish_with(options, &[ORDERS], Vec::new()).await;
    let mut owner = mesh.sign_in_at("sales", "owner").await;
    for give in [
        "GRANT SELECT (id, clerk) ON TABLE sales.orders.o TO GROUP analysts \
         WHERE status = 'F' MASK (clerk WITH 'sha-256')",
        "GRANT AGGREGATE (MIN GROUP SIZE 5) ON TABLE sales.orders.n TO USER analyst",
    ] {
        change(&mesh, &mut owner, give).await;
    }
    mesh
}

/// Table, column, access, and whether help is offered.
fn told(rows: &harness::Rows) -> Vec<String> {
    let columns = ["table", "column", "access", "mask", "min_group_size"];
    let columns = columns.map(|name| rows.column(name));
    let line = |row: usize| {
        let cells = columns.iter().map(|column| column[row]);
        cells.collect::<Vec<_>>().join(" ")
    };
    (0..rows.len()).map(line).collect()
}

#[test]
fn a_query_is_explained_column_by_column() {
    run(async {
        let mesh = with_grants().await;
        let mut far = mesh.sign_in("analyst").await;
        let mut near = mesh.sign_in_at("sales", "analyst").await;
        for client in [&mut far, &mut near] {
            let rows = client
                .query("EXPLAIN ACCESS SELECT id, upper(clerk) FROM sales.orders.o WHERE id > 1")
                .await
                .expect("explained");
            assert_eq!(
                told(&rows),
                [
                    "sales.orders.o clerk masked sha-256 NULL",
                    "sales.orders.o id filtered NULL NULL"
                ]
            );
            assert_eq!(rows.column("row_filter"), ["status = 'F'"; 2]);
            let rows = client
                .query("EXPLAIN ACCESS SELECT count(*), avg(id) FROM sales.orders.n")
                .await
                .expect("explained");
            assert_eq!(told(&rows), ["sales.orders.n id grouped NULL 5"]);
        }
        // What is not granted and what there is not are told alike.
        for hidden in ["status", "nothing"] {
            let sql = format!("EXPLAIN ACCESS SELECT o.id, {hidden} FROM sales.orders.o o");
            let rows = far.query(&sql).await.expect("explained");
            let mut expected = [
                "sales.orders.o id filtered NULL NULL".to_owned(),
                format!("sales.orders.o {hidden} denied NULL NULL"),
            ];
            expected.sort();
            assert_eq!(lines_sorted(&rows), expected);
            let help = rows.column("help");
            let asks = format!("REQUEST ACCESS TO sales.orders.o ({hidden})");
            assert!(help.iter().any(|it| it.contains(&asks)), "{rows}");
        }
        let mut outsider = mesh.sign_in("outsider").await;
        let rows = outsider
            .query("EXPLAIN ACCESS SELECT * FROM sales.orders.o")
            .await
            .expect("explained");
        assert_eq!(told(&rows), ["sales.orders.o NULL denied NULL NULL"]);
        assert!(
            rows.column("help")[0].starts_with("REQUEST ACCESS TO sales.orders.o FOR"),
            "{rows}"
        );
        let refused = outsider
            .error("EXPLAIN ACCESS SELECT * FROM sales.secret.t")
            .await;
        assert_eq!(refused.code(), code::NOT_FOUND, "{refused}");
    });
}

fn lines_sorted(rows: &harness::Rows) -> Vec<String> {
    let mut told = told(rows);
    told.sort();
    told
}

#[test]
fn owners_see_what_others_see_and_others_their_own() {
    run(async {
        let mesh = with_grants().await;
        let mut owner = mesh.sign_in_at("sales", "owner").await;
        let mut analyst = mesh.sign_in_at("sales", "analyst").await;
        let own = analyst
            .query("SHOW EFFECTIVE ACCESS ON PRODUCT sales.orders")
            .await
            .expect("shown");
        assert_eq!(
            lines_sorted(&own),
            [
                "sales.orders.n id grouped NULL 5",
                "sales.orders.o clerk masked sha-256 NULL",
                "sales.orders.o id filtered NULL NULL",
            ]
        );
        let theirs = "SHOW EFFECTIVE ACCESS ON TABLE sales.orders.o FOR PRINCIPAL analyst";
        let shown = owner.query(theirs).await.expect("shown");
        assert_eq!(
            lines_sorted(&shown),
            [
                "sales.orders.o clerk masked sha-256 NULL",
                "sales.orders.o id filtered NULL NULL",
                "sales.orders.o status denied NULL NULL",
            ]
        );
        let refused = analyst
            .error("SHOW EFFECTIVE ACCESS ON PRODUCT sales.orders FOR PRINCIPAL owner")
            .await;
        assert_eq!(refused.kind(), ErrorKind::PermissionDenied, "{refused}");
        // Somebody who was never here has what is given to them by name.
        let stranger = "SHOW EFFECTIVE ACCESS ON TABLE sales.orders.o FOR PRINCIPAL nobody";
        let shown = owner.query(stranger).await.expect("shown");
        assert_eq!(shown.column("access"), ["denied"; 3]);
    });
}
