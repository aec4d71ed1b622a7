//! DuckDB in one process, on the same Parquet files: its Python module or its command line.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use async_trait::async_trait;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command};

use super::worker::{Worker, duration};
use super::{Answer, BenchError, Engine, EngineKind, Run};
use crate::tpch::Table;

const SCRIPT: &str = include_str!("duckdb.py");
/// The line that says that all of an answer was printed.
const END: &str = "-- weft bench: end --";

/// Where DuckDB is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Installed {
    /// A Python interpreter with the module `duckdb`.
    Python(PathBuf),
    /// The program `duckdb`.
    Program(PathBuf),
}

/// A running DuckDB.
pub struct DuckDb(Talk);

enum Talk {
    Python(Box<Worker>),
    Program(Box<Shell>),
}

impl Installed {
    /// The program `duckdb`, if it stands in a folder of `path`, which is a list as in `PATH`.
    pub fn on_path(path: &std::ffi::OsStr) -> Option<Self> {
        std::env::split_paths(path)
            .map(|folder| folder.join("duckdb"))
            .find(|file| file.is_file())
            .map(Self::Program)
    }
}

impl DuckDb {
    /// Starts it on the tables in `folder`.
    ///
    /// # Errors
    /// If it does not start, or the interpreter has no such module.
    pub async fn start(installed: &Installed, folder: &Path) -> Result<Self, BenchError> {
        let talk = match installed {
            Installed::Python(python) => {
                let mut command = Command::new(python);
                command.arg("-c").arg(SCRIPT).arg(folder);
                Talk::Python(Box::new(Worker::start("DuckDB", command).await?))
            }
            Installed::Program(program) => {
                Talk::Program(Box::new(Shell::start(program, folder).await?))
            }
        };
        Ok(Self(talk))
    }

    /// Its version.
    pub fn version(&self) -> &str {
        match &self.0 {
            Talk::Python(worker) => worker.version(),
            Talk::Program(shell) => &shell.version,
        }
    }
}

#[async_trait]
impl Engine for DuckDb {
    fn kind(&self) -> EngineKind {
        EngineKind::DuckDb
    }

    async fn run(&mut self, sql: &str) -> Result<Run, BenchError> {
        match &mut self.0 {
            Talk::Python(worker) => worker.run(sql).await,
            Talk::Program(shell) => shell.run(sql).await,
        }
    }

    fn processes(&self) -> Vec<(String, u32)> {
        let pid = match &self.0 {
            Talk::Python(worker) => worker.pid(),
            Talk::Program(shell) => shell.pid,
        };
        vec![("duckdb".to_owned(), pid)]
    }
}

/// The command line, which times a statement by itself.
struct Shell {
    pid: u32,
    version: String,
    input: ChildStdin,
    output: Lines<BufReader<ChildStdout>>,
    errors: ChildStderr,
    _process: Child,
}

impl Shell {
    async fn start(program: &Path, folder: &Path) -> Result<Self, BenchError> {
        let mut process = Command::new(program)
            .args(["-batch", "-bail", "-init", "/dev/null"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(BenchError::start(program))?;
        let ended = || ended("");
        let mut shell = Self {
            pid: process.id().ok_or_else(ended)?,
            version: String::new(),
            input: process.stdin.take().ok_or_else(ended)?,
            output: BufReader::new(process.stdout.take().ok_or_else(ended)?).lines(),
            errors: process.stderr.take().ok_or_else(ended)?,
            _process: process,
        };
        let mut opening = ".mode csv\n.headers off\n".to_owned();
        for table in Table::ALL {
            let file = folder.join(format!("{table}.parquet"));
            let file = file.to_string_lossy().replace('\'', "''");
            opening.push_str(&format!(
                "CREATE VIEW {table} AS SELECT * FROM read_parquet('{file}');\n"
            ));
        }
        opening.push_str("SELECT version();\n");
        let said = shell.tell(&opening).await?;
        shell.version = said.last().cloned().unwrap_or_default();
        shell.tell(".timer on\n").await?;
        Ok(shell)
    }

    async fn run(&mut self, sql: &str) -> Result<Run, BenchError> {
        let said = self.tell(&format!("{sql}\n;\n")).await?;
        parse(&said)
    }

    /// Sends `text` and returns the lines that come of it.
    async fn tell(&mut self, text: &str) -> Result<Vec<String>, BenchError> {
        let text = format!("{text}.print \"{END}\"\n");
        let sent = self.input.write_all(text.as_bytes()).await;
        sent.map_err(|error| ended(&error.to_string()))?;
        let mut lines = Vec::new();
        while let Ok(Some(line)) = self.output.next_line().await {
            if line == END {
                return Ok(lines);
            }
            lines.push(line);
        }
        let mut said = String::new();
        // Without a reason the end itself has to do.
        let _ = self.errors.read_to_string(&mut said).await;
        Err(ended(&said))
    }
}

fn ended(message: &str) -> BenchError {
    BenchError::Ended {
        engine: "DuckDB",
        message: message.to_owned(),
    }
}

/// Rows, one a line, and then `Run Time (s): real 0.002 user 0.001 sys 0.000`.
fn parse(said: &[String]) -> Result<Run, BenchError> {
    let strange = || BenchError::Strange {
        engine: "DuckDB",
        line: said.last().cloned().unwrap_or_default(),
    };
    let (last, rows) = said.split_last().ok_or_else(strange)?;
    let times = last.strip_prefix("Run Time (s):").ok_or_else(strange)?;
    let words: Vec<&str> = times.split_ascii_whitespace().collect();
    let after = |name: &str| {
        let at = words.iter().position(|word| *word == name)?;
        words.get(at + 1)?.parse::<f64>().ok()
    };
    let cpu = after("user").zip(after("sys"));
    Ok(Run {
        time: duration(after("real").ok_or_else(strange)?),
        cpu: cpu.map(|(user, system)| duration(user + system)),
        answer: Answer {
            rows: rows.len() as u64,
            checksum: None,
        },
        flows: Vec::new(),
        wire: Vec::new(),
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn rows_and_times_of_the_command_line_are_read() {
        let said = ["1,a", "2,b", "Run Time (s): real 0.250 user 0.4 sys 0.1"];
        let run = parse(&said.map(str::to_owned)).expect("read");
        assert_eq!(run.time, Duration::from_millis(250));
        assert_eq!(run.cpu, Some(Duration::from_millis(500)));
        assert_eq!(run.answer.rows, 2);
        assert!(parse(&["1,a".to_owned()]).is_err() && parse(&[]).is_err());
    }

    #[test]
    fn the_program_is_looked_for_where_programs_are() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = std::env::join_paths([Path::new("/nowhere"), dir.path()]).expect("a path");
        assert_eq!(Installed::on_path(&path), None);
        let file = dir.path().join("duckdb");
        std::fs::write(&file, "").expect("written");
        assert_eq!(Installed::on_path(&path), Some(Installed::Program(file)));
    }
}
