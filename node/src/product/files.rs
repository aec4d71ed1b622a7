//! Where a table's files are: what the contract says, or a name beside it.

use std::fs;
use std::path::{Path, PathBuf};

use weft_governance::contract::{Server, ServerKind};

use super::declared::Declared;
use super::problem::Trouble;

/// The most files of one table.
const MOST: usize = 10_000;

/// A format that files are read in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    /// Apache Parquet.
    Parquet,
    /// RFC 4180 with a header.
    Csv,
    /// One JSON object per line.
    Ndjson,
}

impl Format {
    const ALL: [Self; 3] = [Self::Parquet, Self::Csv, Self::Ndjson];

    /// The ending of file names.
    fn extension(self) -> &'static str {
        match self {
            Self::Parquet => "parquet",
            Self::Csv => "csv",
            Self::Ndjson => "ndjson",
        }
    }

    /// The format that a contract calls `name`.
    fn from_name(name: &str) -> Option<Self> {
        match name.to_ascii_lowercase().as_str() {
            "parquet" => Some(Self::Parquet),
            "csv" => Some(Self::Csv),
            "json" | "jsonl" | "ndjson" => Some(Self::Ndjson),
            _ => None,
        }
    }

    /// The format that the name of `file` says.
    fn of(file: &Path) -> Option<Self> {
        file.extension()
            .and_then(|ending| ending.to_str())
            .and_then(Self::from_name)
    }
}

/// The files of a table, all in one format and all inside the data directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Files {
    pub(super) format: Format,
    /// Resolved, in the order of their names; at least one.
    pub(super) paths: Vec<PathBuf>,
}

/// Finds the files of `declared` for a contract in `folder`. `root` is the resolved data
/// directory.
pub(super) fn find(
    declared: &Declared<'_>,
    servers: &[Server],
    folder: &Path,
    root: &Path,
) -> Result<Files, Trouble> {
    let search = Search { declared, root };
    // The contract's first server of a kind that holds files decides.
    let server = servers
        .iter()
        .find(|server| !matches!(server.kind, ServerKind::Other(_)));
    match server {
        None => search.beside(folder),
        Some(server) => match (&server.kind, &server.path) {
            (ServerKind::Local, Some(path)) => search.at_server(server, path, folder),
            (kind, _) => {
                let message = format!(
                    "not served yet: data on servers of type `{kind}` (`{}`)",
                    server.name
                );
                Err(Trouble::contract(server.at, message).with_hint(
                    "Put the files beside the contract and remove the server, or make it `local`.",
                ))
            }
        },
    }
}

#[derive(Debug, Clone, Copy)]
struct Search<'a> {
    declared: &'a Declared<'a>,
    root: &'a Path,
}

impl Search<'_> {
    /// `TABLE.parquet`, `TABLE.csv`, `TABLE.ndjson` or the files in `TABLE/`.
    fn beside(&self, folder: &Path) -> Result<Files, Trouble> {
        let name = &self.declared.object.name;
        let mut candidates: Vec<PathBuf> = Format::ALL
            .iter()
            .map(|format| folder.join(format!("{name}.{}", format.extension())))
            .filter(|path| path.is_file())
            .collect();
        candidates.extend(Some(folder.join(name)).filter(|path| path.is_dir()));
        match candidates.as_slice() {
            [] => Err(self.declared.trouble("no data was found").with_hint(format!(
                "Put `{name}.parquet`, `{name}.csv`, `{name}.ndjson` or a folder `{name}` beside \
                 the contract, or name a server of type `local`."
            ))),
            [only] => self.at_path(only, None),
            [first, second, ..] => Err(self
                .declared
                .trouble(format!("both `{}` and `{}` are its data", last(first), last(second)))
                .with_hint("Keep one of them.")),
        }
    }

    fn at_server(&self, server: &Server, path: &str, folder: &Path) -> Result<Files, Trouble> {
        let named = server
            .format
            .as_deref()
            .map(|name| (name, Format::from_name(name)));
        let format = match named {
            None => None,
            Some((_, Some(format))) => Some(format),
            Some((name, None)) => {
                let message = format!("not served yet: files in the format `{name}`");
                return Err(Trouble::contract(server.at, message).with_hint(
                    "Formats that are served are parquet, csv and json (one per line).",
                ));
            }
        };
        if server
            .delimiter
            .as_deref()
            .is_some_and(|delimiter| delimiter != "new_line")
        {
            let message = "not served yet: JSON that is not one object per line";
            return Err(Trouble::contract(server.at, message));
        }
        let path = folder.join(path.replace("{model}", &self.declared.object.name));
        let pattern = path
            .file_name()
            .and_then(|name| name.to_str())
            .unwrap_or_default();
        if pattern.contains('*') && !path.exists() {
            let within = path.parent().unwrap_or(folder);
            return self.in_folder(within, Some(pattern), format);
        }
        self.at_path(&path, format)
    }

    fn at_path(&self, path: &Path, format: Option<Format>) -> Result<Files, Trouble> {
        if path.is_dir() {
            return self.in_folder(path, None, format);
        }
        let resolved = self.resolve(path)?;
        let format = format.or_else(|| Format::of(path)).ok_or_else(|| {
            Trouble::file(path, "the name of the file does not say its format")
                .with_hint("Formats are known by the endings parquet, csv and ndjson.")
        })?;
        Ok(Files {
            format,
            paths: vec![resolved],
        })
    }

    /// The files in `folder`, or those whose name fits `pattern`. Every file has to be of the
    /// table: one that is left out would be rows that are missing.
    fn in_folder(
        &self,
        folder: &Path,
        pattern: Option<&str>,
        format: Option<Format>,
    ) -> Result<Files, Trouble> {
        let mut files: Option<Files> = None;
        for path in self.entries(folder, pattern)? {
            if path.is_dir() {
                return Err(Trouble::file(
                    &path,
                    "not served yet: folders within a table's folder",
                ));
            }
            let own = Format::of(&path)
                .or(pattern.and(format))
                .filter(|own| format.is_none_or(|format| format == *own));
            let Some(own) = own else {
                return Err(
                    Trouble::file(&path, "this file is not of the table's format").with_hint(
                        "Files that are not data have names that begin with `.` or `_`.",
                    ),
                );
            };
            let resolved = self.resolve(&path)?;
            let files = files.get_or_insert(Files {
                format: own,
                paths: Vec::new(),
            });
            if files.format != own {
                let message = "the files of a table must have one format, but these have two";
                return Err(Trouble::file(folder, message));
            }
            files.paths.push(resolved);
        }
        files.ok_or_else(|| {
            let place = pattern.map_or_else(|| last(folder), str::to_owned);
            self.declared
                .trouble(format!("there are no files in `{place}`"))
        })
    }

    /// What is in `folder` and not hidden, in the order of the names.
    fn entries(&self, folder: &Path, pattern: Option<&str>) -> Result<Vec<PathBuf>, Trouble> {
        let resolved = self.resolve(folder)?;
        let unreadable =
            |error: std::io::Error| Trouble::file(folder, format!("cannot be read: {error}"));
        let mut paths = Vec::new();
        for entry in fs::read_dir(&resolved).map_err(unreadable)? {
            let name = entry.map_err(unreadable)?.file_name();
            let Some(name) = name.to_str() else {
                return Err(Trouble::file(
                    folder,
                    "the name of a file in it is not UTF-8",
                ));
            };
            let hidden = name.starts_with(['.', '_']);
            if !hidden && pattern.is_none_or(|pattern| fits(name, pattern)) {
                paths.push(resolved.join(name));
            }
            if paths.len() > MOST {
                return Err(Trouble::file(
                    folder,
                    format!("a table has at most {MOST} files"),
                ));
            }
        }
        paths.sort_unstable();
        Ok(paths)
    }

    /// The file behind `path` and its links, which has to be inside the data directory.
    fn resolve(&self, path: &Path) -> Result<PathBuf, Trouble> {
        let table = &self.declared.object.name;
        let resolved = path.canonicalize().map_err(|error| {
            Trouble::file(
                path,
                format!("the data of table `{table}` cannot be read: {error}"),
            )
        })?;
        if !resolved.starts_with(self.root) {
            let message = format!("the data of table `{table}` is outside the data directory");
            return Err(Trouble::file(path, message)
                .with_hint("Paths and links may only lead to files inside the data directory."));
        }
        Ok(resolved)
    }
}

/// Whether `name` fits `pattern`, in which `*` stands for any text.
fn fits(name: &str, pattern: &str) -> bool {
    let Some((first, rest)) = pattern.split_once('*') else {
        return name == pattern;
    };
    let Some(mut left) = name.strip_prefix(first) else {
        return false;
    };
    let mut parts: Vec<&str> = rest.split('*').collect();
    let ending = parts.pop().unwrap_or_default();
    for part in parts {
        match left
            .find(part)
            .and_then(|start| left.get(start + part.len()..))
        {
            Some(after) => left = after,
            None => return false,
        }
    }
    left.ends_with(ending)
}

fn last(path: &Path) -> String {
    let name = path
        .file_name()
        .map(|name| name.to_string_lossy().into_owned());
    let slash = if path.is_dir() { "/" } else { "" };
    format!("{}{slash}", name.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_any_text() {
        for (name, pattern, expected) in [
            ("part-1.parquet", "*.parquet", true),
            ("part-1.parquet", "part-*.parquet", true),
            ("part-1.csv", "*.parquet", false),
            ("a.parquet", "a.parquet", true),
            ("ab", "a*b*", true),
            ("a", "a*a", false),
            ("aXbXc", "a*b*c", true),
            ("aXcXb", "a*b*c", false),
            ("", "*", true),
        ] {
            assert_eq!(fits(name, pattern), expected, "{name} {pattern}");
        }
    }
}
