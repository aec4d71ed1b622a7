use serde_json::json;
use weft_ledger::EventKind;

use super::*;
use crate::fixture::Mesh;

fn event(kind: EventKind, what: &str) -> Event {
    Event {
        at: SystemTime::now(),
        kind,
        principal: Some("ann".to_owned()),
        query: None,
        fragment: None,
        details: json!({"id": what}),
    }
}

/// A signer and three changes that it signed.
fn three(signer: &Signer) -> Vec<Event> {
    let mut chain = Chain::default();
    let kinds = [
        EventKind::Granted,
        EventKind::GrantRevoked,
        EventKind::Granted,
    ];
    let events = kinds.into_iter().enumerate().map(|(number, kind)| {
        let (event, longer) = signer
            .sign(&chain, event(kind, &number.to_string()))
            .expect("signed");
        chain = longer;
        event
    });
    events.collect()
}

/// How many of `events`, one after the other, count.
fn counting(signer: &Signer, events: &[Event]) -> usize {
    let mut chain = Chain::default();
    let counts = events
        .iter()
        .take_while(|event| match signer.check(&chain, event) {
            Some(longer) => {
                chain = longer;
                true
            }
            None => false,
        });
    counts.count()
}

#[test]
fn changes_count_as_they_were_made_and_not_otherwise() {
    let mesh = Mesh::new();
    let signer = Signer::new(mesh.node("sales", "n1")).expect("a CA");
    let whole = three(&signer);
    assert_eq!(counting(&signer, &whole), 3);
    let changed = |at: usize, change: &dyn Fn(&mut Event)| {
        let mut events = whole.clone();
        change(&mut events[at]);
        counting(&signer, &events)
    };
    assert_eq!(changed(1, &|it| it.kind = EventKind::Granted), 1);
    assert_eq!(changed(1, &|it| it.principal = Some("eve".to_owned())), 1);
    assert_eq!(changed(1, &|it| it.principal = None), 1);
    assert_eq!(changed(2, &|it| it.details["id"] = json!("9")), 2);
    assert_eq!(changed(2, &|it| it.at += Duration::from_secs(1)), 2);
    assert_eq!(changed(0, &|it| it.details = json!({"id": "0"})), 0);
    // One of them is left out, moved, or comes again.
    let picked = |places: &[usize]| {
        let events: Vec<Event> = places.iter().map(|at| whole[*at].clone()).collect();
        counting(&signer, &events)
    };
    assert_eq!(picked(&[0, 2]), 1);
    assert_eq!(picked(&[1, 0, 2]), 0);
    assert_eq!(picked(&[0, 1, 2, 0]), 3);
}

#[test]
fn only_this_node_signs_with_a_certificate_of_its_mesh() {
    let mesh = Mesh::new();
    let signer = Signer::new(mesh.node("sales", "n1")).expect("a CA");
    let others = [
        mesh.node("sales", "n2"),
        mesh.node("crm", "n1"),
        Mesh::new().node("sales", "n1"),
    ];
    for other in others {
        let other = Signer::new(other).expect("a CA");
        assert_eq!(counting(&signer, &three(&other)), 0);
    }
    // A certificate that was renewed, or a key that was made anew, is as good.
    let anew = Signer::new(mesh.node("sales", "n1")).expect("a CA");
    assert_eq!(counting(&anew, &three(&signer)), 3);
}

#[test]
fn nothing_is_signed_for_a_time_that_is_not_now() {
    let mesh = Mesh::new();
    let signer = Signer::new(mesh.node("sales", "n1")).expect("a CA");
    let (_, chain) = signer
        .sign(&Chain::default(), event(EventKind::Granted, "1"))
        .expect("signed");
    let long_ago = Event {
        at: SystemTime::now() - 2 * SKEW,
        ..event(EventKind::Granted, "2")
    };
    let refused = signer.sign(&chain, long_ago).expect_err("before the last");
    assert_eq!(refused.code(), code::NOT_AUDITED);
}
