//! What comes out of the encoder, and what a reader makes of it.

mod gathering;
mod sizes;

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, BinaryArray, DictionaryArray, FixedSizeListArray, Int32Array, Int64Array,
    LargeListArray, ListArray, MapArray, NullArray, RecordBatch, RecordBatchOptions, StringArray,
    StringViewArray, StructArray,
};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::compute::{cast, concat_batches};
use arrow::datatypes::{
    DataType, Field, Fields, Int32Type, IntervalUnit, Schema, TimeUnit, TimestampMicrosecondType,
};
use arrow_flight::FlightData;
use proptest::prelude::*;

use super::{Compression, Encoder, MAX_BYTES, logical_size, wire_schema};
use crate::guard::{DecodeLimits, Decoded, Decoder};

fn one_column(array: ArrayRef) -> RecordBatch {
    RecordBatch::try_from_iter_with_nullable([("c", array, true)]).expect("one column")
}

fn size(frame: &FlightData) -> usize {
    frame.data_header.len() + frame.data_body.len()
}

fn total(frames: &[FlightData]) -> usize {
    frames.iter().map(size).sum()
}

/// What is sent for a column of these values.
fn sent(array: ArrayRef) -> Vec<u8> {
    let batch = one_column(array);
    let mut encoder = Encoder::new(batch.schema());
    let frames = encoder.encode(&batch).expect("encodes").into_iter();
    let parts = frames.map(|frame| [frame.data_header, frame.data_body].concat());
    parts.collect::<Vec<_>>().concat()
}

/// Encodes the batches with their own schema, and decodes what comes out.
fn over_the_wire(batches: &[RecordBatch]) -> RecordBatch {
    let plain = over_the_wire_as(Compression::None, batches).0;
    assert_eq!(plain, over_the_wire_as(Compression::Lz4, batches).0);
    plain
}

/// The same, and the bytes that were sent.
fn over_the_wire_as(compression: Compression, batches: &[RecordBatch]) -> (RecordBatch, u64) {
    let encoder = Encoder::new(batches[0].schema());
    let mut encoder = encoder.compressing(compression).expect("LZ4");
    let mut frames = vec![encoder.schema_frame()];
    for batch in batches {
        frames.extend(encoder.encode(batch).expect("encodes"));
    }
    assert_eq!(encoder.bytes(), total(&frames) as u64);
    let mut decoder = Decoder::new(DecodeLimits::default()).having_asked_for(compression);
    let mut received = Vec::new();
    for frame in frames {
        assert!(size(&frame) <= MAX_BYTES);
        match decoder.decode(frame).expect("decodes") {
            Decoded::Schema(schema) => assert_eq!(schema, *encoder.schema()),
            Decoded::Batch(batch) => received.push(batch),
            Decoded::Metadata(bytes) => panic!("unexpected metadata {bytes:?}"),
        }
    }
    assert_eq!(
        (decoder.bytes(), decoder.rows()),
        (encoder.bytes(), encoder.rows())
    );
    assert_eq!(received.len() as u64, encoder.batches());
    let received = concat_batches(encoder.schema(), &received).expect("concatenates");
    (received, encoder.bytes())
}

#[test]
fn compressed_rows_take_fewer_bytes_and_never_more() {
    let states = (0..20_000).map(|n| ["in transit", "delivered", "lost"][n % 3]);
    let states = one_column(Arc::new(StringArray::from_iter_values(states)));
    // Nothing repeats in the products of a large odd number.
    let noise = (0..20_000_i64).map(|n| n.wrapping_mul(0x2545_f491_4f6c_dd1d));
    let noise = one_column(Arc::new(Int64Array::from_iter_values(noise)));
    for (batch, shrinks) in [(states, true), (noise, false)] {
        let batches = [batch];
        let (_, plain) = over_the_wire_as(Compression::None, &batches);
        let (_, compressed) = over_the_wire_as(Compression::Lz4, &batches);
        assert_eq!(compressed * 2 < plain, shrinks, "{compressed} of {plain}");
        assert!(compressed <= plain, "{compressed} of {plain}");
    }
}

/// What the batch is after [`wire_schema`], computed in one go.
fn as_wired(batch: &RecordBatch) -> RecordBatch {
    let schema = wire_schema(&batch.schema());
    let columns = batch
        .columns()
        .iter()
        .zip(schema.fields())
        .map(|(column, field)| cast(column, field.data_type()).expect("casts"))
        .collect();
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    RecordBatch::try_new_with_options(schema, columns, &options).expect("fits")
}

#[test]
fn a_slice_of_views_goes_out_at_its_own_size() {
    let text: StringViewArray = (0..1_000_000)
        .map(|row| Some(format!("a string too long to be inlined, {row}")))
        .collect();
    let batch = one_column(Arc::new(text));
    let slice = batch.slice(500_000, 8192);
    let frames = Encoder::new(batch.schema())
        .encode(&slice)
        .expect("encodes");
    let logical = 8192 * ("a string too long to be inlined, 500000".len() + 4);
    assert_eq!(frames.len(), 1);
    assert!(
        total(&frames) < logical + 1024,
        "{} for {logical}",
        total(&frames)
    );
}

#[test]
fn slices_of_large_buffers_stay_one_message() {
    let strings: StringArray = (0..200_000)
        .map(|row| Some(format!("value {row}")))
        .collect();
    let numbers = Int64Array::from_iter_values(0..200_000);
    for array in [Arc::new(strings) as ArrayRef, Arc::new(numbers)] {
        let batch = one_column(array);
        let frames = Encoder::new(batch.schema())
            .encode(&batch.slice(8192, 8192))
            .expect("encodes");
        assert_eq!(frames.len(), 1);
        assert!(total(&frames) < 200_000);
    }
}

#[test]
fn large_batches_become_messages_of_about_one_mebibyte() {
    let columns = (0..4).map(|column| {
        (
            format!("c{column}"),
            Arc::new(Int64Array::from_iter_values(0..1_000_000)) as ArrayRef,
        )
    });
    let batch = RecordBatch::try_from_iter(columns).expect("valid");
    let frames = Encoder::new(batch.schema())
        .encode(&batch)
        .expect("encodes");
    assert!(
        frames.iter().all(|frame| size(frame) < 3 << 19),
        "{:?}",
        frames.iter().map(size)
    );
    assert!(frames.len() < 40, "{}", frames.len());
}

#[test]
fn uneven_rows_never_make_a_message_of_four_mebibytes() {
    let text: StringViewArray = (0..5000)
        .map(|row| Some("x".repeat(if row % 1000 == 7 { 3_000_000 } else { row % 50 })))
        .collect();
    let received = over_the_wire(&[one_column(Arc::new(text))]);
    assert_eq!(received.num_rows(), 5000);
}

#[test]
fn a_dictionary_costs_what_its_keys_refer_to() {
    let values = StringArray::from(vec!["x".repeat(100_000), "y".to_owned()]);
    let keys = Int32Array::from_iter_values((0..2000).map(|row| row % 2));
    let array = DictionaryArray::<Int32Type>::try_new(keys, Arc::new(values)).expect("valid");
    let received = over_the_wire(&[one_column(Arc::new(array))]);
    assert_eq!(received.num_rows(), 2000);
    assert_eq!(*received.column(0).data_type(), DataType::Utf8);
}

#[test]
fn a_single_large_row_is_sent_whole() {
    let batch = one_column(Arc::new(StringArray::from(vec!["x".repeat(10 << 20)])));
    let frames = Encoder::new(batch.schema())
        .encode(&batch)
        .expect("encodes");
    assert_eq!(frames.len(), 1);
}

#[test]
fn batches_take_the_announced_names_and_nullability() {
    let announced = Schema::new(vec![Field::new("max(x)", DataType::Int64, true)]);
    let exact = Arc::new(Schema::new(vec![Field::new("x", DataType::Int64, false)]));
    let batch = RecordBatch::try_new(exact, vec![Arc::new(Int64Array::from(vec![1]))]);
    let mut encoder = Encoder::new(Arc::new(announced.clone()));
    let mut decoder = Decoder::new(DecodeLimits::default());
    decoder.decode(encoder.schema_frame()).expect("schema");
    for frame in encoder.encode(&batch.expect("valid")).expect("encodes") {
        let Decoded::Batch(batch) = decoder.decode(frame).expect("decodes") else {
            panic!()
        };
        assert_eq!(*batch.schema(), announced);
    }
}

#[test]
fn a_batch_of_another_type_is_refused() {
    let announced = Arc::new(Schema::new(vec![Field::new("x", DataType::Int32, true)]));
    let batch = one_column(Arc::new(Int64Array::from(vec![1])));
    let error = Encoder::new(announced)
        .encode(&batch)
        .expect_err("another type");
    assert_eq!(
        error.message(),
        "column `x` has type Int64 where Int32 was announced"
    );
}

#[test]
fn nulls_in_a_column_announced_without_are_refused() {
    let announced = Arc::new(Schema::new(vec![Field::new("x", DataType::Int64, false)]));
    let batch = one_column(Arc::new(Int64Array::from(vec![Some(1), None])));
    assert!(Encoder::new(announced).encode(&batch).is_err());
}

#[test]
fn rows_without_columns_are_counted() {
    let options = RecordBatchOptions::new().with_row_count(Some(200_000));
    let batch = RecordBatch::try_new_with_options(Arc::new(Schema::empty()), vec![], &options);
    assert_eq!(over_the_wire(&[batch.expect("valid")]).num_rows(), 200_000);
}

/// Column types of every family, as the strategy below builds them.
fn simple_types() -> Vec<DataType> {
    use DataType::*;
    vec![
        Int8,
        Int16,
        Int32,
        Int64,
        UInt8,
        UInt16,
        UInt32,
        UInt64,
        Float32,
        Float64,
        Boolean,
        Date32,
        Date64,
        Time32(TimeUnit::Millisecond),
        Time64(TimeUnit::Nanosecond),
        Timestamp(TimeUnit::Nanosecond, None),
        Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
        Timestamp(TimeUnit::Second, Some("+02:00".into())),
        Duration(TimeUnit::Millisecond),
        Interval(IntervalUnit::MonthDayNano),
        Decimal32(9, 2),
        Decimal64(18, 4),
        Decimal128(38, 10),
        Decimal256(50, 3),
        Utf8,
        LargeUtf8,
        Utf8View,
        Binary,
        LargeBinary,
        BinaryView,
        FixedSizeBinary(3),
        Null,
        Dictionary(Box::new(Int8), Box::new(Utf8)),
        Dictionary(Box::new(UInt32), Box::new(Utf8View)),
    ]
}

/// The values as an array of a simple type.
fn simple(data_type: &DataType, values: &[Option<i8>]) -> ArrayRef {
    use DataType::*;
    let text: StringArray = values
        .iter()
        .map(|value| value.map(|value| "häh ".repeat(value as u8 as usize)))
        .collect();
    match data_type {
        Utf8 | LargeUtf8 | Utf8View | Binary | LargeBinary | BinaryView => cast(&text, data_type),
        FixedSizeBinary(_) => {
            let bytes: BinaryArray = values.iter().map(|v| v.map(|v| [v as u8; 3])).collect();
            cast(&bytes, data_type)
        }
        Dictionary(_, _) => {
            let few: StringArray = values
                .iter()
                .map(|value| value.map(|value| format!("{}", value % 7)))
                .collect();
            cast(&few, data_type)
        }
        Null => Ok(Arc::new(NullArray::new(values.len())) as ArrayRef),
        Interval(_) => cast(
            &cast(
                &Int64Array::from_iter(widened(values)),
                &Duration(TimeUnit::Second),
            )
            .expect("casts"),
            data_type,
        ),
        Boolean | Float32 | Float64 | Decimal32(..) | Decimal64(..) | Decimal128(..)
        | Decimal256(..) => cast(&Int64Array::from_iter(widened(values)), data_type),
        Int8 | Int16 | Int32 | Int64 => cast(&Int64Array::from_iter(widened(values)), data_type),
        UInt8 | UInt16 | UInt32 | UInt64 => cast(
            &Int64Array::from_iter(widened(values).map(|v| v.map(i64::abs))),
            data_type,
        ),
        Date32 | Time32(_) => {
            let days = Int32Array::from_iter(values.iter().map(|v| v.map(|v| i32::from(v).abs())));
            cast(&days, data_type)
        }
        _ => cast(
            &Int64Array::from_iter(widened(values).map(|v| v.map(i64::abs))),
            data_type,
        ),
    }
    .expect("casts")
}

fn widened(values: &[Option<i8>]) -> impl Iterator<Item = Option<i64>> + '_ {
    values.iter().map(|value| value.map(i64::from))
}

/// Puts the array inside lists, structs or maps, one level per item of `nesting`.
fn nest(array: ArrayRef, nesting: &[u8]) -> ArrayRef {
    nesting.iter().fold(array, |inner, kind| {
        let rows = inner.len();
        let item = Arc::new(Field::new("item", inner.data_type().clone(), true));
        match kind % 5 {
            0 => {
                let offsets = OffsetBuffer::from_lengths((0..rows).map(|row| {
                    // Two values, then none, in turn.
                    if rows % 2 == 1 {
                        1
                    } else {
                        2 * ((row + 1) % 2)
                    }
                }));
                let nulls = NullBuffer::from_iter((0..rows).map(|row| row % 5 != 4));
                Arc::new(ListArray::new(item, offsets, inner, Some(nulls)))
            }
            1 => {
                let offsets = OffsetBuffer::from_lengths((0..rows).map(|_| 1));
                Arc::new(LargeListArray::new(item, offsets, inner, None))
            }
            2 => {
                let fields = Fields::from(vec![
                    Field::new("left", inner.data_type().clone(), true),
                    Field::new("right", inner.data_type().clone(), true),
                ]);
                let nulls = NullBuffer::from_iter((0..rows).map(|row| row % 3 != 2));
                Arc::new(StructArray::new(
                    fields,
                    vec![inner.clone(), inner],
                    Some(nulls),
                ))
            }
            3 => Arc::new(FixedSizeListArray::new(item, 1, inner, None)),
            _ => {
                let keys = StringViewArray::from_iter_values((0..rows).map(|row| row.to_string()));
                let fields = Fields::from(vec![
                    Field::new("keys", DataType::Utf8View, false),
                    Field::new("values", inner.data_type().clone(), true),
                ]);
                let entries = StructArray::new(fields, vec![Arc::new(keys), inner], None);
                let field = Field::new("entries", entries.data_type().clone(), false);
                let offsets = OffsetBuffer::from_lengths((0..rows).map(|_| 1));
                Arc::new(MapArray::new(
                    Arc::new(field),
                    offsets,
                    entries,
                    None,
                    false,
                ))
            }
        }
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn what_is_encoded_is_what_is_decoded(
        values in prop::collection::vec(prop::option::of(any::<i8>()), 0..120),
        columns in prop::collection::vec(
            (0..simple_types().len(), prop::collection::vec(any::<u8>(), 0..3)), 0..6),
        cut in (0..120usize, 0..120usize),
    ) {
        let named: Vec<(Field, ArrayRef)> = columns.iter().enumerate().map(|(at, (kind, nesting))| {
            let array = nest(simple(&simple_types()[*kind], &values), nesting);
            (Field::new(format!("c{at}"), array.data_type().clone(), true), array)
        }).collect();
        let (fields, arrays): (Vec<_>, Vec<_>) = named.into_iter().unzip();
        let options = RecordBatchOptions::new().with_row_count(Some(values.len()));
        let whole =
            RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), arrays, &options)
                .expect("valid");
        let start = cut.0.min(values.len());
        let slice = whole.slice(start, cut.1.min(values.len() - start));
        let received = over_the_wire(&[whole.clone(), slice.clone()]);
        let expected = concat_batches(
            &wire_schema(&whole.schema()),
            &[as_wired(&whole), as_wired(&slice)],
        ).expect("concatenates");
        prop_assert_eq!(received, expected);
    }
}

#[test]
fn a_client_gets_padded_headers_and_no_row_that_it_does_not_take() {
    let texts = |length: usize| -> RecordBatch {
        let text = "a".repeat(length);
        one_column(Arc::new(StringArray::from(vec!["x", text.as_str(), "y"])))
    };
    let frames = |client: Option<usize>, batch: &RecordBatch| {
        let mut encoder = Encoder::new(batch.schema());
        if let Some(most) = client {
            encoder = encoder.for_client(most);
        }
        let schema = encoder.schema_frame();
        let rows = encoder.encode(batch)?;
        Ok::<_, weft_governance::Error>([vec![schema], rows].concat())
    };
    let odd = |frames: &[FlightData]| frames.iter().any(|it| it.data_header.len() % 8 > 0);
    let small = texts(3);
    let others = frames(None, &small).expect("encodes");
    let padded = frames(Some(4 << 20), &small).expect("encodes");
    assert!(!odd(&padded));
    for (one, other) in padded.iter().zip(&others) {
        assert!(one.data_header.starts_with(&other.data_header));
        let rest = &one.data_header[other.data_header.len()..];
        assert!(rest.iter().all(|byte| *byte == 0) && rest.len() < 8);
        assert_eq!(one.data_body, other.data_body);
    }

    let wide = texts(5 << 20);
    assert_eq!(frames(None, &wide).expect("encodes").len(), 4);
    assert_eq!(frames(Some(6 << 20), &wide).expect("encodes").len(), 4);
    let error = frames(Some(4 << 20), &wide).expect_err("refused");
    assert_eq!(error.code(), weft_governance::code::RESOURCES);
}

#[test]
fn what_stands_where_a_value_is_null_is_neither_counted_nor_sent() {
    let there = StringViewArray::from(vec!["shown", "SECRET", "a SECRET too long for a view"]);
    let (views, buffers, _) = there.into_parts();
    let nulls = NullBuffer::from(vec![true, false, false]);
    let veiled: ArrayRef = Arc::new(StringViewArray::new(views, buffers, Some(nulls)));
    let clean: ArrayRef = Arc::new(StringViewArray::from(vec![Some("shown"), None, None]));
    let refer = |values: &ArrayRef| -> ArrayRef {
        let keys = Int32Array::from(vec![0, 1, 2, 2]);
        Arc::new(DictionaryArray::new(keys, Arc::clone(values)))
    };
    let pairs = [
        (veiled.clone(), clean.clone()),
        (veiled.slice(1, 2), clean.slice(1, 2)),
        (refer(&veiled), refer(&clean)),
    ];
    for (veiled, clean) in pairs {
        assert_eq!(logical_size(&veiled), logical_size(&clean));
        assert_eq!(sent(veiled), sent(clean));
    }
}

/// That what `veiled` hides is not sent, by itself and within other values.
fn assert_sent_alike(veiled: &ArrayRef, clean: &ArrayRef) {
    for nesting in [&[][..], &[2], &[3], &[1]] {
        let [veiled, clean] = [veiled, clean].map(|it| sent(nest(Arc::clone(it), nesting)));
        let text = String::from_utf8_lossy(&veiled);
        assert!(text.contains("shown"), "the control");
        assert!(!text.contains("SECRET"), "{text}");
        assert_eq!(veiled, clean);
    }
}

#[test]
fn no_text_or_list_is_sent_that_stands_where_a_value_is_null() {
    let text = StringArray::from(vec!["shown", "SECRET", "", "another SECRET"]);
    let (offsets, bytes, _) = text.clone().into_parts();
    let nulls = NullBuffer::from(vec![true, false, false, false]);
    let veiled: ArrayRef = Arc::new(StringArray::new(offsets, bytes, Some(nulls.clone())));
    let clean: ArrayRef = Arc::new(StringArray::from(vec![Some("shown"), None, None, None]));
    let item = Arc::new(Field::new("item", DataType::Utf8, true));
    let list = |lengths: [usize; 4], values: StringArray| -> ArrayRef {
        let offsets = OffsetBuffer::from_lengths(lengths);
        let nulls = Some(nulls.clone());
        Arc::new(ListArray::new(
            item.clone(),
            offsets,
            Arc::new(values),
            nulls,
        ))
    };
    let veiled_list = list([1, 1, 0, 2], text);
    let clean_list = list([1, 0, 0, 0], StringArray::from(vec!["shown"]));
    for (veiled, clean) in [(veiled, clean), (veiled_list, clean_list)] {
        assert_sent_alike(&veiled, &clean);
    }
}

#[test]
fn no_number_is_sent_that_stands_where_a_value_is_null() {
    let secret = i64::from_le_bytes(*b"SECRET!!");
    let nulls = NullBuffer::from(vec![true, false]);
    let veiled = Int64Array::new(vec![7, secret].into(), Some(nulls));
    let clean = Int64Array::from(vec![Some(7), None]);
    for to in [
        DataType::Int64,
        DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
    ] {
        let [veiled, clean] = [&veiled, &clean].map(|array| {
            let array = array.clone();
            let array: ArrayRef = match &to {
                DataType::Int64 => Arc::new(array),
                _ => Arc::new(
                    array
                        .reinterpret_cast::<TimestampMicrosecondType>()
                        .with_data_type(to.clone()),
                ),
            };
            sent(array)
        });
        assert!(!veiled.windows(8).any(|bytes| bytes == b"SECRET!!"), "{to}");
        assert_eq!(veiled, clean, "{to}");
    }
}

#[test]
fn no_part_is_sent_of_a_value_that_is_null_as_a_whole() {
    let text = |values: [&str; 4]| -> ArrayRef { Arc::new(StringArray::from(values.to_vec())) };
    let part = |name: &str| Arc::new(Field::new(name, DataType::Utf8, false));
    let row = |values: [&str; 4]| -> ArrayRef {
        let fields = Fields::from(vec![part("text")]);
        let nulls = NullBuffer::from(vec![true, false, false, true]);
        Arc::new(StructArray::new(fields, vec![text(values)], Some(nulls)))
    };
    let pair = |values: [&str; 4]| -> ArrayRef {
        let nulls = NullBuffer::from(vec![true, false]);
        let pairs = FixedSizeListArray::new(part("item"), 2, text(values), Some(nulls));
        Arc::new(pairs)
    };
    let pairs = [
        (
            row(["shown", "SECRET", "SECRET", "shown"]),
            row(["shown", "", "", "shown"]),
        ),
        (
            pair(["shown", "shown", "SECRET", "SECRET"]),
            pair(["shown", "shown", "", ""]),
        ),
    ];
    for (veiled, clean) in pairs {
        assert_sent_alike(&veiled, &clean);
    }
}
