//! Weft as one of the engines: over Flight SQL, at the coordinator.

mod learning;

use std::time::{Duration, Instant};

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::{DataType, UInt64Type};
use async_trait::async_trait;
use futures::TryStreamExt;
use weft_governance::{Error, ErrorKind, code};
use workload::Layout;
use workload::bench::{
    Answer, BenchError, Digest, Engine, EngineKind, Flow, Meter, Run, Wire, cpu_time,
};
use workload::guard::{GUARDS, Guard};
use workload::tpch::Table;

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
    kind: EngineKind,
    client: Client,
    layout: Layout,
    processes: Vec<(String, u32)>,
    meters: Vec<(String, Meter)>,
    /// The last query whose flows were read.
    last: String,
}

impl Weft {
    /// Signs in, has the planner leave out the steps in `off`, reads something of every table, so that
    /// the connections to all nodes stand, and waits until the nodes know their tables.
    ///
    /// # Errors
    /// If the mesh does not answer, or knows no such step.
    pub(super) async fn open(kind: EngineKind, mesh: &Mesh, off: &[String]) -> Result<Self, Error> {
        let mut client = mesh.sign_in().await?;
        for step in off {
            let sql = format!("SET weft.optimizer.{step} = off");
            rows(&mut client, &sql)
                .await
                .map_err(|error| super::wrong(format!("--off {step}: {error}")))?;
        }
        let layout = mesh.options().layout;
        for table in Table::ALL {
            let sql = format!("SELECT count(*) FROM {}", layout.full_name(table));
            rows(&mut client, &sql).await?;
        }
        learning::wait(&mut client, layout).await?;
        let mut weft = Self {
            kind,
            client,
            layout,
            processes: mesh.processes(),
            meters: mesh.meters(),
            last: String::new(),
        };
        weft.flows().await?;
        Ok(weft)
    }

    /// Waits until the nodes have found out all that they can about their tables.
    ///
    /// # Errors
    /// What the mesh says.
    pub(super) async fn settle(&mut self) -> Result<(), Error> {
        learning::settle(&mut self.client).await
    }

    /// How long it takes to plan `sql`.
    ///
    /// # Errors
    /// What the mesh says.
    pub(super) async fn plan(&mut self, sql: &str) -> Result<Duration, Error> {
        let sql = format!("EXPLAIN {}", self.layout.qualified(sql));
        let started = Instant::now();
        rows(&mut self.client, &sql).await?;
        Ok(started.elapsed())
    }

    /// Refuses to go on if a guarded table does not look here as it does at `copy`.
    ///
    /// # Errors
    /// That, or what a mesh says.
    pub(super) async fn compare_guarded(&mut self, copy: &mut Self) -> Result<(), Error> {
        for guard in &GUARDS {
            if self.look(guard).await? != copy.look(guard).await? {
                let message = format!("the copy of `{}` is not what its grant shows", guard.table);
                return Err(Error::new(ErrorKind::Internal, code::INTERNAL, message));
            }
        }
        Ok(())
    }

    /// The rows of a guarded table and what its mask shows, in short.
    async fn look(&mut self, guard: &Guard) -> Result<Answer, Error> {
        let Guard { table, column, .. } = guard;
        let sql = format!(
            "SELECT count(*), count({column}), count(DISTINCT {column}), min({column}), max({column}) FROM {}",
            self.layout.full_name(*table)
        );
        digest(&rows(&mut self.client, &sql).await?)
    }

    async fn answer(&mut self, sql: &str) -> Result<Run, Error> {
        let sql = self.layout.qualified(sql);
        let carried = self.carried();
        let (before, started) = (self.cpu(), Instant::now());
        let batches = rows(&mut self.client, &sql).await?;
        let (time, after) = (started.elapsed(), self.cpu());
        let wire = self.carried().into_iter().zip(carried);
        Ok(Run {
            time,
            cpu: before.zip(after).map(|(before, after)| after - before),
            answer: digest(&batches)?,
            flows: self.flows().await?,
            wire: wire.map(|(after, before)| after.since(&before)).collect(),
        })
    }

    fn cpu(&self) -> Option<Duration> {
        self.processes.iter().map(|(_, pid)| cpu_time(*pid)).sum()
    }

    /// What the kernel has counted so far on the connections to each node.
    fn carried(&self) -> Vec<Wire> {
        let meters = self.meters.iter();
        meters
            .map(|(domain, meter)| Wire {
                domain: domain.clone(),
                carried: meter.read(),
            })
            .collect()
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
        self.kind
    }

    async fn run(&mut self, sql: &str) -> Result<Run, BenchError> {
        self.answer(sql).await.map_err(BenchError::query)
    }

    fn processes(&self) -> Vec<(String, u32)> {
        let named = |(name, pid): &(String, u32)| match self.kind {
            EngineKind::Copy => (format!("{name} of the copy"), *pid),
            _ => (name.clone(), *pid),
        };
        self.processes.iter().map(named).collect()
    }
}

async fn rows(client: &mut Client, sql: &str) -> Result<Vec<RecordBatch>, Error> {
    client.query(sql).await?.batches.try_collect().await
}

fn digest(batches: &[RecordBatch]) -> Result<Answer, Error> {
    Digest::of(batches).map_err(|error| unreadable(error.to_string()))
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
