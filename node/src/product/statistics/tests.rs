use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, Date32Array, Decimal128Array, Float64Array, Int64Array, RecordBatch,
    StringArray,
};
use datafusion::prelude::{CsvReadOptions, ParquetReadOptions, SessionConfig, SessionContext};
use parquet::arrow::ArrowWriter;
use parquet::file::properties::WriterProperties;
use tempfile::TempDir;

use super::*;

const ROWS: i64 = 40_000;
const GROUP: usize = 1_000;

/// Reads a tenth of what [`many`] makes.
const PART: ReadLimits = ReadLimits {
    whole_rows: 10_000,
    whole_bytes: 10_000,
    sample_rows: 4_000,
    sample_bytes: 80_000,
};

fn session() -> SessionContext {
    let mut config = SessionConfig::new().with_target_partitions(1);
    config
        .options_mut()
        .execution
        .enable_file_stream_work_stealing = false;
    SessionContext::new_with_config(config)
}

fn write(folder: &Path, columns: Vec<(&str, ArrayRef)>) {
    let batch = RecordBatch::try_from_iter(columns).expect("columns");
    let file = File::create(folder.join("t.parquet")).expect("file");
    let properties = WriterProperties::builder()
        .set_max_row_group_row_count(Some(GROUP))
        .build();
    let mut writer = ArrowWriter::try_new(file, batch.schema(), Some(properties)).expect("writer");
    writer.write(&batch).expect("rows");
    writer.close().expect("file");
}

async fn parquet(
    columns: Vec<(&str, ArrayRef)>,
    key: &[&str],
    limits: ReadLimits,
) -> TableStatistics {
    let folder = TempDir::new().expect("folder");
    write(folder.path(), columns);
    let context = session();
    let path = folder.path().join("t.parquet");
    context
        .register_parquet(
            "t",
            path.to_str().expect("path"),
            ParquetReadOptions::default(),
        )
        .await
        .expect("registered");
    let table = context.table_provider("t").await.expect("table");
    let key: Vec<String> = key.iter().map(|it| (*it).to_owned()).collect();
    measured(table.as_ref(), &key, &context.state(), limits)
        .await
        .expect("measured")
}

/// The same in every run, and without order.
fn scattered(row: i64, values: i64) -> i64 {
    let mixed = (row as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    ((mixed ^ (mixed >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 33) as i64 % values
}

fn numbers(of: impl Fn(i64) -> i64) -> ArrayRef {
    Arc::new(Int64Array::from_iter_values((0..ROWS).map(of)))
}

/// Columns whose values come back in all the ways in which columns do.
fn many() -> Vec<(&'static str, ArrayRef)> {
    vec![
        ("key", numbers(|row| row)),
        ("scattered_key", numbers(|row| (row * 7_919) % ROWS)),
        ("runs", numbers(|row| row / 4)),
        ("flag", numbers(|row| row % 3)),
        ("reference", numbers(|row| scattered(row, 500))),
        ("wide_reference", numbers(|row| scattered(row, 10_000))),
        (
            "half",
            Arc::new(Int64Array::from_iter(
                (0..ROWS).map(|row| (row % 2 == 0).then_some(row)),
            )),
        ),
        (
            "text",
            Arc::new(StringArray::from_iter_values(
                (0..ROWS).map(|row| format!("{:06}", row % 1_000)),
            )),
        ),
    ]
}

fn of<'a>(
    statistics: &'a TableStatistics,
    columns: &[(&str, ArrayRef)],
    name: &str,
) -> &'a ColumnStatistics {
    let place = columns.iter().position(|(column, _)| *column == name);
    &statistics.columns[place.expect("column")]
}

fn assert_near(what: &str, found: Option<u64>, known: u64, tolerance: f64) {
    let found = found.expect("known") as f64;
    let known = known as f64;
    assert!(
        (found - known).abs() <= tolerance * known,
        "{what}: {found} for {known}"
    );
}

#[tokio::test]
async fn a_table_read_as_a_whole_is_known_well() {
    let columns = many();
    let found = parquet(columns.clone(), &[], ReadLimits::default()).await;
    assert_eq!(found.rows, 40_000);
    for (name, distinct) in [
        ("key", 40_000),
        ("scattered_key", 40_000),
        ("runs", 10_000),
        ("half", 20_000),
    ] {
        assert_near(name, of(&found, &columns, name).distinct, distinct, 0.05);
    }
    for (name, distinct) in [("flag", 3), ("reference", 500), ("text", 1_000)] {
        assert_eq!(
            of(&found, &columns, name).distinct,
            Some(distinct),
            "{name}"
        );
    }
    let half = of(&found, &columns, "half");
    assert_eq!(half.nulls, Some(20_000));
    assert_eq!(half.low, Some(ScalarValue::Int64(Some(0))));
    assert_eq!(half.high, Some(ScalarValue::Int64(Some(39_998))));
    let text = of(&found, &columns, "text");
    assert_eq!(text.width, Some(10.0), "six bytes and an offset");
    assert_eq!((&text.low, &text.high), (&None, &None));
    assert_eq!(of(&found, &columns, "key").width, None);
}

#[tokio::test]
async fn a_part_of_a_table_tells_of_the_whole() {
    let columns = many();
    let found = parquet(columns.clone(), &[], PART).await;
    assert_eq!(found.rows, 40_000, "the footer knows");
    for (name, distinct, tolerance) in [
        ("key", 40_000, 0.05),
        ("scattered_key", 40_000, 0.05),
        ("runs", 10_000, 0.05),
        ("half", 20_000, 0.05),
        ("flag", 3, 0.0),
        ("reference", 500, 0.1),
        ("text", 1_000, 0.05),
        ("wide_reference", 9_800, 0.3),
    ] {
        assert_near(
            name,
            of(&found, &columns, name).distinct,
            distinct,
            tolerance,
        );
    }
    // The last rows are in no part that was read.
    assert_eq!(
        of(&found, &columns, "key").high,
        Some(ScalarValue::Int64(Some(39_999)))
    );
    assert_eq!(of(&found, &columns, "half").nulls, Some(20_000));
    assert_near(
        "text",
        of(&found, &columns, "text").width.map(|it| it as u64),
        10,
        0.0,
    );
}

#[tokio::test]
async fn a_declared_key_of_a_large_table_has_as_many_values_as_rows() {
    let columns = many();
    let found = parquet(columns.clone(), &["runs"], PART).await;
    assert_eq!(of(&found, &columns, "runs").distinct, Some(40_000));
}

/// A table over a CSV file whose values may hold ends of lines, like those of a product.
async fn csv(context: &SessionContext, folder: &TempDir, rows: &str) -> Arc<dyn TableProvider> {
    let path = folder.path().join("t.csv");
    std::fs::write(&path, rows).expect("written");
    let options = CsvReadOptions::default().newlines_in_values(true);
    context
        .register_csv("t", path.to_str().expect("path"), options)
        .await
        .expect("registered");
    context.table_provider("t").await.expect("table")
}

#[tokio::test]
async fn a_part_of_a_text_file_tells_of_the_whole() {
    let rows: String = (0..ROWS)
        .map(|row| format!("{row},{},{}\n", row % 3, row / 4))
        .collect();
    let (context, folder) = (session(), TempDir::new().expect("folder"));
    let table = csv(&context, &folder, &format!("key,flag,runs\n{rows}")).await;
    let state = context.state();
    let plan = table.scan(&state, None, &[], None).await.expect("plan");
    let sample = Sample::of(plan, None, PART).await.expect("sample");
    assert!((0.01..0.3).contains(&sample.share), "{}", sample.share);
    let found = measured(table.as_ref(), &[], &state, PART)
        .await
        .expect("measured");
    assert_near("rows", Some(found.rows), 40_000, 0.05);
    for (column, distinct) in found.columns.iter().zip([40_000, 3, 10_000]) {
        assert_near("values", column.distinct, distinct, 0.1);
    }
    let whole = measured(table.as_ref(), &[], &state, ReadLimits::default())
        .await
        .expect("measured");
    assert_eq!(whole.rows, 40_000);
}

#[tokio::test]
async fn a_text_file_that_cannot_be_read_from_its_middle_is_read_as_a_whole() {
    let rows: String = (0..ROWS)
        .map(|row| format!("{row},\"one\ntwo\",{}\n", row % 3))
        .collect();
    let (context, folder) = (session(), TempDir::new().expect("folder"));
    let table = csv(&context, &folder, &format!("key,text,flag\n{rows}")).await;
    let found = measured(table.as_ref(), &[], &context.state(), PART)
        .await
        .expect("measured");
    assert_eq!(found.rows, 40_000);
    assert_eq!(found.columns[1].distinct, Some(1));
}

#[tokio::test]
async fn ends_keep_the_type_and_only_numbers_have_some() {
    let columns: Vec<(&str, ArrayRef)> = vec![
        (
            "day",
            Arc::new(Date32Array::from(vec![Some(3), None, Some(-4)])),
        ),
        (
            "price",
            Arc::new(
                Decimal128Array::from(vec![Some(150), Some(-25), None])
                    .with_precision_and_scale(15, 2)
                    .expect("decimal"),
            ),
        ),
        (
            "ratio",
            Arc::new(Float64Array::from(vec![1.0, f64::NAN, 2.0])),
        ),
        (
            "flag",
            Arc::new(BooleanArray::from(vec![true, false, true])),
        ),
        (
            "nothing",
            Arc::new(Int64Array::from(vec![None, None, None])),
        ),
        ("name", Arc::new(StringArray::from(vec!["a", "bc", "a"]))),
    ];
    let found = parquet(columns, &[], ReadLimits::default()).await;
    let ends: Vec<_> = found
        .columns
        .iter()
        .map(|column| (column.low.clone(), column.high.clone()))
        .collect();
    use ScalarValue as S;
    assert_eq!(
        ends,
        [
            (Some(S::Date32(Some(-4))), Some(S::Date32(Some(3)))),
            (
                Some(S::Decimal128(Some(-25), 15, 2)),
                Some(S::Decimal128(Some(150), 15, 2))
            ),
            (None, None),
            (Some(S::Boolean(Some(false))), Some(S::Boolean(Some(true)))),
            (None, None),
            (None, None),
        ]
    );
    let distinct: Vec<_> = found.columns.iter().map(|column| column.distinct).collect();
    assert_eq!(distinct, [2, 2, 3, 2, 0, 2].map(Some));
    let nulls: Vec<_> = found.columns.iter().map(|column| column.nulls).collect();
    assert_eq!(nulls, [1, 1, 0, 0, 3, 0].map(Some));
}

#[tokio::test]
async fn what_a_file_says_of_itself_is_known_without_a_row() {
    let folder = TempDir::new().expect("folder");
    write(folder.path(), many());
    let context = session();
    let path = folder.path().join("t.parquet");
    context
        .register_parquet(
            "t",
            path.to_str().expect("path"),
            ParquetReadOptions::default(),
        )
        .await
        .expect("registered");
    let table = context.table_provider("t").await.expect("table");
    let said = announced(table.as_ref(), &context.state())
        .await
        .expect("read")
        .expect("said");
    assert_eq!(said.rows, 40_000);
    let key = &said.columns[0];
    assert_eq!(key.distinct, None);
    assert_eq!(key.nulls, Some(0));
    assert_eq!(key.high, Some(ScalarValue::Int64(Some(39_999))));
}

#[tokio::test]
async fn more_rows_than_may_be_read_say_nothing() {
    let folder = TempDir::new().expect("folder");
    write(folder.path(), many());
    let context = session();
    let path = folder.path().join("t.parquet");
    context
        .register_parquet(
            "t",
            path.to_str().expect("path"),
            ParquetReadOptions::default(),
        )
        .await
        .expect("registered");
    let table = context.table_provider("t").await.expect("table");
    let state = context.state();
    assert_eq!(
        shown(table.as_ref(), &state, 39_999).await.expect("read"),
        None
    );
    let all = shown(table.as_ref(), &state, 40_000).await.expect("read");
    assert_eq!(all.expect("all").rows, 40_000);
}
