//! How much leaves under a grant within a day.

use weft_governance::code;

use super::*;

const ALL: &str = "SELECT id FROM sales.orders.n";

async fn limited(mesh: &Mesh, limit: &str) -> String {
    let mut owner = mesh.sign_in_at("sales", "owner").await;
    let give = format!("GRANT SELECT ON TABLE sales.orders.n TO GROUP analysts LIMIT {limit}");
    change(mesh, &mut owner, &give).await
}

#[test]
fn rows_of_all_holders_and_ways_are_counted_together_and_over_restarts() {
    run(async {
        let mut mesh = mesh().await;
        let grant = limited(&mesh, "25 ROWS PER DAY").await;
        let mut far = mesh.sign_in("analyst").await;
        assert_eq!(far.query(ALL).await.expect("10 of 25").len(), 10);
        assert_eq!(far.value("SELECT count(*) FROM sales.orders.n").await, "10");
        mesh.kill_node("sales");
        mesh.start_node("sales").await;
        let mut near = mesh.sign_in_at("sales", "analyst").await;
        assert_eq!(near.query(ALL).await.expect("21 of 25").len(), 10);
        // What would be too much does not leave in part.
        let refused = near.error(ALL).await;
        assert_eq!(refused.code(), code::LIMIT, "{refused}");
        assert!(refused.to_string().contains(&grant), "{refused}");
        let mut far = mesh.sign_in("analyst").await;
        let refused = far.error(ALL).await;
        assert_eq!(refused.code(), code::LIMIT, "{refused}");
        let four = "SELECT id FROM sales.orders.n LIMIT 4";
        assert_eq!(near.query(four).await.expect("25 of 25").len(), 4);
        let refused = near.error("SELECT count(*) FROM sales.orders.n").await;
        assert_eq!(refused.code(), code::LIMIT, "{refused}");
    });
}

#[test]
fn a_stream_ends_with_the_first_batch_that_is_too_much() {
    run(async {
        let mesh = mesh().await;
        limited(&mesh, "1000000 ROWS PER DAY").await;
        for mut client in [
            mesh.sign_in("analyst").await,
            mesh.sign_in_at("sales", "analyst").await,
        ] {
            let mut rows = client.stream(MANY).await.expect("starts");
            let mut came = 0;
            let ended = loop {
                match rows.try_next().await {
                    Ok(Some(batch)) => came += batch.num_rows(),
                    Ok(None) => panic!("a part of the rows passed for all"),
                    Err(error) => break error,
                }
            };
            assert_eq!(ended.code(), code::LIMIT, "{ended}");
            assert!(came <= 1_000_000, "{came}");
        }
        mesh.wait_for_fragments("sales", 0).await;
    });
}

#[test]
fn bytes_are_limited_too() {
    run(async {
        let mesh = mesh().await;
        // Ten numbers of eight bytes.
        limited(&mesh, "100 BYTES PER DAY").await;
        let mut near = mesh.sign_in_at("sales", "analyst").await;
        assert_eq!(near.query(ALL).await.expect("80 of 100").len(), 10);
        let refused = near.error(ALL).await;
        assert_eq!(refused.code(), code::LIMIT, "{refused}");
    });
}

#[test]
fn another_grant_has_a_limit_of_its_own() {
    run(async {
        let mesh = mesh().await;
        let narrow = limited(&mesh, "10 ROWS PER DAY").await;
        let mut near = mesh.sign_in_at("sales", "analyst").await;
        assert_eq!(near.query(ALL).await.expect("all").len(), 10);
        near.error(ALL).await;
        limited(&mesh, "20 ROWS PER DAY").await;
        assert_eq!(near.query(ALL).await.expect("all").len(), 10);
        let mut owner = mesh.sign_in_at("sales", "owner").await;
        let shown = owner.query("SHOW GRANTS").await.expect("grants");
        assert!(shown.column("grant_id").contains(&narrow.as_str()));
        assert!(
            shown.column("limits").contains(&"20 rows per day"),
            "{shown}"
        );
    });
}
