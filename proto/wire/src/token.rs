//! Tokens: JSON Web Tokens signed with ES256, one audience each.

mod delegation;
mod jwt;
mod seal;
mod user;

pub use delegation::{Delegation, DelegationId};
pub(crate) use user::refused;
pub use user::{UserToken, UserTokenSigner, UserTokenVerifier, VerifiedUser};

/// SHA-256 of `bytes`.
pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, bytes);
    let mut out = [0; 32];
    out.copy_from_slice(digest.as_ref());
    out
}

#[cfg(test)]
mod tests;
