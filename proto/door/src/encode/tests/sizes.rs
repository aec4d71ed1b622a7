//! What goes out beside what Arrow makes of the same rows as `Utf8`, whatever is behind them.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, Int64Array, RecordBatch, StringArray, StringViewArray, UInt64Array,
};
use arrow::compute::{cast, filter_record_batch, take_record_batch};
use arrow::datatypes::DataType;
use arrow_ipc::writer::StreamWriter;

use super::{as_wired, nest, one_column, size, total};
use crate::encode::{Encoder, MAX_ROWS, TARGET_BYTES};

/// Enough that columns of every type take several messages.
const ROWS: usize = 300_000;

/// Bytes of an Arrow stream of these rows and no others.
fn ipc_size(batch: &RecordBatch) -> usize {
    let rows = UInt64Array::from_iter_values(0..batch.num_rows() as u64);
    let compact = take_record_batch(&as_wired(batch), &rows).expect("taken");
    let mut bytes = Vec::new();
    let mut writer = StreamWriter::try_new(&mut bytes, &compact.schema()).expect("begins");
    writer.write(&compact).expect("encodes");
    writer.finish().expect("ends");
    bytes.len()
}

/// Columns of every kind that keeps more in its buffers than its rows show.
fn columns() -> Vec<(&'static str, ArrayRef)> {
    let short = (0..ROWS).map(|row| (row % 9 > 0).then(|| format!("{row}")));
    let short = StringViewArray::from_iter(short);
    let long = (0..ROWS).map(|row| Some(format!("too long to be inlined, as {row} is")));
    let long: ArrayRef = Arc::new(StringViewArray::from_iter(long));
    let text = cast(&long, &DataType::Utf8).expect("casts");
    let bytes = cast(&text, &DataType::BinaryView).expect("casts");
    let few = StringArray::from_iter_values((0..ROWS).map(|row| format!("value {}", row % 1000)));
    let keyed = DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8View));
    let keyed = cast(&few, &keyed).expect("casts");
    let numbers: ArrayRef = Arc::new(Int64Array::from_iter_values(0..ROWS as i64));
    let flags: ArrayRef = Arc::new(BooleanArray::from_iter((0..ROWS).map(|row| Some(row > 7))));
    vec![
        ("short views", Arc::new(short)),
        ("list of views", nest(Arc::clone(&long), &[0])),
        ("large list of structs", nest(Arc::clone(&long), &[2, 1])),
        ("list of lists", nest(Arc::clone(&text), &[0, 1])),
        ("arrays of lists of views", nest(Arc::clone(&long), &[0, 3])),
        ("map", nest(Arc::clone(&long), &[4])),
        ("struct of maps", nest(Arc::clone(&numbers), &[4, 2])),
        ("list of dictionaries", nest(Arc::clone(&keyed), &[0])),
        ("views", long),
        ("text", text),
        ("binary views", bytes),
        ("dictionary", keyed),
        ("numbers", numbers),
        ("flags", flags),
    ]
}

/// The batch, and what is left of it once it was sliced, limited, filtered, and several of these.
fn shapes(batch: &RecordBatch) -> Vec<(&'static str, RecordBatch)> {
    let keep = |batch: &RecordBatch, of: usize| {
        let kept = (0..batch.num_rows()).map(|row| Some(row % of == 1));
        filter_record_batch(batch, &BooleanArray::from_iter(kept)).expect("filtered")
    };
    let filtered = keep(batch, 10);
    vec![
        ("sliced", batch.slice(8192, 8192)),
        ("sliced off a byte", batch.slice(100_003, 50_001)),
        ("limited", batch.slice(0, 1000)),
        ("filtered", filtered.clone()),
        ("filtered and limited", filtered.slice(7, 500)),
        ("sliced and filtered", keep(&batch.slice(8192, 8192), 7)),
        ("few", batch.slice(ROWS - 3, 3)),
        ("none", batch.slice(5, 0)),
        ("whole", batch.clone()),
    ]
}

#[test]
fn no_batch_goes_out_at_more_than_a_twentieth_above_its_size_in_arrow() {
    for (name, column) in columns() {
        for (shape, batch) in shapes(&one_column(column)) {
            let mut encoder = Encoder::new(batch.schema()).for_client(4 << 20);
            let mut frames = vec![encoder.schema_frame()];
            frames.extend(encoder.encode(&batch).expect("encodes"));
            let (sent, arrow) = (total(&frames), ipc_size(&batch));
            assert!(
                sent * 20 <= arrow * 21,
                "{name}, {shape}: {sent} of {arrow}"
            );
            let largest = frames.iter().map(size).max().unwrap_or_default();
            assert!(largest < 2 * TARGET_BYTES, "{name}, {shape}: {largest}");
            let needed = sent.div_ceil(TARGET_BYTES / 2);
            let needed = needed.max(batch.num_rows().div_ceil(MAX_ROWS)) + 1;
            assert!(frames.len() <= needed, "{name}, {shape}: {}", frames.len());
        }
    }
}
