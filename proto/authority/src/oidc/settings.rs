//! What an authority is told of a provider.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use weft_governance::{Error, ErrorKind, code};

use super::fetch::trusted_url;
use crate::office::ADMINS;
use crate::service_account::SUFFIX;

/// Settings of an OpenID Connect provider whose people sign in here. Their names in grants are
/// `CLAIM@NAME`, so nobody's provider makes up somebody else.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProviderSettings {
    /// Its name in this mesh: lower-case letters, digits and `-`.
    pub name: String,
    /// The one issuer whose tokens are read, exactly as it writes itself.
    pub issuer: String,
    /// What the authority is called at the provider.
    pub client_id: String,
    /// A file with the secret that the authority has there, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_secret_file: Option<PathBuf>,
    /// The algorithms that ID tokens may be signed with, such as `["RS256", "ES256"]`.
    pub algorithms: BTreeSet<SignatureAlgorithm>,
    /// The audience of ID tokens; `client_id` if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audience: Option<String>,
    /// Where the keys are; the provider's discovery document says it if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jwks_url: Option<String>,
    /// Certificates, PEM, that vouch for the provider in place of those that the machine trusts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<PathBuf>,
    /// What is asked for when somebody signs in.
    #[serde(default = "default_scopes")]
    pub scopes: Vec<String>,
    /// The claim that names a person and never another one.
    #[serde(default = "default_subject_claim")]
    pub subject_claim: String,
    /// The claim that lists a person's groups; without it nobody is in any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub groups_claim: Option<String>,
    /// What the groups of the provider are called here, by what it calls them. Only so does anybody
    /// come to be in `mesh-admins`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub groups: BTreeMap<String, String>,
    /// What stands before the names of all other groups. `NAME:` if it is absent and `groups` is
    /// empty; if it is absent and there are `groups`, other groups are left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group_prefix: Option<String>,
    /// What attributes are called here, by the claims that hold them.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub attributes: BTreeMap<String, String>,
    /// Whether an ID token that somebody got by other ways signs them in as well, as pipelines do.
    #[serde(default)]
    pub accept_id_tokens: bool,
}

/// An algorithm of signatures with public keys: there is none that a shared secret, or nothing,
/// would do for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[allow(missing_docs)]
pub enum SignatureAlgorithm {
    RS256,
    RS384,
    RS512,
    PS256,
    PS384,
    PS512,
    ES256,
    ES384,
    EdDSA,
}

impl ProviderSettings {
    /// Checks what can be known without asking anybody.
    pub(crate) fn check(&self) -> Result<(), Error> {
        let named = !self.name.is_empty()
            && self.name.len() <= 32
            && self
                .name
                .chars()
                .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-');
        if !named || self.name == SUFFIX {
            return Err(self.unfit("name", "Use lower-case letters, digits and `-`."));
        }
        trusted_url(&self.issuer)
            .map_err(|_| self.unfit("issuer", "Write the issuer's `https://` URL."))?;
        if let Some(url) = &self.jwks_url {
            trusted_url(url)
                .map_err(|_| self.unfit("jwks_url", "Write an `https://` URL, or leave it out."))?;
        }
        if self.client_id.is_empty() || self.audience.as_deref() == Some("") {
            return Err(self.unfit("client_id", "Say what the authority is called there."));
        }
        if self.algorithms.is_empty() {
            return Err(self.unfit("algorithms", "Name at least one, such as `RS256`."));
        }
        if !self.scopes.iter().any(|scope| scope == "openid") {
            return Err(self.unfit("scopes", "Ask for `openid` at least."));
        }
        Ok(())
    }

    /// The audience of its ID tokens.
    pub(crate) fn audience(&self) -> &str {
        self.audience.as_deref().unwrap_or(&self.client_id)
    }

    /// What its group `name` is called here, if it is anything here.
    pub(crate) fn group(&self, name: &str) -> Option<String> {
        if let Some(here) = self.groups.get(name) {
            return Some(here.clone());
        }
        let here = match &self.group_prefix {
            Some(prefix) => format!("{prefix}{name}"),
            None if self.groups.is_empty() => format!("{}:{name}", self.name),
            None => return None,
        };
        (here != ADMINS).then_some(here)
    }

    fn unfit(&self, setting: &str, hint: &str) -> Error {
        let name: String = self.name.chars().take(64).collect();
        let message = format!("the setting `{setting}` of the provider `{name}` does not fit");
        Error::new(ErrorKind::InvalidInput, code::SETTINGS, message).with_hint(hint)
    }
}

fn default_scopes() -> Vec<String> {
    vec!["openid".to_owned()]
}

fn default_subject_claim() -> String {
    "sub".to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const USUAL: &str = "name = 'corp'\nissuer = 'https://id.corp.example'\nclient_id = 'weft'\n";

    fn settings(more: &str) -> Result<ProviderSettings, toml::de::Error> {
        toml::from_str(&format!("{USUAL}{more}"))
    }

    #[test]
    fn algorithms_are_named_and_none_is_a_secrets() {
        assert!(settings("").is_err(), "there is no default");
        for unfit in ["['none']", "['HS256']", "['RS256', 'HS512']"] {
            assert!(
                settings(&format!("algorithms = {unfit}")).is_err(),
                "{unfit}"
            );
        }
        let none = settings("algorithms = []").expect("readable");
        assert_eq!(none.check().expect_err("none").code(), code::SETTINGS);
        let usual = settings("algorithms = ['RS256', 'ES256']").expect("readable");
        usual.check().expect("fits");
    }

    #[test]
    fn a_provider_is_reached_over_tls_and_has_a_plain_name() {
        let usual = settings("algorithms = ['RS256']").expect("readable");
        let with = |change: fn(&mut ProviderSettings)| {
            let mut changed = usual.clone();
            change(&mut changed);
            changed.check()
        };
        with(|it| it.issuer = "http://127.0.0.1:5556/dex".to_owned()).expect("for tests");
        for unfit in [
            with(|it| it.issuer = "http://id.corp.example".to_owned()),
            with(|it| it.jwks_url = Some("http://id.corp.example/keys".to_owned())),
            with(|it| it.name = "a@b".to_owned()),
            with(|it| it.name = SUFFIX.to_owned()),
            with(|it| it.name.clear()),
            with(|it| it.scopes.clear()),
        ] {
            assert_eq!(unfit.expect_err("unfit").code(), code::SETTINGS);
        }
    }

    #[test]
    fn groups_of_a_provider_are_told_from_those_of_the_mesh() {
        let plain = settings("algorithms = ['RS256']").expect("readable");
        assert_eq!(plain.group("staff").as_deref(), Some("corp:staff"));
        let bare = settings("algorithms = ['RS256']\ngroup_prefix = ''").expect("readable");
        assert_eq!(bare.group("staff").as_deref(), Some("staff"));
        assert_eq!(bare.group(ADMINS), None);
        let mapped = "algorithms = ['RS256']\ngroups = { ops = 'mesh-admins' }";
        let mapped = settings(mapped).expect("readable");
        assert_eq!(mapped.group("ops").as_deref(), Some(ADMINS));
        assert_eq!(mapped.group("staff"), None);
    }
}
