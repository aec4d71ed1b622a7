//! What crosses the boundaries for each query of TPC-H, compared with what is on record, so that no
//! change ships more without saying so.
//!
//! After a change that is meant to, write the record anew and read the difference:
//!
//! ```sh
//! WEFT_UPDATE_COUNTERS=1 cargo test --workspace --test it -- counters
//! git diff tests/data/tpch
//! ```

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::{Path, PathBuf};

use harness::{Client, Mesh, MeshOptions, grant_table, run};
use weft_node::GrantSettings;
use workload::Layout;
use workload::tpch::{QUERIES, Table};

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
    run(async {
        let mesh = Mesh::start(MeshOptions::tpch(SCALE)).await;
        compare("open", count(&mesh).await);
    });
}

#[test]
fn no_query_ships_more_than_is_on_record_under_filters_and_masks() {
    run(async {
        let mut options = MeshOptions::tpch(SCALE);
        for (domain, _, grants) in &mut options.domains {
            *grants = guarded(domain);
        }
        let mesh = Mesh::start(options).await;
        compare("guarded", count(&mesh).await);
    });
}

/// A row filter and a mask in each domain. Each leaves something of every query's answer.
fn guarded(domain: &str) -> Vec<GrantSettings> {
    let grant =
        |product, table, filter, masks| grant_table("analyst", product, table, filter, masks);
    match domain {
        "sales" => vec![
            grant(
                "orders",
                "orders",
                Some("o_orderstatus <> 'P'"),
                &[("o_clerk", "sha-256")],
            ),
            grant("orders", "lineitem", None, &[]),
        ],
        "crm" => vec![
            grant(
                "customers",
                "customer",
                Some("c_mktsegment <> 'HOUSEHOLD'"),
                &[("c_address", "replace-with-null")],
            ),
            grant("customers", "nation", None, &[]),
            grant("customers", "region", None, &[]),
        ],
        _ => vec![
            grant(
                "parts",
                "part",
                Some("p_container <> 'WRAP JAR'"),
                &[("p_comment", "replace-with-null")],
            ),
            grant("parts", "supplier", None, &[]),
            grant("parts", "partsupp", None, &[]),
        ],
    }
}

async fn count(mesh: &Mesh) -> Counts {
    let mut analyst = mesh.sign_in("analyst").await;
    know_statistics(mesh, &mut analyst).await;
    let mut counts = Counts::new();
    for query in &QUERIES {
        if let Err(error) = analyst.query(&query.qualified()).await {
            panic!("{}: {error}", query.name());
        }
        let crossed = last_flows(&mut analyst).await;
        assert!(!crossed.is_empty(), "{} reads a domain", query.name());
        for ([source, destination, form], count) in crossed {
            counts.insert([query.name(), source, destination, form], count);
        }
    }
    counts
}

/// Waits until the nodes know what their grants show of all tables.
async fn know_statistics(mesh: &Mesh, analyst: &mut Client) {
    analyst.query("SHOW TABLES").await.expect("tables");
    for domain in ["sales", "crm", "supply"] {
        mesh.wait_for_statistics(domain).await;
    }
    for table in Table::ALL {
        let sql = format!("SHOW STATS FOR {}", Layout::Three.full_name(table));
        let known = analyst.query(&sql).await.expect("statistics");
        let rows = known.column("row_count");
        assert_ne!(rows.last(), Some(&"NULL"), "{table}");
    }
}

/// What crossed for the last query; ids of queries rise with time.
async fn last_flows(analyst: &mut Client) -> Vec<([String; 3], Count)> {
    let sql = "SELECT source, destination, form, sum(rows), sum(bytes), sum(requests) FROM system.runtime.flows WHERE query_id = (SELECT max(query_id) FROM system.runtime.flows) GROUP BY 1, 2, 3";
    let flows = analyst.query(sql).await.expect("flows");
    let flow = |row: &Vec<String>| {
        let number = |at: usize| row[at].parse().expect("a number");
        let count = Count {
            rows: number(3),
            bytes: number(4),
            requests: number(5),
        };
        ([row[0].clone(), row[1].clone(), row[2].clone()], count)
    };
    flows.rows().iter().map(flow).collect()
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
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("data/tpch/counters_{name}_sf{SCALE}.csv"))
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
