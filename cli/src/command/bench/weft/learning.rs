//! Waits until the nodes know what the rows of their tables look like: how a query is planned, and what
//! it ships, depends on it.

use std::time::{Duration, Instant};

use arrow::array::Array;
use arrow::datatypes::DataType;
use arrow::record_batch::RecordBatch;
use tokio::time::sleep;
use weft_governance::Error;
use workload::Layout;
use workload::guard::Guard;
use workload::tpch::Table;

use super::{column, digest, rows};
use crate::client::Client;
use crate::exit::note;

/// Between two looks.
const PAUSE: Duration = Duration::from_millis(200);
/// Nodes do not find out about everything: of a table with a filter only if it is not too large.
const PATIENCE: Duration = Duration::from_secs(120);

/// Nodes that find out more tell it at least so often.
const QUIET: Duration = Duration::from_secs(5);
/// Rises with all that nodes find out.
const EPOCHS: &str = "SELECT node, epoch FROM system.runtime.nodes";

/// Waits until the number of different values is known of every column that nobody masks, but not
/// forever.
pub(super) async fn wait(client: &mut Client, layout: Layout) -> Result<(), Error> {
    let started = Instant::now();
    for table in Table::ALL {
        let sql = format!("SHOW STATS FOR {}", layout.full_name(table));
        while !is_known(table, &rows(client, &sql).await?)? {
            if started.elapsed() > PATIENCE {
                note(&format!(
                    "The rows of `{table}` are not known well; queries may be planned worse for it."
                ));
                break;
            }
            sleep(PAUSE).await;
        }
    }
    Ok(())
}

/// Waits until no node has had anything new to tell for a while.
pub(super) async fn settle(client: &mut Client) -> Result<(), Error> {
    let (started, mut known, mut since) = (Instant::now(), None, Instant::now());
    while since.elapsed() < QUIET && started.elapsed() < PATIENCE {
        let epochs = digest(&rows(client, EPOCHS).await?)?;
        if known.as_ref() != Some(&epochs) {
            (known, since) = (Some(epochs), Instant::now());
        }
        sleep(PAUSE).await;
    }
    Ok(())
}

fn is_known(table: Table, statistics: &[RecordBatch]) -> Result<bool, Error> {
    let masked = Guard::of(table).map(|guard| guard.column);
    let mut known = 0;
    for batch in statistics {
        let names = column(batch, "column_name", &DataType::Utf8)?;
        let names = arrow::array::AsArray::as_string::<i32>(&names);
        let distinct = column(batch, "distinct_values_count", &DataType::UInt64)?;
        let lines = names.iter().enumerate();
        known += lines
            .filter(|(row, name)| {
                name.is_some_and(|name| distinct.is_valid(*row) || masked == Some(name))
            })
            .count();
    }
    Ok(known == table.schema().fields().len())
}
