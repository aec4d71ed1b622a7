//! The interactive shell, and statements run without one.

mod commands;
mod run;
mod splitter;

use std::path::PathBuf;
use std::sync::Arc;

use rustyline::error::ReadlineError;
use rustyline::history::FileHistory;
use rustyline::{Config, Editor};
use tokio::runtime::Runtime;
use weft_governance::Error;

use crate::connection::Connection;
use crate::exit::{Exit, note, report};
use crate::output::Format;

use commands::Command;
pub(crate) use run::{Outcome, run_text};

/// Lines of history that are kept.
const HISTORY: usize = 10_000;

/// A shell on one connection.
pub(crate) struct Shell {
    client: Connection,
    runtime: Arc<Runtime>,
    format: Option<Format>,
    timing: bool,
    place: String,
}

impl Shell {
    /// A shell for `client`. Rows are printed as `format`, or as is usual for where they go.
    pub(crate) fn new(client: Connection, runtime: Arc<Runtime>, format: Option<Format>) -> Self {
        Self {
            client,
            runtime,
            format,
            timing: true,
            place: String::new(),
        }
    }

    /// Reads and runs statements until the person leaves.
    ///
    /// # Errors
    /// If the terminal cannot be used.
    pub(crate) fn interact(&mut self) -> Result<Exit, Error> {
        let config = Config::builder()
            .max_history_size(HISTORY)
            .map_err(unusable)?
            .build();
        let mut editor = Editor::<(), FileHistory>::with_history(
            config.clone(),
            FileHistory::with_config(&config),
        )
        .map_err(unusable)?;
        let history = history_file();
        if let Some(file) = &history {
            // There is none at the first start.
            let _ = editor.load_history(file);
        }
        let mut text = String::new();
        loop {
            let prompt = self.prompt(text.is_empty());
            match editor.readline(&prompt) {
                Ok(line) => {
                    if text.is_empty() && line.trim().is_empty() {
                        continue;
                    }
                    if !text.is_empty() {
                        text.push('\n');
                    }
                    text.push_str(&line);
                    if !self.ready(&text) {
                        continue;
                    }
                    remember(&mut editor, text.trim());
                    let done = std::mem::take(&mut text);
                    if self.take(&done) {
                        break;
                    }
                }
                // Ctrl-C at the prompt throws the text away.
                Err(ReadlineError::Interrupted) => text.clear(),
                Err(ReadlineError::Eof) => break,
                Err(error) => return Err(unusable(error)),
            }
        }
        if let Some(file) = &history {
            // A history that cannot be kept is no reason to fail at the end.
            let _ = editor.save_history(file);
        }
        Ok(Exit::Ok)
    }

    fn prompt(&self, first: bool) -> String {
        let start = if self.place.is_empty() {
            "weft".to_owned()
        } else {
            format!("weft:{}", self.place)
        };
        if first {
            format!("{start}> ")
        } else {
            format!("{}-> ", " ".repeat(start.len() - 1))
        }
    }

    /// Whether `text` is complete: a command of the shell, or statements up to a semicolon.
    fn ready(&self, text: &str) -> bool {
        Command::is_command(text) || splitter::split(text).rest.trim().is_empty()
    }

    /// Runs what was typed; says whether the person leaves.
    fn take(&mut self, text: &str) -> bool {
        match Command::parse(text) {
            Some(Ok(Command::Quit)) => return true,
            Some(Ok(Command::Help)) => note(commands::HELP),
            Some(Ok(Command::Timing)) => {
                self.timing = !self.timing;
                note(if self.timing {
                    "timing is on"
                } else {
                    "timing is off"
                });
            }
            Some(Ok(Command::Format(format))) => self.format = Some(format),
            Some(Ok(Command::Statement(sql))) => {
                self.run(&sql);
            }
            Some(Ok(Command::Include(file))) => match std::fs::read_to_string(&file) {
                Ok(text) => {
                    self.run(&text);
                }
                Err(error) => note(&format!("`{}` cannot be read: {error}", file.display())),
            },
            Some(Err(message)) => note(&message),
            None => {
                self.run(text);
            }
        }
        false
    }

    fn run(&mut self, text: &str) {
        let format = self.format.unwrap_or_else(Format::usual);
        let timing = self.timing;
        let outcome = self
            .runtime
            .block_on(run_text(&mut self.client, text, format, timing));
        match outcome {
            Ok(Outcome {
                place: Some(place), ..
            }) => self.place = place,
            Ok(Outcome { .. }) => {}
            Err(error) => report(&error),
        }
    }
}

/// Adds to the history what holds no secret.
fn remember(editor: &mut Editor<(), FileHistory>, text: &str) {
    if !text.to_lowercase().contains("password") {
        // The history is a convenience.
        let _ = editor.add_history_entry(text);
    }
}

fn history_file() -> Option<PathBuf> {
    let state = std::env::var_os("XDG_STATE_HOME")
        .map(PathBuf::from)
        .or_else(|| {
            std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".local/state"))
        })?;
    let folder = state.join("weft");
    std::fs::create_dir_all(&folder).ok()?;
    Some(folder.join("history"))
}

fn unusable(error: ReadlineError) -> Error {
    Error::new(
        weft_governance::ErrorKind::Internal,
        weft_governance::code::INTERNAL,
        format!("the terminal cannot be used: {error}"),
    )
}
