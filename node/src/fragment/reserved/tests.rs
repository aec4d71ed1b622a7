use std::time::Duration;

use arrow::datatypes::Schema;
use futures::{FutureExt, StreamExt};
use weft_wire::rpc::fragment::fetch::State as End;

use super::*;

const LONG: Duration = Duration::from_secs(600);
const BEARER: [u8; 32] = [7; 32];

fn main_coordinator() -> ServerId {
    ServerId::coordinator("main").expect("valid")
}

fn reserved(subject: &str, lives: Duration) -> Reserved {
    Reserved {
        request: FragmentRequest::default(),
        digest: [0; 32],
        query: QueryId::generate(),
        coordinator: main_coordinator(),
        principal: Principal {
            issuer: "mesh".to_owned(),
            subject: subject.to_owned(),
            groups: Default::default(),
            attributes: Default::default(),
        },
        issued_at: SystemTime::now(),
        announced: Arc::new(Schema::empty()),
        bearer: BEARER,
        expires_at: SystemTime::now() + lives,
    }
}

/// What has been told by now.
fn told(watch: &mut (impl Stream<Item = Fetch> + Unpin)) -> Vec<(End, u64, String)> {
    let mut all = Vec::new();
    while let Some(Some(fetch)) = watch.next().now_or_never() {
        all.push((fetch.state(), fetch.rows, fetch.error));
    }
    all
}

fn plain(state: End, rows: u64) -> (End, u64, String) {
    (state, rows, String::new())
}

#[test]
fn a_ticket_is_good_for_the_bearer_that_it_was_made_for_and_in_its_time() {
    let all = Reservations::default();
    let ticket = all.keep(reserved("ada", LONG)).expect("kept");
    assert!(all.fetch(&ticket, BEARER).is_some());
    assert!(all.fetch(&ticket, BEARER).is_some(), "it is read again");
    assert!(all.fetch(&ticket, [8; 32]).is_none());
    assert!(all.fetch(&ticket[1..], BEARER).is_none());
    assert!(all.fetch(&[0; 16], BEARER).is_none());
    let over = all.keep(reserved("ada", Duration::ZERO)).expect("kept");
    assert!(all.fetch(&over, BEARER).is_none());
    assert!(all.lock().fetched.is_empty(), "nobody fetches any more");
}

#[test]
fn whoever_reserves_much_displaces_what_is_their_own() {
    let all = Reservations::default();
    let bob = all.keep(reserved("bob", LONG)).expect("kept");
    let first = all.keep(reserved("ada", LONG)).expect("kept");
    for _ in 0..MOST_OF_ONE {
        all.keep(reserved("ada", LONG)).expect("kept");
    }
    assert!(all.fetch(&bob, BEARER).is_some());
    assert!(all.fetch(&first, BEARER).is_none());
    assert_eq!(all.lock().kept.len(), 1 + MOST_OF_ONE);
}

#[test]
fn what_is_over_or_too_large_takes_no_room() {
    let all = Reservations::default();
    all.keep(reserved("ada", Duration::ZERO)).expect("kept");
    all.keep(reserved("ada", LONG)).expect("kept");
    assert_eq!(all.lock().kept.len(), 1);
    let mut large = reserved("ada", LONG);
    large.request.plan = vec![0; LARGEST];
    let error = all.keep(large).expect_err("refused");
    assert_eq!(error.code(), code::RESOURCES);
}

#[test]
fn the_coordinator_that_reserved_is_told_how_it_goes_and_no_other() {
    let all = Reservations::default();
    let mut own = all.watch(main_coordinator());
    let mut other = all.watch(ServerId::coordinator("other").expect("valid"));
    let ticket = all.keep(reserved("ada", LONG)).expect("kept");
    assert_eq!(told(&mut own), [], "nobody fetches yet");
    let (_, fetching) = all.fetch(&ticket, BEARER).expect("kept");
    for rows in [0, 5, 1, 1, 3] {
        fetching.pass(rows);
    }
    let running = |rows| plain(End::Running, rows);
    assert_eq!(told(&mut own), [running(0), running(5), running(10)]);
    fetching.finished(Some("signed".to_owned()));
    let last = own.next().now_or_never().flatten().expect("the end");
    assert_eq!((last.state(), last.rows), (End::Finished, 10));
    assert_eq!(last.receipt, "signed");

    let (_, fetching) = all.fetch(&ticket, BEARER).expect("kept");
    drop(fetching);
    let (_, fetching) = all.fetch(&ticket, BEARER).expect("kept");
    fetching.failed(&Error::new(ErrorKind::Internal, code::INTERNAL, "no"));
    let failed = (End::Failed, 0, code::INTERNAL.to_owned());
    let left = plain(End::Cancelled, 0);
    assert_eq!(told(&mut own), [running(0), left, running(0), failed]);
    assert_eq!(told(&mut other), []);
}

#[test]
fn fetches_beside_one_another_are_told_of_as_one() {
    let all = Reservations::default();
    let mut own = all.watch(main_coordinator());
    let ticket = all.keep(reserved("ada", LONG)).expect("kept");
    let (_, one) = all.fetch(&ticket, BEARER).expect("kept");
    let (_, other) = all.fetch(&ticket, BEARER).expect("kept");
    one.pass(3);
    other.pass(4);
    drop(one);
    other.finished(None);
    let running = |rows| plain(End::Running, rows);
    let left = plain(End::Cancelled, 7);
    assert_eq!(told(&mut own), [running(0), running(3), running(7), left]);
}

#[test]
fn who_listens_anew_hears_what_runs_and_the_older_listener_no_more() {
    let all = Reservations::default();
    let mut first = all.watch(main_coordinator());
    let ticket = all.keep(reserved("ada", LONG)).expect("kept");
    let (_, fetching) = all.fetch(&ticket, BEARER).expect("kept");
    let running = |rows| plain(End::Running, rows);
    assert_eq!(told(&mut first), [running(0)]);
    fetching.pass(5);
    assert_eq!(told(&mut first), [running(5)]);
    let mut second = all.watch(main_coordinator());
    assert_eq!(
        first.next().now_or_never(),
        Some(None),
        "its stream is over"
    );
    assert_eq!(told(&mut second), [running(5)]);
}

#[test]
fn a_coordinator_ends_what_it_reserved_and_nothing_else() {
    let all = Reservations::default();
    let (own, other) = (reserved("ada", LONG), reserved("ada", LONG));
    let query = own.query;
    let own = all.keep(own).expect("kept");
    let other = all.keep(other).expect("kept");
    let (_, fetching) = all.fetch(&own, BEARER).expect("kept");
    let withdrawn = fetching.withdrawn();
    futures::pin_mut!(withdrawn);
    let stranger = ServerId::coordinator("other").expect("valid");
    all.withdraw(&stranger, query);
    assert!(withdrawn.as_mut().now_or_never().is_none(), "not its own");
    all.withdraw(&main_coordinator(), query);
    let error = withdrawn.now_or_never().expect("over");
    assert_eq!(error.code(), code::CANCELLED);
    assert!(all.fetch(&own, BEARER).is_none(), "it is forgotten");
    assert!(all.fetch(&other, BEARER).is_some());
}
