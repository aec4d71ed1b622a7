//! Passwords: argon2id, a few at a time, with equal work for people who do not exist.

use std::collections::HashMap;
use std::sync::Arc;

use argon2::Argon2;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use tokio::sync::Semaphore;
use weft_governance::{Error, ErrorKind, Principal, code};

use crate::settings::User;
use crate::throttle::Throttle;

/// Hashes computed at a time; each takes 19 MiB.
const AT_A_TIME: usize = 4;
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
        .map_err(|_| Error::new(ErrorKind::Internal, code::INTERNAL, "a password cannot be hashed"))
}

/// Checks passwords.
pub(crate) struct Passwords {
    issuer: String,
    users: HashMap<String, User>,
    /// Checked in place of a missing person's.
    nobody: String,
    slots: Arc<Semaphore>,
    throttle: Throttle,
}

impl Passwords {
    pub(crate) fn new(issuer: &str, users: Vec<User>) -> Result<Self, Error> {
        let users = users.into_iter().map(|user| (user.name.clone(), user)).collect();
        Ok(Self {
            issuer: issuer.to_owned(),
            users,
            nobody: hash_password("nobody has this password")?,
            slots: Arc::new(Semaphore::new(AT_A_TIME)),
            throttle: Throttle::default(),
        })
    }

    /// The principal of `user`, if the password is right. One text for every refusal.
    pub(crate) async fn check(&self, user: &str, password: &str) -> Result<Principal, Error> {
        if password.len() > LONGEST || user.len() > LONGEST {
            return Err(refused());
        }
        self.throttle.check(user)?;
        let known = self.users.get(user).filter(|user| !user.disabled);
        let hash = known.map_or(&self.nobody, |user| &user.password_hash).clone();
        let attempt = password.to_owned();
        let slot = Arc::clone(&self.slots).acquire_owned().await.map_err(|_| refused())?;
        let right = tokio::task::spawn_blocking(move || {
            let _slot = slot;
            Argon2::default().verify_password(attempt.as_bytes(), hash.as_str()).is_ok()
        })
        .await
        .unwrap_or(false);
        match known.filter(|_| right) {
            Some(user) => {
                self.throttle.succeeded(&user.name);
                Ok(self.principal(user))
            }
            None => {
                self.throttle.failed(user);
                Err(refused())
            }
        }
    }

    /// Who `subject` is now, unless unknown or disabled.
    pub(crate) fn current(&self, subject: &str) -> Option<Principal> {
        self.users.get(subject).filter(|user| !user.disabled).map(|user| self.principal(user))
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

fn refused() -> Error {
    Error::new(
        ErrorKind::Unauthenticated,
        code::UNAUTHENTICATED,
        "the user name or the password is wrong",
    )
}
