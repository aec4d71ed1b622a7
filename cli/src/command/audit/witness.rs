//! Whose checkpoints are believed.

use weft_governance::{Error, ServerId};
use weft_ledger::{Checkpoint, Seal, SealError};
use weft_wire::identity::{MeshCa, Peer};

use crate::command::wrong;

/// Checks the seals of one log. A log is one server's: the first that signed is the only one.
pub(super) struct Witness {
    keys: Vec<Peer>,
    ca: Option<MeshCa>,
    server: Option<ServerId>,
}

impl Witness {
    /// A witness that believes the keys of these certificates and those that the CA signed, all in
    /// PEM. Without any, it only finds out whether a checkpoint is signed by the certificate that
    /// comes with it.
    ///
    /// # Errors
    /// If one of them is no certificate.
    pub(super) fn new(keys: &[String], ca_pem: Option<&str>) -> Result<Self, Error> {
        let keys = keys
            .iter()
            .map(|pem| Peer::trusted(pem).map_err(|error| wrong(format!("--key: {error}"))))
            .collect::<Result<_, _>>()?;
        let ca = ca_pem
            .map(|pem| MeshCa::from_pem(pem).map_err(|error| wrong(format!("--ca: {error}"))))
            .transpose()?;
        Ok(Self {
            keys,
            ca,
            server: None,
        })
    }

    /// Whether it was told whom to believe.
    pub(super) fn knows_whom_to_trust(&self) -> bool {
        !self.keys.is_empty() || self.ca.is_some()
    }

    /// The server that signed.
    pub(super) fn server(&self) -> Option<&ServerId> {
        self.server.as_ref()
    }

    /// Checks the seal of `checkpoint`.
    ///
    /// # Errors
    /// If it is not signed, by nobody who is believed, or by another server than those before.
    pub(super) fn check(&mut self, checkpoint: &Checkpoint) -> Result<(), SealError> {
        let Seal {
            certificate,
            signature,
        } = &checkpoint.seal;
        let signer = Peer::from_certificate(certificate)?;
        signer.check_seal(signature, &checkpoint.statement())?;
        if !self.keys.iter().any(|key| signer.has_key_of(key)) {
            match &self.ca {
                // At its time: certificates end long before logs do.
                Some(ca) => {
                    ca.certified(certificate, checkpoint.at)?;
                }
                None if self.keys.is_empty() => {}
                None => {
                    return Err(format!("`{}` signed with another key", signer.server).into());
                }
            }
        }
        let server = self.server.get_or_insert_with(|| signer.server.clone());
        if *server == signer.server {
            Ok(())
        } else {
            Err(format!("`{}` signed in a log of `{server}`", signer.server).into())
        }
    }
}
