//! Receipts: a node's word, under its signature, of what it read and sent for a fragment.
//!
//! As text, a receipt is `weft-receipt/1`, the node's certificate and its seal under the statement,
//! with dots between them. It can be checked with the mesh's CA and nothing else.

use std::collections::BTreeSet;
use std::time::{Duration, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use weft_governance::{Error, ErrorKind, FragmentId, ServerId, TableRef, Timestamp, code};

use crate::identity::{Identity, MeshCa, Peer};

/// What a receipt of this form starts with; another form gets another name.
pub const FORM: &str = "weft-receipt/1";

/// What a node read and sent for one fragment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Receipt {
    /// The node.
    pub node: String,
    /// The query, and the fragment's number in it.
    pub query: String,
    /// See `query`.
    pub fragment: u32,
    /// Who asked.
    pub principal: String,
    /// What for, as the principal said; absent if nothing was said.
    pub purpose: Option<String>,
    /// SHA-256 of the request as it came, hexadecimal.
    pub request: String,
    /// What was read.
    pub tables: Vec<ReadTable>,
    /// The state of the node's rights that allowed it: it rises with every change of them.
    pub epoch: u64,
    /// The version of the mesh's policy that was in force; absent if there was none.
    pub policy: Option<u64>,
    /// Whether all rows were sent, or the reader asked for the end.
    pub complete: bool,
    /// Rows that were sent.
    pub rows: u64,
    /// Bytes of all data headers and bodies that were sent.
    pub bytes: u64,
    /// BLAKE3 of those headers and bodies, one after the other as they were sent: `blake3:` and 64
    /// hexadecimal digits.
    pub digest: String,
    /// When the last of them was ready.
    pub at: Timestamp,
}

/// A table as it was read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReadTable {
    /// The table.
    pub table: TableRef,
    /// The version of its product, as its contract says.
    pub version: String,
    /// The grant that allowed it.
    pub grant: String,
    /// The columns that the query could tell anything about.
    pub columns: BTreeSet<String>,
    /// Whether the grant's row filter was laid under it.
    pub filtered: bool,
    /// Those of the columns that were seen through a mask.
    pub masked: BTreeSet<String>,
}

impl Receipt {
    /// The receipt as text, signed by the node.
    ///
    /// # Errors
    /// If the node's key cannot be used.
    pub fn sign(&self, node: &Identity) -> Result<String, Error> {
        let statement = serde_json::to_string(self).map_err(|error| {
            let message = "a receipt cannot be written";
            Error::new(ErrorKind::Internal, code::INTERNAL, message).caused_by(error)
        })?;
        let certificate = URL_SAFE_NO_PAD.encode(node.certificate_der());
        let seal = node.seal(&statement)?;
        Ok(format!("{FORM}.{certificate}.{seal}"))
    }

    /// Reads a receipt. That the certificate in it signed it is checked; who made the certificate
    /// is not.
    ///
    /// # Errors
    /// `WEFT-UNAUTHENTICATED` if it is no receipt or was changed.
    pub fn read(text: &str) -> Result<Self, Error> {
        let (certificate, seal) = parts(text)?;
        opened(&Peer::from_certificate(&certificate)?, seal)
    }

    /// Reads a receipt that a node of the mesh of `ca` signed while its certificate was valid.
    ///
    /// # Errors
    /// As [`Receipt::read`], and if the CA does not stand for the certificate.
    pub fn verify(text: &str, ca: &MeshCa) -> Result<Self, Error> {
        let receipt = Self::read(text)?;
        let (certificate, seal) = parts(text)?;
        let micros = u64::try_from(receipt.at.micros()).unwrap_or(0);
        let at = UNIX_EPOCH + Duration::from_micros(micros);
        opened(&ca.certified(&certificate, at)?, seal)
    }

    /// Whether it is about this fragment, and `node` sent so much.
    pub fn tells(&self, id: FragmentId, node: &ServerId, sent: &Sent) -> bool {
        self.query == id.query.to_string()
            && self.fragment == id.ordinal
            && self.node == node.to_string()
            && (self.rows, self.bytes, &self.digest) == (sent.rows, sent.bytes, &sent.digest)
    }
}

/// What went over the wire for a fragment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sent {
    /// Rows.
    pub rows: u64,
    /// Bytes of data headers and bodies.
    pub bytes: u64,
    /// BLAKE3 of them: `blake3:` and 64 hexadecimal digits.
    pub digest: String,
}

/// BLAKE3 of a stream as it goes by. Every byte is digested at both ends: SHA-256 was a fifth of the work
/// of both servers.
#[derive(Clone)]
pub struct StreamDigest(blake3::Hasher);

impl StreamDigest {
    /// Of what will come.
    pub fn new() -> Self {
        Self(blake3::Hasher::new())
    }

    /// Takes in what comes next.
    pub fn add(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The digest of what has come so far, with the name of its kind before it.
    pub fn text(&self) -> String {
        format!("blake3:{}", self.0.finalize().to_hex())
    }
}

impl Default for StreamDigest {
    fn default() -> Self {
        Self::new()
    }
}

impl std::fmt::Debug for StreamDigest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StreamDigest").finish_non_exhaustive()
    }
}

/// The certificate, DER, and the seal.
fn parts(text: &str) -> Result<(Vec<u8>, &str), Error> {
    let rest = text.strip_prefix(FORM).and_then(|it| it.strip_prefix('.'));
    let (certificate, seal) = rest
        .and_then(|it| it.split_once('.'))
        .ok_or_else(no_receipt)?;
    let certificate = URL_SAFE_NO_PAD.decode(certificate);
    Ok((certificate.map_err(|_| no_receipt())?, seal))
}

fn opened(node: &Peer, seal: &str) -> Result<Receipt, Error> {
    let statement = node.sealed(seal)?;
    let receipt: Receipt = serde_json::from_str(&statement).map_err(|_| no_receipt())?;
    // A server speaks for itself alone.
    match receipt.node == node.server.to_string() {
        true => Ok(receipt),
        false => Err(no_receipt()),
    }
}

fn no_receipt() -> Error {
    let message = "it is not a receipt of this version";
    Error::new(ErrorKind::Unauthenticated, code::UNAUTHENTICATED, message)
}

/// For people: `crm.customers.customer (c_name, c_phone) by grant G`.
impl std::fmt::Display for ReadTable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let columns: Vec<&str> = self.columns.iter().map(String::as_str).collect();
        write!(
            f,
            "{} ({}) version {} by grant {}",
            self.table,
            columns.join(", "),
            self.version,
            self.grant
        )
    }
}

#[cfg(test)]
mod tests;
