//! Messages to valid types and back.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use weft_governance::{FlowTo, KeyDisclosure, Principal};

use crate::rpc::authority as rpc;
use crate::rpc::node;

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

impl From<KeyDisclosure> for node::KeyDisclosure {
    fn from(disclosure: KeyDisclosure) -> Self {
        match disclosure {
            KeyDisclosure::None => Self::None,
            KeyDisclosure::Range => Self::Range,
            KeyDisclosure::Bloom => Self::Bloom,
            KeyDisclosure::List => Self::List,
        }
    }
}

/// What `number` stands for in a message; nothing is disclosed by a number that nobody knows.
pub fn key_disclosure(number: i32) -> KeyDisclosure {
    match node::KeyDisclosure::try_from(number) {
        Ok(node::KeyDisclosure::Range) => KeyDisclosure::Range,
        Ok(node::KeyDisclosure::Bloom) => KeyDisclosure::Bloom,
        Ok(node::KeyDisclosure::List) => KeyDisclosure::List,
        Ok(node::KeyDisclosure::None) | Err(_) => KeyDisclosure::None,
    }
}

impl From<FlowTo> for node::FlowTo {
    fn from(flow: FlowTo) -> Self {
        let domains = match &flow {
            FlowTo::Domains(domains) => domains.iter().map(ToString::to_string).collect(),
            FlowTo::Nowhere | FlowTo::Anywhere => Vec::new(),
        };
        Self {
            anywhere: flow == FlowTo::Anywhere,
            domains,
        }
    }
}

/// Where rows may flow by `message`; what names no domain allows nothing.
pub fn flow_to(message: node::FlowTo) -> FlowTo {
    let node::FlowTo { anywhere, domains } = message;
    if anywhere {
        return FlowTo::Anywhere;
    }
    let domains = domains.iter().filter_map(|domain| domain.parse().ok());
    FlowTo::Domains(domains.collect())
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
