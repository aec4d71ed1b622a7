//! A server's signature under the newest record, and its form outside the log.
//!
//! What a seal is made with and how it is checked is the caller's business: here it is text that
//! comes with a certificate.

use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use thiserror::Error;
use weft_governance::hex;

use crate::record::{micros, time};

/// What statements of this form begin with; another form gets another name.
const FORM: &str = "weft-checkpoint/1";

/// A server's word that the log ended with this record at that time, and so, as each record holds
/// the hash of the one before it, for every record up to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// The newest record.
    pub sequence: u64,
    /// Its hash.
    pub hash: [u8; 32],
    /// When the checkpoint was written, in whole microseconds.
    pub at: SystemTime,
    /// The signature under [`Checkpoint::statement`].
    pub seal: Seal,
}

/// A signature and what it is checked with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seal {
    /// The certificate of the server that signed, DER.
    pub certificate: Vec<u8>,
    /// The signature under the statement.
    pub signature: String,
}

/// Why a statement cannot be signed, or a seal does not hold.
pub type SealError = Box<dyn std::error::Error + Send + Sync>;

/// Signs statements with the server's key.
#[derive(Clone)]
pub struct Sealer(Arc<SealFn>);

type SealFn = dyn Fn(&str) -> Result<Seal, SealError> + Send + Sync;

impl Sealer {
    /// A sealer that signs by `seal`, which is called on the thread that writes.
    pub fn new(seal: impl Fn(&str) -> Result<Seal, SealError> + Send + Sync + 'static) -> Self {
        Self(Arc::new(seal))
    }

    pub(crate) fn seal(&self, statement: &str) -> Result<Seal, SealError> {
        (self.0)(statement)
    }
}

impl fmt::Debug for Sealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sealer").finish_non_exhaustive()
    }
}

/// A text that is no checkpoint.
#[derive(Debug, Error)]
#[error("it is not a checkpoint of this version")]
pub struct NotACheckpoint;

/// A checkpoint as JSON.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Exported {
    form: String,
    sequence: u64,
    /// Hexadecimal.
    hash: String,
    /// Microseconds since 1970.
    at: i64,
    /// DER in base64.
    certificate: String,
    signature: String,
}

impl Checkpoint {
    /// What is signed.
    pub fn statement(&self) -> String {
        statement(self.sequence, &self.hash, self.at)
    }

    /// The checkpoint as JSON, to be kept elsewhere.
    pub fn to_json(&self) -> String {
        let Self {
            sequence,
            hash,
            at,
            seal,
        } = self;
        let Seal {
            certificate,
            signature,
        } = seal;
        let exported = Exported {
            form: FORM.to_owned(),
            sequence: *sequence,
            hash: hex(hash),
            at: micros(*at),
            certificate: STANDARD.encode(certificate),
            signature: signature.clone(),
        };
        // Texts and numbers are always JSON.
        serde_json::to_string_pretty(&exported).unwrap_or_default()
    }

    /// Reads what [`Checkpoint::to_json`] made. Whether the seal holds is not checked.
    ///
    /// # Errors
    /// If it is something else.
    pub fn from_json(text: &str) -> Result<Self, NotACheckpoint> {
        let Exported {
            form,
            sequence,
            hash,
            at,
            certificate,
            signature,
        } = serde_json::from_str(text).map_err(|_| NotACheckpoint)?;
        if form != FORM || sequence == 0 {
            return Err(NotACheckpoint);
        }
        Ok(Self {
            sequence,
            hash: unhex(&hash).ok_or(NotACheckpoint)?,
            at: time(at),
            seal: Seal {
                certificate: STANDARD.decode(certificate).map_err(|_| NotACheckpoint)?,
                signature,
            },
        })
    }
}

/// The text that stands for a record and a time. No two have the same one.
pub(crate) fn statement(sequence: u64, hash: &[u8; 32], at: SystemTime) -> String {
    format!("{FORM} {sequence} {} {}", hex(hash), micros(at))
}

fn unhex(text: &str) -> Option<[u8; 32]> {
    let digits = text.as_bytes();
    if digits.len() != 64 || !digits.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    let mut hash = [0; 32];
    for (byte, pair) in hash.iter_mut().zip(digits.chunks(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(hash)
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;

    fn checkpoint() -> Checkpoint {
        Checkpoint {
            sequence: 7,
            hash: [0xab; 32],
            at: UNIX_EPOCH + Duration::from_micros(1_700_000_000_000_001),
            seal: Seal {
                certificate: vec![1, 2, 255],
                signature: "a.b.c".to_owned(),
            },
        }
    }

    #[test]
    fn a_checkpoint_is_read_back_from_json() {
        let read = Checkpoint::from_json(&checkpoint().to_json()).expect("read");
        assert_eq!(read, checkpoint());
    }

    #[test]
    fn other_texts_are_no_checkpoints() {
        let good = checkpoint().to_json();
        let changed = [
            ("weft-checkpoint/1", "weft-checkpoint/2"),
            ("\"sequence\": 7", "\"sequence\": 0"),
            ("\"sequence\": 7", "\"sequence\": -7"),
            ("\"sequence\": 7", "\"sequence\": 7, \"more\": 1"),
            ("abab", "ab"),
            ("abab", "+b+b"),
            ("abab", "é+b"),
            ("AQL/", "A"),
        ];
        for (part, other) in changed {
            let text = good.replacen(part, other, 1);
            assert_ne!(text, good, "{part}");
            assert!(Checkpoint::from_json(&text).is_err(), "{text}");
        }
    }

    #[test]
    fn the_statement_names_record_hash_and_time() {
        let expected = format!("weft-checkpoint/1 7 {} 1700000000000001", "ab".repeat(32));
        assert_eq!(checkpoint().statement(), expected);
    }
}
