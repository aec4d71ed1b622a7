//! SQL logic tests: files of queries with their answers, run through any engine.

use std::error::Error;
use std::fmt;
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use datafusion::prelude::SessionContext;
use sqllogictest::{AsyncDB, DBOutput, DefaultColumnType, Runner};

use crate::client::Client;
use crate::compare::Rows;

/// Set it to have the recorded answers written anew from the first engine.
const UPDATE: &str = "WEFT_UPDATE_SLT";

/// What answers the queries of a file.
pub enum Engine {
    /// One process, without any fragment in between.
    OneProcess(Box<SessionContext>),
    /// A mesh.
    Federated(Box<Client>),
}

/// What an engine said in place of rows.
#[derive(Debug)]
pub struct Refused(String);

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Error for Refused {}

#[async_trait]
impl AsyncDB for Engine {
    type Error = Refused;
    type ColumnType = DefaultColumnType;

    async fn run(&mut self, sql: &str) -> Result<DBOutput<DefaultColumnType>, Refused> {
        let rows = match self {
            Self::OneProcess(engine) => {
                let refused =
                    |error: datafusion::error::DataFusionError| Refused(error.to_string());
                let query = engine.sql(sql).await.map_err(refused)?;
                Rows::of(&query.collect().await.map_err(refused)?)
            }
            Self::Federated(client) => {
                let answer = client.query(sql).await;
                answer.map_err(|error| Refused(error.to_string()))?
            }
        };
        let columns = rows.rows().first().map_or(0, Vec::len);
        Ok(DBOutput::Rows {
            types: vec![DefaultColumnType::Any; columns],
            rows: rows.rows().iter().map(|row| visible(row)).collect(),
        })
    }

    async fn shutdown(&mut self) {}
}

/// Runs every file of `tests/slt` through each engine.
pub async fn run_logic_tests(engines: Vec<Engine>) {
    let files = files();
    assert!(!files.is_empty(), "there are logic tests");
    let mut failed = Vec::new();
    let mut update = std::env::var_os(UPDATE).is_some();
    for engine in engines {
        let mut engine = Some(engine);
        let mut runner = Runner::new(|| {
            let engine = engine
                .take()
                .ok_or_else(|| Refused("one connection".into()));
            async move { engine }
        });
        for file in &files {
            let done = if update {
                runner
                    .update_test_file(
                        file,
                        " ",
                        sqllogictest::default_validator,
                        sqllogictest::default_normalizer,
                        sqllogictest::default_column_validator,
                    )
                    .await
                    .map_err(|error| error.to_string())
            } else {
                let done = runner.run_file_async(file).await;
                done.map_err(|error| error.display(false).to_string())
            };
            failed.extend(done.err());
        }
        update = false;
    }
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

fn files() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("slt");
    let entries = std::fs::read_dir(folder).expect("folder");
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.expect("file").path()).collect();
    files.retain(|file| file.extension().is_some_and(|kind| kind == "slt"));
    files.sort();
    files
}

/// A text without letters would be lost between two others.
fn visible(row: &[String]) -> Vec<String> {
    row.iter()
        .map(|cell| match cell.as_str() {
            "" => "(empty)".to_owned(),
            text => text.replace(' ', "␠"),
        })
        .collect()
}
