//! Which trace a call belongs to, as W3C Trace Context writes it: `traceparent`.
//!
//! A call carries its context while it is worked on, its streams included; what it starts at other
//! servers goes on in the same trace. The context comes from strangers: it is read strictly, decides
//! nothing, and only its ids are kept.

mod step;

use std::fmt;
use std::future::Future;

pub use step::{Ended, Step, StepKind, collect};

/// The header's name.
pub const TRACEPARENT: &str = "traceparent";

/// A trace, and the step of it at which a call was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TraceContext {
    trace: u128,
    step: u64,
    /// The step that this one was made within.
    parent: Option<u64>,
    flags: u8,
}

/// Whoever began the trace wants its steps collected.
const SAMPLED: u8 = 1;

tokio::task_local! {
    static CURRENT: TraceContext;
}

impl TraceContext {
    /// A trace that begins here.
    pub fn begin() -> Self {
        let random = uuid::Uuid::new_v4().as_u128();
        Self {
            trace: random | 1,
            step: new_step(),
            parent: None,
            flags: if step::are_collected() { SAMPLED } else { 0 },
        }
    }

    /// Reads a header; nothing if it is malformed.
    pub fn read(header: &str) -> Option<Self> {
        let mut parts = header.split('-');
        let (version, trace, step, flags) =
            (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        // Later versions may have more parts, this one has not.
        let known = number(version, 2)? != 0xff && (version != "00" || parts.next().is_none());
        let context = Self {
            trace: number(trace, 32)?,
            step: u64::try_from(number(step, 16)?).ok()?,
            parent: None,
            flags: u8::try_from(number(flags, 2)?).ok()?,
        };
        (known && context.trace != 0 && context.step != 0).then_some(context)
    }

    /// The context of a call made within this one.
    #[must_use]
    pub fn next(self) -> Self {
        Self {
            step: new_step(),
            parent: Some(self.step),
            ..self
        }
    }

    /// That of the call which is being worked on.
    pub fn current() -> Option<Self> {
        CURRENT.try_with(|context| *context).ok()
    }

    /// `work` within this context.
    pub fn scope<F: Future>(self, work: F) -> impl Future<Output = F::Output> {
        CURRENT.scope(self, work)
    }

    /// The same for a step that does not wait.
    pub fn within<T>(self, work: impl FnOnce() -> T) -> T {
        CURRENT.sync_scope(self, work)
    }

    /// The trace, the step, and the step that it was made within, as numbers.
    pub fn ids(&self) -> (u128, u64, Option<u64>) {
        (self.trace, self.step, self.parent)
    }

    /// Whether whoever began the trace wants its steps collected.
    pub fn is_sampled(&self) -> bool {
        self.flags & SAMPLED != 0
    }

    /// The trace's id, as logs and headers write it.
    pub fn id(&self) -> impl fmt::Display {
        TraceId(self.trace)
    }
}

/// As the header writes it.
impl fmt::Display for TraceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            trace, step, flags, ..
        } = self;
        write!(f, "00-{trace:032x}-{step:016x}-{flags:02x}")
    }
}

struct TraceId(u128);

impl fmt::Display for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

/// A new id that is not zero.
fn new_step() -> u64 {
    let (random, _) = uuid::Uuid::new_v4().as_u64_pair();
    random | 1
}

/// A number of exactly `digits` digits, in small letters.
fn number(text: &str, digits: usize) -> Option<u128> {
    let small = |digit: u8| matches!(digit, b'0'..=b'9' | b'a'..=b'f');
    let well = text.len() == digits && text.bytes().all(small);
    well.then(|| u128::from_str_radix(text, 16).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    #[test]
    fn a_context_is_read_as_it_was_written() {
        let context = TraceContext::read(HEADER).expect("well-formed");
        assert_eq!(context.to_string(), HEADER);
        assert_eq!(context.id().to_string(), "0af7651916cd43dd8448eb211c80319c");
        let next = context.next();
        assert_ne!(next, context);
        assert_eq!(next.id().to_string(), context.id().to_string());
        let begun = TraceContext::begin();
        assert_eq!(TraceContext::read(&begun.to_string()), Some(begun));
    }

    #[test]
    fn what_is_malformed_is_no_context() {
        let zero = "0".repeat(32);
        for header in [
            "",
            "00",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331",
            "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
            "00-+af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-00",
            "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            &format!("00-{zero}-b7ad6b7169203331-01"),
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
            "00-ä-b7ad6b7169203331-01",
        ] {
            assert_eq!(TraceContext::read(header), None, "{header}");
        }
    }

    #[tokio::test]
    async fn work_knows_its_context_and_nothing_else_does() {
        assert_eq!(TraceContext::current(), None);
        let context = TraceContext::begin();
        let seen = context.scope(async { TraceContext::current() }).await;
        assert_eq!(seen, Some(context));
        assert_eq!(context.within(TraceContext::current), Some(context));
        assert_eq!(TraceContext::current(), None);
    }

    proptest::proptest! {
        #[test]
        fn no_header_does_harm(
            header in proptest::collection::vec(
                proptest::sample::select(&b"0123456789abcdefAF-+ "[..]), 0..80)
        ) {
            let header = String::from_utf8(header).expect("ascii");
            if let Some(context) = TraceContext::read(&header) {
                proptest::prop_assert_eq!(
                    TraceContext::read(&context.to_string()), Some(context)
                );
            }
        }
    }
}
