//! Federated policies on their way: what representatives sign, and whose signatures count.
//!
//! A policy is trusted for its signatures and for nothing else: whoever carries it, the authority
//! included, can hold it back but neither make nor change one. The signature is over the exact bytes
//! of the document, over the mesh and over the domain that signs.

mod bundle;
mod key;
mod publish;
mod representatives;

pub use bundle::{LONGEST_BUNDLE, PolicyBundle, PolicySignature};
pub use key::{PolicyKey, PolicyPublicKey};
pub use representatives::{Representatives, SignedPolicy};

use weft_governance::{Error, ErrorKind, code};

/// What is signed begins with this, so that it is taken for nothing else that a key signs.
const FORM: &str = "weft-policy-v1";

/// What the representative of `domain` signs. No two policies, meshes or domains have the same.
fn statement(mesh: &str, domain: &str, document: &str) -> Vec<u8> {
    let (mesh_length, domain_length) = (mesh.len(), domain.len());
    format!("{FORM}\n{mesh_length}:{mesh}\n{domain_length}:{domain}\n{document}").into_bytes()
}

fn refused(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidInput, code::POLICY, message)
}

#[cfg(test)]
mod tests;
