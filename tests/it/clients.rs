//! The clients of Flight SQL that people have, from the public registries, against a mesh.
//!
//! The clients are driven by `tests/clients/matrix.py`, which asks for nodes to be killed and
//! started while a client reads.

mod rust;

use std::ffi::OsString;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::Duration;

use futures::TryStreamExt;
use harness::{Mesh, MeshOptions, Published, Rows, node_id, run};
use serde_json::json;
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};
use weft_governance::ServerId;
use weft_wire::identity::tls_name;

use super::federation;

/// No client takes longer to say something.
const PATIENCE: Duration = Duration::from_secs(120);
/// How often the matrix asks whether a node computes.
const LOOK: Duration = Duration::from_millis(5);

#[test]
fn python_clients_do_all_that_they_do_elsewhere() {
    let clients = [
        "adbc",
        "adbc_low_level",
        "direct",
        "sessions",
        "dataframes",
        "alchemy",
        "jdbc",
    ];
    drive(&clients, tpch());
}

#[test]
fn rows_of_a_node_that_clients_cannot_reach_come_from_the_coordinator() {
    let mut options = owned();
    // Nobody listens there.
    let nowhere = "127.0.0.1:9".to_owned();
    options.client_addresses.insert("sales".to_owned(), nowhere);
    drive(&["unreachable"], Mesh::start(options));
}

#[test]
fn clients_from_npm_do_all_that_they_do_elsewhere() {
    drive(&["npm"], tpch());
}

#[test]
fn every_type_that_a_query_returns_arrives_as_it_was() {
    drive(&["arrow_types"], tpch());
}

#[test]
fn logic_tests_have_one_schema_before_and_after_they_run() {
    drive(&["logic"], federation::mesh());
}

async fn tpch() -> Mesh {
    Mesh::start(owned()).await
}

/// TPC-H, with somebody who sees the whole log of a domain.
fn owned() -> MeshOptions {
    let mut options = MeshOptions::tpch(0.01);
    let owners = vec!["sales-owners".to_owned()];
    options.users.push(("owner".to_owned(), owners));
    options
}

#[test]
fn older_clients_do_all_that_they_do_elsewhere() {
    drive_by("WEFT_TEST_PYTHON_FULL", &["flightsql_dbapi"], tpch());
}

/// Drivers announce a statement and may never fetch what it answers.
#[test]
fn a_grant_is_given_once_whether_or_not_its_id_is_fetched() {
    run(async {
        let product = Published {
            domain: "sales",
            product: "orders",
            tables: &[("t", &[("id", "integer", "bigint")], "1")],
        };
        let mut options = MeshOptions::empty();
        let owners = vec!["sales-owners".to_owned()];
        options.users.push(("owner".to_owned(), owners));
        let mesh = Mesh::publish_with(options, &[product], Vec::new()).await;
        let mut owner = mesh.sign_in_at("sales", "owner").await;
        let give = "GRANT SELECT ON PRODUCT sales.orders TO USER analyst";
        let ticket = owner.announce(give).await.expect("given");
        let list = "SHOW GRANTS";
        assert_eq!(owner.query(list).await.expect("grants").len(), 1);
        let mut analyst = mesh.sign_in_at("sales", "analyst").await;
        assert_eq!(analyst.value("SELECT count(*) FROM orders.t").await, "1");

        let mut ids = Vec::new();
        for _ in 0..2 {
            let rows = owner.fetch(ticket.clone()).await.expect("kept");
            let rows: Vec<_> = rows.try_collect().await.expect("an id");
            ids.push(Rows::of(&rows).only());
        }
        assert_eq!(ids[0], ids[1]);
        assert_eq!(owner.query(list).await.expect("grants").len(), 1);
    });
}

/// Runs the cases of `clients` against a mesh.
fn drive(clients: &[&str], mesh: impl Future<Output = Mesh>) {
    drive_by("WEFT_TEST_PYTHON", clients, mesh);
}

/// The same, by the interpreter that the environment variable `python` names.
fn drive_by(python: &str, clients: &[&str], mesh: impl Future<Output = Mesh>) {
    let Some(python) = std::env::var_os(python) else {
        say(&format!(
            "not run: {clients:?}, because {python} names no interpreter"
        ));
        return;
    };
    run(async {
        let mut mesh = mesh.await;
        let mut matrix = Matrix::start(&python, clients);
        matrix.tell(&describe(&mesh));
        let mut failed = Vec::new();
        while let Some(line) = timeout(PATIENCE, matrix.said.recv())
            .await
            .expect("a client says something in time")
        {
            match line.strip_prefix("? ") {
                Some(wish) => {
                    let answer = grant(&mut mesh, wish).await;
                    matrix.tell(&answer);
                }
                None => {
                    say(&line);
                    failed.extend(line.contains("FAILED").then_some(line));
                }
            }
        }
        let ended = matrix.process.wait().expect("ended");
        assert!(ended.success() && failed.is_empty(), "{failed:?}");
    });
}

/// The process that drives the clients.
struct Matrix {
    process: Child,
    input: ChildStdin,
    said: mpsc::Receiver<String>,
}

impl Matrix {
    fn start(python: &OsString, clients: &[&str]) -> Self {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("clients/matrix.py");
        let mut process = Command::new(python)
            .arg("-B")
            .arg(script)
            .args(clients)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the interpreter starts");
        let input = process.stdin.take().expect("input");
        let output = BufReader::new(process.stdout.take().expect("output"));
        let (tell, said) = mpsc::channel(64);
        std::thread::spawn(move || {
            for line in output.lines() {
                let line = line.expect("text");
                if tell.blocking_send(line).is_err() {
                    return;
                }
            }
        });
        Self {
            process,
            input,
            said,
        }
    }

    fn tell(&mut self, line: &str) {
        writeln!(self.input, "{line}").expect("the matrix listens");
    }
}

impl Drop for Matrix {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// What clients need to know of the mesh, in one line.
fn describe(mesh: &Mesh) -> String {
    let address = mesh.coordinator.client_address().expect("client address");
    let domains = mesh.domains();
    let nodes = domains.iter().map(|domain| {
        let address = mesh.node(domain).address().to_string();
        (domain.clone(), json!(address))
    });
    let names = domains
        .iter()
        .map(|domain| (domain.clone(), json!(tls_name(&node_id(domain)))));
    json!({
        "coordinator": address.to_string(),
        "nodes": nodes.collect::<serde_json::Map<_, _>>(),
        "tls_names": names.collect::<serde_json::Map<_, _>>(),
        "ca": mesh.authority.ca_pem(),
        "password": mesh.password(),
    })
    .to_string()
}

/// Does what the matrix asks for.
async fn grant(mesh: &mut Mesh, wish: &str) -> String {
    let (what, domain) = wish.split_once(' ').expect("a wish and its object");
    match what {
        "token" => {
            let (place, user) = domain.split_once(' ').unwrap_or((domain, "analyst"));
            let server = match place {
                "coordinator" => ServerId::coordinator("main").expect("name"),
                domain => node_id(domain),
            };
            mesh.token(user, &server).await
        }
        "kill" => {
            mesh.kill_node(domain);
            "killed".to_owned()
        }
        "start" => {
            mesh.start_node(domain).await;
            mesh.node(domain).address().to_string()
        }
        "idle" => {
            mesh.wait_for_fragments(domain, 0).await;
            "idle".to_owned()
        }
        "busy" => {
            let busy = async {
                while mesh.node(domain).running_fragments() == 0 {
                    sleep(LOOK).await;
                }
            };
            timeout(PATIENCE, busy).await.expect("a query in time");
            "busy".to_owned()
        }
        what => panic!("{what} is not known"),
    }
}

fn say(what: &str) {
    let _ = writeln!(std::io::stderr(), "{what}");
}
