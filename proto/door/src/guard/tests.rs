use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray, StringViewArray};
use arrow::datatypes::{DataType, Field, Fields, Schema, TimeUnit};
use arrow::json::ReaderBuilder;
use arrow_flight::FlightData;
use proptest::prelude::*;
use weft_governance::{ErrorKind, code};

use super::{BROKE_THE_DECODER, DecodeLimits, Decoded, Decoder};
use crate::encode::{Compression, Encoder};

mod compressed;

fn sample() -> RecordBatch {
    let numbers: ArrayRef = Arc::new(Int64Array::from(vec![Some(1), None, Some(3)]));
    let text: ArrayRef = Arc::new(StringArray::from(vec![Some("a"), Some("bc"), None]));
    RecordBatch::try_from_iter([("n", numbers), ("t", text)]).expect("valid")
}

/// One row group with a column of every family that the guard lets through.
fn varied() -> RecordBatch {
    let json = r#"
        {"n": null, "s": {"t": "a", "l": [1, null]}, "d": 1.5, "b": true, "at": "2024-01-01T00:00:00", "m": {"k": 1}, "f": [1, 2]}
        {"n": null, "s": null, "d": null, "b": null, "at": null, "m": {}, "f": [3, 4]}"#;
    let entries = Fields::from(vec![
        Field::new("keys", DataType::Utf8, false),
        Field::new("values", DataType::Int32, true),
    ]);
    let item = |data_type| Arc::new(Field::new("item", data_type, true));
    let nested = Fields::from(vec![
        Field::new("t", DataType::Utf8, true),
        Field::new("l", DataType::List(item(DataType::Int16)), true),
    ]);
    let map = Field::new("entries", DataType::Struct(entries), false);
    let schema = Schema::new(vec![
        Field::new("n", DataType::Null, true),
        Field::new("s", DataType::Struct(nested), true),
        Field::new("d", DataType::Decimal128(10, 2), true),
        Field::new("b", DataType::Boolean, true),
        Field::new(
            "at",
            DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
            true,
        ),
        Field::new("m", DataType::Map(Arc::new(map), false), true),
        Field::new(
            "f",
            DataType::FixedSizeList(item(DataType::Float32), 2),
            true,
        ),
    ]);
    let mut reader = ReaderBuilder::new(Arc::new(schema))
        .build(json.as_bytes())
        .expect("schema");
    reader.next().expect("rows").expect("valid")
}

/// A schema and a batch of it, as Arrow's own writer makes them.
pub(crate) fn sample_messages(compression: Compression) -> [FlightData; 2] {
    compressed::frames(&varied(), compression).into()
}

fn frames(batch: &RecordBatch) -> (FlightData, FlightData) {
    let mut encoder = Encoder::new(batch.schema());
    let schema = encoder.schema_frame();
    let frame = encoder.encode(batch).expect("encodes").remove(0);
    (schema, frame)
}

fn decoder_after(schema: FlightData) -> Decoder {
    let mut decoder = Decoder::new(DecodeLimits::default());
    decoder.decode(schema).expect("schema");
    decoder
}

/// A batch message by hand: one `Int64` column of `rows` rows in a body of `body` bytes.
struct Forged {
    rows: i64,
    nulls: i64,
    buffers: Vec<arrow_ipc::Buffer>,
    compressed: bool,
    body: Vec<u8>,
}

impl Forged {
    fn frame(self) -> FlightData {
        let mut builder = flatbuffers::FlatBufferBuilder::new();
        let compression = self.compressed.then(|| {
            let mut compression = arrow_ipc::BodyCompressionBuilder::new(&mut builder);
            compression.add_codec(arrow_ipc::CompressionType::LZ4_FRAME);
            compression.finish()
        });
        let buffers = builder.create_vector(&self.buffers);
        let nodes = builder.create_vector(&[arrow_ipc::FieldNode::new(self.rows, self.nulls)]);
        let mut batch = arrow_ipc::RecordBatchBuilder::new(&mut builder);
        batch.add_length(self.rows);
        batch.add_nodes(nodes);
        batch.add_buffers(buffers);
        if let Some(compression) = compression {
            batch.add_compression(compression);
        }
        let header = batch.finish().as_union_value();
        let mut message = arrow_ipc::MessageBuilder::new(&mut builder);
        message.add_version(arrow_ipc::MetadataVersion::V5);
        message.add_header_type(arrow_ipc::MessageHeader::RecordBatch);
        message.add_bodyLength(self.body.len() as i64);
        message.add_header(header);
        let root = message.finish();
        builder.finish(root, None);
        FlightData::new()
            .with_data_header(builder.finished_data().to_vec())
            .with_data_body(self.body)
    }
}

fn refusal_of(forged: Forged) -> String {
    refusal_after_asking_for(Compression::None, forged)
}

fn refusal_after_asking_for(compression: Compression, forged: Forged) -> String {
    let numbers: ArrayRef = Arc::new(Int64Array::from(vec![1]));
    let (schema, _) = frames(&RecordBatch::try_from_iter([("n", numbers)]).expect("valid"));
    let error = decoder_after(schema)
        .having_asked_for(compression)
        .decode(forged.frame())
        .expect_err("refused");
    assert!([code::PROTOCOL, code::RESOURCES].contains(&error.code()));
    error.message().to_owned()
}

fn buffer(offset: i64, length: i64) -> arrow_ipc::Buffer {
    arrow_ipc::Buffer::new(offset, length)
}

#[test]
fn impossible_lengths_are_refused() {
    let forge = |rows, nulls, buffers| Forged {
        rows,
        nulls,
        buffers,
        compressed: false,
        body: vec![0; 16],
    };
    let cases = [
        (
            forge(-1, 0, vec![buffer(0, 0), buffer(0, 8)]),
            "a length is negative",
        ),
        (
            forge(1 << 40, 0, vec![buffer(0, 0), buffer(0, 8)]),
            "more than 1048576 rows",
        ),
        (
            forge(2, 3, vec![buffer(0, 1), buffer(0, 8)]),
            "a column's length is impossible",
        ),
        (
            forge(100, 1, vec![buffer(0, 1), buffer(0, 8)]),
            "validity is shorter",
        ),
        (
            forge(1, 0, vec![buffer(0, 0), buffer(8, 16)]),
            "a buffer lies outside its body",
        ),
        (
            forge(1, 0, vec![buffer(0, 0), buffer(i64::MAX, 8)]),
            "a buffer lies outside its body",
        ),
        (
            forge(1, 1, vec![buffer(0, 16), buffer(0, 8)]),
            "its buffers overlap",
        ),
        (forge(1, 0, vec![buffer(0, 0)]), "it has too few buffers"),
        (
            forge(1, 0, vec![buffer(0, 0); 3]),
            "it has more nodes or buffers than its schema",
        ),
        (
            forge(2, 0, vec![buffer(0, 0), buffer(0, 8)]),
            "its data is inconsistent",
        ),
    ];
    for (forged, reason) in cases {
        let refusal = refusal_of(forged);
        assert!(refusal.contains(reason), "{refusal}");
    }
}

#[test]
fn views_that_expand_beyond_the_limit_are_refused() {
    let text = "x".repeat(1 << 20);
    let views = StringViewArray::from_iter_values([&text]);
    let repeated = arrow::compute::take(&views, &Int64Array::from(vec![0; 1000]), None);
    let batch = RecordBatch::try_from_iter([("t", repeated.expect("takes"))]).expect("valid");
    let options = arrow_ipc::writer::IpcWriteOptions::default();
    let schema = FlightData::from(arrow_flight::SchemaAsIpc::new(&batch.schema(), &options));
    let (_, encoded) = arrow_ipc::writer::IpcDataGenerator::default()
        .encode(
            &batch,
            &mut arrow_ipc::writer::DictionaryTracker::new(true),
            &options,
            &mut Default::default(),
        )
        .expect("encodes");
    let error = decoder_after(schema)
        .decode(encoded.into())
        .expect_err("refused");
    assert_eq!(error.kind(), ErrorKind::ResourceExhausted);
}

#[test]
fn messages_out_of_order_are_refused() {
    let (schema, batch) = frames(&sample());
    let mut decoder = Decoder::new(DecodeLimits::default());
    assert!(decoder.decode(batch.clone()).is_err());
    decoder.decode(schema.clone()).expect("the first schema");
    assert!(decoder.decode(schema).is_err());
    assert_eq!(
        decoder.decode(batch).expect("in order"),
        Decoded::Batch(sample())
    );
}

#[test]
fn a_message_larger_than_the_limit_is_refused() {
    let (schema, batch) = frames(&sample());
    let limits = DecodeLimits {
        message: 300,
        ..DecodeLimits::default()
    };
    let mut decoder = Decoder::new(limits);
    decoder.decode(schema).expect("small");
    let error = decoder.decode(batch).expect_err("large");
    assert_eq!(error.kind(), ErrorKind::ResourceExhausted);
}

#[test]
fn a_message_without_a_header_is_metadata() {
    let frame = FlightData::new().with_app_metadata("hello");
    let decoded = Decoder::new(DecodeLimits::default()).decode(frame);
    assert_eq!(
        decoded.expect("metadata"),
        Decoded::Metadata("hello".into())
    );
}

#[test]
fn dictionaries_are_refused_with_a_hint() {
    let options = arrow_ipc::writer::IpcWriteOptions::default();
    let mut tracker = arrow_ipc::writer::DictionaryTracker::new(true);
    let dictionary = arrow::datatypes::DataType::Dictionary(
        Box::new(arrow::datatypes::DataType::Int8),
        Box::new(arrow::datatypes::DataType::Utf8),
    );
    let field = arrow::datatypes::Field::new("d", dictionary, true);
    let schema = arrow::datatypes::Schema::new(vec![field]);
    let header = arrow_ipc::writer::IpcDataGenerator::default()
        .schema_to_bytes_with_dictionary_tracker(&schema, &mut tracker, &options);
    let error = Decoder::new(DecodeLimits::default())
        .decode(FlightData::new().with_data_header(header.ipc_message))
        .expect_err("refused");
    assert!(
        error
            .hint()
            .is_some_and(|hint| hint.contains("dictionaries"))
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn a_damaged_message_is_an_error_or_a_batch_but_never_a_panic(
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        part in 0..3,
        compression in prop::sample::select(vec![Compression::None, Compression::Lz4]),
    ) {
        let (mut schema, mut batch) = compressed::frames(&varied(), compression);
        let target = match part {
            0 => &mut schema.data_header,
            1 => &mut batch.data_header,
            _ => &mut batch.data_body,
        };
        let mut bytes = target.to_vec();
        for (at, byte) in damage {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        *target = bytes.into();
        let mut decoder = Decoder::new(DecodeLimits::default()).having_asked_for(compression);
        for frame in [schema, batch] {
            if let Err(error) = decoder.decode(frame) {
                prop_assert!(!error.message().ends_with(BROKE_THE_DECODER), "{}", error);
            }
        }
    }
}
