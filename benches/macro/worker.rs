//! An engine in a process of its own: one line of JSON in for each query, one out.

use std::io::Write;
use std::process::Stdio;
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use super::{Answer, BenchError, Run};

/// A running engine. It ends when its standard input closes.
pub(super) struct Worker {
    engine: &'static str,
    pid: u32,
    version: String,
    input: ChildStdin,
    output: Lines<BufReader<ChildStdout>>,
    _process: Child,
}

/// The first line: it is ready.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Ready {
    pub(super) version: String,
}

/// A query.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Asked {
    pub(super) sql: String,
}

/// What came of a query.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Told {
    /// All rows were read.
    Done {
        seconds: f64,
        cpu_seconds: Option<f64>,
        answer: Answer,
    },
    /// It was not answered.
    Failed(String),
}

impl Worker {
    /// Starts `command` and waits until it is ready.
    pub(super) async fn start(engine: &'static str, command: Command) -> Result<Self, BenchError> {
        let (mut worker, ready): (Self, Ready) = Self::start_saying(engine, command).await?;
        worker.version = ready.version;
        Ok(worker)
    }

    /// Starts `command` and waits for what it says first.
    pub(super) async fn start_saying<T: DeserializeOwned>(
        engine: &'static str,
        mut command: Command,
    ) -> Result<(Self, T), BenchError> {
        let program = command.as_std().get_program().to_owned();
        let mut process = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(BenchError::start(program.as_ref()))?;
        let ended = || BenchError::Ended {
            engine,
            message: String::new(),
        };
        let pid = process.id().ok_or_else(ended)?;
        let input = process.stdin.take().ok_or_else(ended)?;
        let output = process.stdout.take().ok_or_else(ended)?;
        let mut worker = Self {
            engine,
            pid,
            version: String::new(),
            input,
            output: BufReader::new(output).lines(),
            _process: process,
        };
        let first = worker.line().await?;
        Ok((worker, first))
    }

    /// Its process id.
    pub(super) fn pid(&self) -> u32 {
        self.pid
    }

    /// The version of the engine.
    pub(super) fn version(&self) -> &str {
        &self.version
    }

    /// Runs `sql`.
    pub(super) async fn run(&mut self, sql: &str) -> Result<Run, BenchError> {
        let asked = Asked {
            sql: sql.to_owned(),
        };
        match self.ask(&asked).await? {
            Told::Done {
                seconds,
                cpu_seconds,
                answer,
            } => Ok(Run {
                time: duration(seconds),
                cpu: cpu_seconds.map(duration),
                answer,
                flows: Vec::new(),
                wire: Vec::new(),
            }),
            Told::Failed(message) => Err(BenchError::query(message)),
        }
    }

    /// What it says to `asked`.
    pub(super) async fn ask<T: DeserializeOwned>(
        &mut self,
        asked: &impl Serialize,
    ) -> Result<T, BenchError> {
        let mut line = serde_json::to_string(asked).map_err(BenchError::query)?;
        line.push('\n');
        let sent = self.input.write_all(line.as_bytes()).await;
        sent.map_err(|error| BenchError::Ended {
            engine: self.engine,
            message: error.to_string(),
        })?;
        self.line().await
    }

    async fn line<T: DeserializeOwned>(&mut self) -> Result<T, BenchError> {
        let line = self.output.next_line().await.ok().flatten();
        let line = line.ok_or_else(|| BenchError::Ended {
            engine: self.engine,
            message: String::new(),
        })?;
        serde_json::from_str(&line).map_err(|_| BenchError::Strange {
            engine: self.engine,
            line,
        })
    }
}

/// Says `message` on the standard output of this process, which is a worker.
pub(super) fn say<T: Serialize>(message: &T) -> Result<(), BenchError> {
    let line = serde_json::to_string(message).map_err(BenchError::query)?;
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}")
        .and_then(|()| out.flush())
        .map_err(BenchError::query)
}

/// Seconds that another process counted; zero if they are no time.
pub(super) fn duration(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds).unwrap_or_default()
}
