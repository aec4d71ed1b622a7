//! Statements that are made to take a server down. Each is refused or ended with a reason, others are
//! served while it is, and nothing is left of it.

mod statements;

use std::time::{Duration, Instant};

use harness::{Client, Mesh, MeshOptions, Published, grant, run};
use weft_coordinator::QueryLimits;
use weft_governance::{Error, code};

/// Nothing here takes longer, also on a busy machine.
const PATIENCE: Duration = Duration::from_secs(90);

/// Long enough for a bystander's count on a busy machine, short enough for a dozen bombs to reach it.
const DEADLINE: Duration = Duration::from_secs(6);

/// A statement, and how it may end.
pub(crate) struct Bomb {
    name: &'static str,
    sql: String,
    ends: &'static [&'static str],
}

/// It may be answered as well: the server copes with it.
const ANSWER: &str = "an answer";

async fn mesh() -> Mesh {
    let ids: Vec<String> = (0..100_000).map(|id| id.to_string()).collect();
    let numbers = Published {
        domain: "sales",
        product: "numbers",
        tables: &[("t", &[("id", "integer", "bigint")], &ids.join("\n"))],
    };
    let options = MeshOptions {
        node_memory: 256 << 20,
        query_limits: QueryLimits {
            deadline: DEADLINE,
            memory: 256 << 20,
            query_memory: 64 << 20,
            query_spill: 64 << 20,
            result_rows: 1_000_000,
            ..QueryLimits::default()
        },
        ..MeshOptions::empty()
    };
    let grants = vec![("sales", grant("analyst", "numbers"))];
    Mesh::publish_with(options, &[numbers], grants).await
}

/// Runs `bombs` one after the other while somebody else works.
async fn set_off(mesh: &Mesh, attacker: &mut Client, bombs: Vec<Bomb>) {
    let mut bystander = mesh.sign_in("analyst").await;
    for Bomb { name, sql, ends } in bombs {
        let bomb = tokio::time::timeout(PATIENCE, attacker.query(&sql));
        let counting = async {
            let began = Instant::now();
            let counted = bystander
                .query("SELECT count(*) FROM sales.numbers.t")
                .await;
            println!("{name}: others wait {} ms", began.elapsed().as_millis());
            counted.map(|rows| rows.only())
        };
        let (end, counted) = tokio::join!(bomb, counting);
        let counted = counted.unwrap_or_else(|error| panic!("{name}, others meanwhile: {error}"));
        assert_eq!(counted, "100000", "{name}: others are served meanwhile");
        let end = end.unwrap_or_else(|_| panic!("{name} does not end"));
        judge(name, end.err(), ends);
        mesh.wait_until_idle().await;
    }
    let counted = bystander
        .value("SELECT count(*) FROM sales.numbers.t")
        .await;
    assert_eq!(counted, "100000", "others are served afterwards");
}

fn judge(name: &str, error: Option<Error>, ends: &[&str]) {
    let Some(error) = error else {
        assert!(ends.contains(&ANSWER), "{name} is answered");
        return;
    };
    assert!(
        ends.contains(&error.code()),
        "{name}: {} {error}",
        error.code()
    );
    assert!(
        error.message().len() <= 5_000,
        "{name}: {} bytes",
        error.message().len()
    );
    let says_what_to_do = error.hint().is_some();
    let own = [code::TOO_COMPLEX, code::DEADLINE];
    assert!(
        says_what_to_do || !own.contains(&error.code()),
        "{name}: {error}"
    );
}

#[test]
fn statements_that_are_too_large_are_refused_before_they_are_planned() {
    run(async {
        let mesh = mesh().await;
        for mut attacker in [
            mesh.sign_in("analyst").await,
            mesh.sign_in_at("sales", "analyst").await,
        ] {
            set_off(&mesh, &mut attacker, statements::large()).await;
        }
    });
}

#[test]
fn statements_that_multiply_are_refused() {
    run(async {
        let mesh = mesh().await;
        for mut attacker in [
            mesh.sign_in("analyst").await,
            mesh.sign_in_at("sales", "analyst").await,
        ] {
            set_off(&mesh, &mut attacker, statements::multiplying()).await;
        }
    });
}

#[test]
fn calls_that_make_much_out_of_nothing_are_refused() {
    run(async {
        let mesh = mesh().await;
        let mut attacker = mesh.sign_in("analyst").await;
        set_off(&mesh, &mut attacker, statements::making()).await;
    });
}

#[test]
fn queries_that_take_too_much_end_and_give_it_back() {
    run(async {
        let mesh = mesh().await;
        let mut attacker = mesh.sign_in("analyst").await;
        set_off(&mesh, &mut attacker, statements::running()).await;
    });
}
