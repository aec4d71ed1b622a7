//! The keys of the domains' representatives, so that a policy can be signed and tried out.

use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind::NotFound;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value, json};
use weft_governance::{DomainId, Error};
use weft_node::PolicySettings;
use weft_wire::identity::write_private;
use weft_wire::policy::PolicyKey;
use zeroize::Zeroizing;

use super::{defect, unusable};

/// One for each domain; more than half of them decide.
pub(super) struct Representatives(BTreeMap<DomainId, Representative>);

struct Representative {
    /// Where the private key is.
    file: PathBuf,
    /// The public key.
    key: String,
}

impl Representatives {
    /// Those whose keys are in `folder`, where they are made if they are not there.
    ///
    /// # Errors
    /// If a key cannot be read or written.
    pub(super) fn in_folder<'a>(
        folder: &Path,
        domains: impl Iterator<Item = &'a str>,
    ) -> Result<Self, Error> {
        let keys = folder.join("representatives");
        fs::create_dir_all(&keys).map_err(|error| unusable(&keys, &error))?;
        let representative = |domain: &str| {
            let file = keys.join(format!("{domain}.key"));
            let key = key(&file)?.public()?.to_string();
            let domain = domain.parse().map_err(defect)?;
            Ok((domain, Representative { file, key }))
        };
        domains
            .map(representative)
            .collect::<Result<_, _>>()
            .map(Self)
    }

    /// What nodes of `mesh` pin.
    pub(super) fn settings(&self, mesh: &str) -> PolicySettings {
        let keys = self.0.iter();
        PolicySettings {
            mesh: mesh.to_owned(),
            threshold: self.threshold(),
            representatives: keys
                .map(|(name, it)| (name.clone(), it.key.clone()))
                .collect(),
            refresh: Duration::from_secs(1),
        }
    }

    /// What a program needs to know to sign.
    pub(super) fn describe(&self) -> Value {
        let keys = self.0.iter();
        let keys: BTreeMap<_, _> = keys
            .map(|(name, it)| (name.to_string(), &it.file))
            .collect();
        json!({"threshold": self.threshold(), "keys": keys})
    }

    fn threshold(&self) -> usize {
        self.0.len() / 2 + 1
    }
}

fn key(file: &Path) -> Result<PolicyKey, Error> {
    match fs::read_to_string(file) {
        Ok(pem) => PolicyKey::from_pem(&Zeroizing::new(pem)),
        Err(error) if error.kind() == NotFound => {
            let key = PolicyKey::generate()?;
            write_private(file, key.to_pem().as_bytes()).map_err(|e| unusable(file, &e))?;
            Ok(key)
        }
        Err(error) => Err(unusable(file, &error)),
    }
}
