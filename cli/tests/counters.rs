//! What crosses the boundaries of a mesh of real processes for each query of TPC-H, compared with what
//! is on record, so that no change ships more without saying so.
//!
//! After a change that is meant to, write the record anew and read the difference:
//!
//! ```sh
//! WEFT_UPDATE_COUNTERS=1 cargo test --workspace --test counters
//! git diff tests/data/tpch
//! ```

// The lints that spare tests spare the functions beside them too.
#![cfg(test)]

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

/// Large enough that rows, not messages, make up the bytes.
const SCALE: f64 = 0.1;
/// Set it to have the record written anew.
const UPDATE: &str = "WEFT_UPDATE_COUNTERS";
/// How far bytes may be from the record: how batches are cut depends on timing. Rows and requests
/// may not. No query has a LIMIT that could stop a fragment early; each stands above a sort.
const TOLERANCE: f64 = 0.01;
const HEADER: &str = "query,source,destination,form,rows,bytes,requests";

/// Who ships what to whom for which query.
type Key = [String; 4];

/// What crossed, all fragments of a key together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Count {
    rows: u64,
    bytes: u64,
    requests: u64,
}

type Counts = BTreeMap<Key, Count>;

#[test]
fn no_query_ships_more_than_is_on_record() {
    compare("open", count(&["--grants", "open"]));
}

#[test]
fn no_query_ships_more_than_is_on_record_under_filters_and_masks() {
    compare("guarded", count(&["--grants", "guarded"]));
}

/// What a mesh of real processes counts in a benchmark that nobody else takes part in.
fn count(arguments: &[&str]) -> Counts {
    let folder = tempfile::tempdir().expect("folder");
    let file = folder.path().join("figures.json");
    let output = Command::new(env!("CARGO_BIN_EXE_weft"))
        .args(["bench", "--runs", "1", "--warm-up", "0"])
        .args(["--wire", "--without", "copy,datafusion,duckdb"])
        .args(["--scale", &SCALE.to_string(), "--dir"])
        .arg(std::env::temp_dir().join("weft-test-bench"))
        .arg("--json")
        .arg(&file)
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .expect("run");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert!(!said.contains("not known well"), "{said}");
    let figures = std::fs::read_to_string(file).expect("written");
    let figures: Value = serde_json::from_str(&figures).expect("JSON");
    compare_with_kernel(&figures);
    counts(&figures)
}

/// What Weft counts at each boundary is what the kernel counted on its connections, but for what the
/// transport adds.
fn compare_with_kernel(figures: &Value) {
    for query in figures["queries"].as_array().expect("queries") {
        let domains = query["wire"].as_array().expect("the wire");
        assert_eq!(domains.len(), 3);
        for domain in domains {
            assert_eq!(domain["agrees"], true, "q{}: {domain}", query["query"]);
        }
    }
}

fn counts(figures: &Value) -> Counts {
    let mut counts = Counts::new();
    let queries = figures["queries"].as_array().expect("queries");
    assert_eq!(queries.len(), 22);
    for query in queries {
        let name = format!("q{:02}", query["query"].as_u64().expect("a number"));
        let flows = query["flows"].as_array().expect("flows");
        assert!(!flows.is_empty(), "{name} reads a domain");
        for flow in flows {
            let text = |field: &str| flow[field].as_str().expect("text").to_owned();
            let number = |field: &str| flow[field].as_u64().expect("a number");
            let count = Count {
                rows: number("rows"),
                bytes: number("bytes"),
                requests: number("requests"),
            };
            let key = [
                name.clone(),
                text("source"),
                text("destination"),
                text("form"),
            ];
            counts.insert(key, count);
        }
    }
    counts
}

fn compare(name: &str, counted: Counts) {
    let file = record(name);
    if std::env::var_os(UPDATE).is_some() {
        std::fs::write(&file, written(&counted)).expect("the record is written");
        return;
    }
    let text = std::fs::read_to_string(&file).expect("a record");
    let differences = differences(&read(&text), &counted);
    assert!(
        differences.is_empty(),
        "not as in {}; if it is meant to be so, set {UPDATE}=1:\n{}",
        file.display(),
        differences.join("\n")
    );
}

fn differences(known: &Counts, counted: &Counts) -> Vec<String> {
    let mut keys: Vec<&Key> = known.keys().chain(counted.keys()).collect();
    keys.sort();
    keys.dedup();
    let differs = |key: &&Key| match (known.get(*key), counted.get(*key)) {
        (Some(known), Some(counted)) => !known.allows(counted),
        _ => true,
    };
    let said = |key: &Key| {
        let (known, counted) = (known.get(key), counted.get(key));
        format!(
            "{}: {known:?} on record, {counted:?} counted",
            key.join(" ")
        )
    };
    keys.into_iter().filter(differs).map(said).collect()
}

impl Count {
    fn allows(&self, counted: &Self) -> bool {
        let apart = self.bytes.abs_diff(counted.bytes) as f64;
        self.rows == counted.rows
            && self.requests == counted.requests
            && apart <= self.bytes as f64 * TOLERANCE
    }
}

fn written(counts: &Counts) -> String {
    let mut text = format!("{HEADER}\n");
    for (key, count) in counts {
        let Count {
            rows,
            bytes,
            requests,
        } = count;
        writeln!(text, "{},{rows},{bytes},{requests}", key.join(",")).expect("a text takes all");
    }
    text
}

fn read(text: &str) -> Counts {
    let (header, lines) = text.split_once('\n').expect("a header");
    assert_eq!(header, HEADER);
    let line = |line: &str| {
        let cells: Vec<&str> = line.split(',').collect();
        let [key @ .., rows, bytes, requests] = cells.as_slice() else {
            panic!("`{line}` is no line of a record");
        };
        let key: Vec<String> = key.iter().map(|cell| (*cell).to_owned()).collect();
        let number = |cell: &str| cell.parse().expect("a number");
        let count = Count {
            rows: number(rows),
            bytes: number(bytes),
            requests: number(requests),
        };
        (key.try_into().expect("four names"), count)
    };
    lines.lines().map(line).collect()
}

fn record(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join(format!("../tests/data/tpch/counters_{name}_sf{SCALE}.csv"))
}

#[test]
fn a_record_reads_as_it_was_written_and_every_difference_shows() {
    let key = |query: &str| [query, "sales", "coordinator", "rows"].map(str::to_owned);
    let count = |rows, bytes, requests| Count {
        rows,
        bytes,
        requests,
    };
    let known = Counts::from([
        (key("q01"), count(4, 1_000, 1)),
        (key("q02"), count(9, 200, 2)),
    ]);
    assert_eq!(read(&written(&known)), known);
    let with = |changed: Count| {
        let mut counted = known.clone();
        counted.insert(key("q01"), changed);
        differences(&known, &counted).len()
    };
    assert_eq!(with(count(4, 1_010, 1)), 0);
    assert_eq!(with(count(4, 1_011, 1)), 1);
    assert_eq!(with(count(4, 989, 1)), 1);
    assert_eq!(with(count(5, 1_000, 1)), 1);
    assert_eq!(with(count(4, 1_000, 2)), 1);
    assert_eq!(differences(&known, &Counts::new()).len(), 2);
    assert_eq!(differences(&Counts::new(), &known).len(), 2);
}
