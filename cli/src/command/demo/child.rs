//! A server of the demo in a process of its own.

use std::fs::File;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{ChildStdin, Command};
use tokio::time::timeout;
use weft_governance::{Error, ErrorKind, code};

/// A process that is not ready after this time has failed.
const START: Duration = Duration::from_secs(60);
/// A process that has not ended after this time is killed.
const STOP: Duration = Duration::from_secs(8);

/// Where the demo keeps all it has.
#[derive(Debug, Clone, Copy)]
pub(super) struct Home<'a> {
    pub(super) folder: &'a Path,
    /// It does not outlive the demo, however the demo ends.
    pub(super) temporary: bool,
}

/// A running server. It ends when its standard input closes, so it cannot outlive this process.
pub(super) struct Child {
    process: tokio::process::Child,
    input: Option<ChildStdin>,
    pid: u32,
    ready: Value,
}

impl Child {
    /// Starts this very program with `arguments` and a settings file, and waits until it is ready.
    /// Its log goes to `home.folder/logs/NAME.log`.
    pub(super) async fn start(
        name: &str,
        arguments: &[&str],
        settings: &Path,
        home: Home<'_>,
    ) -> Result<Self, Error> {
        let logs = home.folder.join("logs");
        let log = logs.join(format!("{name}.log"));
        let start = || -> std::io::Result<tokio::process::Child> {
            std::fs::create_dir_all(&logs)?;
            Command::new(std::env::current_exe()?)
                .args(arguments)
                .arg("--config")
                .arg(settings)
                .arg("--supervised")
                .args(home.temporary.then_some("--leftovers"))
                .args(home.temporary.then_some(home.folder))
                .env_remove("WEFT_URL")
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .stderr(File::create(&log)?)
                .kill_on_drop(true)
                .spawn()
        };
        let mut process = start().map_err(|error| failed(name, &error.to_string(), &log))?;
        let input = process.stdin.take();
        let output = process
            .stdout
            .take()
            .ok_or_else(|| failed(name, "it has no output", &log))?;
        let mut lines = BufReader::new(output).lines();
        let line = timeout(START, lines.next_line())
            .await
            .map_err(|_| failed(name, "it took too long", &log))?
            .ok()
            .flatten();
        let ready = line.and_then(|line| serde_json::from_str(&line).ok());
        let (Some(ready), Some(pid)) = (ready, process.id()) else {
            let said = std::fs::read_to_string(&log).unwrap_or_default();
            let last = said.lines().rev().take(3).collect::<Vec<_>>().join(" / ");
            return Err(failed(name, &last, &log));
        };
        Ok(Self {
            process,
            input,
            pid,
            ready,
        })
    }

    /// Its process id.
    pub(super) fn pid(&self) -> u32 {
        self.pid
    }

    /// What it said of itself when it was ready.
    pub(super) fn field(&self, name: &str) -> &str {
        self.ready
            .get(name)
            .and_then(Value::as_str)
            .unwrap_or_default()
    }

    /// Ends it and waits.
    pub(super) async fn stop(mut self) {
        drop(self.input.take());
        if timeout(STOP, self.process.wait()).await.is_err() {
            // It may have ended in this moment; then there is nothing to kill.
            let _ = self.process.kill().await;
        }
    }
}

fn failed(name: &str, reason: &str, log: &Path) -> Error {
    Error::new(
        ErrorKind::Unavailable,
        code::CONNECT,
        format!("the demo's process `{name}` did not start: {reason}"),
    )
    .with_hint(format!("Its log is `{}`.", log.display()))
}
