//! A demo that serves, as a process of its own.

// Each of the tests that share it is a crate, and not all of them use all of it.
#![allow(dead_code)]

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::Value;

/// It ends with this value.
pub(crate) struct Demo {
    pub(crate) process: Child,
    /// What it says of itself.
    pub(crate) description: Value,
    pub(crate) folder: tempfile::TempDir,
}

impl Demo {
    /// Starts one that `place` has told of the folder.
    pub(crate) fn start_with(
        place: impl for<'a> FnOnce(&'a mut Command, &Path) -> &'a mut Command,
    ) -> Self {
        let folder = tempfile::tempdir().expect("folder");
        let mut demo = Command::new(env!("CARGO_BIN_EXE_weft"));
        demo.args(["demo", "--serve", "--scale", "0.01"]);
        let mut process = place(&mut demo, folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("started");
        let mut line = String::new();
        let output = process.stdout.take().expect("output");
        BufReader::new(output).read_line(&mut line).expect("a line");
        Self {
            process,
            description: serde_json::from_str(&line).expect("JSON"),
            folder,
        }
    }

    /// The text at `pointer` of its description.
    pub(crate) fn text(&self, pointer: &str) -> &str {
        let value = self.description.pointer(pointer);
        value.and_then(Value::as_str).expect("present")
    }

    /// The process `name` of its mesh.
    pub(crate) fn pid(&self, name: &str) -> u64 {
        self.description["pids"][name].as_u64().expect("a process")
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
