use futures::FutureExt;
use futures::future::BoxFuture;

use super::*;

fn places(running: usize, per_principal: usize, waiting: usize) -> Admission {
    Admission::new(AdmissionLimits {
        running,
        running_per_principal: per_principal,
        waiting,
        patience: Duration::from_secs(3600),
    })
}

type Entering<'a> = BoxFuture<'a, Result<Place, Error>>;

/// Asks and waits, as far as that goes without waiting for others.
fn entering<'a>(
    admission: &'a Admission,
    who: &'a str,
) -> (Entering<'a>, Option<Result<Place, Error>>) {
    let mut entering = admission.enter(who).boxed();
    let now = (&mut entering).now_or_never();
    (entering, now)
}

async fn at_once(admission: &Admission, who: &str) -> Result<Place, Error> {
    admission
        .enter(who)
        .now_or_never()
        .expect("an answer at once")
}

#[tokio::test]
async fn queries_wait_for_a_place_and_get_it() {
    let admission = places(1, 1, 1);
    let first = at_once(&admission, "ann").await.expect("free");
    let (second, now) = entering(&admission, "ann");
    assert!(now.is_none());
    assert_eq!((admission.running(), admission.waiting()), (1, 1));
    drop(first);
    let second = second.await.expect("free by now");
    assert_eq!((admission.running(), admission.waiting()), (1, 0));
    drop(second);
    assert_eq!(admission.running(), 0);
}

#[tokio::test]
async fn what_cannot_wait_is_refused_at_once_with_a_time_to_come_back() {
    let admission = places(1, 1, 0);
    let _first = at_once(&admission, "ann").await.expect("free");
    let refused = at_once(&admission, "bob").await.err().expect("full");
    assert_eq!(refused.code(), code::RESOURCES);
    assert!(refused.hint().is_some() && refused.retries_after().is_some());
    assert_eq!(
        admission.expect("bob").expect_err("full").code(),
        code::RESOURCES
    );
}

#[tokio::test]
async fn nobody_waits_for_ever() {
    let admission = Admission::new(AdmissionLimits {
        running: 1,
        running_per_principal: 1,
        waiting: 1,
        patience: Duration::ZERO,
    });
    let _first = at_once(&admission, "ann").await.expect("free");
    let refused = admission.enter("bob").await.err().expect("too long");
    assert_eq!(refused.code(), code::RESOURCES);
    assert_eq!(admission.waiting(), 0);
}

#[tokio::test]
async fn one_principal_does_not_take_all_places() {
    let admission = places(3, 2, 10);
    let _own = (
        at_once(&admission, "ann").await.expect("free"),
        at_once(&admission, "ann").await.expect("free"),
    );
    let (_third, now) = entering(&admission, "ann");
    assert!(now.is_none(), "the third waits although a place is free");
    at_once(&admission, "bob").await.expect("for somebody else");
}

#[tokio::test]
async fn a_free_place_goes_to_whoever_runs_least() {
    let admission = places(2, 2, 10);
    let first = at_once(&admission, "ann").await.expect("free");
    let _second = at_once(&admission, "ann").await.expect("free");
    let (ann, _) = entering(&admission, "ann");
    let (bob, _) = entering(&admission, "bob");
    drop(first);
    let _bob = bob
        .now_or_never()
        .expect("bob came later and runs nothing")
        .expect("a place");
    assert!(ann.now_or_never().is_none());
}

#[tokio::test]
async fn whoever_waits_for_most_gives_way() {
    let admission = places(1, 1, 3);
    let _running = at_once(&admission, "ann").await.expect("free");
    let (_one, _) = entering(&admission, "ann");
    let (_two, _) = entering(&admission, "ann");
    let (three, _) = entering(&admission, "ann");
    assert!(at_once(&admission, "ann").await.is_err(), "no more for ann");
    let (_bob, now) = entering(&admission, "bob");
    assert!(now.is_none(), "bob may wait");
    let gave_way = three.now_or_never().expect("the last of ann's").err();
    assert_eq!(gave_way.expect("gave way").code(), code::RESOURCES);
    assert_eq!(admission.waiting(), 3);
}

#[tokio::test]
async fn whoever_gives_up_takes_no_place_along() {
    let admission = places(1, 1, 2);
    let first = at_once(&admission, "ann").await.expect("free");
    let (waiting, _) = entering(&admission, "ann");
    drop(waiting);
    assert_eq!(admission.waiting(), 0);
    // Given, and not taken.
    let (given, _) = entering(&admission, "ann");
    drop(first);
    assert_eq!(admission.running(), 1);
    drop(given);
    assert_eq!(admission.running(), 0);
    at_once(&admission, "ann").await.expect("free");
}

#[tokio::test]
async fn no_more_is_planned_than_there_is_room_for() {
    let admission = places(1, 1, 1);
    let first = admission.expect("ann").expect("a free place");
    let second = admission.expect("ann").expect("room to wait");
    assert!(admission.expect("ann").is_err(), "both are spoken for");
    let other = admission.expect("bob").expect("who has less comes first");
    drop(other);
    // Whoever enters is counted once.
    second.planned();
    drop(first);
    let running = at_once(&admission, "ann").await.expect("free");
    assert!(admission.expect("ann").is_err());
    drop(running);
    let third = admission.expect("ann").expect("a free place");
    drop((second, third));
    let _all = [admission.expect("ann"), admission.expect("ann")].map(|it| it.expect("room"));
    assert!(admission.expect("ann").is_err(), "the control");
}

#[tokio::test]
async fn a_plan_that_is_not_run_keeps_nobody_out_for_long() {
    let admission = places(1, 1, 0);
    let prospect = admission.expect("ann").expect("a free place");
    prospect.planned();
    assert!(admission.expect("ann").is_err());
    {
        let mut state = admission.lock();
        let past = Instant::now() - UNTIL_ASKED;
        state
            .planned
            .iter_mut()
            .for_each(|it| it.until = Some(past));
    }
    admission
        .expect("ann")
        .expect("it was waited for long enough");
}
