//! Messages to valid types and back.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use weft_governance::Principal;

use crate::rpc::authority as rpc;

impl From<rpc::Principal> for Principal {
    fn from(message: rpc::Principal) -> Self {
        let rpc::Principal {
            issuer,
            subject,
            groups,
            attributes,
        } = message;
        Self {
            issuer,
            subject,
            groups: groups.into_iter().collect(),
            attributes: attributes.into_iter().collect(),
        }
    }
}

impl From<Principal> for rpc::Principal {
    fn from(principal: Principal) -> Self {
        let Principal {
            issuer,
            subject,
            groups,
            attributes,
        } = principal;
        Self {
            issuer,
            subject,
            groups: groups.into_iter().collect(),
            attributes: attributes.into_iter().collect(),
        }
    }
}

/// A moment as whole seconds since 1970-01-01 UTC.
pub fn seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs()
}

/// The moment `seconds` after 1970-01-01 UTC, at most in the year 9999.
pub fn time(seconds: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(seconds.min(253_402_300_799))
}
