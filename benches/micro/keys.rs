//! Join keys on their way to another domain: collected, made small, looked up.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, StringArray};
use arrow::datatypes::DataType;
use divan::Bencher;
use divan::counter::ItemsCount;
use weft_plan::{KeyBloom, KeySet};

/// Rows of a batch.
const ROWS: i64 = 8_192;
/// How often a filter takes a stranger for a key.
const FALSE_POSITIVES: f64 = 0.01;
/// More than any bitmap here takes.
const BITMAP_BYTES: usize = 1 << 20;

/// Every fourth number from `start`.
fn numbers(start: i64) -> Vec<ArrayRef> {
    let numbers = (0..ROWS).map(|row| start + row * 4);
    vec![Arc::new(Int64Array::from_iter_values(numbers))]
}

/// The same as text.
fn words(start: i64) -> Vec<ArrayRef> {
    let words = (0..ROWS).map(|row| format!("Customer#{:09}", start + row * 4));
    vec![Arc::new(StringArray::from_iter_values(words))]
}

fn set(columns: &[ArrayRef]) -> KeySet {
    let types = columns.iter().map(|it| it.data_type().clone()).collect();
    let mut keys = KeySet::new(types, false).expect("comparable");
    keys.insert(columns).expect("of its types");
    keys
}

fn rows() -> ItemsCount {
    ItemsCount::new(ROWS.unsigned_abs())
}

#[divan::bench]
fn insert_numbers(bencher: Bencher<'_, '_>) {
    let columns = numbers(0);
    bencher.counter(rows()).bench(|| set(&columns));
}

#[divan::bench]
fn insert_words(bencher: Bencher<'_, '_>) {
    let columns = words(0);
    bencher.counter(rows()).bench(|| set(&columns));
}

#[divan::bench]
fn make_bitmap(bencher: Bencher<'_, '_>) {
    let keys = set(&numbers(0));
    bencher.counter(rows()).bench(|| keys.bitmap(BITMAP_BYTES));
}

#[divan::bench]
fn make_bloom(bencher: Bencher<'_, '_>) {
    let keys = set(&numbers(0));
    bencher
        .counter(rows())
        .bench(|| keys.bloom(FALSE_POSITIVES));
}

#[divan::bench]
fn look_up_in_list_of_numbers(bencher: Bencher<'_, '_>) {
    let (keys, columns) = (set(&numbers(0)), numbers(2 * ROWS));
    bencher.counter(rows()).bench(|| keys.contains(&columns));
}

#[divan::bench]
fn look_up_in_list_of_words(bencher: Bencher<'_, '_>) {
    let (keys, columns) = (set(&words(0)), words(2 * ROWS));
    bencher.counter(rows()).bench(|| keys.contains(&columns));
}

#[divan::bench]
fn look_up_in_bitmap(bencher: Bencher<'_, '_>) {
    let bitmap = set(&numbers(0)).bitmap(BITMAP_BYTES).expect("small");
    let columns = numbers(2 * ROWS);
    bencher.counter(rows()).bench(|| bitmap.contains(&columns));
}

#[divan::bench]
fn look_up_in_bloom(bencher: Bencher<'_, '_>) {
    let blocks = set(&numbers(0)).bloom(FALSE_POSITIVES).expect("blocks");
    let bloom = KeyBloom::new(&[DataType::Int64], &blocks).expect("a filter");
    let columns = numbers(2 * ROWS);
    bencher.counter(rows()).bench(|| bloom.contains(&columns));
}
