//! How a server becomes part of a mesh, and how people ask the authority for things.

mod connect;

use std::fmt;
use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rcgen::{CertificateParams, KeyPair};
use serde::{Deserialize, Serialize};
use weft_governance::{Error, ErrorKind, ServerId, code};

use crate::identity::{Identity, first_certificate, tls_name};
use crate::person::{Desk, Proof};
use crate::rpc::authority::authority_client::AuthorityClient;
use crate::rpc::authority::{EnrollRequest, EnrollResponse};
use crate::status::from_status;
use crate::token::{UserToken, sha256};

const PREFIX: &str = "weft-join-";

/// A one-time secret for one server, with the hash of the CA that may be told it.
#[derive(Clone, PartialEq, Eq)]
pub struct JoinToken {
    /// Where the authority is: `https://HOST:PORT`.
    pub authority_url: String,
    /// SHA-256 of the CA certificate's DER encoding.
    pub ca_sha256: [u8; 32],
    /// The server that may join with it.
    pub server: ServerId,
    /// What the authority knows.
    pub secret: String,
}

#[derive(Serialize, Deserialize)]
struct Text {
    url: String,
    ca: String,
    server: String,
    secret: String,
}

impl fmt::Debug for JoinToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JoinToken")
            .field("server", &self.server)
            .finish_non_exhaustive()
    }
}

impl fmt::Display for JoinToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = Text {
            url: self.authority_url.clone(),
            ca: URL_SAFE_NO_PAD.encode(self.ca_sha256),
            server: self.server.to_string(),
            secret: self.secret.clone(),
        };
        let json = serde_json::to_string(&text).map_err(|_| fmt::Error)?;
        write!(f, "{PREFIX}{}", URL_SAFE_NO_PAD.encode(json))
    }
}

impl FromStr for JoinToken {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let read = || {
            let json = URL_SAFE_NO_PAD
                .decode(text.trim().strip_prefix(PREFIX)?)
                .ok()?;
            let Text {
                url,
                ca,
                server,
                secret,
            } = serde_json::from_slice(&json).ok()?;
            let ca_sha256 = URL_SAFE_NO_PAD.decode(ca).ok()?.try_into().ok()?;
            Some(Self {
                authority_url: url,
                ca_sha256,
                server: server.parse().ok()?,
                secret,
            })
        };
        read().ok_or_else(|| {
            Error::new(
                ErrorKind::InvalidInput,
                code::SETTINGS,
                "this is no join token",
            )
            .with_hint("`weft join-token` prints one; it starts with `weft-join-`.")
        })
    }
}

/// Joins the mesh: makes a key, proves the token, and returns the certificate that comes back.
/// The authority must show a CA with the token's hash before it is told anything.
///
/// # Errors
/// If the CA is another one, or the token was used or has expired.
pub async fn enroll(token: &JoinToken, hosts: &[String]) -> Result<Identity, Error> {
    let channel = connect::pinned(&token.authority_url, token.ca_sha256).await?;
    let key = KeyPair::generate().map_err(|error| defect().caused_by(error))?;
    let csr = CertificateParams::new(vec![tls_name(&token.server)])
        .and_then(|params| params.serialize_request(&key))
        .and_then(|request| request.pem())
        .map_err(|error| defect().caused_by(error))?;
    let request = EnrollRequest {
        secret: token.secret.clone(),
        csr_pem: csr,
        hosts: hosts.to_vec(),
    };
    let answer = AuthorityClient::new(channel)
        .enroll(request)
        .await
        .map_err(|status| from_status(&status))?;
    let EnrollResponse {
        server,
        certificate_pem,
        ca_pem,
    } = answer.into_inner();
    let server: ServerId = server.parse().map_err(|_| defect())?;
    if sha256(&first_certificate(&ca_pem)?) != token.ca_sha256 || server != token.server {
        return Err(defect());
    }
    Identity::new(server, certificate_pem, key.serialize_pem(), ca_pem)
}

/// A person's token for one server, in exchange for a password.
///
/// # Errors
/// `WEFT-UNAUTHENTICATED`, or `WEFT-CONNECT` if the authority is away.
pub async fn issue_token(
    authority_url: &str,
    ca_pem: &str,
    user: &str,
    password: &str,
    audience: &ServerId,
) -> Result<UserToken, Error> {
    let desk = Desk::at(authority_url, ca_pem)?;
    let proof = by_password(user, password);
    desk.issue_token(&proof, audience, None).await
}

/// A join token for `server`, in exchange for the password of a member of `mesh-admins`.
///
/// # Errors
/// `WEFT-UNAUTHENTICATED` or `WEFT-NOT-GRANTED`, or `WEFT-CONNECT` if the authority is away.
pub async fn create_join_token(
    authority_url: &str,
    ca_pem: &str,
    user: &str,
    password: &str,
    server: &ServerId,
) -> Result<JoinToken, Error> {
    let proof = by_password(user, password);
    join_token(authority_url, ca_pem, &proof, server).await
}

/// A join token for `server`, in exchange for the proof of a member of `mesh-admins`.
///
/// # Errors
/// `WEFT-UNAUTHENTICATED` or `WEFT-NOT-GRANTED`, or `WEFT-CONNECT` if the authority is away.
pub async fn join_token(
    authority_url: &str,
    ca_pem: &str,
    proof: &Proof,
    server: &ServerId,
) -> Result<JoinToken, Error> {
    let ca_sha256 = sha256(&first_certificate(ca_pem)?);
    let desk = Desk::at(authority_url, ca_pem)?;
    Ok(JoinToken {
        authority_url: authority_url.to_owned(),
        ca_sha256,
        server: server.clone(),
        secret: desk.open_join(proof, server).await?,
    })
}

fn by_password(user: &str, password: &str) -> Proof {
    Proof::Password {
        user: user.to_owned(),
        password: password.to_owned().into(),
    }
}

fn defect() -> Error {
    Error::new(
        ErrorKind::Internal,
        code::PROTOCOL,
        "joining the mesh failed",
    )
}

#[cfg(test)]
mod tests;
