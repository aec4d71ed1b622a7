//! Who can sign in to the demo.

use std::collections::BTreeMap;

use weft_authority::{User, hash_password};
use weft_governance::{Error, ErrorKind, code};

/// Names and groups.
const PEOPLE: [(&str, &[&str]); 6] = [
    ("analyst", &["analysts"]),
    ("outsider", &[]),
    ("sales_owner", &["sales-owners"]),
    ("crm_owner", &["crm-owners"]),
    ("supply_owner", &["supply-owners"]),
    ("governance", &["governance", "mesh-admins"]),
];

/// The demo's people with passwords that nobody else knows.
pub(super) struct People(BTreeMap<&'static str, String>);

impl People {
    /// Everyone, with a new random password each.
    pub(super) fn with_new_passwords() -> Result<Self, Error> {
        let people = PEOPLE
            .iter()
            .map(|(name, _)| Ok((*name, random_password()?)));
        people.collect::<Result<_, Error>>().map(Self)
    }

    /// As the authority takes them.
    pub(super) fn users(&self) -> Result<Vec<User>, Error> {
        PEOPLE
            .iter()
            .filter_map(|(name, groups)| Some((name, groups, self.password(name)?)))
            .map(|(name, groups, password)| {
                Ok(User {
                    name: (*name).to_owned(),
                    password_hash: hash_password(password)?,
                    groups: groups.iter().map(|group| (*group).to_owned()).collect(),
                    attributes: BTreeMap::new(),
                    disabled: false,
                })
            })
            .collect()
    }

    /// Everyone's name.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().copied()
    }

    /// The password of `name`.
    pub(super) fn password(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }
}

/// 96 random bits as text.
pub(crate) fn random_password() -> Result<String, Error> {
    use base64::Engine;
    let mut bytes = [0_u8; 12];
    aws_lc_rs::rand::fill(&mut bytes).map_err(|_| {
        Error::new(
            ErrorKind::Internal,
            code::INTERNAL,
            "the machine gives no randomness",
        )
    })?;
    Ok(base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes))
}
