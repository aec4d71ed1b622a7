//! Files that change after they were checked.

use std::fs;
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch};
use datafusion::common::DataFusionError;
use weft_governance::{ErrorKind, code};

use super::fixture::{Data, Served};

const BODY: &str = "schema: [{name: t, properties: [{name: id, logicalType: integer}]}]\n";

fn longs(name: &str, values: Vec<i64>) -> RecordBatch {
    let array: ArrayRef = Arc::new(Int64Array::from(values));
    RecordBatch::try_from_iter([(name, array)]).expect("a batch")
}

/// The refusal of a query over `t`, as the asker sees it.
async fn refusal(served: &Served) -> String {
    let error = served
        .try_rows("SELECT * FROM t")
        .await
        .expect_err("refused");
    let DataFusionError::External(error) = error.find_root() else {
        panic!("{error}")
    };
    let error = error
        .downcast_ref::<weft_governance::Error>()
        .expect("ours");
    assert_eq!(
        (error.kind(), error.code()),
        (ErrorKind::Unavailable, code::SOURCE)
    );
    error.to_string()
}

const REFUSED: &str = "the data of `sales.p.t` is not what was checked when it was loaded";

#[tokio::test]
async fn a_file_that_went_away_is_an_error_and_not_missing_rows() {
    let data = Data::with(BODY);
    data.parquet("p/t/a.parquet", &longs("id", vec![1]), 10);
    data.parquet("p/t/b.parquet", &longs("id", vec![2]), 10);
    let served = data.served().await;
    assert_eq!(served.rows("SELECT * FROM t ORDER BY id").await, ["1", "2"]);
    fs::remove_file(data.path("p/t/b.parquet")).expect("removed");
    assert_eq!(refusal(&served).await, REFUSED);
}

#[tokio::test]
async fn a_file_that_was_rewritten_in_the_same_layout_is_read_as_it_is_now() {
    let data = Data::with(BODY);
    data.parquet("p/t.parquet", &longs("id", vec![1]), 10);
    let served = data.served().await;
    assert_eq!(served.rows("SELECT * FROM t").await, ["1"]);
    data.parquet("p/t.parquet", &longs("id", (2..9).collect()), 10);
    assert_eq!(
        served.rows("SELECT count(*), max(id) FROM t").await,
        ["7 8"]
    );
}

#[tokio::test]
async fn a_file_that_lost_a_column_is_an_error_and_not_null() {
    let data = Data::with(BODY);
    data.parquet("p/t.parquet", &longs("id", vec![1]), 10);
    let served = data.served().await;
    data.parquet("p/t.parquet", &longs("other", vec![2, 3]), 10);
    assert_eq!(refusal(&served).await, REFUSED);
}

#[tokio::test]
async fn a_csv_file_whose_columns_changed_places_is_an_error_and_not_mixed_up() {
    let body = "schema: [{name: t, properties: [{name: a}, {name: b}]}]\n";
    let data = Data::with(body);
    data.text("p/t.csv", "a,b\n1,2\n");
    let served = data.served().await;
    assert_eq!(served.rows("SELECT a FROM t").await, ["1"]);
    data.text("p/t.csv", "b,a\n2,1\n4,3\n");
    assert_eq!(refusal(&served).await, REFUSED);
}

#[tokio::test]
async fn a_file_that_appears_later_is_not_read_unchecked() {
    let data = Data::with(BODY);
    data.parquet("p/t/a.parquet", &longs("id", vec![1]), 10);
    let served = data.served().await;
    data.parquet("p/t/b.parquet", &longs("other", vec![2]), 10);
    assert_eq!(served.rows("SELECT * FROM t").await, ["1"]);
}
