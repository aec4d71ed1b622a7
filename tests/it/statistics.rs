//! What nodes say of the rows of their tables: right where rows are visible, and nothing of rows and
//! cells that are not.

use harness::{Client, Mesh, MeshOptions, Published, Rows, grant, grant_table, node_id, run};
use prost::Message;
use tonic::Request;
use tonic::transport::Endpoint;
use weft_governance::{ErrorKind, ServerId, code};
use weft_node::GrantSettings;
use weft_wire::authority::Authority;
use weft_wire::rpc::node::node_client::NodeClient;
use weft_wire::rpc::node::{DescribeRequest, VisibleTable};

const COLUMNS: &[harness::Column<'static>] = &[
    ("id", "integer", "bigint"),
    ("country", "string", "varchar"),
    ("ssn", "string", "varchar"),
    ("born", "date", "date"),
];

/// Rows of one country, with different cells of the same ends and years, and more hidden rows.
const WORLDS: [&str; 2] = [
    "1,DE,111-22-3333,1990-05-06\n2,DE,222-33-4444,1991-07-08\n3,FR,SECRET-9999,1992-09-10\n4,FR,444-55-6666,\n5,,555-66-7777,1960-01-02",
    "1,DE,999-88-3333,1990-12-31\n2,DE,000-77-4444,1991-01-01\n-70,FR,x,1800-01-01\n80,FR,y,2100-01-01\n90,FR,z,\n91,FR,,1960-01-02\n92,,u,\n93,ES,v,",
];

const MASKS: &[(&str, &str)] = &[("ssn", "show-last-4"), ("born", "truncate-to-year")];

async fn world(rows: &str, grants: Vec<(&str, GrantSettings)>) -> Mesh {
    let people = Published {
        domain: "crm",
        product: "people",
        tables: &[("person", COLUMNS, rows)],
    };
    Mesh::publish(&[people], grants).await
}

/// What the node of `domain` tells a coordinator that asks on behalf of `user`.
async fn described(mesh: &Mesh, domain: &str, user: &str) -> Vec<VisibleTable> {
    let identity = mesh.identity(&ServerId::coordinator("main").expect("name"));
    let authority = Authority::connect(&mesh.authority.url(), &identity).expect("url");
    let lease = authority.sign_in(user, mesh.password()).await.expect("in");
    let node = node_id(domain);
    let token = authority
        .exchange_lease(&lease, &node)
        .await
        .expect("token");
    let channel = Endpoint::from_shared(format!("https://{}", mesh.node(domain).address()))
        .and_then(|endpoint| endpoint.tls_config(identity.client_tls(&node)))
        .expect("url")
        .connect()
        .await
        .expect("connected");
    let mut request = Request::new(DescribeRequest::default());
    let bearer = format!("Bearer {}", token.text);
    request
        .metadata_mut()
        .insert("authorization", bearer.parse().expect("header"));
    let answer = NodeClient::new(channel).describe(request).await;
    answer.expect("described").into_inner().tables
}

/// What SHOW STATS tells `client` of `table` once the node knows what it can.
async fn statistics(mesh: &Mesh, domain: &str, client: &mut Client, table: &str) -> Rows {
    let sql = format!("SHOW STATS FOR {table}");
    client.query(&sql).await.expect("granted");
    mesh.wait_for_statistics(domain).await;
    client.query(&sql).await.expect("granted")
}

/// The cell of `of` in the row of the column `name`, or in that of the table.
fn cell<'a>(rows: &'a Rows, name: &str, of: &str) -> &'a str {
    let names = rows.column("column_name");
    let place = names.iter().position(|found| *found == name);
    rows.column(of)[place.expect("a row for the column")]
}

#[test]
fn tables_that_are_seen_whole_are_known_well() {
    run(async {
        let mesh = Mesh::start(MeshOptions::tpch(0.01)).await;
        let mut analyst = mesh.sign_in("analyst").await;
        for (table, columns) in [
            (
                "sales.orders.orders",
                &[
                    ("o_orderkey", true),
                    ("o_custkey", true),
                    ("o_orderstatus", false),
                    ("o_totalprice", true),
                    ("o_orderdate", true),
                    ("o_clerk", false),
                ][..],
            ),
            (
                "crm.customers.customer",
                &[
                    ("c_custkey", true),
                    ("c_mktsegment", false),
                    ("c_acctbal", true),
                ][..],
            ),
            (
                "crm.customers.nation",
                &[("n_nationkey", true), ("n_name", false)][..],
            ),
            (
                "sales.orders.lineitem",
                &[
                    ("l_orderkey", true),
                    ("l_shipdate", true),
                    ("l_quantity", true),
                ][..],
            ),
        ] {
            let known = analyst
                .query(&format!("SHOW STATS FOR {table}"))
                .await
                .expect("granted");
            let rows = analyst
                .value(&format!("SELECT count(*) FROM {table}"))
                .await;
            assert_close(table, cell(&known, "NULL", "row_count"), &rows, 0.005);
            for (column, bounded) in columns {
                let what = format!("{table}.{column}");
                let sql = format!(
                    "SELECT count(DISTINCT {column}) AS d, CAST(min({column}) AS varchar) AS low, CAST(max({column}) AS varchar) AS high FROM {table}"
                );
                let exact = analyst.query(&sql).await.expect("granted");
                let [distinct, low, high] = ["d", "low", "high"].map(|name| exact.column(name)[0]);
                assert_close(
                    &what,
                    cell(&known, column, "distinct_values_count"),
                    distinct,
                    0.06,
                );
                assert_eq!(cell(&known, column, "nulls_fraction"), "0.000000000e0");
                let ends = [
                    cell(&known, column, "low_value"),
                    cell(&known, column, "high_value"),
                ];
                let expected = if *bounded { [low, high] } else { ["NULL"; 2] };
                assert_eq!(ends, expected, "{what}");
            }
        }
        let known = analyst
            .query("SHOW STATS FOR crm.customers.customer")
            .await
            .expect("granted");
        assert_eq!(cell(&known, "c_mktsegment", "distinct_values_count"), "5");
        let bytes = "SELECT sum(octet_length(c_name)) + 4 * count(*) FROM crm.customers.customer";
        let bytes = analyst.value(bytes).await;
        assert_close("bytes", cell(&known, "c_name", "data_size"), &bytes, 0.01);
        assert_eq!(cell(&known, "c_custkey", "data_size"), "NULL");
        assert_eq!(
            known.len(),
            1 + analyst
                .query("DESCRIBE crm.customers.customer")
                .await
                .expect("granted")
                .len()
        );
    });
}

fn assert_close(what: &str, found: &str, known: &str, tolerance: f64) {
    let [found, known] = [found, known].map(|number| number.parse::<f64>().expect("a number"));
    assert!(
        (found - known).abs() <= tolerance * known,
        "{what}: {found} for {known}"
    );
}

#[test]
fn show_stats_is_refused_like_describe() {
    run(async {
        let mesh = world(WORLDS[0], vec![("crm", grant("analyst", "people"))]).await;
        let mut outsider = mesh.sign_in("outsider").await;
        for table in [
            "crm.people.person",
            "crm.people.nothing",
            "system.runtime.nodes",
        ] {
            let shown = outsider.error(&format!("SHOW STATS FOR {table}")).await;
            let described = outsider.error(&format!("DESCRIBE {table}")).await;
            assert_eq!(shown.to_string(), described.to_string());
            assert_eq!(shown.code(), described.code());
        }
        let refused = outsider.error("SHOW STATS FOR crm.people.person").await;
        assert_eq!(
            (refused.kind(), refused.code()),
            (ErrorKind::PermissionDenied, code::NOT_GRANTED)
        );
        let mut analyst = mesh.sign_in("analyst").await;
        analyst.query("USE crm.people").await.expect("known");
        let shown = analyst.query("SHOW STATS FOR person").await;
        assert_eq!(cell(&shown.expect("granted"), "NULL", "row_count"), "5");
    });
}

#[test]
fn statistics_depend_on_visible_rows_and_shown_cells_only() {
    run(async {
        let mut told = Vec::new();
        let mut controls = Vec::new();
        for rows in WORLDS {
            let grants = vec![
                (
                    "crm",
                    grant_table("analyst", "people", "person", Some("country = 'DE'"), MASKS),
                ),
                ("crm", grant("admin", "people")),
            ];
            let mesh = world(rows, grants).await;
            let mut analyst = mesh.sign_in("analyst").await;
            let known = statistics(&mesh, "crm", &mut analyst, "crm.people.person").await;
            assert_eq!(cell(&known, "NULL", "row_count"), "2");
            assert_eq!(cell(&known, "id", "high_value"), "2");
            assert_eq!(cell(&known, "country", "distinct_values_count"), "1");
            assert_eq!(cell(&known, "born", "low_value"), "1990-01-01");
            let plan = analyst
                .query("EXPLAIN SELECT country, count(*) FROM crm.people.person GROUP BY country")
                .await
                .expect("granted");
            let tables = described(&mesh, "crm", "analyst").await;
            assert!(tables.iter().all(|table| table.statistics.is_some()));
            let tables: Vec<_> = tables.iter().map(Message::encode_to_vec).collect();
            told.push((tables, known.to_string(), plan.to_string()));
            let mut admin = mesh.sign_in("admin").await;
            let control = statistics(&mesh, "crm", &mut admin, "crm.people.person").await;
            controls.push(control.to_string());
        }
        assert_eq!(told[0], told[1]);
        assert_ne!(controls[0], controls[1], "the worlds do differ");
    });
}

#[test]
fn statistics_of_masked_columns_are_those_of_what_the_mask_shows() {
    run(async {
        let mut told = Vec::new();
        for rows in [
            "1,DE,111-22-3333,1990-05-06\n2,FR,222-33-3333,1991-07-08\n3,FR,333-44-9999,1991-09-10",
            "1,DE,111-22-3333,1990-12-31\n2,FR,111-22-3333,1991-01-01\n3,FR,888-77-9999,1991-01-02",
        ] {
            let masked = grant_table("analyst", "people", "person", None, MASKS);
            let mesh = world(rows, vec![("crm", masked)]).await;
            let mut analyst = mesh.sign_in("analyst").await;
            let known = statistics(&mesh, "crm", &mut analyst, "crm.people.person").await;
            assert_eq!(cell(&known, "ssn", "distinct_values_count"), "2");
            assert_eq!(cell(&known, "born", "distinct_values_count"), "2");
            assert_eq!(cell(&known, "born", "high_value"), "1991-01-01");
            assert_eq!(cell(&known, "id", "distinct_values_count"), "3");
            let tables = described(&mesh, "crm", "analyst").await;
            told.push(
                tables
                    .iter()
                    .map(Message::encode_to_vec)
                    .collect::<Vec<_>>(),
            );
        }
        assert_eq!(told[0], told[1]);
    });
}

#[test]
fn a_table_is_known_also_where_a_mask_shows_null_in_a_required_column() {
    run(async {
        let mut options = MeshOptions::tpch(0.01);
        options.domains.retain(|(domain, ..)| domain == "crm");
        let masks = &[("c_address", "replace-with-null")];
        for (_, _, grants) in &mut options.domains {
            *grants = vec![grant_table("analyst", "customers", "customer", None, masks)];
        }
        let mesh = Mesh::start(options).await;
        let mut analyst = mesh.sign_in("analyst").await;
        let table = "crm.customers.customer";
        let known = statistics(&mesh, "crm", &mut analyst, table).await;
        assert_eq!(cell(&known, "NULL", "row_count"), "1500");
        assert_eq!(cell(&known, "c_custkey", "distinct_values_count"), "1500");
        assert_eq!(cell(&known, "c_address", "nulls_fraction"), "1.000000000e0");
    });
}

#[test]
fn of_several_grants_each_column_is_known_by_the_one_that_would_show_it() {
    run(async {
        let open = GrantSettings {
            columns: Some(vec!["id".to_owned()]),
            ..grant_table("analyst", "people", "person", None, &[])
        };
        let narrow = GrantSettings {
            columns: Some(vec!["id".to_owned(), "country".to_owned()]),
            ..grant_table("analyst", "people", "person", Some("country = 'FR'"), &[])
        };
        let mesh = world(WORLDS[0], vec![("crm", open), ("crm", narrow)]).await;
        let mut analyst = mesh.sign_in("analyst").await;
        let known = statistics(&mesh, "crm", &mut analyst, "crm.people.person").await;
        assert_eq!(known.column("column_name"), ["id", "country", "NULL"]);
        assert_eq!(known.column("distinct_values_count"), ["5", "1", "NULL"]);
        assert_eq!(known.column("row_count"), ["NULL", "NULL", "5"]);
        assert_eq!(cell(&known, "id", "high_value"), "5");
    });
}
