//! The mesh's federated policy at this node: where it comes from, whether it counts, and since when it
//! is in force.
//!
//! The authority hands it out and is not trusted with it: only the signatures of enough of the
//! representatives whose keys this node pins put a policy in force, and never one that is not newer. It
//! is in the event log before it is in force, and what is there is in force again at the next start,
//! before anything is served, whoever can be reached then. What a policy demands is enforced by
//! [`Policy`](crate::enforce::Policy) like everything that is granted.

mod kept;

use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep;
use tokio_util::task::AbortOnDropHandle;
use tracing::{error, info, warn};
use uuid::Uuid;
use weft_governance::{Error, ErrorKind, FederatedPolicy, Timestamp, code};
use weft_ledger::Ledger;
use weft_wire::authority::Authority;
use weft_wire::policy::{PolicyBundle, Representatives, SignedPolicy};
use weft_wire::token::sha256;

pub(crate) use kept::{Enacted, Kept};

use crate::enforce::{Federation, InForce};
use crate::rights::Rights;
use crate::settings::PolicySettings;

/// The authority is not asked more often, whatever is set.
const LEAST_WAIT: Duration = Duration::from_millis(20);

/// A node that knows of no policy asks this often until it has an answer.
const FIRST_WAIT: Duration = Duration::from_millis(500);

/// Puts newer policies in force as they come.
pub(crate) struct Federated {
    pinned: Representatives,
    rights: Rights,
    /// The version in force; zero if there is none.
    version: u64,
    /// When a policy was first in force here.
    since: Option<Timestamp>,
    /// Whether nothing is shown until the authority says whether there is a policy: a node that knows
    /// of none does not take silence for an answer.
    awaited: bool,
    /// Whether the authority did not answer the last time.
    silent: bool,
    /// The last bundle that was refused, by its digest: each is complained of once.
    refused: Option<[u8; 32]>,
}

/// What is in force at the start, by the event log alone.
///
/// # Errors
/// `WEFT-SETTINGS` if a policy is in force and the settings say nothing of policies: taking their
/// section away is no way out of one. `WEFT-NOT-AUDITED` if the log cannot be read.
pub(crate) fn at_start(
    ledger: &Ledger,
    settings: Option<&PolicySettings>,
) -> Result<Option<Kept>, Error> {
    let kept = Kept::newest(ledger)?;
    match (kept, settings) {
        (Some(kept), None) => {
            let version = kept.enacted.version;
            let message = format!(
                "policy {version} of `{}` is in force at this node, and the settings have no section `policy`",
                kept.enacted.mesh
            );
            Err(
                Error::new(ErrorKind::InvalidInput, code::SETTINGS, message).with_hint(
                    "Put the section with `mesh`, `threshold` and `representatives` back: a domain does not leave a policy by itself.",
                ),
            )
        }
        (kept, _) => Ok(kept),
    }
}

/// What holds before anybody was asked.
pub(crate) fn before(kept: Option<&Kept>, settings: Option<&PolicySettings>) -> Federation {
    match (kept, settings) {
        (Some(kept), _) => kept.federation(),
        (None, Some(_)) => Federation::Awaited,
        (None, None) => Federation::Free,
    }
}

/// What `document` demands, in force since `since`.
pub(crate) fn federation(version: u64, document: &str, since: Timestamp) -> Federation {
    match FederatedPolicy::parse(document) {
        Ok(policy) => Federation::InForce(Arc::new(InForce { policy, since })),
        Err(error) => {
            error!(version, %error, "the policy in force cannot be followed by this version, so nothing is served");
            Federation::Unreadable { version }
        }
    }
}

impl Federated {
    /// Over `rights`, which stand under `kept`.
    ///
    /// # Errors
    /// `WEFT-SETTINGS` if the representatives or the threshold do not fit.
    pub(crate) fn new(
        settings: &PolicySettings,
        rights: Rights,
        kept: Option<&Kept>,
    ) -> Result<Self, Error> {
        let PolicySettings {
            mesh,
            threshold,
            representatives,
            refresh: _,
        } = settings;
        Ok(Self {
            pinned: Representatives::new(mesh, *threshold, representatives)?,
            rights,
            version: kept.map_or(0, |kept| kept.enacted.version),
            since: kept.map(|kept| kept.since),
            awaited: kept.is_none(),
            silent: false,
            refused: None,
        })
    }

    /// Asks `authority` once.
    pub(crate) async fn refresh(&mut self, authority: &Authority) {
        let answer = authority.current_policy(self.version).await;
        let was_silent = std::mem::replace(&mut self.silent, answer.is_err());
        match answer {
            Ok(Some(bundle)) => self.consider(&bundle).await,
            Ok(None) => {}
            Err(error) if !was_silent => {
                warn!(%error, in_force = self.version, "the authority does not say whether there is a newer policy");
            }
            Err(_) => {}
        }
        if self.awaited && !self.silent {
            self.answered().await;
        }
    }

    /// Asks `authority` about every `refresh`, until the handle is dropped.
    pub(crate) fn follow(
        mut self,
        authority: Authority,
        refresh: Duration,
    ) -> AbortOnDropHandle<()> {
        AbortOnDropHandle::new(tokio::spawn(async move {
            loop {
                let wait = match self.awaited {
                    true => refresh.min(FIRST_WAIT),
                    false => refresh,
                };
                sleep(wait.mul_f64(jitter()).max(LEAST_WAIT)).await;
                self.refresh(&authority).await;
            }
        }))
    }

    /// The authority has said whether there is a policy. If none is in force by now, owners decide alone.
    async fn answered(&mut self) {
        if self.version == 0
            && let Err(error) = self.rights.free().await
        {
            error!(%error, "grants do not hold although there is no policy");
            return;
        }
        self.awaited = false;
    }

    /// Puts the policy of `bundle` in force if it counts; complains once if it does not.
    async fn consider(&mut self, bundle: &PolicyBundle) {
        let digest = sha256(bundle.to_json().as_bytes());
        if self.refused == Some(digest) {
            return;
        }
        if let Err(error) = self.enact(bundle).await {
            warn!(%error, in_force = self.version, "a policy is not taken up");
            // What only the disk refused may succeed the next time.
            self.refused = (error.code() != code::NOT_AUDITED).then_some(digest);
        }
    }

    /// # Errors
    /// `WEFT-POLICY` if too few signed it, or it is not newer; `WEFT-NOT-AUDITED` if it cannot be
    /// written down.
    async fn enact(&mut self, bundle: &PolicyBundle) -> Result<(), Error> {
        let SignedPolicy {
            head,
            document,
            signers,
            ignored,
        } = self.pinned.verify(bundle)?;
        if head.version <= self.version {
            let message = format!("{head} is not newer than policy {}", self.version);
            return Err(Error::new(ErrorKind::InvalidInput, code::POLICY, message));
        }
        for reason in ignored {
            info!(version = head.version, reason, "a signature does not count");
        }
        let now = Timestamp::from(std::time::SystemTime::now());
        let since = self.since.unwrap_or(now);
        let demanded = federation(head.version, &document, since);
        let version = head.version;
        let enacted = Enacted::new(head, document, signers);
        self.rights.federate(demanded, enacted.to_json()?).await?;
        self.version = version;
        self.since = Some(since);
        info!(version, signers = ?enacted.signers, "a policy is in force");
        Ok(())
    }
}

/// Between three and five quarters: nodes that started together do not ask together for long.
fn jitter() -> f64 {
    let random = Uuid::new_v4().as_bytes().first().copied().unwrap_or(128);
    0.75 + f64::from(random) / 510.0
}

#[cfg(test)]
mod tests;
