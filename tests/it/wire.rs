//! Answers as they come over the wire, beside what Arrow makes of the same rows.

use arrow::ipc::writer::StreamWriter;
use arrow::record_batch::RecordBatch;
use arrow_flight::FlightData;
use arrow_flight::decode::FlightRecordBatchStream;
use futures::{StreamExt, TryStreamExt, stream};
use harness::{Client, Mesh, MeshOptions, run};
use prost::Message;

const SCALE: f64 = 0.01;
/// No client refuses a message of so many bytes.
const MOST: usize = 4 << 20;

/// Strings leave files as views, and the engine slices, filters and nests them.
const ANSWERS: [&str; 9] = [
    "SELECT * FROM sales.orders.lineitem",
    "SELECT l_comment FROM sales.orders.lineitem",
    "SELECT * FROM sales.orders.lineitem LIMIT 1000",
    "SELECT * FROM sales.orders.lineitem ORDER BY l_comment LIMIT 500 OFFSET 20000",
    "SELECT * FROM sales.orders.lineitem WHERE l_orderkey % 10 = 3",
    "SELECT * FROM sales.orders.lineitem WHERE l_partkey % 500 = 3",
    "SELECT l_orderkey, make_array(l_comment, l_shipmode) AS list, \
     named_struct('note', l_comment, 'all', make_array(l_quantity)) AS pair \
     FROM sales.orders.lineitem WHERE l_linenumber < 3",
    "SELECT DISTINCT l_shipmode, l_shipinstruct FROM sales.orders.lineitem",
    "SELECT upper(o_comment) || o_clerk AS text FROM sales.orders.orders o \
     JOIN sales.orders.lineitem ON l_orderkey = o_orderkey",
];

/// Bytes of an Arrow stream of the same batches, and how many rows they have.
async fn in_arrow(messages: &[FlightData]) -> (usize, usize) {
    let messages = stream::iter(messages.to_vec()).map(Ok);
    let stream = FlightRecordBatchStream::new_from_flight_data(messages);
    let batches: Vec<RecordBatch> = stream.try_collect().await.expect("decodes");
    let schema = batches.first().expect("rows").schema();
    let mut bytes = Vec::new();
    let mut writer = StreamWriter::try_new(&mut bytes, &schema).expect("begins");
    for batch in &batches {
        writer.write(batch).expect("encodes");
    }
    writer.finish().expect("ends");
    (bytes.len(), batches.iter().map(RecordBatch::num_rows).sum())
}

async fn measure(place: &str, client: &mut Client) {
    for sql in ANSWERS {
        let messages = client.messages(sql).await.expect(sql);
        let sizes: Vec<usize> = messages.iter().map(Message::encoded_len).collect();
        let sent: usize = sizes.iter().sum();
        let (arrow, rows) = in_arrow(&messages).await;
        let count = messages.len();
        println!("{place}: {sent} of {arrow} in {count} for {rows} rows of {sql}");
        assert!(sent * 20 <= arrow * 21, "{place}: {sent} of {arrow}: {sql}");
        assert!(sizes.iter().all(|size| *size < MOST), "{sizes:?}: {sql}");
    }
}

#[test]
fn answers_take_a_twentieth_more_than_their_rows_in_arrow_at_most() {
    run(async {
        let mesh = Mesh::start(MeshOptions::tpch(SCALE)).await;
        measure("coordinator", &mut mesh.sign_in("analyst").await).await;
        measure("node", &mut mesh.sign_in_at("sales", "analyst").await).await;
    });
}
