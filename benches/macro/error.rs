//! Why something could not be measured.

use std::path::{Path, PathBuf};

use thiserror::Error;

/// Why something could not be measured.
#[derive(Debug, Error)]
pub enum BenchError {
    /// A program could not be started.
    #[error("`{}` cannot be started: {source}", program.display())]
    Start {
        /// The program.
        program: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// An engine's process went away.
    #[error("the process of {engine} ended{}", said(message))]
    Ended {
        /// The engine.
        engine: &'static str,
        /// The last of what it said.
        message: String,
    },
    /// An engine did not say what it should.
    #[error("{engine} said something that is no answer: `{line}`")]
    Strange {
        /// The engine.
        engine: &'static str,
        /// What it said.
        line: String,
    },
    /// An engine could not answer a query.
    #[error("{message}")]
    Query {
        /// What the engine said.
        message: String,
    },
    /// A proxy could not listen.
    #[error("no address for a slow link: {0}")]
    Listen(std::io::Error),
}

impl BenchError {
    /// Names `program` in an error of the operating system.
    pub(crate) fn start(program: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let program = program.to_owned();
        move |source| Self::Start { program, source }
    }

    /// An engine's own message.
    pub fn query(message: impl ToString) -> Self {
        Self::Query {
            message: message.to_string(),
        }
    }
}

fn said(message: &str) -> String {
    match message.trim() {
        "" => String::new(),
        message => format!(": {message}"),
    }
}
