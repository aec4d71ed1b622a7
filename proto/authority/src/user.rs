//! The people whom an authority knows.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;
use std::fs;
use std::io;
use std::path::Path;

use argon2::password_hash::phc::PasswordHash;
use argon2::{Argon2, Params};
use serde::{Deserialize, Serialize};
use weft_governance::{Error, ErrorKind, code};

/// Names are no longer than this.
pub(crate) const LONGEST_NAME: usize = 256;

/// A person whom the authority signs in by password.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct User {
    /// The name to sign in with; the subject of tokens.
    pub name: String,
    /// Argon2id, as a PHC string.
    pub password_hash: String,
    /// Groups. Members of `mesh-admins` let servers join.
    #[serde(default)]
    pub groups: BTreeSet<String>,
    /// Further claims.
    #[serde(default)]
    pub attributes: BTreeMap<String, String>,
    /// A disabled person is refused like an unknown one.
    #[serde(default)]
    pub disabled: bool,
}

impl fmt::Debug for User {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("User")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Kept {
    #[serde(default)]
    user: Vec<User>,
}

/// The people in `users.toml` of the state folder, tables called `[[user]]`, if it exists.
pub(crate) fn kept(state: &Path) -> Result<Vec<User>, Error> {
    let text = match fs::read_to_string(state.join("users.toml")) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(unreadable().caused_by(error)),
    };
    // The cause would quote the line, and with it a password's hash.
    let kept: Kept = toml::from_str(&text).map_err(|_| unreadable())?;
    Ok(kept.user)
}

/// People by name.
///
/// # Errors
/// If two have one name, one is called like somebody of a provider, or a password hash is of another kind than Weft's: checking it would take
/// another time, and so tell which names exist.
pub(crate) fn by_name(users: Vec<User>) -> Result<HashMap<String, User>, Error> {
    let mut people = HashMap::new();
    for user in users {
        let name = user.name.clone();
        if name.is_empty() || name.len() > LONGEST_NAME || name.chars().any(char::is_control) {
            return Err(unfit(
                "a user's name is empty, too long or holds control characters",
            ));
        }
        if is_of_another(&name) {
            return Err(unfit(&format!(
                "`{name}` is called like somebody whom another provider knows"
            ))
            .with_hint("What follows the last `@` must not be letters, digits and `-` alone."));
        }
        if !is_ours(&user.password_hash) {
            return Err(
                unfit(&format!("the password hash of `{name}` is of another kind"))
                    .with_hint("Use argon2id, version 19, m=19456, t=2, p=1, as a PHC string."),
            );
        }
        if people.insert(name.clone(), user).is_some() {
            return Err(unfit(&format!("two users are called `{name}`")));
        }
    }
    Ok(people)
}

/// Whether the name could be that of somebody of a provider, now or later, or of a service.
fn is_of_another(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    name.rsplit_once('@')
        .is_some_and(|(_, provider)| provider.chars().all(plain))
}

fn is_ours(hash: &str) -> bool {
    let Ok(hash) = PasswordHash::new(hash) else {
        return false;
    };
    let usual = Argon2::default();
    let Ok(params) = Params::try_from(&hash) else {
        return false;
    };
    let same_cost = params.m_cost() == usual.params().m_cost()
        && params.t_cost() == usual.params().t_cost()
        && params.p_cost() == usual.params().p_cost();
    let complete = hash.salt.is_some() && hash.hash.is_some() && hash.version == Some(19);
    hash.algorithm.as_str() == "argon2id" && complete && same_cost
}

fn unreadable() -> Error {
    unfit("`users.toml` in the authority's state folder cannot be read")
        .with_hint("Write each person as a table `[[user]]` with `name` and `password_hash`.")
}

fn unfit(message: &str) -> Error {
    Error::new(ErrorKind::InvalidInput, code::SETTINGS, message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hash_password;

    fn user(name: &str, password_hash: &str) -> User {
        toml::from_str(&format!(
            "name = {name:?}\npassword_hash = {password_hash:?}"
        ))
        .expect("valid")
    }

    #[test]
    fn a_hash_of_another_kind_is_refused_at_the_start() {
        let good = hash_password("secret").expect("hashed");
        assert!(by_name(vec![user("ann", &good)]).is_ok());
        for bad in [
            "secret".to_owned(),
            good.replace("argon2id", "argon2i"),
            good.replace("m=19456", "m=8"),
            good.replace("t=2", "t=200"),
            good.rsplit_once('$').expect("parts").0.to_owned(),
        ] {
            assert!(by_name(vec![user("ann", &bad)]).is_err(), "{bad}");
        }
    }

    #[test]
    fn nobody_is_called_like_somebody_of_a_provider() {
        let hash = hash_password("secret").expect("hashed");
        assert!(by_name(vec![user("ann@corp.example", &hash)]).is_ok());
        for name in ["ann@corp", "ann@service", "ann@corp.example@corp", "ann@"] {
            assert!(by_name(vec![user(name, &hash)]).is_err(), "{name}");
        }
    }

    #[test]
    fn two_people_of_one_name_are_refused() {
        let hash = hash_password("secret").expect("hashed");
        assert!(by_name(vec![user("ann", &hash), user("ann", &hash)]).is_err());
    }

    #[test]
    fn people_are_read_from_the_state_folder() {
        let folder = tempfile::tempdir().expect("folder");
        assert!(kept(folder.path()).expect("none").is_empty());
        let file = folder.path().join("users.toml");
        fs::write(
            &file,
            "[[user]]\nname = 'ann'\npassword_hash = 'x'\ngroups = ['staff']\n",
        )
        .expect("written");
        assert_eq!(kept(folder.path()).expect("one").len(), 1);
        fs::write(
            &file,
            "[[user]]\nname = 'ann'\npassword_hash = 'topsecret'\nadmin = true\n",
        )
        .expect("written");
        let error = kept(folder.path()).expect_err("unknown field");
        assert!(!format!("{error:?}").contains("topsecret"));
    }
}
