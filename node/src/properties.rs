//! What holds for every fragment that somebody may send, however it was made. A property panics where it
//! does not hold. Tests try it with what chance makes, fuzzers with what they have learned (`fuzz`).

use std::collections::BTreeSet;
use std::sync::OnceLock;

use prost::Message;
use weft_governance::{DomainId, code};
use weft_plan::FragmentFunctions;
use weft_wire::rpc::fragment::FragmentRequest;

use crate::fragment::allow::{FragmentLimits, check};

/// The plan in a fragment is refused, or reads tables of this domain alone; both as a message of its own
/// and in the envelope that it comes in. Whether it was accepted in one of them.
pub fn fragment(bytes: &[u8]) -> bool {
    let enveloped = FragmentRequest::decode(bytes);
    let enveloped = enveloped.is_ok_and(|request| plan(&request.plan));
    plan(bytes) || enveloped
}

fn plan(bytes: &[u8]) -> bool {
    static HERE: OnceLock<Option<(DomainId, BTreeSet<String>)>> = OnceLock::new();
    let here = HERE.get_or_init(|| {
        let functions = FragmentFunctions::of_this_version().names();
        Some(("sales".parse().ok()?, functions))
    });
    let Some((domain, functions)) = here else {
        unreachable!("`sales` is a domain")
    };
    match check(bytes, domain, functions, &FragmentLimits::default()) {
        Ok(allowed) => {
            assert!(!allowed.accesses.is_empty());
            let mut accesses = allowed.accesses.iter();
            assert!(accesses.all(|access| access.table.domain() == domain));
            true
        }
        Err(error) => {
            let codes = [code::FRAGMENT_REFUSED, code::TOO_COMPLEX, code::PROTOCOL];
            assert!(codes.contains(&error.code()), "{error:?}");
            false
        }
    }
}
