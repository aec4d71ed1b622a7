//! Who is disabled, as the authority says it, and as it changes.
//!
//! A server follows the authority for as long as it runs. While it cannot reach it, it goes on with
//! what it heard last: what somebody who is disabled meanwhile can still do ends with the tokens that
//! servers hold of them, which nobody renews.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::sync::watch;
use tokio::time::{sleep, timeout};
use tokio_util::task::AbortOnDropHandle;
use tonic::Status;
use tracing::warn;
use weft_governance::{Error, ErrorKind, code};

use super::Authority;
use crate::convert::{seconds, time};
use crate::rpc::authority::{Disablement, FollowPeopleRequest, FollowPeopleResponse};
use crate::status::from_status;

const FIRST_WAIT: Duration = Duration::from_millis(100);
const LONGEST_WAIT: Duration = Duration::from_secs(5);
/// How long somebody waits for the first word of the authority.
const PATIENCE: Duration = Duration::from_secs(5);
/// More people than this are not kept: no authority disables so many.
const MOST: usize = 1 << 20;

/// By subject, the newest moment at which they were disabled.
type Known = HashMap<String, SystemTime>;

/// The people of a mesh, by subject, as far as it matters who is disabled. Cheap to clone; the last
/// one ends the following.
#[derive(Debug, Clone)]
pub struct People {
    /// Nothing until the authority has spoken for the first time.
    known: watch::Receiver<Option<Arc<Known>>>,
    _following: Arc<AbortOnDropHandle<()>>,
}

impl People {
    /// Follows `authority` from now on. Must be called within a runtime.
    pub fn follow(authority: &Authority) -> Self {
        let (said, known) = watch::channel(None);
        let following = tokio::spawn(follow(authority.clone(), said));
        Self {
            known,
            _following: Arc::new(AbortOnDropHandle::new(following)),
        }
    }

    /// Waits until the authority has said for the first time who is disabled.
    ///
    /// # Errors
    /// `WEFT-CONNECT` if that takes too long.
    pub async fn known(&self) -> Result<(), Error> {
        let mut known = self.known.clone();
        let said = known.wait_for(Option::is_some);
        match timeout(PATIENCE, said).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(_)) | Err(_) => Err(away()),
        }
    }

    /// Whether it has.
    pub fn is_known(&self) -> bool {
        self.known.borrow().is_some()
    }

    /// Whether what was issued to `subject` at `issued_at` is no longer good: they were disabled since.
    pub fn refuses(&self, subject: &str, issued_at: SystemTime) -> bool {
        refuses(&self.known, subject, issued_at)
    }

    /// The presence of `subject`, who was let in on what was issued at `issued_at`.
    pub fn presence(&self, subject: &str, issued_at: SystemTime) -> Presence {
        Presence {
            known: self.known.clone(),
            subject: subject.to_owned(),
            issued_at,
        }
    }
}

/// That somebody who was let in may stay. It ends when they are disabled, also if they are enabled
/// again.
#[derive(Debug, Clone)]
pub struct Presence {
    known: watch::Receiver<Option<Arc<Known>>>,
    subject: String,
    issued_at: SystemTime,
}

impl Presence {
    /// Whether it has not ended.
    ///
    /// # Errors
    /// `WEFT-UNAUTHENTICATED` if it has.
    pub fn check(&self) -> Result<(), Error> {
        if refuses(&self.known, &self.subject, self.issued_at) {
            Err(ended())
        } else {
            Ok(())
        }
    }

    /// Waits until it ends, and says so.
    pub async fn ended(mut self) -> Error {
        loop {
            self.known.mark_unchanged();
            if let Err(ended) = self.check() {
                return ended;
            }
            if self.known.changed().await.is_err() {
                // Nobody follows any more: the server ends.
                return std::future::pending().await;
            }
        }
    }
}

/// The authority issues nothing to somebody who is disabled, so what is newer is good.
fn refuses(
    known: &watch::Receiver<Option<Arc<Known>>>,
    subject: &str,
    issued_at: SystemTime,
) -> bool {
    let known = known.borrow();
    let since = known.as_ref().and_then(|known| known.get(subject));
    since.is_some_and(|since| seconds(issued_at) <= seconds(*since))
}

async fn follow(authority: Authority, said: watch::Sender<Option<Arc<Known>>>) {
    let mut wait = FIRST_WAIT;
    loop {
        let mut heard = false;
        let status = listen(&authority, &said, &mut heard).await;
        if heard {
            wait = FIRST_WAIT;
        }
        let error = from_status(&status);
        warn!(%error, code = error.code(), retry_ms = wait.as_millis(), "people are not followed");
        sleep(wait).await;
        wait = (wait * 2).min(LONGEST_WAIT);
    }
}

/// Listens until the stream ends, and says why it did.
async fn listen(
    authority: &Authority,
    said: &watch::Sender<Option<Arc<Known>>>,
    heard: &mut bool,
) -> Status {
    let mut client = authority.client.clone();
    let mut stream = match client.follow_people(FollowPeopleRequest {}).await {
        Ok(answer) => answer.into_inner(),
        Err(status) => return status,
    };
    // What was known before may no longer be so.
    let mut known = Known::new();
    loop {
        let FollowPeopleResponse { changes, complete } = match stream.message().await {
            Ok(Some(message)) => message,
            Ok(None) => return Status::unavailable("the stream ended"),
            Err(status) => return status,
        };
        for change in changes {
            let Disablement { subject, since } = change;
            known.insert(subject, time(since));
        }
        if known.len() > MOST {
            return Status::resource_exhausted("too many people");
        }
        if complete {
            *heard = true;
            said.send_replace(Some(Arc::new(known.clone())));
        }
    }
}

/// The one word for a sign-in that was good.
fn ended() -> Error {
    Error::new(
        ErrorKind::Unauthenticated,
        code::UNAUTHENTICATED,
        "the sign-in is no longer good",
    )
    .with_hint("Sign in again; if that is refused, ask an administrator of the mesh.")
}

fn away() -> Error {
    Error::new(
        ErrorKind::Unavailable,
        code::CONNECT,
        "the authority has not yet said who may sign in",
    )
    .with_hint("Try again in a few seconds.")
}
