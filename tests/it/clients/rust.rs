//! The client that the Flight library for Rust has, as it comes: with its limit of 4 MiB a message.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::Int64Type;
use arrow_flight::decode::FlightRecordBatchStream;
use arrow_flight::error::FlightError;
use arrow_flight::sql::client::FlightSqlServiceClient;
use arrow_flight::sql::{CommandGetDbSchemas, CommandGetTables, SqlInfo};
use arrow_flight::{Action, CancelFlightInfoRequest, FlightInfo};
use futures::TryStreamExt;
use harness::{Mesh, node_id, run};
use prost::Message;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint};
use weft_wire::identity::tls_name;

use super::{say, tpch};

const ORDERS: &str = "sales.orders.orders";
const LINES: &str = "sales.orders.lineitem";

type Client = FlightSqlServiceClient<Channel>;

/// Where the client connects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Coordinator,
    Node,
}

#[test]
fn the_rust_client_does_all_that_it_does_elsewhere() {
    run(async {
        let mut mesh = tpch().await;
        for place in [Place::Coordinator, Place::Node] {
            macro_rules! cases {
                ($($name:literal: $case:expr,)*) => {$(
                    $case.await;
                    say(&format!("rust            {place:?}: {} ok", $name));
                )*};
            }
            cases! {
                "connect": connects(&mesh, place),
                "wrong password": is_refused(&mesh, place),
                "query": asks(&mesh, place),
                "empty result": finds_nothing(&mesh, place),
                "parameters": binds(&mesh, place),
                "prepared update": prepares_an_update(&mesh, place),
                "metadata": lists(&mesh, place),
                "large result": reads_much(&mesh, place),
                "cancel beside the stream": cancels(&mesh, place),
                "cancel by leaving": leaves(&mesh, place),
                "node killed in mid-stream": loses_the_node(&mut mesh, place),
            }
        }
    });
}

async fn channel(mesh: &Mesh, place: Place) -> Channel {
    let endpoint = match place {
        Place::Coordinator => {
            let address = mesh.coordinator.client_address().expect("an address");
            Endpoint::from_shared(format!("http://{address}")).expect("a URL")
        }
        Place::Node => {
            let tls = ClientTlsConfig::new()
                .ca_certificate(Certificate::from_pem(mesh.authority.ca_pem()))
                .domain_name(tls_name(&node_id("sales")));
            let address = mesh.node("sales").address();
            let endpoint = Endpoint::from_shared(format!("https://{address}")).expect("a URL");
            endpoint.tls_config(tls).expect("TLS")
        }
    };
    endpoint.connect().await.expect("connects")
}

async fn signed_in(mesh: &Mesh, place: Place) -> Client {
    let mut client = Client::new(channel(mesh, place).await);
    let signed_in = client.handshake("analyst", mesh.password()).await;
    signed_in.expect("signs in");
    client
}

async fn announced(client: &mut Client, sql: &str) -> FlightInfo {
    let info = client.execute(sql.to_owned(), None).await;
    info.expect("announced")
}

async fn stream(client: &mut Client, info: &FlightInfo) -> FlightRecordBatchStream {
    assert_eq!(info.endpoint.len(), 1);
    let ticket = info.endpoint[0].ticket.clone().expect("a ticket");
    client.do_get(ticket).await.expect("a stream")
}

/// All rows, whose schema is the one that was announced.
async fn fetched(client: &mut Client, info: &FlightInfo) -> RecordBatch {
    let schema = Arc::new(info.clone().try_decode_schema().expect("a schema"));
    let mut stream = stream(client, info).await;
    let mut batches = Vec::new();
    while let Some(batch) = stream.try_next().await.expect("rows") {
        batches.push(batch);
    }
    assert_eq!(stream.schema().expect("a schema"), &schema);
    arrow::compute::concat_batches(&schema, &batches).expect("one schema")
}

async fn asked(client: &mut Client, sql: &str) -> RecordBatch {
    let info = announced(client, sql).await;
    fetched(client, &info).await
}

fn numbers(rows: &RecordBatch) -> Vec<i64> {
    let column = rows.column(0).as_primitive::<Int64Type>();
    column.values().to_vec()
}

fn texts(rows: &RecordBatch, column: &str) -> Vec<String> {
    let column = rows.column_by_name(column).expect("there");
    let values = column.as_string::<i32>().iter().flatten();
    values.map(str::to_owned).collect()
}

fn said<T>(result: Result<T, impl std::fmt::Display>) -> String {
    match result {
        Ok(_) => panic!("nothing was refused"),
        Err(error) => error.to_string(),
    }
}

async fn connects(mesh: &Mesh, place: Place) {
    let mut client = signed_in(mesh, place).await;
    assert!(client.token().is_some());
    assert_eq!(numbers(&asked(&mut client, "SELECT 1").await), [1]);
    client.close().await.expect("closes");
}

async fn is_refused(mesh: &Mesh, place: Place) {
    let mut client = Client::new(channel(mesh, place).await);
    let refused = said(client.handshake("analyst", "wrong").await);
    assert!(refused.contains("password is wrong"), "{refused}");
    let refused = said(client.execute("SELECT 1".to_owned(), None).await);
    assert!(refused.contains("no valid sign-in"), "{refused}");
}

async fn asks(mesh: &Mesh, place: Place) {
    let mut client = signed_in(mesh, place).await;
    let sql = format!("SELECT o_orderkey FROM {ORDERS} ORDER BY o_orderkey LIMIT 3");
    assert_eq!(numbers(&asked(&mut client, &sql).await), [1, 2, 3]);
    let refused = said(client.execute("SELECT nope".to_owned(), None).await);
    assert!(refused.contains("nope"), "{refused}");
}

async fn finds_nothing(mesh: &Mesh, place: Place) {
    let mut client = signed_in(mesh, place).await;
    let sql = format!("SELECT o_comment FROM {ORDERS} WHERE false");
    assert_eq!(asked(&mut client, &sql).await.num_rows(), 0);
}

async fn binds(mesh: &Mesh, place: Place) {
    let mut client = signed_in(mesh, place).await;
    let sql = format!("SELECT count(*) FROM {ORDERS} WHERE o_orderkey <= ? AND o_orderstatus = ?");
    let mut statement = client.prepare(sql, None).await.expect("prepared");
    let parameters = statement.parameter_schema().expect("told").clone();
    let names: Vec<&String> = parameters.fields().iter().map(|it| it.name()).collect();
    assert_eq!(names, ["$1", "$2"]);
    assert_eq!(statement.dataset_schema().expect("told").fields().len(), 1);
    for (last, status, expected) in [(3, "O", 2), (3, "F", 1), (0, "O", 0)] {
        let last: ArrayRef = Arc::new(Int64Array::from(vec![last]));
        let status: ArrayRef = Arc::new(StringArray::from(vec![status]));
        let values = RecordBatch::try_new(Arc::new(parameters.clone()), vec![last, status]);
        statement
            .set_parameters(values.expect("fits"))
            .expect("set");
        let info = statement.execute().await.expect("announced");
        assert_eq!(numbers(&fetched(&mut client, &info).await), [expected]);
    }
    statement.close().await.expect("closes");
}

/// It binds by the command for queries, and then runs the update without any data.
async fn prepares_an_update(mesh: &Mesh, place: Place) {
    let mut client = signed_in(mesh, place).await;
    let mut statement = client.prepare("USE sales.orders".to_owned(), None).await;
    let statement = statement.as_mut().expect("prepared");
    assert!(
        statement
            .dataset_schema()
            .expect("told")
            .fields()
            .is_empty()
    );
    assert_eq!(statement.execute_update().await.expect("runs"), 0);
    let count = "SELECT count(*) FROM orders";
    assert_eq!(numbers(&asked(&mut client, count).await), [15_000]);
    let once = client.execute_update("SET weft.purpose = 'billing'".to_owned(), None);
    assert_eq!(once.await.expect("runs"), 0);
    let refused = client.execute_update("DELETE FROM orders".to_owned(), None);
    assert!(said(refused.await).contains("read-only"));
    let mut query = client
        .prepare(count.to_owned(), None)
        .await
        .expect("prepared");
    assert!(said(query.execute_update().await).contains("returns rows"));
    assert!(said(client.begin_transaction().await).contains("transaction"));
}

async fn lists(mesh: &Mesh, place: Place) {
    let mut client = signed_in(mesh, place).await;
    let info = client.get_catalogs().await.expect("announced");
    let catalogs = texts(&fetched(&mut client, &info).await, "catalog_name");
    assert!(catalogs.contains(&"sales".to_owned()), "{catalogs:?}");
    assert!(catalogs.contains(&"system".to_owned()), "{catalogs:?}");
    let of_sales = CommandGetDbSchemas {
        catalog: Some("sales".to_owned()),
        db_schema_filter_pattern: None,
    };
    let info = client.get_db_schemas(of_sales).await.expect("announced");
    assert_eq!(
        texts(&fetched(&mut client, &info).await, "db_schema_name"),
        ["orders"]
    );
    let lines = CommandGetTables {
        table_name_filter_pattern: Some("line%".to_owned()),
        include_schema: true,
        ..CommandGetTables::default()
    };
    let info = client.get_tables(lines).await.expect("announced");
    assert_eq!(
        texts(&fetched(&mut client, &info).await, "table_name"),
        ["lineitem"]
    );
    let info = client.get_table_types().await.expect("announced");
    assert_eq!(fetched(&mut client, &info).await.num_rows(), 2);
    let name = vec![SqlInfo::FlightSqlServerName];
    let info = client.get_sql_info(name).await.expect("announced");
    assert_eq!(fetched(&mut client, &info).await.num_rows(), 1);
}

async fn reads_much(mesh: &Mesh, place: Place) {
    let mut client = signed_in(mesh, place).await;
    let info = announced(&mut client, &format!("SELECT * FROM {LINES}")).await;
    let batches: Vec<RecordBatch> = stream(&mut client, &info)
        .await
        .try_collect()
        .await
        .expect("rows");
    assert!(batches.len() > 1);
    let rows: usize = batches.iter().map(RecordBatch::num_rows).sum();
    assert_eq!(rows, 60_175);
}

/// What does not end while anybody waits for it, of which a row has arrived.
async fn endless(client: &mut Client) -> (FlightInfo, FlightRecordBatchStream) {
    let sql = format!("SELECT a.l_comment FROM {LINES} a CROSS JOIN {LINES} b");
    let info = announced(client, &sql).await;
    let mut rows = stream(client, &info).await;
    let first = rows.try_next().await.expect("a row").expect("a batch");
    assert!(first.num_rows() > 0);
    (info, rows)
}

async fn end_of(rows: FlightRecordBatchStream) -> FlightError {
    let read: Result<(), FlightError> = rows.try_for_each(|_| async { Ok(()) }).await;
    read.expect_err("an end before the end")
}

/// It has no call for it, but takes any action.
async fn cancels(mesh: &Mesh, place: Place) {
    let mut client = signed_in(mesh, place).await;
    let (info, rows) = endless(&mut client).await;
    let request = CancelFlightInfoRequest::new(info).encode_to_vec();
    let action = Action::new("CancelFlightInfo", request);
    let done = client.do_action(action).await.expect("done");
    assert_eq!(done.try_collect::<Vec<_>>().await.expect("told").len(), 1);
    let end = end_of(rows).await.to_string();
    assert!(end.contains("cancelled"), "{end}");
    mesh.wait_for_fragments("sales", 0).await;
}

async fn leaves(mesh: &Mesh, place: Place) {
    let mut client = signed_in(mesh, place).await;
    drop(endless(&mut client).await);
    mesh.wait_for_fragments("sales", 0).await;
}

async fn loses_the_node(mesh: &mut Mesh, place: Place) {
    let mut client = signed_in(mesh, place).await;
    let (_, rows) = endless(&mut client).await;
    mesh.kill_node("sales");
    let end = end_of(rows).await.to_string();
    assert!(end.contains("sales") || place == Place::Node, "{end}");
    mesh.start_node("sales").await;
    if place == Place::Coordinator {
        assert_eq!(numbers(&asked(&mut client, "SELECT 1").await), [1]);
    }
}
