//! DataFusion in one process, on the same Parquet files, as it comes out of the box.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use async_trait::async_trait;
use datafusion::error::DataFusionError;
use datafusion::prelude::{ParquetReadOptions, SessionConfig, SessionContext};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;

use super::worker::{Asked, Ready, Told, Worker, say};
use super::{BenchError, Digest, Engine, EngineKind, Run, cpu_time};
use crate::tpch::Table;

/// A process that [`serve`]s.
pub struct DataFusion(Worker);

impl DataFusion {
    /// Starts `command`, whose program is to call [`serve`].
    ///
    /// # Errors
    /// If it does not start.
    pub async fn start(command: Command) -> Result<Self, BenchError> {
        Worker::start("DataFusion", command).await.map(Self)
    }

    /// Its version.
    pub fn version(&self) -> &str {
        self.0.version()
    }
}

#[async_trait]
impl Engine for DataFusion {
    fn kind(&self) -> EngineKind {
        EngineKind::DataFusion
    }

    async fn run(&mut self, sql: &str) -> Result<Run, BenchError> {
        self.0.run(sql).await
    }

    fn processes(&self) -> Vec<(String, u32)> {
        vec![("datafusion".to_owned(), self.0.pid())]
    }
}

/// Answers queries over the tables in `folder`, from standard input to standard output, until the
/// input ends.
///
/// # Errors
/// If a table cannot be read, or nobody reads the output.
pub async fn serve(folder: &Path) -> Result<(), BenchError> {
    let engine = Arc::new(open(folder).await.map_err(BenchError::query)?);
    say(&Ready {
        version: datafusion::DATAFUSION_VERSION.to_owned(),
    })?;
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        let asked: Asked = serde_json::from_str(&line).map_err(BenchError::query)?;
        let engine = Arc::clone(&engine);
        // On a thread of the pool, like every query of a server.
        let told = tokio::spawn(async move { answer(&engine, &asked.sql).await }).await;
        say(&match told {
            Ok(Ok(told)) => told,
            Ok(Err(error)) => Told::Failed(error.to_string()),
            Err(error) => Told::Failed(error.to_string()),
        })?;
    }
    Ok(())
}

async fn open(folder: &Path) -> Result<SessionContext, DataFusionError> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let engine =
        SessionContext::new_with_config(SessionConfig::new().with_target_partitions(cores));
    for table in Table::ALL {
        let file = folder.join(format!("{table}.parquet"));
        let file = file.to_string_lossy();
        let options = ParquetReadOptions::default();
        engine
            .register_parquet(table.name(), &file, options)
            .await?;
    }
    Ok(engine)
}

async fn answer(engine: &SessionContext, sql: &str) -> Result<Told, DataFusionError> {
    let own = std::process::id();
    let (before, started) = (cpu_time(own), Instant::now());
    let batches = engine.sql(sql).await?.collect().await?;
    let (seconds, after) = (started.elapsed().as_secs_f64(), cpu_time(own));
    let cpu = before.zip(after).map(|(before, after)| after - before);
    Ok(Told::Done {
        seconds,
        cpu_seconds: cpu.map(|time| time.as_secs_f64()),
        answer: Digest::of(&batches)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tpch::{QUERIES, generate};

    #[tokio::test(flavor = "multi_thread")]
    async fn a_query_is_answered_over_the_generated_tables() {
        let dir = tempfile::tempdir().expect("a directory");
        generate(dir.path(), 0.001).expect("generated");
        let engine = open(dir.path()).await.expect("opened");
        let told = answer(&engine, QUERIES[0].sql).await.expect("answered");
        let Told::Done { answer, .. } = told else {
            panic!("{told:?}");
        };
        assert_eq!(answer.rows, 4);
        assert!(super::answer(&engine, "select nope").await.is_err());
    }
}
