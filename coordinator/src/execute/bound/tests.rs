use arrow::array::Int64Array;
use arrow::datatypes::DataType;
use datafusion::execution::memory_pool::{GreedyMemoryPool, MemoryConsumer, MemoryPool};

use super::*;

fn schema() -> Schema {
    Schema::new(vec![Field::new("v", DataType::Int64, true)])
}

fn first(rows: usize, descending: bool, nulls_first: bool) -> FirstKeys {
    first_within(1 << 20, rows, descending, nulls_first)
}

fn first_within(bytes: usize, rows: usize, descending: bool, nulls_first: bool) -> FirstKeys {
    let pool: Arc<dyn MemoryPool> = Arc::new(GreedyMemoryPool::new(bytes));
    let memory = MemoryConsumer::new("keys").register(&pool);
    let tightening = Tightening {
        column: 0,
        descending,
        nulls_first,
        rows,
        targets: Vec::new(),
    };
    FirstKeys::new(&tightening, &schema(), memory).expect("an order")
}

/// What `keys` know after each of some batches.
fn known(mut keys: FirstKeys, batches: &[&[Option<i64>]]) -> Vec<Option<Option<i64>>> {
    let mut after = |values: &&[Option<i64>]| {
        let values = Int64Array::from(values.to_vec());
        let batch = RecordBatch::try_new(Arc::new(schema()), vec![Arc::new(values)]);
        let bound = keys.add(&batch.expect("batch")).expect("added")?;
        let value = bound.value.as_any().downcast_ref::<Int64Array>();
        value.expect("numbers").iter().next()
    };
    batches.iter().map(&mut after).collect()
}

#[test]
fn a_bound_is_told_once_there_are_as_many_rows_as_are_asked_for_and_when_it_improves() {
    let batches: [&[Option<i64>]; 5] = [
        &[Some(5)],
        &[Some(3), Some(9)],
        &[Some(7), Some(5)],
        &[Some(4)],
        &[Some(1), Some(1)],
    ];
    let told = known(first(2, false, false), &batches);
    assert_eq!(
        told,
        [None, Some(Some(5)), None, Some(Some(4)), Some(Some(1))]
    );
    let told = known(first(2, true, false), &batches);
    assert_eq!(told, [None, Some(Some(5)), Some(Some(7)), None, None]);
}

#[test]
fn nothing_is_left_out_after_a_null_that_comes_last_and_all_values_after_one_that_comes_first() {
    let batches: [&[Option<i64>]; 2] = [&[None, Some(1)], &[None]];
    let last = known(first(2, false, false), &batches);
    assert_eq!(last, [None, None]);
    let first = known(first(2, false, true), &batches);
    assert_eq!(first, [Some(Some(1)), Some(None)]);
}

#[test]
fn nothing_is_told_any_more_once_memory_runs_out() {
    let many: Vec<_> = (0..100).map(Some).collect();
    let batches: [&[Option<i64>]; 3] = [&[Some(200), Some(300)], &many, &[Some(1)]];
    let roomy = known(first_within(1 << 20, 2, false, false), &batches);
    assert_eq!(roomy, [Some(Some(300)), Some(Some(1)), None]);
    let tight = known(first_within(1_000, 100, false, false), &batches);
    assert_eq!(tight, [None, None, None]);
}
