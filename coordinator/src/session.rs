//! People who signed in, and the tokens that nodes see of them.

mod answers;
mod roster;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use tokio::sync::Mutex as AsyncMutex;
use weft_door::{Credentials, Opened};
use weft_governance::{Error, ErrorKind, Principal, QueryId, ServerId, code};
use weft_plan::Current;
use weft_wire::authority::{Authority, Lease, Presence, TokenKeys};
use weft_wire::token::UserToken;
use zeroize::Zeroizing;

use crate::plan::{Optimization, Optimizations};

use answers::Answers;
pub use answers::Asked;
pub use roster::Attendance;
pub use roster::Roster;

/// A token is not used in the last moments of its life.
const MARGIN: Duration = Duration::from_secs(20);

/// Opens sessions.
pub struct Sessions {
    authority: Authority,
    keys: Arc<TokenKeys>,
    basic_sign_in: bool,
    roster: Roster,
}

/// One signed-in person on one bearer token.
pub struct Session {
    id: String,
    attendance: Arc<Attendance>,
    principal: Principal,
    presence: Presence,
    subject: Arc<Subject>,
    /// Whether the lease behind it is another session's, which ends it.
    borrows: bool,
    authority: Authority,
    tokens: Mutex<HashMap<ServerId, Arc<AsyncMutex<Option<UserToken>>>>>,
    state: Mutex<State>,
    answers: Mutex<Answers>,
}

/// What the session is exchanged for tokens with.
enum Subject {
    Lease(Lease),
    /// Brought by the client, and not renewed.
    Token(Zeroizing<String>),
}

struct State {
    names: Current,
    time_zone: String,
    optimizations: Optimizations,
    purpose: Option<String>,
    /// Whether rows of one node are fetched there.
    direct: bool,
}

impl Default for State {
    fn default() -> Self {
        Self {
            names: Current::default(),
            time_zone: "+00:00".to_owned(),
            optimizations: Optimizations::default(),
            purpose: None,
            direct: false,
        }
    }
}

impl Sessions {
    /// Sessions of people whom `authority` knows.
    pub fn new(authority: Authority, keys: Arc<TokenKeys>, basic_sign_in: bool) -> Self {
        Self {
            authority,
            keys,
            basic_sign_in,
            roster: Roster::default(),
        }
    }

    /// Who is here.
    pub fn roster(&self) -> &Roster {
        &self.roster
    }

    /// Signs a person in.
    ///
    /// # Errors
    /// `WEFT-UNAUTHENTICATED`, or `WEFT-NOT-GRANTED` if passwords are not taken here.
    pub async fn sign_in(&self, credentials: Credentials) -> Result<Opened<Session>, Error> {
        let people = self.keys.people();
        people.known().await?;
        let (principal, issued_at, subject, expires_at) = match credentials {
            Credentials::Password { user, password } => {
                if !self.basic_sign_in {
                    return Err(Error::new(
                        ErrorKind::PermissionDenied,
                        code::UNAUTHENTICATED,
                        "this coordinator takes no passwords",
                    )
                    .with_hint("Bring a token: `weft token` prints one for this coordinator."));
                }
                let lease = self.authority.sign_in(&user, &password).await?;
                (
                    lease.principal.clone(),
                    lease.issued_at,
                    Subject::Lease(lease.clone()),
                    lease.expires_at,
                )
            }
            Credentials::Token(token) => {
                let user = self.keys.verify(&token, None, SystemTime::now()).await?;
                let subject = Subject::Token(token);
                (user.principal, user.issued_at, subject, user.expires_at)
            }
        };
        let id = QueryId::generate().to_string();
        let session = Session {
            attendance: self.roster.enter(&id, &principal.subject, expires_at),
            id,
            presence: people.presence(&principal.subject, issued_at),
            principal,
            subject: Arc::new(subject),
            borrows: false,
            authority: self.authority.clone(),
            tokens: Mutex::default(),
            state: Mutex::default(),
            answers: Mutex::default(),
        };
        Ok(Opened {
            session,
            expires_at,
        })
    }

    /// A fresh session of the same person as `session`, good for as long as that one is.
    pub fn beside(&self, session: &Session) -> Session {
        let id = QueryId::generate().to_string();
        let (principal, expires_at) = (&session.principal, session.attendance.expires_at);
        Session {
            attendance: self.roster.enter(&id, &principal.subject, expires_at),
            id,
            principal: principal.clone(),
            presence: session.presence.clone(),
            subject: Arc::clone(&session.subject),
            borrows: true,
            authority: session.authority.clone(),
            tokens: Mutex::default(),
            state: Mutex::default(),
            answers: Mutex::default(),
        }
    }

    /// Ends the session's lease.
    pub async fn sign_out(&self, session: &Session) {
        if let Subject::Lease(lease) = session.subject.as_ref()
            && !session.borrows
            && let Err(error) = self.authority.end_lease(lease).await
        {
            tracing::debug!(%error, "a lease could not be ended and will expire by itself");
        }
    }
}

impl Session {
    /// Unique in this process.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Who signed in.
    pub fn principal(&self) -> &Principal {
        &self.principal
    }

    /// That the person may stay.
    pub fn presence(&self) -> &Presence {
        &self.presence
    }

    /// A user token for `node`, from the cache while it lives. One exchange per node at a time.
    ///
    /// # Errors
    /// `WEFT-LEASE-EXPIRED` if the person has to sign in again.
    pub async fn token_for(&self, node: &ServerId, now: SystemTime) -> Result<String, Error> {
        let slot = Arc::clone(lock(&self.tokens).entry(node.clone()).or_default());
        let mut cached = slot.lock().await;
        if let Some(token) = cached
            .as_ref()
            .filter(|token| token.expires_at > now + MARGIN)
        {
            return Ok(token.text.clone());
        }
        let token = match self.subject.as_ref() {
            Subject::Lease(lease) => self.authority.exchange_lease(lease, node).await?,
            Subject::Token(token) => {
                self.authority
                    .exchange_token(token, node)
                    .await
                    .map_err(|error| match error.kind() {
                        ErrorKind::Unauthenticated => error.with_hint(
                            "The token that the client brought has ended; bring a new one.",
                        ),
                        _ => error,
                    })?
            }
        };
        let text = token.text.clone();
        *cached = Some(token);
        Ok(text)
    }

    /// Where short names start.
    pub fn names(&self) -> Current {
        lock(&self.state).names.clone()
    }

    /// Sets where short names start.
    pub fn set_names(&self, names: Current) {
        lock(&self.state).names = names;
    }

    /// How timestamps are read and shown.
    pub fn time_zone(&self) -> String {
        lock(&self.state).time_zone.clone()
    }

    /// Sets how timestamps are read and shown.
    pub fn set_time_zone(&self, time_zone: &str) {
        lock(&self.state).time_zone = time_zone.to_owned();
    }

    /// What the rows will be used for, if that was said.
    pub fn purpose(&self) -> Option<String> {
        lock(&self.state).purpose.clone()
    }

    /// Sets what the rows will be used for. What nodes have told for another purpose is to be
    /// forgotten.
    pub fn set_purpose(&self, purpose: Option<String>) {
        lock(&self.state).purpose = purpose;
    }

    /// Whether the client fetches the rows of a query that one node answers at that node.
    pub fn is_direct(&self) -> bool {
        lock(&self.state).direct
    }

    /// Has the client fetch such rows at the node, or not.
    pub fn set_direct(&self, direct: bool) {
        lock(&self.state).direct = direct;
    }

    /// What the planner does to make this session's queries ship less.
    pub fn optimizations(&self) -> Optimizations {
        lock(&self.state).optimizations.clone()
    }

    /// Has the planner take `step`, or leave it out.
    pub fn set_optimization(&self, step: Optimization, on: bool) {
        lock(&self.state).optimizations.set(step, on);
    }

    /// What was answered when all of `asked` was asked before: the part of the rows that meets each
    /// condition, or nothing of one whose node did not say.
    pub fn answers(&self, asked: &[Asked]) -> Option<Vec<Option<f64>>> {
        lock(&self.answers).to(asked, Instant::now())
    }

    /// Keeps what was answered, for as long as the node says that nothing has changed.
    pub fn keep_answers(&self, answered: impl IntoIterator<Item = (Asked, Option<f64>)>) {
        lock(&self.answers).keep(answered, Instant::now());
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
