//! A policy with its signatures, as a file and as a message.

use serde::{Deserialize, Serialize};
use weft_governance::federated::{FederatedPolicy, LONGEST_DOCUMENT, PolicyHead};
use weft_governance::{DomainId, Error};

use super::key::PolicyKey;
use super::refused;
use crate::rpc::authority as rpc;

/// What the form of the file is called; another form gets another name.
const FORM: &str = "weft-policy/1";
/// Signatures that are looked at.
const MOST_SIGNATURES: usize = 100;
/// The most bytes of one part of a signature.
const LONGEST_PART: usize = 200;
/// The most bytes of a bundle as a file.
pub const LONGEST_BUNDLE: usize = 4 * LONGEST_DOCUMENT;

/// The text of a policy and the signatures under it, none of them checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyBundle {
    /// The YAML, byte for byte as it was signed.
    pub document: String,
    /// In the order in which they were made.
    pub signatures: Vec<PolicySignature>,
}

/// Somebody's signature.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PolicySignature {
    /// The domain whose representative it claims to be of.
    pub domain: String,
    /// The short name of the key.
    pub key_id: String,
    /// Base64.
    pub signature: String,
}

/// A bundle as JSON.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    form: String,
    document: String,
    signatures: Vec<PolicySignature>,
}

impl PolicyBundle {
    /// `document` without signatures.
    pub fn new(document: String) -> Self {
        Self {
            document,
            signatures: Vec::new(),
        }
    }

    /// The policy in it. Whether it is signed is not checked.
    ///
    /// # Errors
    /// `WEFT-POLICY` with everything that is wrong with the document.
    pub fn policy(&self) -> Result<FederatedPolicy, Error> {
        let policy = FederatedPolicy::parse(&self.document);
        policy.map_err(|error| refused(error.to_string()))
    }

    /// Its version and its mesh, whatever its rules are.
    ///
    /// # Errors
    /// `WEFT-POLICY` if the document does not tell.
    pub fn head(&self) -> Result<PolicyHead, Error> {
        let head = PolicyHead::parse(&self.document);
        head.map_err(|error| refused(error.to_string()))
    }

    /// Adds the signature of the representative of `domain`, in place of an earlier one of theirs.
    ///
    /// # Errors
    /// `WEFT-POLICY` if the document is no policy, or there are too many signatures.
    pub fn sign(&mut self, domain: &DomainId, key: &PolicyKey) -> Result<(), Error> {
        let mesh = self.policy()?.mesh;
        let signature = key.sign(&mesh, domain, &self.document)?;
        self.signatures.retain(|it| it.domain != domain.as_str());
        self.signatures.push(signature);
        self.check_size()
    }

    /// # Errors
    /// `WEFT-POLICY` if a part of it is larger than anybody reads.
    pub fn check_size(&self) -> Result<(), Error> {
        let parts = |it: &PolicySignature| [it.domain.len(), it.key_id.len(), it.signature.len()];
        let parts = self.signatures.iter().flat_map(parts);
        let fits = self.document.len() <= LONGEST_DOCUMENT
            && self.signatures.len() <= MOST_SIGNATURES
            && parts.max().unwrap_or_default() <= LONGEST_PART;
        if fits {
            return Ok(());
        }
        let document = LONGEST_DOCUMENT >> 10;
        Err(refused(format!(
            "the policy is too large: a document has at most {document} KiB, and at most {MOST_SIGNATURES} signatures"
        )))
    }

    /// The bundle as a file.
    pub fn to_json(&self) -> String {
        let Self {
            document,
            signatures,
        } = self.clone();
        let form = FORM.to_owned();
        let file = File {
            form,
            document,
            signatures,
        };
        // Texts are always JSON.
        serde_json::to_string_pretty(&file).unwrap_or_default()
    }

    /// Reads what [`PolicyBundle::to_json`] made.
    ///
    /// # Errors
    /// `WEFT-POLICY` if it is something else, or too large.
    pub fn from_json(text: &str) -> Result<Self, Error> {
        let file: Option<File> = match text.len() <= LONGEST_BUNDLE {
            true => serde_json::from_str(text).ok(),
            false => None,
        };
        let file = file.filter(|file| file.form == FORM);
        let File {
            form: _,
            document,
            signatures,
        } = file.ok_or_else(|| {
            refused("this is no policy with signatures of this version")
                .with_hint("`weft policy sign POLICY.yaml … --bundle FILE` makes one.")
        })?;
        let bundle = Self {
            document,
            signatures,
        };
        bundle.check_size().map(|()| bundle)
    }
}

impl From<PolicyBundle> for rpc::PolicyBundle {
    fn from(bundle: PolicyBundle) -> Self {
        let PolicyBundle {
            document,
            signatures,
        } = bundle;
        let signature = |signature| {
            let PolicySignature {
                domain,
                key_id,
                signature,
            } = signature;
            rpc::PolicySignature {
                domain,
                key_id,
                signature,
            }
        };
        Self {
            document,
            signatures: signatures.into_iter().map(signature).collect(),
        }
    }
}

impl TryFrom<rpc::PolicyBundle> for PolicyBundle {
    type Error = Error;

    /// # Errors
    /// `WEFT-POLICY` if it is too large.
    fn try_from(bundle: rpc::PolicyBundle) -> Result<Self, Error> {
        let rpc::PolicyBundle {
            document,
            signatures,
        } = bundle;
        let signature = |signature| {
            let rpc::PolicySignature {
                domain,
                key_id,
                signature,
            } = signature;
            PolicySignature {
                domain,
                key_id,
                signature,
            }
        };
        let bundle = Self {
            document,
            signatures: signatures.into_iter().map(signature).collect(),
        };
        bundle.check_size().map(|()| bundle)
    }
}
