//! `weft bench` as a person runs it.

// The lints that spare tests spare the functions beside them too.
#![cfg(test)]

use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

/// Without DuckDB, so that every machine does the same.
fn bench(arguments: &[&str], file: &Path) -> Output {
    Command::new(env!("CARGO_BIN_EXE_weft"))
        .args(["bench", "--scale", "0.01", "--runs", "1", "--warm-up", "0"])
        .args(["--without", "duckdb", "--json"])
        .arg(file)
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .expect("run")
}

/// A benchmark that goes well: its figures, and what it printed.
fn figures(arguments: &[&str]) -> (Value, String) {
    let folder = tempfile::tempdir().expect("folder");
    let file = folder.path().join("figures.json");
    let output = bench(arguments, &file);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{said}");
    let json = std::fs::read_to_string(file).expect("written");
    let printed = String::from_utf8(output.stdout).expect("text");
    (serde_json::from_str(&json).expect("JSON"), printed)
}

fn number(json: &Value, pointer: &str) -> u64 {
    let value = json.pointer(pointer).and_then(Value::as_u64);
    value.unwrap_or_else(|| panic!("{pointer} in {json:#}"))
}

#[test]
fn queries_are_measured_beside_datafusion_and_answered_alike() {
    let (json, printed) = figures(&["--only", "6,12"]);
    for (at, query, rows) in [(0, 6, 1), (1, 12, 2)] {
        let path = |rest: &str| format!("/queries/{at}/{rest}");
        assert_eq!(number(&json, &path("query")), query);
        assert_eq!(json.pointer(&path("answer")), Some(&Value::from("equal")));
        for engine in ["weft", "datafusion"] {
            let own = |field: &str| path(&format!("engines/{engine}/{field}"));
            assert_eq!(number(&json, &own("rows")), rows, "{engine}");
            let times = json.pointer(&own("seconds")).and_then(Value::as_array);
            assert_eq!(times.map(Vec::len), Some(1), "{engine}");
        }
        let sums = ["weft", "datafusion"].map(|e| path(&format!("engines/{e}/checksum")));
        let [own, other] = sums.map(|sum| json.pointer(&sum).and_then(Value::as_str));
        assert!(own.is_some() && own == other, "{json:#}");
        assert!(number(&json, &path("crossed/bytes")) > 0);
        assert_eq!(number(&json, &path("crossed/requests")), 1);
        assert_eq!(number(&json, &path("flows/0/rows")), rows);
        assert_eq!(
            json.pointer(&path("flows/0/source")),
            Some(&Value::from("sales"))
        );
    }
    assert_eq!(json["queries"].as_array().map(Vec::len), Some(2));
    assert_eq!(number(&json, "/settings/domains"), 3);
    assert_eq!(number(&json, "/total/crossed/rows"), 3);
    for process in ["coordinator", "sales", "crm", "supply", "datafusion"] {
        assert!(number(&json, &format!("/peak_memory/{process}")) > 0);
    }
    assert!(
        printed.contains("\nq12 ") && printed.contains("Peak memory: "),
        "{printed}"
    );
}

#[test]
fn six_domains_behind_a_slow_link_answer_alike() {
    let arguments = [
        "--only",
        "3",
        "--domains",
        "6",
        "--link",
        "1gbit,1ms",
        "--off",
        "gather",
    ];
    let (json, _) = figures(&arguments);
    assert_eq!(json["queries"][0]["answer"], "equal");
    assert_eq!(json["settings"]["off"][0], "gather");
    let flows = json["queries"][0]["flows"].as_array().expect("flows");
    // Beside its rows, a domain may send keys to another.
    let mut sources: Vec<&Value> = flows.iter().map(|flow| &flow["source"]).collect();
    sources.dedup();
    assert_eq!(sources, ["crm", "logistics", "sales"]);
}

#[test]
fn filters_and_masks_are_measured_beside_a_copy_without_what_they_hold_back() {
    let arguments = [
        "--only",
        "10",
        "--grants",
        "guarded",
        "--key-disclosure",
        "bloom",
        "--points",
        "3",
        "--catalog",
        "9",
    ];
    let (json, printed) = figures(&arguments);
    let query = &json["queries"][0];
    assert_eq!(query["answer"], "equal");
    let sums = ["weft", "copy", "datafusion"].map(|it| &query["engines"][it]["checksum"]);
    assert!(sums.iter().all(|sum| sum.is_string() && *sum == sums[0]));
    let price = &query["price"];
    let ratio = price["bytes_ratio"].as_f64().expect("a ratio");
    assert!((0.9..1.1).contains(&ratio), "{price}");
    assert!(price["time_ratio"].is_f64(), "{price}");
    let flows = query["flows"].as_array().expect("flows");
    assert!(flows.iter().any(|flow| flow["form"] == "key bloom"));
    assert!(flows.iter().all(|flow| flow["form"] != "key list"));
    for engine in ["weft", "copy", "datafusion"] {
        let pointer = format!("/points/engines/{engine}/count");
        assert_eq!(number(&json, &pointer), 3);
    }
    assert_eq!(json["points"]["wrong"], Value::Null);
    assert_eq!(number(&json, "/planning/more_products"), 9);
    assert!(json["planning"]["medians"]["ratio"].is_f64());
    for said in [
        "weft/copy",
        "One order with its customer",
        "Planning of q05",
    ] {
        assert!(printed.contains(said), "{printed}");
    }
}

#[test]
fn rows_and_small_statements_are_measured_beside_their_parts() {
    let arguments = ["--only", "6", "--transfer", "1", "--calls", "2"];
    let (json, printed) = figures(&arguments);
    assert_eq!(json["transfer"]["wrong"], Value::Null, "{printed}");
    assert_eq!(json["calls"]["wrong"], Value::Null, "{printed}");
    let legs = json["transfer"]["legs"].as_array().expect("legs");
    for payload in ["numbers", "mixed"] {
        for sender in ["tcp", "plain", "door", "node", "coordinator"] {
            let mut legs = legs.iter();
            let leg =
                legs.find(|it| it["leg"]["payload"] == payload && it["leg"]["sender"] == sender);
            let leg = leg.unwrap_or_else(|| panic!("{payload} of {sender} in {json:#}"));
            assert_eq!(leg["runs"], 1);
            assert!(leg["bytes"].as_u64() > Some(1 << 20), "{leg}");
            assert!(leg["median_mib_per_second"].as_f64() > Some(0.0), "{leg}");
        }
    }
    let calls = json["calls"]["calls"].as_array().expect("calls");
    for (call, clients, count) in [
        ("one", 1, 2),
        ("one", 16, 16),
        ("point", 1, 2),
        ("point_at_node", 16, 16),
        ("join", 16, 16),
        ("point_alone", 1, 2),
        ("commit", 1, 2),
    ] {
        let mut calls = calls.iter();
        let found = calls.find(|it| it["call"] == call && it["clients"] == clients);
        let found = found.unwrap_or_else(|| panic!("{call} of {clients} in {json:#}"));
        assert_eq!(found["count"], count, "{found}");
    }
    for said in ["weft coordinator", "one order at its node"] {
        assert!(printed.contains(said), "{printed}");
    }
}

#[test]
fn what_cannot_be_measured_is_said() {
    let folder = tempfile::tempdir().expect("folder");
    let file = folder.path().join("figures.json");
    let cases: [(&[&str], i32, &str); 5] = [
        (&["--only", "23"], 2, "numbered from 1 to 22"),
        (&["--scale", "0"], 2, "the scale 0 is not between"),
        (&["--off", "miracle", "--only", "6"], 2, "miracle"),
        (
            &["--python", "/nowhere/python", "--only", "6"],
            2,
            "--without duckdb",
        ),
        (
            &["--json", "/nowhere/figures.json"],
            2,
            "`/nowhere/figures.json` cannot be used",
        ),
    ];
    for (arguments, code, expected) in cases {
        let mut command = Command::new(env!("CARGO_BIN_EXE_weft"));
        command.args(["bench", "--without", "datafusion"]);
        if !arguments.contains(&"--python") {
            command.args(["--without", "duckdb"]);
        }
        if !arguments.contains(&"--scale") {
            command.args(["--scale", "0.01"]);
        }
        if !arguments.contains(&"--json") {
            command.arg("--json").arg(&file);
        }
        let output = command.args(arguments).output().expect("run");
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {said}");
        assert!(said.contains(expected), "{arguments:?}: {said}");
    }
}
