//! How many rows a plan will answer, and how large they will be, from what owners say of their
//! tables. Estimates decide how a query runs, never what it answers.

mod guess;
mod selectivity;

use std::collections::BTreeSet;

use arrow::datatypes::{DataType, Schema};
use datafusion::common::{DFSchema, ScalarValue};
use datafusion::logical_expr::{
    Distinct, Expr, FetchType, Join, JoinType, LogicalPlan, SkipType, TableScan,
};
use weft_plan::{
    ColumnStatistics, ProductTable, TableStatistics, product_table_of, shipped_table_of,
};

pub(super) use guess::is_guess;

/// Rows of a table that nothing is known of.
const UNKNOWN_ROWS: f64 = 100_000.0;
/// The part of the rows that differ in a column of which nothing is known.
const UNKNOWN_DISTINCT: f64 = 0.1;
/// Bytes of a text of which nothing is known.
const UNKNOWN_TEXT: f64 = 24.0;

/// Rows to be expected.
#[derive(Debug, Clone)]
pub struct Estimate {
    /// How many.
    pub rows: f64,
    /// Their columns.
    pub columns: Vec<ColumnEstimate>,
}

/// Values to be expected in a column.
#[derive(Debug, Clone)]
pub struct ColumnEstimate {
    /// Different values.
    pub distinct: f64,
    /// The part of the rows that holds NULL.
    pub nulls: f64,
    /// Least and greatest value as numbers, where the type has an order like theirs.
    pub range: Option<(f64, f64)>,
    /// Bytes of a value.
    pub width: f64,
}

impl Estimate {
    /// What `plan` will answer.
    pub fn of(plan: &LogicalPlan) -> Self {
        let estimate = match plan {
            LogicalPlan::TableScan(scan) => Self::of_table(scan),
            LogicalPlan::Filter(filter) => {
                let table = leaf(&filter.input).and_then(product_table_of);
                selectivity::filtered(
                    Self::of(&filter.input),
                    &filter.predicate,
                    filter.input.schema(),
                    table.as_ref().map(ProductTable::selectivities),
                )
            }
            LogicalPlan::Projection(projection) => {
                let input = Self::of(&projection.input);
                let schema = projection.input.schema();
                let columns = projection
                    .expr
                    .iter()
                    .zip(projection.schema.fields())
                    .map(|(expr, field)| input.expression(expr, schema, field.data_type()));
                Self {
                    rows: input.rows,
                    columns: columns.collect(),
                }
            }
            LogicalPlan::Aggregate(aggregate) => {
                let input = Self::of(&aggregate.input);
                let schema = aggregate.input.schema();
                let outputs = aggregate.group_expr.iter().chain(&aggregate.aggr_expr);
                let mut columns: Vec<_> = outputs
                    .zip(aggregate.schema.fields())
                    .map(|(expr, field)| input.expression(expr, schema, field.data_type()))
                    .collect();
                let groups = columns.iter().take(aggregate.group_expr.len());
                let rows = match aggregate.group_expr.is_empty() {
                    true => 1.0,
                    false => product(groups).min(input.rows),
                };
                let each = input.rows / rows.max(1.0);
                let aggregates = columns.iter_mut().skip(aggregate.group_expr.len());
                for (column, expr) in aggregates.zip(&aggregate.aggr_expr) {
                    column.distinct = rows.max(1.0);
                    column.range = input.aggregated(expr, schema, each);
                }
                Self { rows, columns }
            }
            LogicalPlan::Join(join) => Self::of_join(join),
            LogicalPlan::Distinct(Distinct::All(input)) => {
                let input = Self::of(input);
                Self {
                    rows: product(input.columns.iter()).min(input.rows),
                    columns: input.columns,
                }
            }
            LogicalPlan::Limit(limit) => {
                let mut input = Self::of(&limit.input);
                if let Ok(SkipType::Literal(skip)) = limit.get_skip_type() {
                    input.rows = (input.rows - skip as f64).max(0.0);
                }
                if let Ok(FetchType::Literal(Some(fetch))) = limit.get_fetch_type() {
                    input.rows = input.rows.min(fetch as f64);
                }
                input
            }
            LogicalPlan::Sort(sort) => {
                let mut input = Self::of(&sort.input);
                if let Some(fetch) = sort.fetch {
                    input.rows = input.rows.min(fetch as f64);
                }
                input
            }
            LogicalPlan::Union(union) => Self::of_union(union.inputs.iter().map(|it| Self::of(it))),
            LogicalPlan::SubqueryAlias(alias) => Self::of(&alias.input),
            LogicalPlan::Window(window) => Self::of(&window.input),
            other => match other.inputs().first() {
                Some(input) => Self::of(input),
                None => Self::unknown(other.schema().as_arrow(), 1.0),
            },
        };
        estimate.fit(plan.schema().as_arrow())
    }

    /// Bytes of a row.
    pub fn width(&self) -> f64 {
        self.columns.iter().map(|column| column.width).sum()
    }

    /// Bytes of all rows.
    pub fn bytes(&self) -> f64 {
        self.rows * self.width()
    }

    /// Different keys of `columns`, taken together.
    pub fn distinct(&self, columns: &[usize]) -> f64 {
        let different: BTreeSet<&usize> = columns.iter().collect();
        let columns = different
            .into_iter()
            .filter_map(|index| self.columns.get(*index));
        product(columns).min(self.rows).max(1.0)
    }

    /// The same in the form in which owners speak of their tables.
    pub(super) fn statistics(&self) -> TableStatistics {
        let end = |end: f64| ScalarValue::Float64(Some(end));
        let column = |column: &ColumnEstimate| ColumnStatistics {
            distinct: Some(column.distinct as u64),
            nulls: Some((column.nulls * self.rows) as u64),
            low: column.range.map(|(low, _)| end(low)),
            high: column.range.map(|(_, high)| end(high)),
            width: Some(column.width),
        };
        TableStatistics {
            rows: self.rows as u64,
            columns: self.columns.iter().map(column).collect(),
        }
    }

    fn unknown(schema: &Schema, rows: f64) -> Self {
        let column = |data_type| ColumnEstimate {
            distinct: (rows * UNKNOWN_DISTINCT).max(1.0),
            nulls: 0.0,
            range: None,
            width: width_of(data_type),
        };
        let fields = schema.fields().iter();
        Self {
            rows,
            columns: fields.map(|field| column(field.data_type())).collect(),
        }
    }

    fn of_table(scan: &TableScan) -> Self {
        let schema = scan.projected_schema.as_arrow();
        let (table, shipped) = (product_table_of(scan), shipped_table_of(scan));
        let own = table.as_ref().and_then(|table| table.statistics());
        let came = || Some(&shipped.as_ref()?.planned()?.statistics);
        let Some(statistics) = own.or_else(came) else {
            return Self::unknown(schema, UNKNOWN_ROWS);
        };
        let rows = statistics.rows as f64;
        let unknown = ColumnStatistics::default();
        let columns = schema.fields().iter().enumerate().map(|(index, field)| {
            let index = match &scan.projection {
                Some(projection) => projection.get(index).copied(),
                None => Some(index),
            };
            let known = index.and_then(|index| statistics.columns.get(index));
            let known = known.unwrap_or(&unknown);
            let ends = known.low.as_ref().zip(known.high.as_ref());
            let range = ends.and_then(|(low, high)| Some((number(low)?, number(high)?)));
            let counted = field.data_type().is_integer() || field.data_type() == &DataType::Date32;
            let span = range
                .filter(|_| counted)
                .map(|(low, high)| high - low + 1.0);
            let distinct = known.distinct.map(|distinct| distinct as f64);
            let distinct = distinct.unwrap_or(rows * UNKNOWN_DISTINCT);
            ColumnEstimate {
                distinct: distinct.min(span.unwrap_or(distinct)).max(1.0),
                nulls: known
                    .nulls
                    .map_or(0.0, |nulls| nulls as f64 / rows.max(1.0)),
                range,
                width: known.width.unwrap_or_else(|| width_of(field.data_type())),
            }
        });
        Self {
            rows,
            columns: columns.collect(),
        }
    }

    fn of_join(join: &Join) -> Self {
        let (left, right) = (Self::of(&join.left), Self::of(&join.right));
        let pairs: Vec<_> = join
            .on
            .iter()
            .map(|(l, r)| {
                let l = left.expression(l, join.left.schema(), &DataType::Int64);
                let r = right.expression(r, join.right.schema(), &DataType::Int64);
                (l.distinct, r.distinct)
            })
            .collect();
        let ours = pairs
            .iter()
            .map(|(l, _)| l)
            .product::<f64>()
            .min(left.rows)
            .max(1.0);
        let theirs = pairs
            .iter()
            .map(|(_, r)| r)
            .product::<f64>()
            .min(right.rows)
            .max(1.0);
        // Of several columns together the side with fewer keys is taken to list them all.
        let keys = match pairs.len() {
            0 => 1.0,
            1 => ours.max(theirs),
            _ => ours.min(theirs),
        };
        let residual = match &join.filter {
            Some(filter) => selectivity::unknown(filter),
            None => 1.0,
        };
        let matched = left.rows * right.rows / keys * residual;
        let meets = |own: f64, other: f64| (other / own).min(1.0);
        let rows = match join.join_type {
            JoinType::Inner => matched,
            JoinType::Left => matched.max(left.rows),
            JoinType::Right => matched.max(right.rows),
            JoinType::Full => matched.max(left.rows).max(right.rows),
            JoinType::LeftSemi => left.rows * meets(ours, theirs),
            JoinType::RightSemi => right.rows * meets(theirs, ours),
            JoinType::LeftAnti => left.rows * (1.0 - meets(ours, theirs)).max(0.1),
            JoinType::RightAnti => right.rows * (1.0 - meets(theirs, ours)).max(0.1),
            JoinType::LeftMark => left.rows,
            JoinType::RightMark => right.rows,
        };
        let (left_rows, right_rows) = (left.rows, right.rows);
        let mut columns = Vec::new();
        if !matches!(
            join.join_type,
            JoinType::RightSemi | JoinType::RightAnti | JoinType::RightMark
        ) {
            columns.extend(
                left.columns
                    .into_iter()
                    .map(|it| it.thinned(left_rows, rows)),
            );
        }
        if !matches!(
            join.join_type,
            JoinType::LeftSemi | JoinType::LeftAnti | JoinType::LeftMark
        ) {
            columns.extend(
                right
                    .columns
                    .into_iter()
                    .map(|it| it.thinned(right_rows, rows)),
            );
        }
        // Both sides of an inner equality hold the values that both have.
        if join.join_type == JoinType::Inner {
            let split = join.left.schema().fields().len();
            for (l, r) in &join.on {
                let l = index_of(l, join.left.schema());
                let r = index_of(r, join.right.schema()).map(|index| index + split);
                let distinct = |index: Option<usize>| Some(columns.get(index?)?.distinct);
                if let Some((ours, theirs)) = distinct(l).zip(distinct(r)) {
                    for index in [l, r].into_iter().flatten() {
                        if let Some(column) = columns.get_mut(index) {
                            column.distinct = ours.min(theirs);
                        }
                    }
                }
            }
        }
        Self { rows, columns }
    }

    fn of_union(inputs: impl Iterator<Item = Self>) -> Self {
        inputs
            .reduce(|mut all, one| {
                let rows = all.rows + one.rows;
                for (all, one) in all.columns.iter_mut().zip(one.columns) {
                    all.distinct = (all.distinct + one.distinct).min(rows);
                    all.width = all.width.max(one.width);
                    all.range = None;
                }
                Self { rows, ..all }
            })
            .unwrap_or(Self {
                rows: 0.0,
                columns: Vec::new(),
            })
    }

    /// What `expr` over this will show.
    fn expression(&self, expr: &Expr, schema: &DFSchema, data_type: &DataType) -> ColumnEstimate {
        if let Some(known) = index_of(expr, schema).and_then(|index| self.columns.get(index)) {
            return known.clone();
        }
        let used = expr.column_refs();
        let used = used
            .iter()
            .filter_map(|column| self.columns.get(schema.maybe_index_of_column(column)?));
        let distinct = product(used).min(self.rows);
        let parts = self.parts_of_time(expr, schema).unwrap_or(f64::INFINITY);
        ColumnEstimate {
            distinct: distinct.min(parts).max(1.0),
            nulls: 0.0,
            range: None,
            width: width_of(data_type),
        }
    }

    /// Different values of `expr`, if it takes a part of a date or a time.
    fn parts_of_time(&self, expr: &Expr, schema: &DFSchema) -> Option<f64> {
        let function = match expr {
            Expr::Alias(alias) => return self.parts_of_time(&alias.expr, schema),
            Expr::Cast(cast) => return self.parts_of_time(&cast.expr, schema),
            Expr::ScalarFunction(function) if function.name() == "date_part" => function,
            _ => return None,
        };
        let [Expr::Literal(part, _), time] = function.args.as_slice() else {
            return None;
        };
        let part = part.try_as_str()??.to_lowercase();
        match part.as_str() {
            "year" => {
                let index = index_of(time, schema)?;
                let (low, high) = self.columns.get(index)?.range?;
                let in_days = schema.field(index).data_type() == &DataType::Date32;
                in_days.then(|| ((high - low) / 365.0).ceil() + 1.0)
            }
            "quarter" => Some(4.0),
            "month" => Some(12.0),
            "week" => Some(53.0),
            "day" => Some(31.0),
            "dow" | "isodow" => Some(7.0),
            "doy" => Some(366.0),
            "hour" => Some(24.0),
            "minute" | "second" => Some(60.0),
            _ => None,
        }
    }

    /// Between what the aggregate `expr` of about `each` rows of this will lie.
    fn aggregated(&self, expr: &Expr, schema: &DFSchema, each: f64) -> Option<(f64, f64)> {
        let function = match expr {
            Expr::Alias(alias) => return self.aggregated(&alias.expr, schema, each),
            Expr::AggregateFunction(function) => function,
            _ => return None,
        };
        let argument = || {
            let index = index_of(function.params.args.first()?, schema)?;
            self.columns.get(index)?.range
        };
        match function.func.name() {
            "min" | "max" | "avg" => argument(),
            "sum" => argument().map(|(low, high)| (low * each, high * each)),
            "count" => Some((0.0, 2.0 * each)),
            _ => None,
        }
    }

    /// With as many columns as `schema`, and no more different values than rows.
    fn fit(mut self, schema: &Schema) -> Self {
        let missing = schema.fields().iter().skip(self.columns.len());
        self.columns.extend(missing.map(|field| ColumnEstimate {
            distinct: self.rows.max(1.0),
            nulls: 0.0,
            range: None,
            width: width_of(field.data_type()),
        }));
        self.columns.truncate(schema.fields().len());
        for column in &mut self.columns {
            column.distinct = column.distinct.min(self.rows).max(1.0);
        }
        self
    }
}

impl ColumnEstimate {
    /// What is left of it when of `before` rows `after` are picked without regard to it.
    fn thinned(mut self, before: f64, after: f64) -> Self {
        if after < before && before > 0.0 {
            let share = after / before;
            let each = before / self.distinct;
            self.distinct = (self.distinct * (1.0 - (1.0 - share).powf(each))).max(1.0);
        }
        self
    }
}

/// The table whose rows `plan` has, or some of them, with columns by the names that they have there.
pub(super) fn leaf(plan: &LogicalPlan) -> Option<&TableScan> {
    match plan {
        LogicalPlan::TableScan(scan) => Some(scan),
        LogicalPlan::Filter(filter) => leaf(&filter.input),
        LogicalPlan::SubqueryAlias(alias) => leaf(&alias.input),
        LogicalPlan::Projection(projection) => {
            let mut columns = projection.expr.iter();
            let plain = columns.all(|expr| matches!(expr, Expr::Column(_)));
            plain.then(|| leaf(&projection.input)).flatten()
        }
        _ => None,
    }
}

fn product<'a>(columns: impl Iterator<Item = &'a ColumnEstimate>) -> f64 {
    columns.map(|column| column.distinct).product()
}

/// The column that `expr` is, as it stands or cast.
fn index_of(expr: &Expr, schema: &DFSchema) -> Option<usize> {
    match expr {
        Expr::Column(column) => schema.maybe_index_of_column(column),
        Expr::Alias(alias) => index_of(&alias.expr, schema),
        Expr::Cast(cast) => index_of(&cast.expr, schema),
        _ => None,
    }
}

/// Bytes of a value of this type in a message.
fn width_of(data_type: &DataType) -> f64 {
    match data_type {
        DataType::Boolean => 0.125,
        DataType::Decimal128(..) => 16.0,
        DataType::Decimal256(..) => 32.0,
        data_type => data_type
            .primitive_width()
            .map_or(UNKNOWN_TEXT, |width| width as f64),
    }
}

/// `value` as a number, if its type has an order like that of numbers.
fn number(value: &ScalarValue) -> Option<f64> {
    let number = match value {
        ScalarValue::Date32(days) => return days.map(f64::from),
        value if value.data_type().is_numeric() => value.cast_to(&DataType::Float64),
        value if value.data_type().is_temporal() => value
            .cast_to(&DataType::Int64)
            .and_then(|value| value.cast_to(&DataType::Float64)),
        _ => return None,
    };
    match number {
        Ok(ScalarValue::Float64(number)) => number,
        _ => None,
    }
}
