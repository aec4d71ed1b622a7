//! Passwords: argon2id, a few at a time, with equal work for people who do not exist.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::time::Instant;

use argon2::Argon2;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use tokio::sync::{Mutex, MutexGuard, Semaphore};
use weft_governance::{Error, ErrorKind, Principal, code};
use zeroize::Zeroizing;

use crate::throttle::Throttle;
use crate::user::{LONGEST_NAME, User, by_name};

/// Hashes computed at a time; each takes 19 MiB.
const AT_A_TIME: usize = 4;
/// Sign-ins that wait for their hash or compute it; more are turned away.
const WAITING: usize = 256;
/// Names that have their passwords checked at a time; some share a place in the row.
const LANES: usize = 256;
/// Longer passwords are refused unread.
const LONGEST: usize = 1_024;

/// The PHC string of `password`, argon2id with a random salt.
///
/// # Errors
/// If the machine gives no randomness.
pub fn hash_password(password: &str) -> Result<String, Error> {
    Argon2::default()
        .hash_password(password.as_bytes())
        .map(|hash| hash.to_string())
        .map_err(|_| {
            Error::new(
                ErrorKind::Internal,
                code::INTERNAL,
                "a password cannot be hashed",
            )
        })
}

/// Checks passwords.
pub(crate) struct Passwords {
    issuer: String,
    users: HashMap<String, User>,
    /// Checked in place of a missing person's.
    nobody: String,
    queue: Semaphore,
    slots: Arc<Semaphore>,
    throttle: Throttle,
    /// Passwords of one name are checked one after another.
    lanes: Vec<Mutex<()>>,
    hasher: RandomState,
}

impl Passwords {
    pub(crate) fn new(issuer: &str, users: Vec<User>) -> Result<Self, Error> {
        Ok(Self {
            issuer: issuer.to_owned(),
            users: by_name(users)?,
            nobody: hash_password("nobody has this password")?,
            queue: Semaphore::new(WAITING),
            slots: Arc::new(Semaphore::new(AT_A_TIME)),
            throttle: Throttle::new(),
            lanes: (0..LANES).map(|_| Mutex::default()).collect(),
            hasher: RandomState::new(),
        })
    }

    /// The principal of `user`, if the password is right. One text for every refusal.
    pub(crate) async fn check(
        &self,
        user: &str,
        password: Zeroizing<String>,
    ) -> Result<Principal, Error> {
        if password.len() > LONGEST || user.len() > LONGEST_NAME {
            return Err(refused());
        }
        let _waiting = self.queue.try_acquire().map_err(|_| busy())?;
        // Many sign-ins of one person at a time are right, and none of them is a guess: each knows how the
        // one before it ended.
        let _lane = self.lane(user).await;
        self.throttle.attempt(user, Instant::now())?;
        let known = self.users.get(user).filter(|user| !user.disabled);
        let hash = known
            .map_or(&self.nobody, |user| &user.password_hash)
            .clone();
        let right = self.matches(password, hash).await?;
        let user = known.filter(|_| right).ok_or_else(refused)?;
        self.throttle.succeeded(&user.name);
        Ok(self.principal(user))
    }

    /// Waits until no other password of `user` is checked.
    async fn lane(&self, user: &str) -> Option<MutexGuard<'_, ()>> {
        let lane = self.hasher.hash_one(user) % LANES as u64;
        let lane = self.lanes.get(usize::try_from(lane).ok()?)?;
        Some(lane.lock().await)
    }

    /// Whether the settings disable `subject`, if they know them.
    pub(crate) fn knows(&self, subject: &str) -> Option<bool> {
        self.users.get(subject).map(|user| user.disabled)
    }

    /// Who `subject` is now, unless the settings do not know them or disable them.
    pub(crate) fn current(&self, subject: &str) -> Option<Principal> {
        self.users
            .get(subject)
            .filter(|user| !user.disabled)
            .map(|user| self.principal(user))
    }

    async fn matches(&self, password: Zeroizing<String>, hash: String) -> Result<bool, Error> {
        let slot = Arc::clone(&self.slots)
            .acquire_owned()
            .await
            .map_err(|_| busy())?;
        tokio::task::spawn_blocking(move || {
            // Held until the hash is done, even if nobody waits for it any more.
            let _slot = slot;
            Argon2::default()
                .verify_password(password.as_bytes(), hash.as_str())
                .is_ok()
        })
        .await
        .map_err(|error| {
            Error::new(
                ErrorKind::Internal,
                code::INTERNAL,
                "a password cannot be checked",
            )
            .caused_by(error)
        })
    }

    fn principal(&self, user: &User) -> Principal {
        Principal {
            issuer: self.issuer.clone(),
            subject: user.name.clone(),
            groups: user.groups.clone(),
            attributes: user.attributes.clone(),
        }
    }
}

/// The one answer to every sign-in that fails.
pub(crate) fn refused() -> Error {
    Error::new(
        ErrorKind::Unauthenticated,
        code::UNAUTHENTICATED,
        "the user name or the password is wrong",
    )
}

fn busy() -> Error {
    Error::new(
        ErrorKind::ResourceExhausted,
        code::RESOURCES,
        "too many people sign in at a time",
    )
    .with_hint("Try again in a few seconds.")
}
