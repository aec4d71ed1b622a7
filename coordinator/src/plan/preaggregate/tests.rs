//! Plans before and after, run over the same rows in this process.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, Date32Array, Decimal128Array, Float64Array, Int64Array, RecordBatch, StringArray,
};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::util::pretty::pretty_format_batches;
use datafusion::catalog::{CatalogProvider, MemTable, MemoryCatalogProvider, MemorySchemaProvider};
use datafusion::common::Result;
use datafusion::common::tree_node::Transformed;
use datafusion::datasource::provider_as_source;
use datafusion::logical_expr::LogicalPlan;
use datafusion::physical_plan::collect;
use datafusion::prelude::{SessionConfig, SessionContext};
use weft_governance::{ProductRef, ServerId, TableRef};
use weft_plan::{
    ColumnStatistics, FragmentFunctions, ProductTable, TableStatistics, product_table_of,
};

use super::grouped;
use crate::plan::Optimizations;
use crate::plan::gather::gather;
use crate::plan::site::{Site, Sites};

/// A small generator: the same numbers in every run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, sides: u64) -> i64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) % sides) as i64
    }

    /// One of `sides` numbers, or nothing now and then.
    fn maybe(&mut self, sides: u64) -> Option<i64> {
        (self.below(6) > 0).then(|| self.below(sides))
    }

    fn column(&mut self, rows: usize, data_type: &DataType, nullable: bool) -> ArrayRef {
        let mut number = |sides: u64| match nullable {
            true => self.maybe(sides),
            false => Some(self.below(sides)),
        };
        let mut numbers =
            |sides: u64| -> Vec<Option<i64>> { (0..rows).map(|_| number(sides)).collect() };
        match data_type {
            DataType::Int64 => Arc::new(Int64Array::from(numbers(5))),
            DataType::Float64 => {
                let values = numbers(400)
                    .into_iter()
                    .map(|it| it.map(|it| it as f64 / 4.0 - 50.0));
                Arc::new(values.collect::<Float64Array>())
            }
            DataType::Date32 => {
                let values = numbers(900)
                    .into_iter()
                    .map(|it| it.map(|it| it as i32 + 9000));
                Arc::new(values.collect::<Date32Array>())
            }
            DataType::Decimal128(precision, scale) => {
                let values = numbers(2000)
                    .into_iter()
                    .map(|it| it.map(|it| i128::from(it) - 700));
                let values = values.collect::<Decimal128Array>();
                Arc::new(
                    values
                        .with_precision_and_scale(*precision, *scale)
                        .expect("fits"),
                )
            }
            _ => {
                let values = numbers(3)
                    .into_iter()
                    .map(|it| it.map(|it| ["", "a", "b"][it as usize]));
                Arc::new(values.collect::<StringArray>())
            }
        }
    }
}

/// A table: domain, name, rows, and columns with their types, `?` for those that may be NULL.
type Table = (
    &'static str,
    &'static str,
    usize,
    &'static [(&'static str, DataType)],
);

const MONEY: DataType = DataType::Decimal128(15, 2);

const TABLES: &[Table] = &[
    (
        "left",
        "fact",
        240,
        &[
            ("k?", DataType::Int64),
            ("m", DataType::Int64),
            ("g?", DataType::Utf8),
            ("v?", MONEY),
            ("w", MONEY),
            ("n?", DataType::Int64),
            ("x?", DataType::Float64),
            ("day?", DataType::Date32),
        ],
    ),
    (
        "right",
        "side",
        9,
        &[
            ("k?", DataType::Int64),
            ("m", DataType::Int64),
            ("name?", DataType::Utf8),
            ("p?", MONEY),
            ("q?", DataType::Int64),
        ],
    ),
    (
        "far",
        "other",
        30,
        &[
            ("k?", DataType::Int64),
            ("g?", DataType::Utf8),
            ("z?", DataType::Int64),
            ("c", MONEY),
        ],
    ),
    (
        "far",
        "none",
        0,
        &[("k?", DataType::Int64), ("z?", DataType::Int64)],
    ),
];

struct World {
    context: SessionContext,
    sites: Sites,
    rows: Vec<(TableRef, Arc<MemTable>)>,
}

impl World {
    fn new(seed: u64) -> Self {
        let mut config = SessionConfig::new().with_target_partitions(2);
        let optimizer = &mut config.options_mut().optimizer;
        optimizer.enable_dynamic_filter_pushdown = false;
        let context = SessionContext::new_with_config(config);
        let mut dice = Dice(seed);
        let (mut sites, mut rows) = (Sites::new(), Vec::new());
        for (domain, name, count, columns) in TABLES {
            let fields = columns.iter().map(|(name, data_type)| {
                let plain = name.trim_end_matches('?');
                Field::new(plain, data_type.clone(), plain != *name)
            });
            let schema: SchemaRef = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
            let columns = schema.fields().iter();
            let columns = columns
                .map(|it| dice.column(*count, it.data_type(), it.is_nullable()))
                .collect();
            let batch = RecordBatch::try_new(Arc::clone(&schema), columns).expect("batch");
            let memory = MemTable::try_new(Arc::clone(&schema), vec![vec![batch]]).expect("table");
            let product = ProductRef::new(domain.parse().expect("name"), "d").expect("name");
            let table = product.table(name).expect("name");
            // Whatever there is in truth: one table has many rows for each value, the rest has one.
            let (rows_said, distinct) = match *name {
                "fact" => (1_000_000, 5),
                _ => (9, 9),
            };
            let column = ColumnStatistics {
                distinct: Some(distinct),
                ..Default::default()
            };
            let statistics = TableStatistics {
                rows: rows_said,
                columns: vec![column; schema.fields().len()],
            };
            let leaf = ProductTable::new(table.clone(), schema)
                .with_statistics(Some(Arc::new(statistics)));
            let catalog = context.catalog(domain).unwrap_or_else(|| {
                let catalog = Arc::new(MemoryCatalogProvider::new());
                let products = Arc::new(MemorySchemaProvider::new());
                catalog.register_schema("d", products).expect("new");
                context.register_catalog(*domain, Arc::clone(&catalog) as _);
                catalog
            });
            let products = catalog.schema("d").expect("registered");
            products
                .register_table((*name).to_owned(), Arc::new(leaf))
                .expect("new");
            sites.insert(
                table.clone(),
                Arc::new(Site {
                    node: ServerId::node(domain.parse().expect("name"), "node-1").expect("name"),
                    domain: domain.parse().expect("name"),
                    functions: Arc::new(FragmentFunctions::of_this_version().names()),
                }),
            );
            rows.push((table, Arc::new(memory)));
        }
        Self {
            context,
            sites,
            rows,
        }
    }

    /// The plan of `sql` as it is without this step, and with it.
    async fn plans(&self, sql: &str) -> Result<(LogicalPlan, LogicalPlan)> {
        let state = self.context.state();
        let plan = state.create_logical_plan(sql).await?;
        let plan = gather(
            state.optimize(&plan)?,
            &self.sites,
            &state,
            &Optimizations::default(),
        )?;
        let grouped = grouped(&plan, &self.sites, &state)?;
        Ok((plan.clone(), grouped.unwrap_or(plan)))
    }

    /// The rows of `plan`, sorted.
    async fn run(&self, plan: LogicalPlan) -> Result<Vec<String>> {
        let bound = plan.transform_up_with_subqueries(|node| {
            let LogicalPlan::TableScan(mut scan) = node else {
                return Ok(Transformed::no(node));
            };
            let leaf = product_table_of(&scan).expect("a leaf");
            let mut rows = self.rows.iter();
            let (_, memory) = rows.find(|(table, _)| table == leaf.table()).expect("rows");
            scan.source = provider_as_source(Arc::clone(memory) as _);
            Ok(Transformed::yes(LogicalPlan::TableScan(scan)))
        });
        let state = self.context.state();
        let planner = Arc::clone(state.query_planner());
        let plan = planner
            .create_physical_plan(&bound.expect("leaves").data, &state)
            .await;
        let batches = collect(plan?, state.task_ctx()).await?;
        let shown = pretty_format_batches(&batches).expect("rows").to_string();
        let mut rows: Vec<String> = shown.lines().map(str::to_owned).collect();
        rows.sort();
        Ok(rows)
    }
}

/// Queries that one domain can do a part of.
const GROUPED: &[&str] = &[
    "SELECT s.name, sum(f.v) FROM left.d.fact f JOIN right.d.side s ON f.k = s.k GROUP BY s.name",
    "SELECT s.name, sum(f.v * (1 - f.w)), count(*), count(f.v), min(f.v), max(f.day) FROM left.d.fact f JOIN right.d.side s ON f.k = s.k GROUP BY s.name",
    "SELECT s.name, f.g, sum(f.n), avg(f.n), avg(f.x), avg(f.v), sum(f.x) FROM left.d.fact f JOIN right.d.side s ON f.k = s.k GROUP BY s.name, f.g",
    "SELECT sum(f.v), count(*), count(f.n), avg(f.v) FROM left.d.fact f JOIN right.d.side s ON f.k = s.k AND f.m = s.m",
    "SELECT sum(f.v), count(*), count(f.n), avg(f.v), min(s.p) FROM left.d.fact f JOIN far.d.none e ON f.k = e.k JOIN right.d.side s ON s.k = f.k",
    "SELECT s.name, sum(f.v) FROM left.d.fact f JOIN right.d.side s ON f.k = s.k JOIN far.d.other o ON o.k = s.k AND o.g = f.g GROUP BY s.name",
    "SELECT o.g, sum(f.v), count(*) FROM left.d.fact f JOIN right.d.side s ON f.k = s.k LEFT JOIN far.d.other o ON o.k = f.m GROUP BY o.g",
    // The side that may lack.
    "SELECT s.k, s.name, count(f.v), sum(f.v), max(f.n) FROM right.d.side s LEFT JOIN left.d.fact f ON f.k = s.k AND f.n > 2 GROUP BY s.k, s.name",
    "SELECT s.name, count(*), count(f.v), sum(f.n * 2) FROM right.d.side s LEFT JOIN left.d.fact f ON f.k = s.k GROUP BY s.name",
    "SELECT s.name, count(*), count(f.v), count(s.p) FROM left.d.fact f RIGHT JOIN right.d.side s ON f.k = s.k AND f.m > s.m GROUP BY s.name",
    "SELECT f.g, count(*), sum(f.v), count(s.p) FROM left.d.fact f LEFT JOIN right.d.side s ON f.k = s.k GROUP BY f.g",
    "SELECT f.g, s.name, count(*), sum(f.v), avg(f.w), min(s.p) FROM left.d.fact f FULL JOIN right.d.side s ON f.k = s.k GROUP BY f.g, s.name",
    "SELECT s.name, count(*), sum(f.v) FILTER (WHERE f.n > 1), count(*) FILTER (WHERE f.g = 'a') FROM right.d.side s LEFT JOIN left.d.fact f ON f.k = s.k GROUP BY s.name",
    "SELECT s.name, count(*) FILTER (WHERE f.g IS NULL), count(*) FILTER (WHERE s.p > 0), sum(f.v) FILTER (WHERE f.n > s.q) FROM right.d.side s LEFT JOIN left.d.fact f ON f.k = s.k GROUP BY s.name",
    "SELECT o.z, count(*), sum(f.v) FROM far.d.other o LEFT JOIN (SELECT f.v, f.m, f.n FROM left.d.fact f JOIN right.d.side s ON f.k = s.k) f ON f.m = o.k GROUP BY o.z",
    "SELECT o.z, count(*), sum(f.c), count(f.c) FROM far.d.other o LEFT JOIN (SELECT f.m, CASE WHEN s.name IS NULL THEN f.v ELSE 0 END AS c FROM left.d.fact f JOIN right.d.side s ON f.k = s.k) f ON f.m = o.k GROUP BY o.z",
    "SELECT o.z, count(*), sum(f.v), count(coalesce(f.n, 1)) FROM far.d.other o LEFT JOIN left.d.fact f ON f.m = o.k GROUP BY o.z",
    // Only looked up.
    "SELECT s.k, s.name FROM right.d.side s WHERE EXISTS (SELECT 1 FROM left.d.fact f WHERE f.k = s.k)",
    "SELECT s.k, s.name FROM right.d.side s WHERE NOT EXISTS (SELECT 1 FROM left.d.fact f WHERE f.k = s.k AND f.m <> s.m)",
    "SELECT s.k, s.name FROM right.d.side s WHERE s.k NOT IN (SELECT f.k FROM left.d.fact f)",
    "SELECT s.k, s.name FROM right.d.side s WHERE s.m NOT IN (SELECT f.m FROM left.d.fact f WHERE f.n > 3)",
    "SELECT s.k, s.name FROM right.d.side s WHERE s.k IN (SELECT f.k FROM left.d.fact f JOIN far.d.other o ON o.k = f.m)",
    "SELECT s.name, count(*) FROM right.d.side s WHERE s.k NOT IN (SELECT f.k FROM left.d.fact f WHERE f.m > 100) GROUP BY s.name",
    // Grouped on the side that stays.
    "SELECT f.g, sum(f.v), count(*) FROM left.d.fact f WHERE EXISTS (SELECT 1 FROM right.d.side s WHERE s.k = f.k AND s.m < f.m) GROUP BY f.g",
    "SELECT f.g, sum(f.v), count(*) FROM left.d.fact f WHERE NOT EXISTS (SELECT 1 FROM right.d.side s WHERE s.k = f.k) GROUP BY f.g",
    "SELECT f.g, sum(f.v), count(*) FROM left.d.fact f WHERE f.k IN (SELECT s.k FROM right.d.side s) OR f.m = 1 GROUP BY f.g",
    "SELECT f.g, sum(f.v), count(*) FROM left.d.fact f WHERE f.k NOT IN (SELECT s.k FROM right.d.side s WHERE s.k IS NOT NULL) GROUP BY f.g",
    // Both sides have a part.
    "SELECT s.name, sum(f.v - s.p * f.w) FROM left.d.fact f JOIN right.d.side s ON f.k = s.k GROUP BY s.name",
    "SELECT s.name, sum(f.v * (1 - f.w) - s.p * f.w), sum(s.p + f.v) FROM left.d.fact f JOIN right.d.side s ON f.k = s.k GROUP BY s.name",
    "SELECT sum(s.p), sum(s.q), count(s.p), count(f.v), min(s.q), sum(f.n) FROM left.d.fact f JOIN right.d.side s ON f.k = s.k",
    "SELECT s.m, sum(s.p), sum(s.q), count(*) FROM left.d.fact f RIGHT JOIN right.d.side s ON f.k = s.k GROUP BY s.m",
    "SELECT f.m, sum(CASE WHEN s.name = 'a' THEN f.v ELSE 0 END), sum(f.v) FROM left.d.fact f JOIN right.d.side s ON f.k = s.k GROUP BY f.m",
    "SELECT f.m, sum(CASE WHEN s.name = 'a' THEN f.n WHEN f.g = 'b' THEN s.q END), sum(CASE WHEN s.q > 1 THEN 1 ELSE 0 END) FROM left.d.fact f JOIN right.d.side s ON f.k = s.k GROUP BY f.m",
    "SELECT f.m, sum(CASE WHEN s.name = 'a' THEN f.x ELSE 0 END), sum(CASE WHEN f.g = 'a' THEN f.v END) FROM left.d.fact f JOIN right.d.side s ON f.k = s.k GROUP BY f.m",
    "SELECT f.m, sum(-(f.v - s.p)) FROM left.d.fact f JOIN right.d.side s ON f.k = s.k GROUP BY f.m",
    "SELECT f.g, count(f.n + s.q), min(f.n + s.q), max(s.q) FROM left.d.fact f JOIN right.d.side s ON f.k = s.k GROUP BY f.g",
    // Computed keys.
    "SELECT s.name, extract(year FROM f.day) AS y, sum(f.v) FROM left.d.fact f JOIN right.d.side s ON f.k = s.k GROUP BY s.name, extract(year FROM f.day)",
    "SELECT y, sum(c) FROM (SELECT extract(year FROM f.day) AS y, f.v * f.w AS c, s.name FROM left.d.fact f JOIN right.d.side s ON f.k = s.k) WHERE y > 1995 OR name = 'a' GROUP BY y",
    "SELECT f.n > 2, s.name || f.g, sum(f.v) FROM left.d.fact f JOIN right.d.side s ON f.k = s.k GROUP BY f.n > 2, s.name || f.g",
    "SELECT n + 1, count(*) FROM (SELECT f.n, s.q FROM right.d.side s LEFT JOIN left.d.fact f ON f.k = s.k) GROUP BY n + 1",
    // Above and beside.
    "SELECT s.name, sum(f.v) AS t FROM left.d.fact f JOIN right.d.side s ON f.k = s.k GROUP BY s.name HAVING sum(f.v) > 10 AND count(*) > 2 ORDER BY t DESC LIMIT 2",
    "SELECT c, count(*) FROM (SELECT s.k, count(f.v) AS c FROM right.d.side s LEFT JOIN left.d.fact f ON f.k = s.k GROUP BY s.k) GROUP BY c",
    "SELECT DISTINCT s.name, f.g FROM left.d.fact f JOIN right.d.side s ON f.k = s.k",
    "SELECT s.name, count(DISTINCT f.n) FROM left.d.fact f JOIN right.d.side s ON f.k = s.k GROUP BY s.name",
    "SELECT s.name, (SELECT max(f.v) FROM left.d.fact f JOIN far.d.other o ON o.k = f.k) FROM right.d.side s",
    "SELECT a.name, sum(f.v) FROM left.d.fact f JOIN right.d.side a ON f.k = a.k JOIN right.d.side b ON f.m = b.k GROUP BY a.name",
    "SELECT f.g, sum(f.v) FROM (SELECT k AS k2, v, g FROM left.d.fact) f JOIN (SELECT k AS k2, m FROM right.d.side) s ON f.k2 = s.k2 GROUP BY f.g",
    "SELECT count(*) FROM left.d.fact f JOIN right.d.side s ON f.k IS NOT DISTINCT FROM s.k",
    "SELECT f.m AS __partial_1, sum(f.v) AS __partial_2 FROM left.d.fact f JOIN right.d.side s ON f.k = s.k GROUP BY f.m",
    "SELECT f.m, sum(f.v) FROM left.d.fact f, right.d.side s WHERE f.k < s.k GROUP BY f.m",
    "SELECT f.m, sum(f.v) FROM left.d.fact f, right.d.side s WHERE f.m > (SELECT min(z) FROM far.d.other) GROUP BY f.m",
    "SELECT g, sum(v), count(*), count(v), avg(v), min(k), count(*) FILTER (WHERE k > 1) FROM (SELECT g, v, k FROM left.d.fact UNION ALL SELECT g, c, z FROM far.d.other) GROUP BY g",
    "SELECT s.name, sum(u.v), count(*) FROM (SELECT g, v, k FROM left.d.fact UNION ALL SELECT g, c + 1, z FROM far.d.other) u RIGHT JOIN right.d.side s ON s.k = u.k GROUP BY s.name",
    "SELECT count(*) FROM (SELECT k FROM left.d.fact UNION ALL SELECT k FROM far.d.none UNION ALL SELECT f.k FROM left.d.fact f JOIN right.d.side s ON s.k = f.k)",
    "SELECT g FROM left.d.fact UNION SELECT g FROM far.d.other",
    "SELECT s.name, sum(n) FROM (SELECT k, n FROM left.d.fact UNION ALL SELECT k, n + 1 FROM left.d.fact) f JOIN right.d.side s ON f.k = s.k GROUP BY s.name",
];

/// Queries that are left as they are.
const LEFT_ALONE: &[&str] = &[
    "SELECT s.name, sum(f.v), count(DISTINCT f.n), count(DISTINCT f.g) FROM left.d.fact f JOIN right.d.side s ON f.k = s.k GROUP BY s.name",
    "SELECT s.name, sum(f.v) FROM left.d.fact f JOIN right.d.side s ON f.k = s.k GROUP BY ROLLUP (s.name)",
    "SELECT s.name, array_agg(f.m ORDER BY f.m) FROM left.d.fact f JOIN right.d.side s ON f.k = s.k GROUP BY s.name",
    "SELECT s.name, stddev(f.x) FROM left.d.fact f JOIN right.d.side s ON f.k = s.k GROUP BY s.name",
    // These may fail for a row that the join drops.
    "SELECT s.name, sum(100 / f.n) FROM left.d.fact f JOIN right.d.side s ON f.k = s.k AND f.n <> 0 AND s.m > 90 GROUP BY s.name",
    "SELECT s.name, sum(CAST(f.g AS BIGINT)) FROM left.d.fact f JOIN right.d.side s ON f.k = s.k AND s.m > 90 GROUP BY s.name",
    "SELECT s.name, sum(f.v * f.w * f.w * f.v) FROM left.d.fact f JOIN right.d.side s ON f.k = s.k AND s.m > 90 GROUP BY s.name",
    // What is NULL only in the rows of the other side.
    "SELECT s.name, sum(coalesce(f.n, 7)) FROM right.d.side s LEFT JOIN left.d.fact f ON f.k = s.k GROUP BY s.name",
    // Floats may differ in ways that do not show.
    "SELECT f.x, count(*) FROM left.d.fact f JOIN right.d.side s ON f.k = s.k GROUP BY f.x",
    // All of one domain.
    "SELECT f.m, sum(f.v) FROM left.d.fact f GROUP BY f.m",
    "SELECT f.m, f.k FROM left.d.fact f JOIN right.d.side s ON f.k = s.k",
    "SELECT random() < 2, sum(f.v) FROM left.d.fact f JOIN right.d.side s ON f.k = s.k GROUP BY random() < 2",
];

#[tokio::test]
async fn answers_stay_when_nodes_group() {
    let mut wrong = Vec::new();
    for seed in 1..=4 {
        let world = World::new(seed);
        for sql in GROUPED {
            let (plan, grouped) = match world.plans(sql).await {
                Ok(plans) => plans,
                Err(error) => {
                    wrong.push(format!("{sql}\n{error}"));
                    continue;
                }
            };
            let shown = grouped.display_indent().to_string();
            let changed = plan != grouped;
            let same_columns = plan.schema().as_arrow() == grouped.schema().as_arrow();
            let (rows, found) = (world.run(plan).await, world.run(grouped).await);
            let equal = matches!((&rows, &found), (Ok(rows), Ok(found)) if rows == found);
            if !changed || !same_columns || !equal {
                wrong.push(format!("{sql}\n{rows:#?}\n{found:#?}\n{shown}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

#[tokio::test]
async fn what_cannot_be_had_from_groups_is_left_alone() {
    let world = World::new(9);
    let mut wrong = Vec::new();
    for sql in LEFT_ALONE {
        let (plan, grouped) = world.plans(sql).await.expect(sql);
        if plan != grouped {
            wrong.push(format!("{sql}\n{}", grouped.display_indent()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}
