//! Whose signatures put a policy in force.

use std::collections::{BTreeMap, BTreeSet};

use weft_governance::federated::PolicyHead;
use weft_governance::{DomainId, Error, ErrorKind, code};

use super::bundle::{PolicyBundle, PolicySignature};
use super::key::PolicyPublicKey;
use super::refused;

/// The domains' representatives of one mesh, as a node pins them: `threshold` of them decide.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Representatives {
    mesh: String,
    threshold: usize,
    keys: BTreeMap<DomainId, PolicyPublicKey>,
}

/// A policy that enough representatives signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedPolicy {
    /// What it calls itself.
    pub head: PolicyHead,
    /// The text.
    pub document: String,
    /// Whose signatures count: at least as many as are needed.
    pub signers: BTreeSet<DomainId>,
    /// Signatures that do not count, and why, for people.
    pub ignored: Vec<String>,
}

impl Representatives {
    /// `threshold` of those who hold `keys` decide for `mesh`.
    ///
    /// # Errors
    /// `WEFT-SETTINGS` if a key is malformed or has two domains, or if the threshold is none that
    /// they can reach.
    pub fn new(
        mesh: &str,
        threshold: usize,
        keys: &BTreeMap<DomainId, String>,
    ) -> Result<Self, Error> {
        if mesh.trim().is_empty() {
            return Err(unfit("`policy.mesh` is empty").with_hint(
                "Set it to the `issuer` of the mesh's authority, which policies name too.",
            ));
        }
        if threshold == 0 || threshold > keys.len() {
            let message = format!(
                "`policy.threshold` is {threshold}, with {} representatives",
                keys.len()
            );
            return Err(unfit(message).with_hint(
                "Set it to how many of `policy.representatives` have to sign: at least 1, at most all.",
            ));
        }
        let mut parsed: BTreeMap<DomainId, PolicyPublicKey> = BTreeMap::new();
        for (domain, key) in keys {
            let key: PolicyPublicKey = key.parse().map_err(|error: Error| {
                unfit(format!("`policy.representatives.{domain}`: {error}"))
                    .with_hint("`weft policy key` prints it when it makes a key.")
            })?;
            if let Some((other, _)) = parsed.iter().find(|(_, known)| **known == key) {
                return Err(unfit(format!(
                    "`policy.representatives` has one key for `{other}` and `{domain}`"
                ))
                .with_hint("Each domain's representative has a key of their own."));
            }
            parsed.insert(domain.clone(), key);
        }
        Ok(Self {
            mesh: mesh.to_owned(),
            threshold,
            keys: parsed,
        })
    }

    /// The policy in `bundle`, if enough of them signed exactly this document for this mesh. Each
    /// counts once.
    ///
    /// # Errors
    /// `WEFT-POLICY`, naming who signed, or what is wrong with the document.
    pub fn verify(&self, bundle: &PolicyBundle) -> Result<SignedPolicy, Error> {
        bundle.check_size()?;
        let mut signers = BTreeSet::new();
        let mut ignored = Vec::new();
        for signature in &bundle.signatures {
            match self.signer(signature, &bundle.document) {
                Ok(domain) => {
                    signers.insert(domain);
                }
                Err(reason) => ignored.push(reason),
            }
        }
        if signers.len() < self.threshold {
            let names: Vec<String> = signers.iter().map(|it| format!("`{it}`")).collect();
            let by = match names.as_slice() {
                [] => "nobody".to_owned(),
                some => some.join(", "),
            };
            let (all, threshold) = (self.keys.len(), self.threshold);
            let mut message = format!(
                "the policy is signed by {by}, and {threshold} of {all} representatives are needed"
            );
            for reason in &ignored {
                message.push_str("; ");
                message.push_str(reason);
            }
            return Err(refused(message)
                .with_hint("`weft policy sign` adds the signature of a representative."));
        }
        let head = bundle.head()?;
        if head.mesh != self.mesh {
            let message = format!(
                "the policy is for the mesh `{}`, and this one is `{}`",
                head.mesh, self.mesh
            );
            return Err(refused(message));
        }
        Ok(SignedPolicy {
            head,
            document: bundle.document.clone(),
            signers,
            ignored,
        })
    }

    /// The representative who made `signature`, or why it does not count.
    fn signer(&self, signature: &PolicySignature, document: &str) -> Result<DomainId, String> {
        let PolicySignature {
            domain,
            key_id,
            signature,
        } = signature;
        let shown: String = domain.chars().take(64).collect();
        let known = self.keys.iter().find(|(own, _)| own.as_str() == domain);
        let (own, key) = known.ok_or_else(|| format!("`{shown}` is no representative here"))?;
        if key.id() != *key_id {
            return Err(format!("`{shown}` signed with a key that is not pinned"));
        }
        match key.signed(&self.mesh, own, document, signature) {
            true => Ok(own.clone()),
            false => Err(format!(
                "the signature of `{shown}` is not under this document for the mesh `{}`",
                self.mesh
            )),
        }
    }
}

fn unfit(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidInput, code::SETTINGS, message)
}
