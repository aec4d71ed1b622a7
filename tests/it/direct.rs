//! Rows that clients fetch at the node that makes them.

use std::net::IpAddr;
use std::time::Duration;

use arrow::record_batch::RecordBatch;
use arrow_flight::{FlightEndpoint, Ticket};
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use harness::{
    Client, HostileCoordinator, Mesh, MeshOptions, Published, Rows, end_of, grant, node_id, run,
    wide_table,
};
use weft_governance::{Error, ServerId, code};
use weft_ledger::{EventKind, Record, read_of};

const ORDERS: Published<'static> = Published {
    domain: "sales",
    product: "orders",
    tables: &[(
        "o",
        &[
            ("id", "integer", "bigint"),
            ("status", "string", "varchar"),
            ("clerk", "string", "varchar"),
        ],
        "1,F,ann\n2,O,bob\n3,F,eve\n4,F,bob",
    )],
};

const PEOPLE: Published<'static> = Published {
    domain: "crm",
    product: "people",
    tables: &[("p", &[("name", "string", "varchar")], "ann\nbob\neve")],
};

const QUERY: &str = "SELECT clerk AS who, count(*) AS n, max(id) AS newest FROM sales.orders.o \
                     GROUP BY clerk ORDER BY who";
const SAME_CONNECTION: &str = "arrow-flight-reuse-connection://?";

/// More rows than all queues hold.
const LARGE: &str = "SELECT id, text FROM sales.wide.t";
const ROWS: usize = 60_000;

type Stream = BoxStream<'static, Result<RecordBatch, Error>>;

/// The rows of [`LARGE`] on their way from the node, of which the first have come, the ticket for them, and
/// the client that fetches them.
async fn on_their_way(mesh: &Mesh, analyst: &mut Client) -> (Stream, FlightEndpoint, Client) {
    let endpoint = analyst.announce_directly(LARGE).await.expect("granted");
    assert_eq!(endpoint.location.len(), 2);
    let mut there = mesh.bring_to("sales", analyst.bearer()).await;
    let rows = there.fetch(ticket(endpoint.clone())).await;
    let mut rows = rows.expect("kept");
    rows.next().await.expect("a batch").expect("rows");
    (rows, endpoint, there)
}

/// What the coordinator says of the newest query that is fetched at a node, once that is `state`.
async fn fetched_there(client: &mut Client, state: &str) -> Rows {
    let newest = "SELECT query_id, principal, state, rows, fetched_at FROM system.runtime.queries \
                  WHERE fetched_at IS NOT NULL ORDER BY started_at DESC LIMIT 1";
    let reached = async {
        loop {
            let rows = client.query(newest).await.expect("shown");
            if rows.len() == 1 && rows.column("state") == [state] {
                return rows;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let reached = tokio::time::timeout(Duration::from_secs(60), reached);
    reached.await.expect("seen in time")
}

async fn two_domains() -> Mesh {
    let mut options = MeshOptions::empty();
    let owners = vec!["sales-owners".to_owned()];
    options.users.push(("owner".to_owned(), owners));
    let people = vec![("crm", grant("analyst", "people"))];
    let mesh = Mesh::publish_with(options, &[ORDERS, PEOPLE], people).await;
    let give = "GRANT SELECT ON TABLE sales.orders.o TO USER analyst WHERE status = 'F' \
                MASK (clerk WITH 'show-last-4')";
    change(&mesh, give).await;
    mesh
}

/// Has the owner say `statement`, and waits until the coordinator has heard of it.
async fn change(mesh: &Mesh, statement: &str) -> Rows {
    let mut owner = mesh.sign_in_at("sales", "owner").await;
    let answer = owner.query(statement).await.expect("changed");
    let epoch = mesh.node("sales").epoch();
    mesh.wait_for("sales", |entry| entry.epoch >= epoch).await;
    answer
}

/// The rows behind `ticket`, for `client`.
async fn fetched(client: &mut Client, ticket: &Ticket) -> Result<Rows, Error> {
    let rows: Vec<_> = client.fetch(ticket.clone()).await?.try_collect().await?;
    Ok(Rows::of(&rows))
}

fn locations(endpoint: &FlightEndpoint) -> Vec<&str> {
    let locations = endpoint.location.iter();
    locations.map(|location| location.uri.as_str()).collect()
}

fn ticket(endpoint: FlightEndpoint) -> Ticket {
    endpoint.ticket.expect("a ticket")
}

#[test]
fn rows_of_one_node_are_fetched_there_or_at_the_coordinator() {
    run(async {
        let mesh = two_domains().await;
        let mut analyst = mesh.sign_in("analyst").await;
        let expected = analyst.query(QUERY).await.expect("granted");
        assert_eq!(expected.len(), 3);
        let endpoint = analyst.announce_directly(QUERY).await.expect("granted");
        let node = format!("grpc+tls://{}", mesh.node("sales").address());
        assert_eq!(locations(&endpoint), [node.as_str(), SAME_CONNECTION]);
        let ticket = ticket(endpoint);
        let mut there = mesh.bring_to("sales", analyst.bearer()).await;
        for _ in 0..2 {
            let rows = fetched(&mut there, &ticket).await.expect("kept");
            assert_eq!(rows, expected, "with filter and mask");
        }
        let rows = fetched(&mut analyst, &ticket).await.expect("redeemable");
        assert_eq!(rows, expected);

        // Both servers have written down what was asked, and the node how it ended.
        let admitted = read_of(&mesh.ledger("sales"), &[EventKind::Admitted]).expect("a log");
        let via = |record: &Record| record.event.details["via"].as_str().map(str::to_owned);
        let via: Vec<_> = admitted.iter().filter_map(via).collect();
        let direct = via
            .iter()
            .filter(|via| *via == "coordinator/main, fetched directly");
        assert_eq!(direct.count(), 2, "{via:?}");
        let mut admin = mesh.sign_in("admin").await;
        let asked = "SELECT count(*) FROM system.events.log WHERE principal = 'analyst' AND \
                     details LIKE '%\"fetched_at\":\"node/sales/sales-1\"%'";
        assert_eq!(admin.value(asked).await, "1");
    });
}

#[test]
fn a_session_can_ask_for_it_in_sql() {
    run(async {
        let mesh = two_domains().await;
        let mut analyst = mesh.sign_in("analyst").await;
        let announced = |client: Client| async move {
            let mut client = client;
            client.announce_endpoint(QUERY).await.expect("granted")
        };
        let bearer = analyst.bearer().to_owned();
        assert!(
            announced(mesh.bring(&bearer).await)
                .await
                .location
                .is_empty()
        );
        analyst.query("SET weft.direct = on").await.expect("set");
        let endpoint = announced(mesh.bring(&bearer).await).await;
        assert_eq!(endpoint.location.len(), 2);
        analyst.query("SET weft.direct = off").await.expect("set");
        assert!(
            announced(mesh.bring(&bearer).await)
                .await
                .location
                .is_empty()
        );
        let error = analyst.error("SET weft.direct = perhaps").await;
        assert_eq!(error.code(), code::SETTINGS);
    });
}

#[test]
fn what_the_coordinator_has_to_work_on_is_fetched_from_it() {
    run(async {
        let mesh = two_domains().await;
        let mut analyst = mesh.sign_in("analyst").await;
        for sql in [
            "SELECT count(*) FROM sales.orders.o JOIN crm.people.p ON o.clerk = p.name",
            "SELECT id FROM sales.orders.o UNION ALL SELECT length(name) FROM crm.people.p ORDER BY 1",
            "SELECT id FROM sales.orders.o WHERE id > (SELECT count(*) FROM crm.people.p) - 2 ORDER BY 1",
            "SELECT 1",
            "SELECT node FROM system.runtime.nodes",
            "SHOW TABLES FROM sales",
        ] {
            let expected = analyst.query(sql).await.expect("granted");
            let endpoint = analyst.announce_directly(sql).await.expect("granted");
            assert!(endpoint.location.is_empty(), "{sql}");
            let rows = fetched(&mut analyst, &ticket(endpoint)).await;
            assert_eq!(rows.expect("redeemable"), expected, "{sql}");
        }
    });
}

#[test]
fn nobody_else_fetches_the_rows() {
    run(async {
        let mesh = two_domains().await;
        let mut analyst = mesh.sign_in("analyst").await;
        let endpoint = analyst.announce_directly(QUERY).await.expect("granted");
        let ticket = ticket(endpoint);
        let other = mesh.sign_in("outsider").await;
        let same_person = mesh.sign_in("analyst").await;
        for bearer in [other.bearer(), same_person.bearer(), "None", "a.b.c"] {
            let mut client = mesh.bring_to("sales", bearer).await;
            let error = fetched(&mut client, &ticket).await.expect_err("refused");
            assert_eq!(error.code(), code::UNAUTHENTICATED, "{bearer}");
        }
        let mut at_node = mesh.sign_in_at("sales", "analyst").await;
        let error = fetched(&mut at_node, &ticket).await.expect_err("refused");
        assert_eq!(error.code(), code::NOT_FOUND);
        // The bearer opens nothing else at the node, and the ticket nothing at another one.
        let mut there = mesh.bring_to("sales", analyst.bearer()).await;
        let error = there.error("SELECT id FROM sales.orders.o").await;
        assert_eq!(error.code(), code::UNAUTHENTICATED);
        let mut elsewhere = mesh.bring_to("crm", analyst.bearer()).await;
        let error = fetched(&mut elsewhere, &ticket).await.expect_err("refused");
        assert_eq!(error.code(), code::UNAUTHENTICATED);
        for at in 0..ticket.ticket.len() {
            let mut bytes = ticket.ticket.to_vec();
            bytes[at] ^= 1;
            let changed = Ticket::new(bytes);
            let found = fetched(&mut there, &changed).await.is_ok();
            // What the coordinator sealed is none of the node's business.
            let own = fetched(&mut analyst, &changed).await.is_ok();
            assert!(!(found && own), "{at}");
        }
    });
}

#[test]
fn the_node_decides_when_the_rows_are_fetched() {
    run(async {
        let mesh = two_domains().await;
        let mut analyst = mesh.sign_in("analyst").await;
        let endpoint = analyst.announce_directly(QUERY).await.expect("granted");
        let ticket = ticket(endpoint);
        let grants = change(&mesh, "SHOW GRANTS FOR USER analyst").await;
        let id = grants.column("grant_id")[0].to_owned();
        change(&mesh, &format!("REVOKE GRANT '{id}'")).await;
        let mut there = mesh.bring_to("sales", analyst.bearer()).await;
        let error = fetched(&mut there, &ticket).await.expect_err("revoked");
        assert_eq!(error.code(), code::NOT_GRANTED);
        // A query that is not granted is announced nowhere.
        let error = analyst.announce_directly(QUERY).await.expect_err("refused");
        assert_eq!(error.code(), code::NOT_GRANTED);
    });
}

/// The node sees the bearer, and must not be able to use it.
#[test]
fn a_session_whose_bearer_is_shown_to_nodes_is_used_from_one_place_alone() {
    run(async {
        let mesh = two_domains().await;
        let mut analyst = mesh.sign_in("analyst").await;
        let elsewhere: IpAddr = [127, 0, 0, 2].into();
        let mut from_elsewhere = mesh.bring_from(elsewhere, analyst.bearer()).await;
        assert_eq!(from_elsewhere.value("SELECT 1").await, "1");
        analyst.announce_directly(QUERY).await.expect("granted");
        let error = from_elsewhere.error("SELECT 1").await;
        assert_eq!(error.code(), code::UNAUTHENTICATED);
        assert_eq!(analyst.value("SELECT 1").await, "1");
        // Once it is shown from one place, it is not shown from another.
        let endpoint = from_elsewhere.announce_directly(QUERY).await;
        assert_eq!(endpoint.expect_err("refused").code(), code::UNAUTHENTICATED);
    });
}

#[test]
fn a_token_that_several_clients_have_is_shown_to_no_node() {
    run(async {
        let mesh = two_domains().await;
        let coordinator = ServerId::coordinator("main").expect("a name");
        let token = mesh.token("analyst", &coordinator).await;
        let mut shared = mesh.bring(&token).await;
        let endpoint = shared.announce_directly(QUERY).await.expect("granted");
        assert!(endpoint.location.is_empty());
    });
}

/// A node that is gone, or that clients cannot reach, is no reason to fail before they have tried.
#[test]
fn a_node_that_keeps_nothing_is_left_out() {
    run(async {
        let mut mesh = two_domains().await;
        let mut analyst = mesh.sign_in("analyst").await;
        let announced = analyst.announce_directly(QUERY).await.expect("granted");
        let ticket = ticket(announced);
        // A node that has started again has forgotten what it kept; the coordinator has not.
        mesh.kill_node("sales");
        mesh.start_node("sales").await;
        let mut there = mesh.bring_to("sales", analyst.bearer()).await;
        let error = fetched(&mut there, &ticket).await.expect_err("forgotten");
        assert_eq!(error.code(), code::UNAUTHENTICATED);
        let rows = fetched(&mut analyst, &ticket).await.expect("here");
        assert_eq!(rows.len(), 3);
    });
}

#[test]
fn the_coordinator_sees_what_is_fetched_at_a_node() {
    run(async {
        let mesh = two_domains().await;
        let mut analyst = mesh.sign_in("analyst").await;
        let endpoint = analyst.announce_directly(QUERY).await.expect("granted");
        let shown = "SELECT count(*) FROM system.runtime.queries WHERE fetched_at IS NOT NULL";
        assert_eq!(analyst.value(shown).await, "0", "nobody fetches it yet");
        let mut there = mesh.bring_to("sales", analyst.bearer()).await;
        let ticket = ticket(endpoint);
        fetched(&mut there, &ticket).await.expect("kept");
        let seen = fetched_there(&mut analyst, "finished").await;
        assert_eq!(seen.column("principal"), ["analyst"]);
        assert_eq!(seen.column("rows"), ["3"]);
        assert_eq!(seen.column("fetched_at"), ["node/sales/sales-1"]);
        let id = seen.column("query_id")[0].to_owned();
        let receipts = format!("SHOW RECEIPTS FOR QUERY '{id}'");
        let receipts = analyst.query(&receipts).await.expect("kept");
        assert_eq!(receipts.len(), 1, "the node's own");
        let mut outsider = mesh.sign_in("outsider").await;
        assert_eq!(outsider.value(shown).await, "0");
        let mut admin = mesh.sign_in("admin").await;
        let ended = format!(
            "SELECT count(*) FROM system.events.log WHERE kind = 'finished' AND query_id = '{id}'"
        );
        assert_eq!(admin.value(&ended).await, "1");
    });
}

#[test]
fn what_is_fetched_at_a_node_is_killed_like_any_query() {
    run(async {
        let mesh = wide_table(ROWS).await;
        let mut analyst = mesh.sign_in("analyst").await;
        let mut other = mesh.sign_in("analyst").await;
        let mut admin = mesh.sign_in("admin").await;
        for by_admin in [false, true] {
            let (rows, endpoint, mut there) = on_their_way(&mesh, &mut analyst).await;
            let seen = fetched_there(&mut other, "running").await;
            let kill = format!("KILL QUERY '{}'", seen.column("query_id")[0]);
            let mut outsider = mesh.sign_in("outsider").await;
            assert_eq!(outsider.error(&kill).await.code(), code::NOT_FOUND);
            mesh.wait_for_fragments("sales", 1).await;
            let by = if by_admin { &mut admin } else { &mut other };
            by.query(&kill).await.expect("ended");
            // Also while nobody reads.
            mesh.wait_until_idle().await;
            let told = end_of(rows).await;
            assert_eq!(told.code(), code::CANCELLED, "{told}");
            assert!(told.hint().is_some(), "{told}");
            fetched_there(&mut other, "cancelled").await;
            let ticket = ticket(endpoint);
            let error = fetched(&mut there, &ticket).await.expect_err("forgotten");
            assert_eq!(error.code(), code::UNAUTHENTICATED);
            let again = fetched(&mut analyst, &ticket).await.expect("as another");
            assert_eq!(again.len(), 60_000);
        }
    });
}

#[test]
fn whoever_cancels_a_result_ends_it_at_the_node_and_so_does_the_end_of_the_session() {
    run(async {
        let mesh = wide_table(ROWS).await;
        let mut observer = mesh.sign_in("analyst").await;
        for close in [false, true] {
            let mut analyst = mesh.sign_in("analyst").await;
            let (rows, endpoint, _there) = on_their_way(&mesh, &mut analyst).await;
            fetched_there(&mut observer, "running").await;
            match close {
                false => analyst.cancel(endpoint).await.expect("cancelled"),
                true => analyst.close().await.expect("closed"),
            }
            mesh.wait_until_idle().await;
            assert_eq!(end_of(rows).await.code(), code::CANCELLED);
            fetched_there(&mut observer, "cancelled").await;
        }
    });
}

#[test]
fn a_reader_that_leaves_and_a_node_that_dies_are_told_apart() {
    run(async {
        let mut mesh = wide_table(ROWS).await;
        let mut analyst = mesh.sign_in("analyst").await;
        let (rows, _, there) = on_their_way(&mesh, &mut analyst).await;
        fetched_there(&mut analyst, "running").await;
        drop((rows, there));
        fetched_there(&mut analyst, "cancelled").await;
        mesh.wait_until_idle().await;

        let (rows, _, _there) = on_their_way(&mesh, &mut analyst).await;
        fetched_there(&mut analyst, "running").await;
        mesh.kill_node("sales");
        drop(rows);
        fetched_there(&mut analyst, "failed").await;
        // A node that has started again is listened to anew.
        mesh.start_node("sales").await;
        let (rows, _, _there) = on_their_way(&mesh, &mut analyst).await;
        fetched_there(&mut analyst, "running").await;
        assert!(rows.try_collect::<Vec<_>>().await.is_ok());
        fetched_there(&mut analyst, "finished").await;
    });
}

#[test]
fn nobody_but_its_coordinator_hears_of_a_fetch_or_ends_it() {
    run(async {
        let mesh = wide_table(ROWS).await;
        let mut analyst = mesh.sign_in("analyst").await;
        let (rows, _, _there) = on_their_way(&mesh, &mut analyst).await;
        let seen = fetched_there(&mut analyst, "running").await;
        let id = &seen.column("query_id")[0];
        let main = HostileCoordinator::of(&mesh, "analyst", "sales").await;
        let as_server = |server: ServerId| {
            let mut who = main.clone();
            who.identity = mesh.identity(&server);
            who
        };
        let patience = Duration::from_millis(200);
        let other = as_server(ServerId::coordinator("other").expect("a name"));
        assert_eq!(other.watch(patience).await.expect("listens"), None);
        other.withdraw(id).await.expect("nothing of its own");
        let node = as_server(node_id("sales"));
        for refused in [
            node.watch(patience).await.map(drop),
            node.withdraw(id).await,
        ] {
            let error = refused.expect_err("no coordinator");
            assert_eq!(error.code(), code::UNAUTHENTICATED);
        }
        let malformed = main.withdraw("all").await.expect_err("no id");
        assert_eq!(malformed.code(), code::PROTOCOL);
        let rest: Vec<_> = rows.try_collect().await.expect("it goes on");
        assert!(rest.iter().map(RecordBatch::num_rows).sum::<usize>() > 0);
        let seen = fetched_there(&mut analyst, "finished").await;
        assert_eq!(seen.column("rows"), ["60000"]);
    });
}
