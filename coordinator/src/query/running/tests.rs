use futures::FutureExt;

use super::*;

fn principal(subject: &str, groups: &[&str]) -> Principal {
    Principal {
        issuer: "weft".to_owned(),
        subject: subject.to_owned(),
        groups: groups.iter().map(|group| (*group).to_owned()).collect(),
        attributes: Default::default(),
    }
}

fn start(queries: &RunningQueries, who: &str) -> (QueryId, Stop) {
    let id = QueryId::generate();
    let stop = queries.start(id, who, Vec::new(), Receipts::default(), None);
    (id, stop)
}

#[test]
fn a_query_is_ended_by_its_asker_and_by_those_who_run_the_mesh() {
    let queries = RunningQueries::default();
    let (ann, admin) = (
        principal("ann", &[]),
        principal("root", &[weft_governance::ADMINS]),
    );
    for (by, says) in [(&ann, "KILL QUERY"), (&admin, "runs the mesh")] {
        let (id, stop) = start(&queries, "ann");
        queries.begin(id);
        assert!(stop.stopped().now_or_never().is_none(), "the control");
        queries.kill(id, by).expect("may");
        let told = stop.stopped().now_or_never().expect("ended");
        assert_eq!(told.code(), code::CANCELLED);
        assert!(
            told.message().contains(says) && told.hint().is_some(),
            "{told}"
        );
    }
}

#[test]
fn nobody_else_learns_of_it() {
    let queries = RunningQueries::default();
    let (id, stop) = start(&queries, "ann");
    let bob = principal("bob", &["analysts"]);
    let foreign = queries.kill(id, &bob).expect_err("not bob's");
    let missing = queries
        .kill(QueryId::generate(), &bob)
        .expect_err("nobody's");
    assert_eq!(
        (foreign.code(), missing.code()),
        (code::NOT_FOUND, code::NOT_FOUND)
    );
    assert_eq!(foreign.hint(), missing.hint());
    assert!(stop.stopped().now_or_never().is_none());
    assert!(queries.shown_to(&bob).is_empty());
    assert_eq!(queries.shown_to(&principal("ann", &[])).len(), 1);
    assert_eq!(
        queries
            .shown_to(&principal("root", &[weft_governance::ADMINS]))
            .len(),
        1
    );
}

#[test]
fn a_query_ends_once_and_is_counted_once() {
    let queries = RunningQueries::default();
    let (id, _) = start(&queries, "ann");
    assert_eq!(queries.tally().queued, 1);
    queries.begin(id);
    queries.progress(id, 5);
    assert_eq!((queries.tally().running, queries.tally().rows), (1, 5));
    queries.end(id, QueryState::Finished);
    queries.end(id, QueryState::Cancelled);
    queries.progress(id, 50);
    let tally = queries.tally();
    assert_eq!(
        (tally.running, tally.finished, tally.cancelled, tally.rows),
        (0, 1, 0, 5)
    );
    let ann = principal("ann", &[]);
    assert_eq!(queries.shown_to(&ann)[0].state, QueryState::Finished);
    queries.kill(id, &ann).expect_err("over");
}

#[test]
fn queries_that_run_are_never_forgotten() {
    let queries = RunningQueries::default();
    let (running, _) = start(&queries, "ann");
    for _ in 0..2 * REMEMBERED {
        let (id, _) = start(&queries, "ann");
        queries.end(id, QueryState::Finished);
    }
    let known = queries.shown_to(&principal("ann", &[]));
    assert!(known.len() <= REMEMBERED && known.iter().any(|it| it.id == running));
    assert_eq!(queries.tally().finished, 2 * REMEMBERED as u64);
}
