//! Messages that are made to take a server down, against real processes whose memory is measured.

// The lints that spare tests spare the functions beside them too.
#![cfg(test)]

#[path = "demo/client.rs"]
mod client;
mod demo;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use arrow::array::{ArrayRef, Int64Array, RecordBatch};
use arrow_flight::sql::{
    ActionCreatePreparedStatementRequest, ActionCreatePreparedStatementResult, Any,
    CommandPreparedStatementQuery, ProstMessageExt,
};
use arrow_flight::{Action, FlightData, FlightDescriptor, SchemaAsIpc};
use arrow_ipc::writer::IpcWriteOptions;
use flatbuffers::FlatBufferBuilder;
use futures::{Stream, StreamExt};
use prost::Message;
use tonic::{Code, Status};

use client::{Client, run};
use demo::Demo;

/// So much may a server keep of all that was sent to it.
const KEPT: u64 = 64 << 20;
/// The HTTP/2 preface and a frame of empty settings.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00";

impl Client {
    /// A prepared statement with one parameter.
    async fn prepare(&mut self) -> CommandPreparedStatementQuery {
        let request = ActionCreatePreparedStatementRequest {
            query: "SELECT CAST($1 AS BIGINT)".to_owned(),
            transaction_id: None,
        };
        let action = Action {
            r#type: "CreatePreparedStatement".to_owned(),
            body: request.as_any().encode_to_vec().into(),
        };
        let request = self.request(action);
        let mut results = self
            .inner
            .do_action(request)
            .await
            .expect("prepared")
            .into_inner();
        let result = results
            .message()
            .await
            .expect("prepared")
            .expect("a result");
        let result: ActionCreatePreparedStatementResult = Any::decode(result.body)
            .expect("a message")
            .unpack()
            .expect("a message")
            .expect("a statement");
        CommandPreparedStatementQuery {
            prepared_statement_handle: result.prepared_statement_handle,
        }
    }

    /// What is said to parameters that come as `frames`.
    async fn bind(
        &mut self,
        frames: impl Stream<Item = FlightData> + Send + 'static,
    ) -> Result<(), Status> {
        let statement = self.prepare().await.as_any().encode_to_vec();
        let mut descriptor = Some(FlightDescriptor::new_cmd(statement));
        let frames = frames.map(move |frame| FlightData {
            flight_descriptor: descriptor.take(),
            ..frame
        });
        let request = self.request(frames);
        let mut answers = self.inner.do_put(request).await?.into_inner();
        answers.message().await.map(drop)
    }
}

/// The parameters that the statement wants.
fn parameters() -> RecordBatch {
    let numbers: ArrayRef = std::sync::Arc::new(Int64Array::from(vec![7]));
    RecordBatch::try_from_iter([("0", numbers)]).expect("valid")
}

fn schema() -> FlightData {
    FlightData::from(SchemaAsIpc::new(
        &parameters().schema(),
        &IpcWriteOptions::default(),
    ))
}

/// A message with the batch that `buffers` and `body` describe.
fn batch(
    rows: i64,
    buffers: &[arrow_ipc::Buffer],
    codec: Option<arrow_ipc::CompressionType>,
    body: Vec<u8>,
) -> FlightData {
    let mut builder = FlatBufferBuilder::new();
    let compression = codec.map(|codec| {
        let mut compression = arrow_ipc::BodyCompressionBuilder::new(&mut builder);
        compression.add_codec(codec);
        compression.finish()
    });
    let buffers = builder.create_vector(buffers);
    let nodes = builder.create_vector(&[arrow_ipc::FieldNode::new(rows, 0)]);
    let mut batch = arrow_ipc::RecordBatchBuilder::new(&mut builder);
    batch.add_length(rows);
    batch.add_nodes(nodes);
    batch.add_buffers(buffers);
    if let Some(compression) = compression {
        batch.add_compression(compression);
    }
    let header = batch.finish().as_union_value();
    message(builder, arrow_ipc::MessageHeader::RecordBatch, header, body)
}

fn message(
    mut builder: FlatBufferBuilder<'_>,
    kind: arrow_ipc::MessageHeader,
    header: flatbuffers::WIPOffset<flatbuffers::UnionWIPOffset>,
    body: Vec<u8>,
) -> FlightData {
    let mut message = arrow_ipc::MessageBuilder::new(&mut builder);
    message.add_version(arrow_ipc::MetadataVersion::V5);
    message.add_header_type(kind);
    message.add_bodyLength(body.len() as i64);
    message.add_header(header);
    let root = message.finish();
    builder.finish(root, None);
    FlightData::new()
        .with_data_header(builder.finished_data().to_vec())
        .with_data_body(body)
}

/// A schema of `columns` integers of so many bits.
fn integers(columns: usize, bits: i32) -> FlightData {
    let mut builder = FlatBufferBuilder::new();
    let name = builder.create_string("0");
    let children = builder.create_vector::<flatbuffers::ForwardsUOffset<arrow_ipc::Field<'_>>>(&[]);
    let mut integer = arrow_ipc::IntBuilder::new(&mut builder);
    integer.add_bitWidth(bits);
    integer.add_is_signed(true);
    let integer = integer.finish().as_union_value();
    let mut field = arrow_ipc::FieldBuilder::new(&mut builder);
    field.add_name(name);
    field.add_nullable(true);
    field.add_type_type(arrow_ipc::Type::Int);
    field.add_type_(integer);
    field.add_children(children);
    let field = field.finish();
    let fields = builder.create_vector(&vec![field; columns]);
    let mut schema = arrow_ipc::SchemaBuilder::new(&mut builder);
    schema.add_fields(fields);
    let header = schema.finish().as_union_value();
    message(
        builder,
        arrow_ipc::MessageHeader::Schema,
        header,
        Vec::new(),
    )
}

/// A vector that says it has 2³¹ entries.
fn claims_columns() -> FlightData {
    let honest = integers(1, 64);
    let mut header = honest.data_header.to_vec();
    // The one entry of the vector of fields: its length stands before it.
    let at = (0..header.len() - 4)
        .rev()
        .find(|at| header[*at..*at + 4] == 1_u32.to_le_bytes());
    let at = at.expect("a length");
    header[at..at + 4].copy_from_slice(&0x8000_0000_u32.to_le_bytes());
    FlightData::new().with_data_header(header)
}

fn dictionary() -> FlightData {
    let mut builder = FlatBufferBuilder::new();
    let buffers = builder.create_vector(&[arrow_ipc::Buffer::new(0, 1 << 40)]);
    let nodes = builder.create_vector(&[arrow_ipc::FieldNode::new(1 << 40, 0)]);
    let mut values = arrow_ipc::RecordBatchBuilder::new(&mut builder);
    values.add_length(1 << 40);
    values.add_nodes(nodes);
    values.add_buffers(buffers);
    let values = values.finish();
    let mut dictionary = arrow_ipc::DictionaryBatchBuilder::new(&mut builder);
    dictionary.add_id(0);
    dictionary.add_data(values);
    let header = dictionary.finish().as_union_value();
    message(
        builder,
        arrow_ipc::MessageHeader::DictionaryBatch,
        header,
        vec![0; 64],
    )
}

#[test]
fn parameters_that_are_bombs_are_refused_and_cost_nothing() {
    let demo = Demo::start();
    run(async {
        let mut client = demo.client().await;
        let (lz4, zstd) = (
            Some(arrow_ipc::CompressionType::LZ4_FRAME),
            Some(arrow_ipc::CompressionType::ZSTD),
        );
        let buffer = arrow_ipc::Buffer::new;
        let claims = |bytes: i64| [&bytes.to_le_bytes()[..], &[0; 24]].concat();
        let claimed: Vec<u8> = (0..32_000).flat_map(|_| claims(1 << 30)).collect();
        let many: Vec<_> = (0..32_000).map(|number| buffer(number * 32, 32)).collect();
        let two = [buffer(0, 0), buffer(0, 32)];
        let bombs: Vec<(&str, Vec<FlightData>)> =
            vec![
                (
                    "2⁴⁰ bytes in LZ4",
                    vec![schema(), batch(1, &two, lz4, claims(1 << 40))],
                ),
                (
                    "2⁴⁰ bytes in ZSTD",
                    vec![schema(), batch(1, &two, zstd, claims(1 << 40))],
                ),
                (
                    "negative bytes in LZ4",
                    vec![schema(), batch(1, &two, lz4, claims(-2))],
                ),
                (
                    "32,000 buffers in ZSTD",
                    vec![schema(), batch(1, &many, zstd, claimed)],
                ),
                (
                    "2⁴⁰ rows",
                    vec![
                        schema(),
                        batch(1 << 40, &[buffer(0, 0), buffer(0, 8)], None, vec![0; 8]),
                    ],
                ),
                (
                    "negative rows",
                    vec![
                        schema(),
                        batch(-1, &[buffer(0, 0), buffer(0, 8)], None, vec![0; 8]),
                    ],
                ),
                (
                    "a negative offset",
                    vec![
                        schema(),
                        batch(1, &[buffer(0, 0), buffer(-8, 8)], None, vec![0; 8]),
                    ],
                ),
                (
                    "a buffer behind the body",
                    vec![
                        schema(),
                        batch(1, &[buffer(0, 0), buffer(1 << 40, 8)], None, vec![0; 8]),
                    ],
                ),
                ("integers of 7 bits", vec![integers(1, 7)]),
                ("integers of -64 bits", vec![integers(1, -64)]),
                ("60,000 columns", vec![integers(60_000, 64)]),
                ("2³¹ columns", vec![claims_columns()]),
                ("a dictionary", vec![schema(), dictionary()]),
                (
                    "no Arrow at all",
                    vec![FlightData::new().with_data_header(vec![0xff; 1 << 10])],
                ),
                (
                    "520 bytes of length",
                    vec![FlightData::new().with_data_header(
                        [&0x7fff_fff0_u32.to_le_bytes()[..], &[0xee; 516]].concat(),
                    )],
                ),
            ];
        client.is_served().await;
        let before = demo.resident("coordinator");
        for (name, frames) in bombs {
            let refused = client.bind(futures::stream::iter(frames)).await;
            let refused = refused.expect_err(name);
            assert!(
                refused.metadata().contains_key("weft-code"),
                "{name}: {refused:?}"
            );
            client.is_served().await;
        }
        let honest =
            arrow_flight::utils::batches_to_flight_data(&parameters().schema(), vec![parameters()]);
        client
            .bind(futures::stream::iter(honest.expect("encodes")))
            .await
            .expect("the control");
        let kept = demo.resident("coordinator").saturating_sub(before);
        assert!(kept <= KEPT, "{} MiB are kept", kept >> 20);
    });
}

#[test]
fn calls_that_are_bombs_are_refused_and_cost_nothing() {
    let demo = Demo::start();
    run(async {
        let mut client = demo.client().await;
        client.is_served().await;
        let before = demo.resident("coordinator");

        let descriptor = FlightDescriptor::new_cmd(vec![0; 5 << 20]);
        let request = client.request(descriptor);
        let refused = client
            .inner
            .get_flight_info(request)
            .await
            .expect_err("5 MB");
        assert_eq!(
            refused.metadata().get("weft-code").expect("typed"),
            "WEFT-RESOURCES"
        );
        assert_eq!(refused.code(), Code::ResourceExhausted);
        client.is_served().await;

        // Rows without an end where one row is wanted.
        let frames =
            arrow_flight::utils::batches_to_flight_data(&parameters().schema(), vec![parameters()]);
        let mut frames = frames.expect("encodes").into_iter();
        let schema = frames.next().expect("a schema");
        let row = frames.next().expect("a row");
        let endless = futures::stream::iter([schema]).chain(futures::stream::repeat(row));
        let refused = tokio::time::timeout(Duration::from_secs(60), client.bind(endless)).await;
        let refused = refused.expect("it ends").expect_err("endless");
        assert!(refused.metadata().contains_key("weft-code"), "{refused:?}");
        client.is_served().await;

        let call = |path: &str, encoding: Option<&str>| headers(path, encoding, &[]);
        let info = "/arrow.flight.protocol.FlightService/GetFlightInfo";
        let large: [_; 8] = std::array::from_fn(|_| ("x-large", "x".repeat(15_000)));
        let raw: Vec<(&str, Vec<u8>)> = vec![
            ("a message of 4 GB", {
                let mut bytes = frame(1, 4, 1, &call(info, None));
                bytes.extend(frame(0, 0, 1, b"\x00\xff\xff\xff\xff"));
                (0..200).for_each(|_| bytes.extend(frame(0, 0, 1, &[0; 16_000])));
                bytes
            }),
            ("a gzip bomb", {
                let mut bytes = frame(1, 4, 1, &call(info, Some("gzip")));
                bytes.extend(frame(0, 1, 1, b"\x01\x00\x00\x00\x20\x1f\x8b\x08\x00\x00\x00\x00\x00\x02\x03\xed\xc1\x01\x01\x00\x00\x00\x80\x90\xfe\xaf\xee\x08\x0a\x00\x00\x00\x00\x00\x00"));
                bytes
            }),
            ("headers of 120 kB", {
                let block = headers(info, None, &large);
                let mut pieces = block.chunks(16_000);
                let mut bytes = frame(1, 0, 1, pieces.next().expect("a piece"));
                pieces.for_each(|piece| bytes.extend(frame(9, 0, 1, piece)));
                bytes.extend(frame(9, 4, 1, &[]));
                bytes
            }),
            ("headers without an end", {
                let mut bytes = frame(1, 0, 1, &call(info, None));
                (0..2_000).for_each(|_| bytes.extend(frame(9, 0, 1, &[0x0f; 16])));
                bytes
            }),
            (
                "100,000 streams",
                (0..100_000_u32)
                    .flat_map(|number| frame(1, 4, 2 * number + 1, &call(info, None)))
                    .collect(),
            ),
            (
                "100,000 streams that are reset",
                (0..100_000_u32)
                    .flat_map(|number| {
                        let id = 2 * number + 1;
                        [
                            frame(1, 4, id, &call(info, None)),
                            frame(3, 0, id, &8_u32.to_be_bytes()),
                        ]
                        .concat()
                    })
                    .collect(),
            ),
            (
                "200,000 settings",
                (0..200_000).flat_map(|_| frame(4, 0, 0, &[])).collect(),
            ),
            (
                "200,000 pings",
                (0..200_000).flat_map(|_| frame(6, 0, 0, &[7; 8])).collect(),
            ),
            (
                "a window beyond all bounds",
                [
                    frame(8, 0, 0, &0x7fff_ffff_u32.to_be_bytes()),
                    frame(8, 0, 0, &0x7fff_ffff_u32.to_be_bytes()),
                ]
                .concat(),
            ),
            ("no HTTP/2 at all", vec![0xff; 1 << 20]),
        ];
        for (name, bytes) in raw {
            let address = demo.address();
            let sent = tokio::task::spawn_blocking(move || send(address, &bytes));
            sent.await.expect("sent");
            client.is_served().await;
            let kept = demo.resident("coordinator").saturating_sub(before);
            assert!(kept <= KEPT, "{name}: {} MiB are kept", kept >> 20);
        }
    });
}

/// A frame of HTTP/2.
fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("short").to_be_bytes();
    let mut bytes = length[1..].to_vec();
    bytes.extend([kind, flags]);
    bytes.extend(stream.to_be_bytes());
    bytes.extend(payload);
    bytes
}

/// The headers of a call, without any table of them.
fn headers(path: &str, encoding: Option<&str>, more: &[(&str, String)]) -> Vec<u8> {
    // POST and http are in the table that everybody has.
    let mut block = vec![0x83, 0x86];
    let mut literal = |name: &str, value: &str| {
        block.push(0);
        for text in [name, value] {
            let mut length = text.len();
            // Seven bits, then seven bits at a time.
            if length < 127 {
                block.push(u8::try_from(length).expect("short"));
            } else {
                block.push(127);
                length -= 127;
                while length >= 128 {
                    block.push(u8::try_from(length % 128).expect("short") | 128);
                    length /= 128;
                }
                block.push(u8::try_from(length).expect("short"));
            }
            block.extend(text.as_bytes());
        }
    };
    literal(":path", path);
    literal(":authority", "weft");
    literal("content-type", "application/grpc");
    literal("te", "trailers");
    if let Some(encoding) = encoding {
        literal("grpc-encoding", encoding);
    }
    more.iter().for_each(|(name, value)| literal(name, value));
    block
}

/// Sends `bytes` as far as the server takes them, and reads what it says until it hangs up or is
/// silent for a while.
fn send(address: SocketAddr, bytes: &[u8]) {
    let stream = TcpStream::connect(address).expect("accepted");
    let patience = Some(Duration::from_millis(500));
    stream.set_read_timeout(patience).expect("a timeout");
    stream.set_write_timeout(patience).expect("a timeout");
    let mut reading = stream.try_clone().expect("a second handle");
    let reader = std::thread::spawn(move || {
        let mut said = [0; 1 << 14];
        while matches!(reading.read(&mut said), Ok(read) if read > 0) {}
    });
    let mut writing = stream;
    // The server may hang up at any moment, and is right to.
    let sent = writing
        .write_all(PREFACE)
        .and_then(|()| writing.write_all(bytes));
    drop(sent);
    reader.join().expect("no panic");
}
