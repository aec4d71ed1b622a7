use std::path::PathBuf;
use std::time::Duration;

use arrow_flight::sql::{CommandGetTables, ProstMessageExt, TicketStatementQuery};
use proptest::prelude::*;
use prost::Message;

use super::*;
use crate::guard::sample_messages;
use crate::session::Handle;
use crate::ticket::Ticket;

proptest! {
    #[test]
    fn any_authorization_is_read_or_refused_in_one_way(
        header in proptest::collection::vec(any::<u8>(), 0..200)
    ) {
        handshake(&header);
    }

    #[test]
    fn any_name_and_password_are_read_or_refused_in_one_way(
        scheme in proptest::sample::select(vec!["Basic", "bASIC", "Bearer"]),
        pair in proptest::collection::vec(any::<u8>(), 0..50),
    ) {
        handshake(format!("{scheme} {}", STANDARD.encode(pair)).as_bytes());
    }

    #[test]
    fn a_name_and_a_password_come_back_whatever_they_are(
        user in proptest::collection::vec(proptest::char::any(), 0..20),
        password in proptest::collection::vec(proptest::char::any(), 0..20),
    ) {
        let user: String = user.into_iter().filter(|letter| *letter != ':').collect();
        let password: String = password.into_iter().collect();
        let basic = STANDARD.encode(format!("{user}:{password}"));
        let read = presented(format!("Basic {basic}").as_bytes()).and_then(Result::ok);
        prop_assert_eq!(read, Some(["basic".to_owned(), user, password]));
    }

    #[test]
    fn any_ticket_is_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        ticket(&bytes);
        let statement_handle = Bytes::from(bytes);
        ticket(&TicketStatementQuery { statement_handle }.as_any().encode_to_vec());
    }

    #[test]
    fn nothing_opens_but_what_was_sealed(
        (session, result) in any::<([u8; 16], [u8; 16])>(),
        seconds in 1_u64..1 << 40,
        forged in proptest::collection::vec(any::<u8>(), 0..200),
        (at, change) in (any::<proptest::sample::Index>(), 1_u8..),
    ) {
        let seal = Seal::generate().expect("random");
        let ticket = Ticket {
            session: Handle::from(session),
            result: Handle::from(result),
            expires_at: UNIX_EPOCH + Duration::from_secs(seconds),
        };
        let sealed = seal.close(&ticket).expect("seals");
        prop_assert_eq!(seal.open(&forged, UNIX_EPOCH), None);
        let mut changed = sealed.clone();
        let at = at.index(changed.len());
        changed[at] ^= change;
        prop_assert_eq!(seal.open(&changed, UNIX_EPOCH), None);
        prop_assert_eq!(seal.open(&sealed, UNIX_EPOCH), Some(ticket));
    }

    #[test]
    fn any_messages_are_decoded_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        messages(&bytes);
    }

    #[test]
    fn damaged_messages_are_decoded_or_refused(
        damage in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 1..6),
        compression in proptest::sample::select(vec![Compression::None, Compression::Lz4]),
    ) {
        let mut bytes = written(compression);
        prop_assert!(messages(&bytes));
        for (at, byte) in damage {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        messages(&bytes);
    }
}

/// Messages as [`messages`] reads them.
fn written(compression: Compression) -> Vec<u8> {
    let mut bytes = vec![match compression {
        Compression::None => 0,
        Compression::Lz4 => 1,
    }];
    for message in sample_messages(compression) {
        for part in [&message.data_header, &message.data_body] {
            let length = u16::try_from(part.len()).expect("short");
            bytes.extend(length.to_le_bytes());
        }
        bytes.extend(&message.data_header);
        bytes.extend(&message.data_body);
    }
    bytes
}

/// What fuzzers begin with.
fn seeds() -> Vec<(&'static str, Vec<u8>)> {
    let handle = TicketStatementQuery {
        statement_handle: vec![7; 68].into(),
    };
    let tables = CommandGetTables {
        table_name_filter_pattern: Some("a%".to_owned()),
        ..CommandGetTables::default()
    };
    vec![
        ("handshake/basic", b"Basic YW5hbHlzdDpzZWNyZXQ=".to_vec()),
        (
            "handshake/session",
            b"Bearer AAECAwQFBgcICQoLDA0ODw".to_vec(),
        ),
        ("handshake/token", b"bearer a.b.c".to_vec()),
        ("tickets/statement", handle.as_any().encode_to_vec()),
        ("tickets/tables", tables.as_any().encode_to_vec()),
        ("messages/plain", written(Compression::None)),
        ("messages/compressed", written(Compression::Lz4)),
    ]
}

/// What they found once is not found again.
#[test]
fn all_that_fuzzers_keep_is_decoded_or_refused() {
    let corpus = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus");
    for (target, property) in [
        ("handshake", handshake as fn(&[u8])),
        ("tickets", ticket),
        ("messages", |bytes| _ = messages(bytes)),
    ] {
        for kept in std::fs::read_dir(corpus.join(target)).expect("a folder") {
            let kept = kept.expect("a file").path();
            property(&std::fs::read(kept).expect("read"));
        }
    }
}

/// `WEFT_ACCEPT=1` writes them anew.
#[test]
fn fuzzers_begin_with_what_is_accepted() {
    let corpus = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus");
    for (name, bytes) in seeds() {
        let seed = corpus.join(name);
        if std::env::var_os("WEFT_ACCEPT").is_some() {
            std::fs::create_dir_all(seed.parent().expect("a folder")).expect("a folder");
            std::fs::write(&seed, &bytes).expect("written");
        }
        let kept =
            std::fs::read(&seed).unwrap_or_else(|error| panic!("{}: {error}", seed.display()));
        match name.split('/').next() {
            Some("handshake") => {
                handshake(&kept);
                assert!(presented(&kept).is_some_and(|it| it.is_ok()), "{name}");
            }
            Some("tickets") => {
                ticket(&kept);
                sealed_in(&kept).unwrap_or_else(|error| panic!("{name}: {error}"));
            }
            _ => assert!(messages(&kept), "{name}"),
        }
    }
}
