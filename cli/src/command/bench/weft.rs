//! Weft as one of the engines: over Flight SQL, at the coordinator.

use std::time::{Duration, Instant};

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::{DataType, UInt64Type};
use async_trait::async_trait;
use futures::TryStreamExt;
use weft_governance::{Error, ErrorKind, code};
use workload::Layout;
use workload::bench::{BenchError, Digest, Engine, EngineKind, Flow, Run, cpu_time};
use workload::tpch::{Query, Table};

use super::mesh::Mesh;
use crate::client::Client;

/// What crossed for the last query that shipped something. Ids of queries rise with time.
const FLOWS: &str = "\
SELECT query_id, source, destination, form, sum(rows) AS rows, sum(bytes) AS bytes, sum(requests) AS requests
FROM system.runtime.flows
WHERE query_id = (SELECT max(query_id) FROM system.runtime.flows)
GROUP BY query_id, source, destination, form
ORDER BY source, destination, form";

/// A session at the coordinator of a mesh.
pub(super) struct Weft {
    client: Client,
    layout: Layout,
    processes: Vec<(String, u32)>,
    /// The last query whose flows were read.
    last: String,
}

impl Weft {
    /// Signs in, has the planner leave out the steps in `off`, and reads something of every table, so
    /// that the connections to all nodes stand.
    ///
    /// # Errors
    /// If the mesh does not answer, or knows no such step.
    pub(super) async fn open(mesh: &Mesh, layout: Layout, off: &[String]) -> Result<Self, Error> {
        let mut client = mesh.sign_in().await?;
        for step in off {
            let sql = format!("SET weft.optimizer.{step} = off");
            rows(&mut client, &sql)
                .await
                .map_err(|error| super::wrong(format!("--off {step}: {error}")))?;
        }
        for table in Table::ALL {
            let sql = format!("SELECT count(*) FROM {}", layout.full_name(table));
            rows(&mut client, &sql).await?;
        }
        let mut weft = Self {
            client,
            layout,
            processes: mesh.processes(),
            last: String::new(),
        };
        weft.flows().await?;
        Ok(weft)
    }

    async fn answer(&mut self, query: &Query) -> Result<Run, Error> {
        let sql = self.layout.qualified(query);
        let (before, started) = (self.cpu(), Instant::now());
        let batches = rows(&mut self.client, &sql).await?;
        let (time, after) = (started.elapsed(), self.cpu());
        Ok(Run {
            time,
            cpu: before.zip(after).map(|(before, after)| after - before),
            answer: Digest::of(&batches).map_err(|error| unreadable(error.to_string()))?,
            flows: self.flows().await?,
        })
    }

    fn cpu(&self) -> Option<Duration> {
        self.processes.iter().map(|(_, pid)| cpu_time(*pid)).sum()
    }

    /// What crossed since the last call; nothing if no query did ship anything.
    async fn flows(&mut self) -> Result<Vec<Flow>, Error> {
        let mut flows = Vec::new();
        let mut last = String::new();
        for batch in rows(&mut self.client, FLOWS).await? {
            let ids = column(&batch, "query_id", &DataType::Utf8)?;
            for (row, id) in ids.as_string::<i32>().iter().enumerate() {
                id.unwrap_or_default().clone_into(&mut last);
                flows.push(flow(&batch, row)?);
            }
        }
        if last == self.last {
            return Ok(Vec::new());
        }
        self.last = last;
        Ok(flows)
    }
}

#[async_trait]
impl Engine for Weft {
    fn kind(&self) -> EngineKind {
        EngineKind::Weft
    }

    async fn run(&mut self, query: &Query) -> Result<Run, BenchError> {
        self.answer(query).await.map_err(BenchError::query)
    }

    fn processes(&self) -> Vec<(String, u32)> {
        self.processes.clone()
    }
}

async fn rows(client: &mut Client, sql: &str) -> Result<Vec<RecordBatch>, Error> {
    client.query(sql).await?.batches.try_collect().await
}

fn flow(batch: &RecordBatch, row: usize) -> Result<Flow, Error> {
    let text = |name: &str| -> Result<String, Error> {
        let column = column(batch, name, &DataType::Utf8)?;
        Ok(column.as_string::<i32>().value(row).to_owned())
    };
    let count = |name: &str| -> Result<u64, Error> {
        let column = column(batch, name, &DataType::UInt64)?;
        Ok(column.as_primitive::<UInt64Type>().value(row))
    };
    Ok(Flow {
        source: text("source")?,
        destination: text("destination")?,
        form: text("form")?,
        rows: count("rows")?,
        bytes: count("bytes")?,
        requests: count("requests")?,
    })
}

fn column(
    batch: &RecordBatch,
    name: &str,
    data_type: &DataType,
) -> Result<arrow::array::ArrayRef, Error> {
    let column = batch
        .column_by_name(name)
        .ok_or_else(|| unreadable(format!("there is no column `{name}`")))?;
    arrow::compute::cast(column, data_type).map_err(|error| unreadable(error.to_string()))
}

fn unreadable(reason: String) -> Error {
    Error::new(
        ErrorKind::Internal,
        code::PROTOCOL,
        format!("the coordinator's answer cannot be read: {reason}"),
    )
}
