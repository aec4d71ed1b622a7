//! Rows on their way between two servers: as messages, and back as rows that were checked.

use std::sync::Arc;

use arrow::array::{ArrayRef, Date32Array, Decimal128Array, Int64Array, StringViewArray};
use arrow::record_batch::RecordBatch;
use arrow_flight::FlightData;
use divan::Bencher;
use divan::counter::BytesCount;
use weft_door::{DecodeLimits, Decoded, Decoder, Encoder};

const ROWS: i64 = 8_192;

/// Rows as a query of the benchmark ships them: a key, a date, a price, a name.
fn batch() -> RecordBatch {
    let keys = Int64Array::from_iter_values(0..ROWS);
    let dates = Date32Array::from_iter_values((0..ROWS).map(|row| 9_000 + (row % 2_000) as i32));
    let prices = Decimal128Array::from_iter_values((0..ROWS).map(|row| i128::from(row) * 317));
    let prices = prices.with_precision_and_scale(15, 2).expect("fits");
    let names = (0..ROWS).map(|row| format!("Customer#{row:09}"));
    let columns: [(&str, ArrayRef); 4] = [
        ("key", Arc::new(keys)),
        ("date", Arc::new(dates)),
        ("price", Arc::new(prices)),
        ("name", Arc::new(StringViewArray::from_iter_values(names))),
    ];
    RecordBatch::try_from_iter(columns).expect("columns of one length")
}

fn encoded(batch: &RecordBatch) -> (FlightData, Vec<FlightData>, u64) {
    let mut encoder = Encoder::new(batch.schema());
    let schema = encoder.schema_frame();
    let frames = encoder.encode(batch).expect("of its schema");
    (schema, frames, encoder.bytes())
}

#[divan::bench]
fn encode(bencher: Bencher<'_, '_>) {
    let batch = batch();
    let (_, _, bytes) = encoded(&batch);
    let mut encoder = Encoder::new(batch.schema());
    bencher
        .counter(BytesCount::new(bytes))
        .bench_local(|| encoder.encode(&batch));
}

#[divan::bench]
fn decode(bencher: Bencher<'_, '_>) {
    let (schema, frames, bytes) = encoded(&batch());
    let mut decoder = Decoder::new(DecodeLimits::default());
    decoder.decode(schema).expect("a schema");
    bencher
        .counter(BytesCount::new(bytes))
        .with_inputs(|| frames.clone())
        .bench_local_values(|frames| {
            let decoded = frames.into_iter().map(|frame| decoder.decode(frame));
            decoded.collect::<Result<Vec<Decoded>, _>>().expect("rows")
        });
}
