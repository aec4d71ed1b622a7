//! Queries that cross domains, and what they may rely on.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, StringArray};
use arrow::record_batch::RecordBatch;
use harness::{
    Engine, Mesh, Published, Rows, grant, grant_table, run, run_logic_tests, single_process,
};

const LEFT: Published<'static> = Published {
    domain: "left",
    product: "a",
    tables: &[
        (
            "t",
            &[
                ("id", "integer", "bigint"),
                ("name", "string", "varchar"),
                ("price", "number", "decimal(10,2)"),
                ("day", "date", "date"),
                ("at", "timestamp", "timestamp"),
            ],
            "1,one,1.50,2024-01-01,2024-01-01T10:00:00\n2,two,,2024-01-02,2024-01-02T11:30:00.5\n3,,3.25,,\n4,two,1.50,2024-02-29,1999-12-31T23:59:59\n,none,0.00,1970-01-01,1970-01-01T00:00:00",
        ),
        (
            "u",
            &[("id", "integer", "bigint"), ("tag", "string", "varchar")],
            "1,x\n1,y\n3,x\n,z",
        ),
    ],
};

const RIGHT: Published<'static> = Published {
    domain: "right",
    product: "b",
    tables: &[(
        "t",
        &[
            ("id", "integer", "bigint"),
            ("name", "string", "varchar"),
            ("x", "number", "double"),
        ],
        "1,uno,0.5\n3,tres,-2.25\n3,drei,\n,nada,7\n9,neun,1e300",
    )],
};

const SHOP: Published<'static> = Published {
    domain: "left",
    product: "shop",
    tables: &[
        (
            "orders",
            &[
                ("*oid", "integer", "bigint"),
                ("pid", "integer", "bigint"),
                ("wid", "integer", "bigint"),
                ("qty", "integer", "bigint"),
            ],
            "1,1,10,5\n2,1,20,7\n3,2,10,\n4,3,,2\n5,,20,1\n6,2,30,9",
        ),
        (
            "parts",
            &[
                ("*pid", "integer", "bigint"),
                ("color", "string", "varchar"),
            ],
            "1,red\n2,blue\n3,\n4,red",
        ),
        // Its rows do not keep the key that it declares.
        (
            "doubles",
            &[("*pid", "integer", "bigint"), ("note", "string", "varchar")],
            "1,a\n1,b\n2,c\n,d",
        ),
    ],
};

const HARBOUR: Published<'static> = Published {
    domain: "right",
    product: "harbour",
    tables: &[(
        "wharves",
        &[
            ("*wid", "integer", "bigint"),
            ("city", "string", "varchar"),
            ("pid", "integer", "bigint"),
        ],
        "10,Oslo,1\n20,Bergen,2\n30,,2\n40,Narvik,1",
    )],
};

pub(super) async fn mesh() -> Mesh {
    let grants = vec![
        ("left", grant("analyst", "a")),
        ("left", grant("analyst", "shop")),
        ("right", grant("analyst", "b")),
        ("right", grant("analyst", "harbour")),
    ];
    Mesh::publish(&[LEFT, SHOP, RIGHT, HARBOUR], grants).await
}

#[test]
fn federated_answers_equal_those_of_one_process() {
    run(async {
        let folder = tempfile::tempdir().expect("folder");
        for product in [&LEFT, &SHOP, &RIGHT, &HARBOUR] {
            product.write(&folder.path().join(product.domain));
        }
        let (left, right) = (folder.path().join("left"), folder.path().join("right"));
        let oracle = single_process(&[("left", &left), ("right", &right)]).await;
        let mesh = mesh().await;
        let analyst = mesh.sign_in("analyst").await;
        run_logic_tests(vec![
            Engine::OneProcess(Box::new(oracle)),
            Engine::Federated(Box::new(analyst)),
        ])
        .await;
    });
}

/// What one domain can run alone leaves nothing above its fragment.
#[test]
fn everything_of_one_domain_goes_down() {
    run(async {
        let mesh = mesh().await;
        let mut analyst = mesh.sign_in("analyst").await;
        for sql in [
            "SELECT id FROM left.a.t WHERE id > 1 AND name LIKE 't%'",
            "SELECT t.id, u.tag FROM left.a.t JOIN left.a.u ON t.id = u.id",
            "SELECT name, sum(price) FROM left.a.t GROUP BY name",
            "SELECT id FROM left.a.t ORDER BY id LIMIT 2",
            "SELECT id FROM left.a.t LIMIT 2",
            "SELECT DISTINCT name FROM left.a.t",
            "SELECT id, rank() OVER (ORDER BY price) FROM left.a.t",
            "SELECT id FROM left.a.t UNION ALL SELECT id FROM left.a.u",
            "SELECT id FROM left.a.t INTERSECT SELECT id FROM left.a.u",
            "SELECT id FROM left.a.t WHERE price > (SELECT avg(price) FROM left.a.t)",
        ] {
            let plan = analyst.query(&format!("EXPLAIN {sql}")).await.expect(sql);
            let here: Vec<&str> = plan
                .rows()
                .iter()
                .filter(|row| row[0] == "coordinator")
                .map(|row| row[1].trim())
                .collect();
            assert_eq!(here, ["RemoteFragment: #0 at left"], "{sql}\n{plan}");
        }
    });
}

/// Tables of one domain meet at its node, also where another domain's stands between them in the
/// text.
#[test]
fn tables_of_one_domain_meet_there_wherever_they_stand() {
    run(async {
        let mesh = mesh().await;
        let mut analyst = mesh.sign_in("analyst").await;
        for (sql, joins) in [
            (
                "SELECT o.oid, w.city, p.color FROM left.shop.orders o JOIN right.harbour.wharves w ON o.wid = w.wid JOIN left.shop.parts p ON p.pid = o.pid",
                1,
            ),
            (
                "SELECT o.oid, w.city, p.color FROM left.shop.orders o JOIN right.harbour.wharves w ON o.pid = w.wid JOIN left.shop.parts p ON p.pid = w.wid",
                1,
            ),
            (
                "SELECT o.oid, w.city FROM left.shop.orders o, right.harbour.wharves w WHERE o.wid = w.wid AND o.pid IN (SELECT pid FROM left.shop.parts WHERE color = 'red')",
                1,
            ),
            (
                "SELECT o.oid, w.city, p.color FROM left.shop.orders o JOIN right.harbour.wharves w ON o.wid = w.wid JOIN left.shop.parts p ON p.pid = o.pid WHERE NOT EXISTS (SELECT 1 FROM left.shop.orders x WHERE x.pid = o.pid AND x.oid <> o.oid)",
                2,
            ),
            // Neither side's key is joined on: rows could multiply.
            (
                "SELECT a.oid, w.city, b.oid FROM left.shop.orders a JOIN right.harbour.wharves w ON a.wid = w.wid JOIN left.shop.orders b ON b.pid = a.pid",
                0,
            ),
        ] {
            let plan = analyst.query(&format!("EXPLAIN {sql}")).await.expect(sql);
            assert_eq!(joins_at(&plan, "left"), joins, "{sql}\n{plan}");
        }
    });
}

fn joins_at(plan: &Rows, place: &str) -> usize {
    let there = plan.rows().iter().filter(|row| row[0] == place);
    there.filter(|row| row[1].contains("Join:")).count()
}

/// A step of the planner can be switched off: the answer stays, and more crosses.
#[test]
fn a_step_of_the_planner_can_be_left_out() {
    run(async {
        let mesh = mesh().await;
        let mut analyst = mesh.sign_in("analyst").await;
        let sql = "SELECT o.oid, w.city, p.color FROM left.shop.orders o JOIN right.harbour.wharves w ON o.wid = w.wid JOIN left.shop.parts p ON p.pid = o.pid";
        let gathered = analyst.query(sql).await.expect("gathered").sorted();
        for step in ["gather", "order"] {
            let set = format!("SET weft.optimizer.{step} = off");
            assert!(analyst.query(&set).await.expect("set").is_empty());
        }
        let plan = analyst
            .query(&format!("EXPLAIN {sql}"))
            .await
            .expect("plan");
        assert_eq!(joins_at(&plan, "left"), 0, "{plan}");
        let apart = analyst.query(sql).await.expect("apart").sorted();
        assert_eq!(apart.to_string(), gathered.to_string());
        let crossed =
            "SELECT fragments FROM system.runtime.queries WHERE fragments > 0 ORDER BY fragments";
        let crossed = analyst.query(crossed).await.expect("crossed");
        assert_eq!(crossed.rows(), [["2"], ["3"]]);
        analyst
            .query("SET weft.optimizer.gather = 'on'")
            .await
            .expect("set");
        let plan = analyst
            .query(&format!("EXPLAIN {sql}"))
            .await
            .expect("plan");
        assert_eq!(joins_at(&plan, "left"), 1, "{plan}");
        for wrong in [
            "SET weft.optimizer.gather = maybe",
            "SET weft.optimizer.miracle = on",
        ] {
            assert_eq!(
                analyst.error(wrong).await.code(),
                "WEFT-SETTINGS",
                "{wrong}"
            );
        }
    });
}

/// What crossed is the same wherever it is shown.
#[test]
fn flows_show_what_crossed() {
    run(async {
        let mesh = mesh().await;
        let mut analyst = mesh.sign_in("analyst").await;
        let alone = analyst.query("SET weft.optimizer.reduce = off").await;
        assert!(alone.expect("set").is_empty());
        let sql =
            "EXPLAIN ANALYZE SELECT t.name, b.x FROM left.a.t JOIN right.b.t b ON b.id = t.id";
        let plan = analyst.query(sql).await.expect("plan");
        let explained: Vec<Vec<String>> = plan
            .rows()
            .iter()
            .filter(|row| row[0] != "coordinator" && row[3] != "NULL")
            .map(|row| vec![row[0].clone(), row[2].clone(), row[3].clone()])
            .collect();
        assert_eq!(explained.len(), 2, "{plan}");
        let flows = analyst
            .query("SELECT source, rows, bytes FROM system.runtime.flows ORDER BY fragment")
            .await
            .expect("flows");
        assert_eq!(flows.rows(), explained, "{plan}");
        let flows = analyst
            .query("SELECT source, destination, form, tables, columns, requests FROM system.runtime.flows ORDER BY source")
            .await
            .expect("flows");
        assert_eq!(
            flows.rows(),
            [
                ["left", "coordinator", "rows", "left.a.t", "id, name", "1"],
                ["right", "coordinator", "rows", "right.b.t", "id, x", "1"],
            ]
        );
        let mut outsider = mesh.sign_in("outsider").await;
        let others = outsider.query("SELECT * FROM system.runtime.flows").await;
        assert!(others.expect("own").is_empty());
    });
}

/// A masked key names no row any more, so nothing is concluded from it.
#[test]
fn a_masked_key_is_no_key() {
    run(async {
        let masked = grant_table(
            "analyst",
            "shop",
            "parts",
            None,
            &[("pid", "replace-with-null")],
        );
        let grants = vec![
            ("left", grant_table("analyst", "shop", "orders", None, &[])),
            ("left", masked),
            ("right", grant("analyst", "harbour")),
        ];
        let mesh = Mesh::publish(&[SHOP, HARBOUR], grants).await;
        let mut analyst = mesh.sign_in("analyst").await;
        let sql = "EXPLAIN SELECT o.oid, w.city FROM left.shop.orders o JOIN right.harbour.wharves w ON o.wid = w.wid JOIN left.shop.parts p ON p.pid = o.pid";
        let plan = analyst.query(sql).await.expect("plan");
        assert_eq!(joins_at(&plan, "left"), 0, "{plan}");
    });
}

/// A filter reported as taken by the coordinator's stand-in table would be lost on the way.
#[test]
fn a_filter_reaches_the_node() {
    run(async {
        let mesh = mesh().await;
        let mut analyst = mesh.sign_in("analyst").await;
        assert_eq!(
            analyst
                .value("SELECT count(*) FROM left.a.t WHERE id = 1")
                .await,
            "1"
        );
        let plan = analyst
            .query("EXPLAIN SELECT name FROM left.a.t WHERE id = 1")
            .await
            .expect("plan");
        assert!(plan.to_string().contains("left | Projection"), "{plan}");
        assert!(plan.to_string().contains("Filter: l"), "{plan}");
    });
}

#[test]
fn a_long_chain_is_answered_and_a_deep_one_refused() {
    run(async {
        let mesh = mesh().await;
        let mut analyst = mesh.sign_in("analyst").await;
        let chain = (0..300)
            .map(|n| format!("id <> {}", n + 10))
            .collect::<Vec<_>>()
            .join(" AND ");
        let sql = format!("SELECT count(*) FROM left.a.t WHERE {chain}");
        assert_eq!(analyst.value(&sql).await, "4");
        let mut nested = "SELECT id FROM left.a.t".to_owned();
        for _ in 0..20 {
            nested = format!("SELECT id FROM ({nested}) WHERE id IN (SELECT id FROM left.a.u)");
        }
        assert_eq!(
            analyst
                .value(&format!("SELECT count(*) FROM ({nested})"))
                .await,
            "2"
        );
        let deep = format!("SELECT {}1{}", "(".repeat(500), ")".repeat(500));
        assert_eq!(analyst.error(&deep).await.code(), "WEFT-TOO-COMPLEX");
        assert_eq!(
            analyst.value("SELECT count(*) FROM left.a.t").await,
            "5",
            "the server lives on"
        );
    });
}

#[test]
fn short_names_start_where_use_says() {
    run(async {
        let mesh = mesh().await;
        let mut analyst = mesh.sign_in("analyst").await;
        let error = analyst.error("SELECT count(*) FROM t").await;
        assert_eq!(error.code(), "WEFT-NOT-FOUND");
        assert!(analyst.query("USE left.a").await.expect("use").is_empty());
        assert_eq!(analyst.value("SELECT count(*) FROM u").await, "4");
        assert!(analyst.query("USE right").await.expect("use").is_empty());
        assert_eq!(analyst.value("SELECT count(*) FROM b").await, "5");
        assert_eq!(analyst.error("USE nowhere").await.code(), "WEFT-NOT-FOUND");
    });
}

#[test]
fn system_tables_show_nodes_tables_and_ones_own_queries() {
    run(async {
        let mesh = mesh().await;
        let mut analyst = mesh.sign_in("analyst").await;
        let nodes =
            analyst.query("SELECT domain, status FROM system.runtime.nodes ORDER BY domain");
        assert_eq!(
            nodes.await.expect("nodes").to_string(),
            "left | up\nright | up\n"
        );
        let tables = "SELECT count(*) FROM system.catalog.tables WHERE kind = 'TABLE' AND granted";
        assert_eq!(analyst.value(tables).await, "7");
        analyst
            .query("SELECT id FROM left.a.t")
            .await
            .expect("granted");
        let queries = analyst
            .query("SELECT principal, state FROM system.runtime.queries")
            .await
            .expect("own");
        assert!(
            queries.to_string().contains("analyst | finished"),
            "{queries}"
        );
        let mut outsider = mesh.sign_in("outsider").await;
        let others = outsider
            .query("SELECT principal FROM system.runtime.queries WHERE principal <> 'outsider'")
            .await;
        assert!(others.expect("own").is_empty());
    });
}

#[test]
fn values_for_parameters_come_from_the_client_at_the_coordinator_and_at_a_node() {
    run(async {
        let mesh = mesh().await;
        for mut analyst in [
            mesh.sign_in("analyst").await,
            mesh.sign_in_at("left", "analyst").await,
        ] {
            let id: ArrayRef = Arc::new(Int64Array::from(vec![2]));
            let name: ArrayRef = Arc::new(StringArray::from(vec!["two"]));
            let values = RecordBatch::try_from_iter([("1", id), ("2", name)]).expect("values");
            let sql =
                "SELECT id, $1 + 1 AS next FROM left.a.t WHERE id >= $1 AND name = $2 ORDER BY id";
            let answer = analyst.query_with(sql, values).await;
            let (parameters, rows) = answer.expect("rows");
            assert_eq!(parameters, ["$1", "$2"]);
            assert_eq!(rows.rows(), [["2", "3"], ["4", "3"]]);
        }
    });
}
