use std::time::{Duration, SystemTime, UNIX_EPOCH};

use weft_governance::{ProductRef, QueryId};

use super::*;
use crate::fixture::{Mesh, server};

fn receipt() -> Receipt {
    Receipt {
        node: "node/crm/crm-1".to_owned(),
        query: QueryId::generate().to_string(),
        fragment: 2,
        principal: "ann".to_owned(),
        purpose: Some("fraud".to_owned()),
        request: "ab".repeat(32),
        tables: vec![ReadTable {
            table: ProductRef::new("crm".parse().expect("a domain"), "people")
                .and_then(|product| product.table("person"))
                .expect("a table"),
            version: "1.0.0".to_owned(),
            grant: "ann-reads".to_owned(),
            columns: ["id".to_owned(), "ssn".to_owned()].into(),
            filtered: true,
            masked: ["ssn".to_owned()].into(),
        }],
        epoch: 7,
        policy: Some(2),
        complete: true,
        rows: 3,
        bytes: 512,
        digest: StreamDigest::new().text(),
        at: SystemTime::now().into(),
    }
}

#[test]
fn a_receipt_is_read_back_and_its_maker_is_known() {
    let mesh = Mesh::new();
    let ca = MeshCa::from_pem(&mesh.ca_pem).expect("a CA");
    let said = receipt();
    let text = said.sign(&mesh.identity("node/crm/crm-1")).expect("signed");
    assert_eq!(Receipt::read(&text).expect("read"), said);
    assert_eq!(Receipt::verify(&text, &ca).expect("verified"), said);
    let other = MeshCa::from_pem(&Mesh::new().ca_pem).expect("a CA");
    assert!(Receipt::verify(&text, &other).is_err(), "another mesh");
}

#[test]
fn a_server_gives_no_receipt_for_another() {
    let mesh = Mesh::new();
    let text = receipt().sign(&mesh.identity("node/sales/sales-1"));
    let error = Receipt::read(&text.expect("signed")).expect_err("not its word");
    assert_eq!(error.code(), code::UNAUTHENTICATED);
}

#[test]
fn a_receipt_of_a_time_without_a_certificate_is_refused() {
    let mesh = Mesh::new();
    let ca = MeshCa::from_pem(&mesh.ca_pem).expect("a CA");
    let early = Receipt {
        at: (UNIX_EPOCH + Duration::from_secs(60)).into(),
        ..receipt()
    };
    let text = early
        .sign(&mesh.identity("node/crm/crm-1"))
        .expect("signed");
    assert!(Receipt::read(&text).is_ok());
    assert!(Receipt::verify(&text, &ca).is_err());
}

#[test]
fn whatever_is_changed_in_a_receipt_is_noticed() {
    let mesh = Mesh::new();
    let said = receipt();
    let text = said.sign(&mesh.identity("node/crm/crm-1")).expect("signed");
    for place in 0..text.len() {
        let mut changed = text.clone().into_bytes();
        let byte = changed.get_mut(place).expect("within");
        *byte = if *byte == b'A' { b'B' } else { b'A' };
        let changed = String::from_utf8(changed).expect("still text");
        // Bits of base64 that stand for nothing and parts of a certificate that only its CA
        // vouches for may differ; what it says may not.
        if let Ok(read) = Receipt::read(&changed) {
            assert_eq!(read, said, "at {place}");
        }
    }
    for cut in 0..text.len() {
        assert!(Receipt::read(text.get(..cut).expect("ASCII")).is_err());
    }
}

#[test]
fn a_receipt_tells_of_one_fragment_and_one_stream() {
    let said = receipt();
    let node = server("node/crm/crm-1");
    let id = FragmentId {
        query: said.query.parse().expect("an id"),
        ordinal: 2,
    };
    let sent = Sent {
        rows: 3,
        bytes: 512,
        digest: said.digest.clone(),
    };
    assert!(said.tells(id, &node, &sent));
    let others = [
        Sent {
            rows: 4,
            ..sent.clone()
        },
        Sent {
            bytes: 1,
            ..sent.clone()
        },
        Sent {
            digest: String::new(),
            ..sent.clone()
        },
    ];
    for other in others {
        assert!(!said.tells(id, &node, &other), "{other:?}");
    }
    let other = FragmentId { ordinal: 1, ..id };
    assert!(!said.tells(other, &node, &sent));
    assert!(!said.tells(id, &server("node/crm/crm-2"), &sent));
}
