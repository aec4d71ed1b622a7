//! What a running fragment stands on, and when it no longer does.

use std::sync::Arc;
use std::time::SystemTime;

use tokio::sync::watch;
use weft_governance::{
    Asker, Decision, Error, ErrorKind, Obligations, Principal, TableAccess, Timestamp, code,
};
use weft_wire::authority::Presence;

use super::policy::Policy;

/// The decisions that a fragment was admitted by. They have to hold for as long as it runs.
#[derive(Debug)]
pub(crate) struct Standing {
    policy: watch::Receiver<Arc<Policy>>,
    principal: Principal,
    purpose: Option<String>,
    duties: Vec<(TableAccess, Obligations)>,
    presence: Option<Presence>,
}

impl Standing {
    /// Of `asker`, who may have each access under its obligations.
    pub(super) fn new(
        policy: watch::Receiver<Arc<Policy>>,
        asker: &Asker<'_>,
        duties: Vec<(TableAccess, Obligations)>,
    ) -> Self {
        Self {
            policy,
            principal: asker.principal.clone(),
            purpose: asker.purpose.map(str::to_owned),
            duties,
            presence: None,
        }
    }

    /// The same of somebody whose presence can end.
    pub(crate) fn of(mut self, presence: Presence) -> Self {
        self.presence = Some(presence);
        self
    }

    /// Waits until the owner would no longer show these rows and cells, or the asker is no longer one,
    /// and says so.
    pub(crate) async fn lost(mut self) -> Error {
        match self.presence.take() {
            Some(presence) => tokio::select! {
                ended = presence.ended() => ended,
                revoked = self.revoked() => revoked,
            },
            None => self.revoked().await,
        }
    }

    async fn revoked(mut self) -> Error {
        loop {
            let now = Timestamp::from(SystemTime::now());
            let policy = Arc::clone(&self.policy.borrow_and_update());
            if let Some(table) = self.shaken(&policy, now) {
                return revoked(table);
            }
            tokio::select! {
                changed = self.policy.changed() => if changed.is_err() {
                    // The node ends, and the fragment with it.
                    return std::future::pending().await;
                },
                () = policy.turned() => {}
            }
        }
    }

    /// An access that is not allowed as it was.
    fn shaken(&self, policy: &Policy, at: Timestamp) -> Option<&TableAccess> {
        let asker = Asker {
            principal: &self.principal,
            purpose: self.purpose.as_deref(),
            at,
        };
        let shaken = self.duties.iter().find(|(access, duties)| {
            let decided = match duties.min_group_size {
                None => policy.decide(&asker, access),
                Some(_) => policy.decide_grouped(&asker, access),
            };
            match decided {
                // Another grant will do, if it hides the same.
                Decision::Allow(now) => !now.shows_as(duties),
                Decision::Deny(_) => true,
            }
        });
        shaken.map(|(access, _)| access)
    }
}

fn revoked(access: &TableAccess) -> Error {
    let message = format!(
        "the right to read `{}` was taken back or ended while it was read",
        access.table
    );
    Error::new(ErrorKind::PermissionDenied, code::REVOKED, message)
        .with_hint("SHOW GRANTS at the owner's node lists your rights.")
}
