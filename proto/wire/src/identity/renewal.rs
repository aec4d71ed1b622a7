//! Certificates are renewed before they end, while everything goes on.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use rcgen::{CertificateParams, KeyPair};
use tokio::time::sleep;
use tokio_util::task::AbortOnDropHandle;
use tracing::{info, warn};
use weft_governance::Error;

use super::{Identity, malformed, peer, tls_name};
use crate::authority::Authority;

/// Nobody sleeps longer: clocks are set.
const LONGEST_SLEEP: Duration = Duration::from_secs(3_600);
/// After a failure it is tried again when this part of what is left has passed.
const PATIENCE: u32 = 10;
const SHORTEST_WAIT: Duration = Duration::from_secs(1);

/// Keeps an identity renewed. Dropping it ends that.
#[derive(Debug)]
pub struct Renewal {
    _task: AbortOnDropHandle<()>,
}

impl Renewal {
    /// Renews `identity` at `authority` whenever two thirds of its certificate's life are over, and
    /// keeps the new one in `folder` if that is where the identity is kept. Must be called within a
    /// runtime.
    pub fn start(identity: &Identity, authority: &Authority, folder: &Path) -> Self {
        let keep = keep(identity.clone(), authority.clone(), folder.to_owned());
        Self {
            _task: AbortOnDropHandle::new(tokio::spawn(keep)),
        }
    }
}

impl Identity {
    /// A certificate signing request, PEM, for its server and the key that it has.
    ///
    /// # Errors
    /// If the key cannot be used.
    pub fn renewal_request(&self) -> Result<String, Error> {
        let unusable = || malformed("its key cannot be used");
        let key = KeyPair::from_pem(&self.key_pem).map_err(|error| unusable().caused_by(error))?;
        CertificateParams::new(vec![tls_name(&self.id)])
            .and_then(|params| params.serialize_request(&key))
            .and_then(|request| request.pem())
            .map_err(|error| unusable().caused_by(error))
    }

    /// When the certificate is to be renewed, and when it ends.
    pub fn renewal_due(&self) -> (SystemTime, SystemTime) {
        let (from, until) = peer::validity(&self.certificate_der());
        let life = until.duration_since(from).unwrap_or_default();
        (until.checked_sub(life / 3).unwrap_or(from), until)
    }
}

async fn keep(identity: Identity, authority: Authority, folder: PathBuf) {
    loop {
        let (due, end) = identity.renewal_due();
        let now = SystemTime::now();
        if let Ok(left) = due.duration_since(now)
            && !left.is_zero()
        {
            sleep(left.min(LONGEST_SLEEP)).await;
            continue;
        }
        match renew(&identity, &authority, &folder).await {
            Ok(()) => info!(server = %identity.id, "certificate renewed"),
            Err(error) => {
                let left = end.duration_since(now).unwrap_or_default();
                let wait = (left / PATIENCE).clamp(SHORTEST_WAIT, LONGEST_SLEEP);
                warn!(%error, code = error.code(), retry_s = wait.as_secs(), "certificate not renewed");
                sleep(wait).await;
            }
        }
    }
}

async fn renew(identity: &Identity, authority: &Authority, folder: &Path) -> Result<(), Error> {
    let request = identity.renewal_request()?;
    let certificate = authority.renew(&request).await?;
    identity.renew(certificate)?;
    let (kept, folder) = (identity.clone(), folder.to_owned());
    let stored = tokio::task::spawn_blocking(move || kept.store_certificate(&folder)).await;
    stored.map_err(|error| malformed("it cannot be kept").caused_by(error))?
}
