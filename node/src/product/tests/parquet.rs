use std::sync::Arc;

use arrow::array::{
    ArrayRef, Decimal128Array, Int32Array, Int64Array, RecordBatch, StringArray, StructArray,
};
use arrow::datatypes::{DataType, Field, Schema};
use datafusion::common::ScalarValue;
use datafusion::common::stats::Precision;
use datafusion::physical_plan::metrics::MetricValue;
use datafusion::physical_plan::statistics::{StatisticsArgs, StatisticsContext};
use datafusion::physical_plan::{ExecutionPlan, collect, displayable};
use datafusion::prelude::SessionContext;

use super::fixture::Data;

fn batch(columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
    RecordBatch::try_from_iter_with_nullable(
        columns.into_iter().map(|(name, array)| (name, array, true)),
    )
    .expect("a batch")
}

fn longs(values: impl IntoIterator<Item = i64>) -> ArrayRef {
    Arc::new(Int64Array::from_iter_values(values))
}

fn ints(values: impl IntoIterator<Item = i32>) -> ArrayRef {
    Arc::new(Int32Array::from_iter_values(values))
}

fn texts(values: &[&str]) -> ArrayRef {
    Arc::new(StringArray::from_iter_values(values))
}

const RENAMED: &str = "\
schema:
  - name: t
    properties:
      - {name: Label, physicalName: txt}
      - {name: id, physicalName: no, logicalType: integer}
";

/// Rows 0 to 99 in row groups of 10.
fn hundred() -> RecordBatch {
    let names: Vec<String> = (0..100).map(|number| format!("n{number:02}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    batch(vec![
        ("no", longs(0..100)),
        ("secret", longs(100..200)),
        ("txt", texts(&names)),
    ])
}

/// The sum of the counter `name` over `plan`.
fn counted(plan: &Arc<dyn ExecutionPlan>, name: &str) -> usize {
    let own = plan
        .metrics()
        .and_then(|metrics| metrics.sum_by_name(name))
        .map_or(0, |value| match value {
            MetricValue::PruningMetrics {
                pruning_metrics, ..
            } => pruning_metrics.pruned(),
            other => other.as_usize(),
        });
    own + plan
        .children()
        .into_iter()
        .map(|child| counted(child, name))
        .sum::<usize>()
}

#[tokio::test]
async fn columns_have_the_names_and_the_order_of_the_contract_and_others_are_invisible() {
    let data = Data::with(RENAMED);
    data.parquet("p/t.parquet", &hundred(), 10);
    let served = data.served().await;
    assert_eq!(served.columns("t"), ["Label Utf8View?", "id Int64?"]);
    assert_eq!(
        served.rows("SELECT * FROM t ORDER BY id LIMIT 2").await,
        ["n00 0", "n01 1"]
    );
    assert_eq!(
        served
            .rows("SELECT id, \"Label\", id + 1 FROM t WHERE id = 7")
            .await,
        ["7 n07 8"]
    );
    assert_eq!(
        served
            .rows("SELECT count(*) FROM t WHERE \"Label\" > 'n89'")
            .await,
        ["10"]
    );
    for hidden in ["secret", "txt", "no"] {
        let refused = served.try_rows(&format!("SELECT {hidden} FROM t")).await;
        assert!(refused.is_err(), "{hidden}");
    }
}

#[tokio::test]
async fn filters_skip_row_groups_through_a_rename() {
    let data = Data::with(RENAMED);
    data.parquet("p/t.parquet", &hundred(), 10);
    let served = data.served().await;
    let plan = served.plan("SELECT \"Label\" FROM t WHERE id >= 95").await;
    let shown = displayable(plan.as_ref()).indent(false).to_string();
    assert!(shown.contains("pruning_predicate=no_null_count"), "{shown}");
    let context = SessionContext::new();
    let rows: usize = collect(Arc::clone(&plan), context.task_ctx())
        .await
        .expect("run")
        .iter()
        .map(RecordBatch::num_rows)
        .sum();
    assert_eq!(rows, 5);
    assert_eq!(counted(&plan, "row_groups_pruned_statistics"), 9, "{shown}");
}

#[tokio::test]
async fn names_that_change_places_keep_their_values_and_filters() {
    let data = Data::with(
        "schema: [{name: t, properties: [{name: a, physicalName: b}, {name: b, physicalName: a}, \
         {name: c, physicalName: a}]}]\n",
    );
    data.parquet(
        "p/t.parquet",
        &batch(vec![("a", longs(0..50)), ("b", longs(100..150))]),
        10,
    );
    let served = data.served().await;
    assert_eq!(
        served.rows("SELECT * FROM t WHERE a = 103").await,
        ["103 3 3"]
    );
    assert_eq!(
        served.rows("SELECT b, c, a FROM t WHERE b < 1").await,
        ["0 0 100"]
    );
    assert_eq!(
        served.rows("SELECT min(a), max(b), max(c) FROM t").await,
        ["100 49 49"]
    );
    let joined = "SELECT count(*) FROM t x JOIN t y ON x.a = y.a AND x.b = y.c";
    assert_eq!(served.rows(joined).await, ["50"]);
}

#[tokio::test]
async fn statistics_pass_through_a_rename() {
    let data = Data::with(RENAMED);
    data.parquet("p/t.parquet", &hundred(), 10);
    let served = data.served().await;
    let plan = served.plan("SELECT id FROM t").await;
    let statistics = StatisticsContext::new()
        .compute(plan.as_ref(), &StatisticsArgs::new())
        .expect("statistics");
    assert_eq!(statistics.num_rows, Precision::Exact(100));
    let id = &statistics.column_statistics[0];
    assert_eq!(id.min_value, Precision::Exact(ScalarValue::Int64(Some(0))));
    assert_eq!(id.max_value, Precision::Exact(ScalarValue::Int64(Some(99))));
}

#[tokio::test]
async fn a_narrower_file_is_widened_to_the_physical_type() {
    let data = Data::with(
        "schema: [{name: t, properties: [{name: id, physicalType: bigint}, \
         {name: price, logicalType: number, physicalType: 'decimal(15,2)'}]}]\n",
    );
    let prices = |precision| -> ArrayRef {
        let prices = Decimal128Array::from(vec![150, 275]);
        Arc::new(prices.with_precision_and_scale(precision, 2).expect("fits"))
    };
    data.parquet(
        "p/t/a.parquet",
        &batch(vec![("id", ints([1, 2])), ("price", prices(10))]),
        10,
    );
    let big = longs([3, 5_000_000_000]);
    data.parquet(
        "p/t/b.parquet",
        &batch(vec![("id", big), ("price", prices(15))]),
        10,
    );
    let served = data.served().await;
    assert_eq!(
        served.columns("t"),
        ["id Int64?", "price Decimal128(15, 2)?"]
    );
    let rows = served.rows("SELECT id, price FROM t ORDER BY id").await;
    assert_eq!(rows, ["1 1.50", "2 2.75", "3 1.50", "5000000000 2.75"]);
    let ends = "SELECT min(id), max(id), min(price), max(price), count(id), count(*) FROM t";
    assert_eq!(served.rows(ends).await, ["1 5000000000 1.50 2.75 4 4"]);
    assert_eq!(
        served
            .rows("SELECT id FROM t WHERE id > 2 ORDER BY 1")
            .await,
        ["3", "5000000000"]
    );
    assert_eq!(
        served
            .rows("SELECT count(*) FROM t WHERE price = 2.75")
            .await,
        ["2"]
    );
}

#[tokio::test]
async fn a_column_is_never_null_only_if_every_file_says_so() {
    let body =
        "schema: [{name: t, properties: [{name: a, required: true}, {name: b, required: true}]}]\n";
    let data = Data::with(body);
    let required = Schema::new(vec![
        Field::new("a", DataType::Int64, false),
        Field::new("b", DataType::Int64, false),
    ]);
    let strict =
        RecordBatch::try_new(Arc::new(required), vec![longs([1]), longs([2])]).expect("a batch");
    let loose = Schema::new(vec![
        Field::new("a", DataType::Int64, false),
        Field::new("b", DataType::Int64, true),
    ]);
    let nulls: ArrayRef = Arc::new(Int64Array::from(vec![None]));
    let loose = RecordBatch::try_new(Arc::new(loose), vec![longs([3]), nulls]).expect("a batch");
    data.parquet("p/t/a.parquet", &strict, 10);
    data.parquet("p/t/b.parquet", &loose, 10);
    let served = data.served().await;
    assert_eq!(served.columns("t"), ["a Int64", "b Int64?"]);
    assert_eq!(served.rows("SELECT a FROM t WHERE b IS NULL").await, ["3"]);
}

#[tokio::test]
async fn parts_of_an_object_that_are_not_declared_are_invisible() {
    let data = Data::with(
        "schema: [{name: t, properties: [{name: home, logicalType: object, properties: \
         [{name: zip, physicalType: bigint}, {name: town}]}]}]\n",
    );
    let home: ArrayRef = Arc::new(StructArray::from(vec![
        (
            Arc::new(Field::new("town", DataType::Utf8, true)),
            texts(&["Ulm", "Bonn"]),
        ),
        (
            Arc::new(Field::new("secret", DataType::Utf8, true)),
            texts(&["x", "y"]),
        ),
        (
            Arc::new(Field::new("zip", DataType::Int32, true)),
            ints([89073, 53111]),
        ),
    ]));
    data.parquet("p/t.parquet", &batch(vec![("home", home)]), 10);
    let served = data.served().await;
    let rows = served.rows("SELECT * FROM t").await;
    assert_eq!(
        rows,
        ["{zip: 89073, town: Ulm}", "{zip: 53111, town: Bonn}"]
    );
    let rows = served
        .rows("SELECT home['town'] FROM t WHERE home['zip'] = 53111")
        .await;
    assert_eq!(rows, ["Bonn"]);
    assert!(
        served
            .try_rows("SELECT home['secret'] FROM t")
            .await
            .is_err()
    );
}

#[tokio::test]
async fn an_empty_file_is_an_empty_table() {
    let data = Data::with(RENAMED);
    data.parquet("p/t.parquet", &hundred().slice(0, 0), 10);
    let served = data.served().await;
    assert_eq!(served.columns("t"), ["Label Utf8View?", "id Int64?"]);
    assert_eq!(served.rows("SELECT count(*), max(id) FROM t").await, ["0 "]);
}

#[tokio::test]
async fn a_mismatch_names_table_column_expected_and_found_type() {
    let data = Data::with(
        "schema:
  - name: t
    properties:
      - name: id
        physicalType: int
      - name: txt
        logicalType: boolean
      - {name: gone}
      - {name: SECRET}
      - {name: sid, physicalName: sid_1}
      - {name: shape, physicalType: geography}
",
    );
    let found = [
        ("id", longs([1])),
        ("txt", texts(&["a"])),
        ("secret", longs([2])),
    ];
    let rest = [("sid", longs([3])), ("shape", texts(&["POINT"]))];
    data.parquet(
        "p/t.parquet",
        &batch([found.as_slice(), &rest].concat()),
        10,
    );
    assert_eq!(
        data.problems().await,
        [
            "p/p.odcs.yaml:9: table `t`: column `id` is declared `int`, but is `Int64` in `t.parquet`",
            "p/p.odcs.yaml:11: table `t`: column `txt` is declared `boolean`, but is `Utf8View` in `t.parquet`",
            "p/p.odcs.yaml:13: table `t`: column `gone` is not in `t.parquet`",
            "p/p.odcs.yaml:14: table `t`: column `SECRET` is not in `t.parquet`",
            "p/p.odcs.yaml:15: table `t`: column `sid` (`physicalName` `sid_1`) is not in `t.parquet`",
            "p/p.odcs.yaml:16: table `t`: column `physicalType` `geography` of `shape` is not known in `t.parquet`",
        ]
    );
    let hints: Vec<_> = data
        .load()
        .await
        .problems
        .into_iter()
        .map(|p| p.hint)
        .collect();
    let meant = |name: &str| {
        Some(format!(
            "The file has a column `{name}`: if that is meant, say so as `physicalName`."
        ))
    };
    assert_eq!(hints[2..5], [None, meant("secret"), meant("sid")]);
}

#[tokio::test]
async fn every_file_of_a_table_is_checked() {
    let body = "schema: [{name: t, properties: [{name: id, logicalType: integer}]}]\n";
    let data = Data::with(body);
    data.parquet("p/t/a.parquet", &batch(vec![("id", longs([1]))]), 10);
    data.parquet("p/t/b.parquet", &batch(vec![("other", longs([2]))]), 10);
    let expected = "p/p.odcs.yaml:6: table `t`: column `id` is not in `b.parquet`";
    assert_eq!(data.problems().await, [expected]);

    data.parquet("p/t/b.parquet", &batch(vec![("id", ints([2]))]), 10);
    let expected = "p/p.odcs.yaml:6: table `t`: column `id` is `Int64` in `a.parquet`, but `Int32` in `b.parquet`";
    assert_eq!(data.problems().await, [expected]);
}

#[tokio::test]
async fn a_damaged_file_is_named_and_other_products_are_served() {
    let body = "schema: [{name: t, properties: [{name: no}]}]\n";
    let data = Data::with(body);
    data.text(
        "p/t.parquet",
        "PAR1 this is no Parquet file, whatever its name says PAR1",
    );
    data.contract("q", body);
    data.parquet("q/t.parquet", &hundred(), 10);
    let loaded = data.load().await;
    let names: Vec<_> = loaded
        .products
        .iter()
        .map(|p| p.reference.to_string())
        .collect();
    assert_eq!(names, ["sales.q"]);
    let cannot = "p/t.parquet: the data of table `t` cannot be read";
    let expected = format!("{cannot}: the footer is longer than the file");
    assert_eq!(data.problems().await, [expected]);
    assert_eq!(loaded.problems[0].product, "p");

    let whole = std::fs::read(data.path("q/t.parquet")).expect("read");
    for kept in [0, 1, 7, 8, 100, whole.len() / 2, whole.len() - 1] {
        std::fs::write(data.path("p/t.parquet"), &whole[..kept]).expect("written");
        let problems = data.problems().await;
        assert_eq!(problems.len(), 1, "{kept}");
        assert!(problems[0].starts_with(cannot), "{kept}: {problems:?}");
    }
}
