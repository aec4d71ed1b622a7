//! Fragments that a coordinator has checked in for clients who fetch their rows here by themselves.
//!
//! A reservation is no right: whoever fetches passes the gate like everyone else. It is kept as it was
//! sent, and is read anew when it is fetched.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Instant, SystemTime};

use arrow::datatypes::SchemaRef;
use prost::Message;
use uuid::Uuid;
use weft_governance::{Error, ErrorKind, Principal, ServerId, code};
use weft_wire::rpc::fragment::FragmentRequest;

/// Reservations of all people together.
const MOST: usize = 1 << 10;
/// Reservations of one person.
const MOST_OF_ONE: usize = 1 << 6;
/// Bytes of one of them.
const LARGEST: usize = 1 << 16;

/// What a client presents.
type Ticket = [u8; 16];

/// A fragment that waits for its reader.
#[derive(Debug)]
pub(crate) struct Reserved {
    /// As it was sent.
    pub(crate) request: FragmentRequest,
    /// SHA-256 of its bytes.
    pub(crate) digest: [u8; 32],
    /// Who sent it.
    pub(crate) coordinator: ServerId,
    /// Whom it is for.
    pub(crate) principal: Principal,
    /// When the token was issued that proved who they are.
    pub(crate) issued_at: SystemTime,
    /// The schema that they were told.
    pub(crate) announced: SchemaRef,
    /// SHA-256 of the bearer by which they are known.
    pub(crate) bearer: [u8; 32],
    /// When it is over: with that token.
    pub(crate) expires_at: SystemTime,
}

impl Reserved {
    /// Whether it is for the same person as `other`.
    fn is_of_owner_of(&self, other: &Self) -> bool {
        let (one, other) = (&self.principal, &other.principal);
        (&one.issuer, &one.subject) == (&other.issuer, &other.subject)
    }
}

/// All that wait.
#[derive(Debug, Clone, Default)]
pub(crate) struct Reservations(Arc<Mutex<HashMap<Ticket, Kept>>>);

#[derive(Debug)]
struct Kept {
    since: Instant,
    reserved: Arc<Reserved>,
}

impl Reservations {
    /// Keeps `reserved` and returns what its reader has to present. The person's oldest makes room, or
    /// that of all.
    ///
    /// # Errors
    /// `WEFT-RESOURCES` for a fragment that is too large to be kept.
    pub(crate) fn keep(&self, reserved: Reserved) -> Result<Ticket, Error> {
        if reserved.request.encoded_len() > LARGEST {
            let message = format!("a fragment of more than {LARGEST} bytes is not kept");
            return Err(Error::new(
                ErrorKind::ResourceExhausted,
                code::RESOURCES,
                message,
            ));
        }
        let ticket = Uuid::new_v4().into_bytes();
        let mut kept = self.lock();
        let now = SystemTime::now();
        kept.retain(|_, kept| kept.reserved.expires_at > now);
        let own = |kept: &Kept| kept.reserved.is_of_owner_of(&reserved);
        let crowded = kept.values().filter(|kept| own(kept)).count() >= MOST_OF_ONE;
        if crowded || kept.len() >= MOST {
            let leaving = kept.iter().filter(|(_, kept)| !crowded || own(kept));
            let oldest = leaving.min_by_key(|(_, kept)| kept.since);
            if let Some(oldest) = oldest.map(|(ticket, _)| *ticket) {
                kept.remove(&oldest);
            }
        }
        let reserved = Arc::new(reserved);
        let since = Instant::now();
        kept.insert(ticket, Kept { since, reserved });
        Ok(ticket)
    }

    /// What `ticket` was given for, if `bearer` is its reader's.
    pub(crate) fn of(&self, ticket: &[u8], bearer: [u8; 32]) -> Option<Arc<Reserved>> {
        let ticket = Ticket::try_from(ticket).ok()?;
        let kept = self.lock();
        let reserved = &kept.get(&ticket)?.reserved;
        let fits = reserved.bearer == bearer && reserved.expires_at > SystemTime::now();
        fits.then(|| Arc::clone(reserved))
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Ticket, Kept>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use arrow::datatypes::Schema;

    fn reserved(subject: &str, lives: Duration) -> Reserved {
        Reserved {
            request: FragmentRequest::default(),
            digest: [0; 32],
            coordinator: ServerId::coordinator("main").expect("valid"),
            principal: Principal {
                issuer: "mesh".to_owned(),
                subject: subject.to_owned(),
                groups: Default::default(),
                attributes: Default::default(),
            },
            issued_at: SystemTime::now(),
            announced: Arc::new(Schema::empty()),
            bearer: [7; 32],
            expires_at: SystemTime::now() + lives,
        }
    }

    const LONG: Duration = Duration::from_secs(600);

    #[test]
    fn a_ticket_is_good_for_the_bearer_that_it_was_made_for_and_in_its_time() {
        let all = Reservations::default();
        let ticket = all.keep(reserved("ada", LONG)).expect("kept");
        assert!(all.of(&ticket, [7; 32]).is_some());
        assert!(all.of(&ticket, [7; 32]).is_some(), "it is read again");
        assert!(all.of(&ticket, [8; 32]).is_none());
        assert!(all.of(&ticket[1..], [7; 32]).is_none());
        assert!(all.of(&[0; 16], [7; 32]).is_none());
        let over = all.keep(reserved("ada", Duration::ZERO)).expect("kept");
        assert!(all.of(&over, [7; 32]).is_none());
    }

    #[test]
    fn whoever_reserves_much_displaces_what_is_their_own() {
        let all = Reservations::default();
        let bob = all.keep(reserved("bob", LONG)).expect("kept");
        let first = all.keep(reserved("ada", LONG)).expect("kept");
        for _ in 0..MOST_OF_ONE {
            all.keep(reserved("ada", LONG)).expect("kept");
        }
        assert!(all.of(&bob, [7; 32]).is_some());
        assert!(all.of(&first, [7; 32]).is_none());
        assert_eq!(all.lock().len(), 1 + MOST_OF_ONE);
    }

    #[test]
    fn what_is_over_or_too_large_takes_no_room() {
        let all = Reservations::default();
        all.keep(reserved("ada", Duration::ZERO)).expect("kept");
        all.keep(reserved("ada", LONG)).expect("kept");
        assert_eq!(all.lock().len(), 1);
        let mut large = reserved("ada", LONG);
        large.request.plan = vec![0; LARGEST];
        let error = all.keep(large).expect_err("refused");
        assert_eq!(error.code(), code::RESOURCES);
    }
}
