//! What holds for everything that somebody may send, however it is made: handshakes and tickets.

use std::time::{Duration, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use proptest::prelude::*;
use tonic::metadata::{MetadataMap, MetadataValue};
use weft_governance::code;

use crate::session::{Handle, Presented};
use crate::ticket::{Seal, Ticket};

fn presented(header: &[u8]) -> Option<Result<[String; 3], &'static str>> {
    let mut metadata = MetadataMap::new();
    let value = MetadataValue::try_from(header).ok()?;
    metadata.insert("authorization", value);
    let read = Presented::read(&metadata);
    Some(match read {
        Ok(presented) => Ok(presented.parts().map(str::to_owned)),
        Err(error) => Err(error.code()),
    })
}

proptest! {
    #[test]
    fn any_authorization_is_read_or_refused_in_one_way(
        header in proptest::collection::vec(any::<u8>(), 0..200)
    ) {
        if let Some(Err(refused)) = presented(&header) {
            prop_assert_eq!(refused, code::UNAUTHENTICATED);
        }
    }

    #[test]
    fn a_name_and_a_password_come_back_whatever_they_are(
        user in proptest::collection::vec(proptest::char::any(), 0..20),
        password in proptest::collection::vec(proptest::char::any(), 0..20),
    ) {
        let user: String = user.into_iter().filter(|letter| *letter != ':').collect();
        let password: String = password.into_iter().collect();
        let basic = STANDARD.encode(format!("{user}:{password}"));
        let read = presented(format!("Basic {basic}").as_bytes());
        prop_assert_eq!(read, Some(Ok(["basic".to_owned(), user, password])));
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
}
