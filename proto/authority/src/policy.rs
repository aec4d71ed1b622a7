//! The federated policy that the authority hands out. It carries it and has no say in it: whether it
//! is in force is for those to decide who check its signatures.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use weft_governance::federated::FederatedPolicy;
use weft_governance::{Error, ErrorKind, code};
use weft_wire::identity::write_private;
use weft_wire::policy::PolicyBundle;

/// The file in the state folder.
const FILE: &str = "policy.json";

/// The newest policy, kept over restarts.
pub(crate) struct Policies {
    file: PathBuf,
    issuer: String,
    newest: Mutex<Option<Newest>>,
}

struct Newest {
    version: u64,
    bundle: PolicyBundle,
}

impl Policies {
    /// What the state folder of the mesh `issuer` holds.
    ///
    /// # Errors
    /// `WEFT-SETTINGS` if it cannot be read.
    pub(crate) fn open(state: &Path, issuer: &str) -> Result<Self, Error> {
        let file = state.join(FILE);
        let newest = match fs::read_to_string(&file) {
            Ok(text) => Some(kept(&text).map_err(|error| damaged(&file, &error))?),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(damaged(&file, &error)),
        };
        Ok(Self {
            file,
            issuer: issuer.to_owned(),
            newest: Mutex::new(newest),
        })
    }

    /// Hands `bundle` out from now on, and returns its version. Signatures under a document that is
    /// handed out already are added. Waits for the disk.
    ///
    /// # Errors
    /// `WEFT-POLICY` if it is no policy of this mesh, has no signature, or is not newer.
    pub(crate) fn publish(&self, bundle: PolicyBundle) -> Result<u64, Error> {
        bundle.check_size()?;
        let FederatedPolicy { version, mesh, .. } = bundle.policy()?;
        if mesh != self.issuer {
            let message = format!(
                "the policy is for the mesh `{mesh}`, and this is the authority of `{}`",
                self.issuer
            );
            return Err(refused(message));
        }
        if bundle.signatures.is_empty() {
            return Err(refused("the policy is not signed by anybody")
                .with_hint("`weft policy sign` adds the signature of a representative."));
        }
        let mut newest = self.lock();
        let bundle = match newest.as_ref() {
            Some(known) if known.bundle.document == bundle.document => known.with(bundle),
            Some(known) if known.version >= version => {
                let message = format!(
                    "policy {version} is not newer than policy {}, which is handed out",
                    known.version
                );
                return Err(refused(message)
                    .with_hint("A policy that takes another's place has a higher `version`."));
            }
            Some(_) | None => bundle,
        };
        let kept = write_private(&self.file, bundle.to_json().as_bytes());
        kept.map_err(|error| {
            let message = "the authority cannot keep the policy";
            Error::new(ErrorKind::Internal, code::INTERNAL, message).caused_by(error)
        })?;
        *newest = Some(Newest { version, bundle });
        Ok(version)
    }

    /// The newest policy, if its version is above `known`.
    pub(crate) fn newer_than(&self, known: u64) -> Option<PolicyBundle> {
        let newest = self.lock();
        let newer = newest.as_ref().filter(|newest| newest.version > known);
        newer.map(|newest| newest.bundle.clone())
    }

    fn lock(&self) -> MutexGuard<'_, Option<Newest>> {
        self.newest.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Newest {
    /// `bundle`, which has the same document, with the signatures of both: each representative may
    /// publish their own.
    fn with(&self, bundle: PolicyBundle) -> PolicyBundle {
        let mut both = bundle.clone();
        let known = self.bundle.signatures.iter();
        both.signatures
            .extend(known.filter(|it| !bundle.signatures.contains(it)).cloned());
        match both.check_size() {
            Ok(()) => both,
            Err(_) => bundle,
        }
    }
}

fn kept(text: &str) -> Result<Newest, Error> {
    let bundle = PolicyBundle::from_json(text)?;
    let version = bundle.head()?.version;
    Ok(Newest { version, bundle })
}

fn refused(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidInput, code::POLICY, message)
}

fn damaged(file: &Path, reason: &dyn std::fmt::Display) -> Error {
    let message = format!(
        "the policy in `{}` cannot be used: {reason}",
        file.display()
    );
    Error::new(ErrorKind::InvalidInput, code::SETTINGS, message)
        .with_hint("Move the file away and publish the policy again with `weft policy publish`.")
}
