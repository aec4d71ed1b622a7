//! Which batches become one message.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, DictionaryArray, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Int8Type};

use super::super::{Gathered, TARGET_BYTES, size_of};
use super::one_column;

/// What comes out, the rest included.
fn gathered(batches: impl IntoIterator<Item = RecordBatch>) -> Vec<RecordBatch> {
    let mut gathered = Gathered::default();
    let ready = batches.into_iter().map(|batch| gathered.add(batch));
    let mut ready: Vec<RecordBatch> = ready.collect::<Vec<_>>().concat();
    ready.extend(gathered.take());
    assert!(gathered.is_empty());
    ready
}

fn numbers(from: i64, rows: i64) -> RecordBatch {
    let column = || Arc::new(Int64Array::from_iter_values(from..from + rows)) as ArrayRef;
    RecordBatch::try_from_iter([("a", column()), ("b", column())]).expect("two columns")
}

#[test]
fn narrow_batches_fill_messages_and_keep_their_order() {
    let made: Vec<RecordBatch> = (0..100).map(|at| numbers(at * 8192, 8192)).collect();
    let messages = gathered(made);
    assert!(messages.len() <= 13, "{} messages", messages.len());
    let (last, full) = messages.split_last().expect("some");
    for message in full {
        let size = size_of(message);
        assert!(
            size > TARGET_BYTES / 2 && size <= TARGET_BYTES,
            "{size} bytes"
        );
    }
    let mut next = 0;
    for message in full.iter().chain([last]) {
        let rows = message.num_rows() as i64;
        assert_eq!(*message, numbers(next, rows));
        next += rows;
    }
    assert_eq!(next, 100 * 8192);
}

#[test]
fn a_large_batch_waits_for_nothing_and_copies_nothing() {
    let small = numbers(0, 10);
    let large = numbers(10, 100_000);
    let mut gathered = Gathered::default();
    assert_eq!(gathered.add(large.clone()), std::slice::from_ref(&large));
    assert!(gathered.add(small.clone()).is_empty());
    let ready = gathered.add(large.clone());
    assert_eq!(ready, [small, large.clone()]);
    let buffer = |batch: &RecordBatch| batch.column(0).to_data().buffers()[0].as_ptr();
    assert_eq!(buffer(&ready[1]), buffer(&large));
}

#[test]
fn what_does_not_fit_together_stays_apart() {
    let words: ArrayRef = Arc::new(StringArray::from(vec!["a"]));
    let words = one_column(words);
    let mixed = [numbers(0, 1), numbers(1, 1), words.clone(), numbers(2, 1)];
    assert_eq!(gathered(mixed), [numbers(0, 2), words, numbers(2, 1)]);
    // Together they have more values than their keys can name.
    let keyed = |from: usize| {
        let words: Vec<String> = (from..from + 100).map(|at| at.to_string()).collect();
        let words: DictionaryArray<Int8Type> = words.iter().map(String::as_str).collect();
        assert!(matches!(words.data_type(), DataType::Dictionary(..)));
        one_column(Arc::new(words))
    };
    assert_eq!(gathered([keyed(0), keyed(100)]), [keyed(0), keyed(100)]);
}
