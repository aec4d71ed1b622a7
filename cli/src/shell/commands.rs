//! The shell's own commands.

use std::path::PathBuf;

use clap::ValueEnum;

use crate::output::Format;

/// What `\?` prints.
pub(super) const HELP: &str = "\
Statements end with a semicolon. Ctrl-C cancels a running query, Ctrl-D leaves.
  \\d            list the tables that you may see
  \\d TABLE      list a table's columns
  \\l            list the domains
  \\i FILE       run the statements in a file
  \\format NAME  print rows as table, csv, tsv, json or ndjson
  \\timing       switch the line with rows and time on or off
  \\q            leave
EXPLAIN SELECT … shows what runs where, EXPLAIN ANALYZE SELECT … what crossed.";

/// A command of the shell.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Command {
    Quit,
    Help,
    Timing,
    Format(Format),
    Include(PathBuf),
    /// One that is a statement written shorter.
    Statement(String),
}

impl Command {
    /// Whether `text` is a command and so complete without a semicolon.
    pub(super) fn is_command(text: &str) -> bool {
        let text = text.trim();
        text.starts_with('\\') || matches!(text, "exit" | "quit" | "help")
    }

    /// The command that `text` is, or what is wrong with it; `None` if it is a statement.
    pub(super) fn parse(text: &str) -> Option<Result<Self, String>> {
        if !Self::is_command(text) {
            return None;
        }
        let mut words = text.trim().trim_end_matches(';').split_whitespace();
        let name = words.next().unwrap_or_default();
        let argument = words.next();
        Some(match (name, argument) {
            ("\\q" | "exit" | "quit", None) => Ok(Self::Quit),
            ("\\?" | "\\h" | "help", None) => Ok(Self::Help),
            ("\\timing", None) => Ok(Self::Timing),
            ("\\d", None) => Ok(Self::Statement("SHOW TABLES;".to_owned())),
            ("\\d", Some(table)) => Ok(Self::Statement(format!("DESCRIBE {table};"))),
            ("\\l", None) => Ok(Self::Statement("SHOW CATALOGS;".to_owned())),
            ("\\i", Some(file)) => Ok(Self::Include(file.into())),
            ("\\format", Some(name)) => {
                Format::from_str(name, true).map(Self::Format).map_err(|_| {
                    format!(
                        "there is no format `{name}`; there are table, csv, tsv, json and ndjson"
                    )
                })
            }
            _ => Err(format!(
                "there is no command `{}`; \\? lists all",
                text.trim()
            )),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_told_from_statements() {
        assert_eq!(Command::parse("\\q"), Some(Ok(Command::Quit)));
        assert_eq!(Command::parse("quit"), Some(Ok(Command::Quit)));
        assert_eq!(Command::parse("SELECT 1"), None);
        assert_eq!(
            Command::parse("\\format csv"),
            Some(Ok(Command::Format(Format::Csv)))
        );
        let describe = Command::Statement("DESCRIBE sales.orders.orders;".to_owned());
        assert_eq!(
            Command::parse("\\d sales.orders.orders"),
            Some(Ok(describe))
        );
        assert!(matches!(Command::parse("\\nope"), Some(Err(_))));
    }
}
