//! What a table's rows look like: how many there are, and of each column how many different values,
//! how many NULLs, the least and the greatest value, and how wide the values are.
//!
//! Small tables are read as a whole. Of large ones a part is read, evenly spread over the files, and
//! the number of different values is estimated from it; see [`column`].

mod column;
mod sample;
mod sketch;

use std::sync::Arc;

use arrow::datatypes::{DataType, SchemaRef};
use datafusion::catalog::TableProvider;
use datafusion::common::stats::Precision;
use datafusion::common::{Result, ScalarValue};
use datafusion::execution::context::SessionState;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::statistics::{StatisticsArgs, StatisticsContext};
use futures::TryStreamExt;
use weft_plan::{ColumnStatistics, TableStatistics};

use self::column::ColumnTally;
use self::sample::Sample;

/// How much of a table is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ReadLimits {
    /// Up to so many rows a table is read as a whole.
    pub(crate) whole_rows: u64,
    /// The same in bytes, for files that do not say how many rows they have.
    pub(crate) whole_bytes: u64,
    /// Of a larger table, about so many rows are read.
    pub(crate) sample_rows: u64,
    /// The same in bytes.
    pub(crate) sample_bytes: u64,
}

impl Default for ReadLimits {
    fn default() -> Self {
        Self {
            whole_rows: 8 << 20,
            whole_bytes: 1 << 30,
            sample_rows: 4 << 20,
            sample_bytes: 256 << 20,
        }
    }
}

/// What the files of `source` say of themselves, without a row being read.
pub(crate) async fn announced(
    source: &dyn TableProvider,
    session: &SessionState,
) -> Result<Option<TableStatistics>> {
    let plan = source.scan(session, None, &[], None).await?;
    said(plan.as_ref())
}

/// Reads `source`, or a part of it, one batch after the other. `key` are the columns of the
/// declared primary key.
pub(crate) async fn measured(
    source: &dyn TableProvider,
    key: &[String],
    session: &SessionState,
    limits: ReadLimits,
) -> Result<TableStatistics> {
    let plan = source.scan(session, None, &[], None).await?;
    let said = said(plan.as_ref())?;
    let schema = plan.schema();
    let rows = said.as_ref().map(|said| said.rows);
    let mut sample = Sample::of(Arc::clone(&plan), rows, limits).await?;
    let read = match Read::all(&sample.plan, &schema, session).await {
        // Not every file can be read from its middle.
        Err(_) if sample.share < 1.0 => {
            sample = Sample { plan, share: 1.0 };
            Read::all(&sample.plan, &schema, session).await?
        }
        read => read?,
    };
    let Read { rows, columns } = read;
    let total = match &said {
        Some(said) if sample.share < 1.0 => said.rows,
        _ => (rows as f64 / sample.share).round() as u64,
    };
    let mut columns: Vec<_> = columns
        .into_iter()
        .map(|column| column.statistics(rows, total, sample.share))
        .collect();
    if sample.share < 1.0 {
        if let Some(said) = said {
            for (column, said) in columns.iter_mut().zip(said.columns) {
                complete(column, said);
            }
        }
        // What is declared unique is found unique in every part, so it need not be estimated.
        if let [only] = key
            && let Ok(place) = schema.index_of(only)
            && let Some(column) = columns.get_mut(place)
        {
            column.distinct = Some(total);
        }
    }
    Ok(TableStatistics {
        rows: total,
        columns,
    })
}

/// Reads what `source` shows, to the last row. Nothing, if it shows more than `most` rows: that, and
/// all else that is said, depends on rows that it shows and on no others.
pub(crate) async fn shown(
    source: &dyn TableProvider,
    session: &SessionState,
    most: u64,
) -> Result<Option<TableStatistics>> {
    let plan = source.scan(session, None, &[], None).await?;
    let schema = plan.schema();
    let read = Read::up_to(Some(most), &plan, &schema, session).await?;
    Ok(read.map(|Read { rows, columns }| TableStatistics {
        rows,
        columns: columns
            .into_iter()
            .map(|column| column.statistics(rows, rows, 1.0))
            .collect(),
    }))
}

/// Rows that were read.
struct Read {
    rows: u64,
    columns: Vec<ColumnTally>,
}

impl Read {
    /// Reads every partition of `plan`, each for itself.
    async fn all(
        plan: &Arc<dyn ExecutionPlan>,
        schema: &SchemaRef,
        session: &SessionState,
    ) -> Result<Self> {
        let read = Self::up_to(None, plan, schema, session).await?;
        Ok(read.unwrap_or_else(|| Self::nothing(schema)))
    }

    fn nothing(schema: &SchemaRef) -> Self {
        let fields = schema.fields().iter();
        Self {
            rows: 0,
            columns: fields
                .map(|field| ColumnTally::new(field.data_type()))
                .collect(),
        }
    }

    /// The same, unless there are more than `most` rows.
    async fn up_to(
        most: Option<u64>,
        plan: &Arc<dyn ExecutionPlan>,
        schema: &SchemaRef,
        session: &SessionState,
    ) -> Result<Option<Self>> {
        let Self {
            mut rows,
            mut columns,
        } = Self::nothing(schema);
        for partition in 0..plan.properties().partitioning.partition_count() {
            let mut batches = plan.execute(partition, session.task_ctx())?;
            columns.iter_mut().for_each(ColumnTally::next_part);
            while let Some(batch) = batches.try_next().await? {
                rows += batch.num_rows() as u64;
                if most.is_some_and(|most| rows > most) {
                    return Ok(None);
                }
                for (tally, values) in columns.iter_mut().zip(batch.columns()) {
                    tally.add(values)?;
                }
                // Fragments that wait for this thread go first.
                tokio::task::yield_now().await;
            }
        }
        Ok(Some(Self { rows, columns }))
    }
}

/// What `plan` knows of its rows, if it knows how many there are.
fn said(plan: &dyn ExecutionPlan) -> Result<Option<TableStatistics>> {
    let said = StatisticsContext::new().compute(plan, &StatisticsArgs::new())?;
    let Some(rows) = said.num_rows.get_value() else {
        return Ok(None);
    };
    let schema = plan.schema();
    let columns = said
        .column_statistics
        .iter()
        .zip(schema.fields())
        .map(|(said, field)| {
            let bound = |value: &Precision<ScalarValue>| {
                let value = value.get_value()?;
                let fits = is_bounded(field.data_type())
                    && value.data_type() == *field.data_type()
                    && !value.is_null();
                fits.then(|| value.clone())
            };
            let ends = bound(&said.min_value).zip(bound(&said.max_value));
            let (low, high) = ends.unzip();
            ColumnStatistics {
                distinct: None,
                nulls: said.null_count.get_value().map(|nulls| *nulls as u64),
                low,
                high,
                width: None,
            }
        });
    Ok(Some(TableStatistics {
        rows: *rows as u64,
        columns: columns.collect(),
    }))
}

/// Prefers what the files say of all rows to what was seen in a part of them.
fn complete(seen: &mut ColumnStatistics, said: ColumnStatistics) {
    let ColumnStatistics {
        nulls, low, high, ..
    } = said;
    seen.nulls = nulls.or(seen.nulls);
    if low.is_some() && high.is_some() {
        seen.low = low;
        seen.high = high;
    }
}

/// Whether the least and greatest value of a type are worth knowing: its order is that of numbers.
fn is_bounded(data_type: &DataType) -> bool {
    data_type.is_numeric()
        || matches!(
            data_type,
            DataType::Boolean | DataType::Date32 | DataType::Date64 | DataType::Timestamp(..)
        )
}

#[cfg(test)]
mod tests;
