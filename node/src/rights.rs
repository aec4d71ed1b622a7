//! Who may do what with the domain's products, and how that changes.
//!
//! Owns the grants: those of the configuration, and those that owners give and take in SQL. The latter
//! are events of the log, and what is in force is a fold of it. A change is durable before it is in
//! force, and in force before it is acknowledged. Does not enforce anything: that is the gate's, by
//! the newest [`Policy`].

mod check;
mod configured;
mod show;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::SystemTime;

use serde::{Deserialize, Serialize};
use tokio::sync::{Mutex, watch};
use tracing::{error, info};
use uuid::Uuid;
use weft_governance::{Error, ErrorKind, Grant, Grantee, Principal, code};
use weft_ledger::{Event, EventKind, Ledger, LedgerError};
use weft_sql::govern::{Govern, NewGrant};

use crate::enforce::Policy;

pub(crate) use configured::grants;
pub(crate) use show::{grant_schema, grants_schema};

/// The rights of one domain. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Rights(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    policy: watch::Sender<Arc<Policy>>,
    ledger: Ledger,
    owners: Vec<Grantee>,
    /// Those that only the configuration changes.
    configured: Vec<Grant>,
    /// By id. Held while a change is on its way, so that changes come one after the other.
    given: Mutex<BTreeMap<String, Vec<Grant>>>,
}

/// What the log keeps of a right that was given.
#[derive(Debug, Serialize, Deserialize)]
struct Given {
    id: String,
    statement: String,
    grants: Vec<Grant>,
}

/// What the log keeps of a right that was taken back.
#[derive(Debug, Serialize, Deserialize)]
struct Taken {
    id: String,
    statement: String,
}

impl Rights {
    /// The rights that `ledger` tells of beside those of `policy`, which are the configuration's. What
    /// owners gave is in force when this returns.
    ///
    /// # Errors
    /// `WEFT-NOT-AUDITED` if the log cannot be read, `WEFT-INTERNAL` if it holds a right that cannot
    /// be understood.
    pub(crate) fn load(
        policy: watch::Sender<Arc<Policy>>,
        ledger: Ledger,
        owners: Vec<Grantee>,
    ) -> Result<Self, Error> {
        let configured: Vec<Grant> = policy.borrow().grants().cloned().collect();
        let mut given = folded(&ledger)?;
        let now = Arc::clone(&policy.borrow());
        given.retain(|id, grants| {
            let fits = now.with_grants(now.epoch(), grants.clone());
            if let Err(error) = &fits {
                error!(grant = id, %error, "a grant no longer fits its table and is not in force");
            }
            fits.is_ok()
        });
        let shared = Shared {
            policy,
            ledger,
            owners,
            configured,
            given: Mutex::default(),
        };
        let newer = shared.compiled(&given)?;
        shared.policy.send_replace(Arc::new(newer));
        let given = Mutex::new(given);
        Ok(Self(Arc::new(Shared { given, ..shared })))
    }

    /// Whether `principal` is an owner of the domain.
    pub(crate) fn is_owner(&self, principal: &Principal) -> bool {
        self.0.owners.iter().any(|owner| owner.includes(principal))
    }

    /// Gives what `statement` says, and returns the grant's id.
    ///
    /// # Errors
    /// `WEFT-NOT-GRANTED` unless `by` is an owner; if the right does not fit the tables or cannot be
    /// enforced; `WEFT-NOT-AUDITED` if it cannot be written down.
    pub(crate) async fn grant(&self, by: &Principal, grant: &NewGrant) -> Result<String, Error> {
        let statement = Govern::Grant(grant.clone()).to_string();
        self.admit(by, &statement).await?;
        let id = Uuid::now_v7().to_string();
        let grants = check::expand(&id, grant, &self.policy())?;
        let mut given = self.0.given.lock().await;
        let mut changed = given.clone();
        changed.insert(id.clone(), grants.clone());
        let newer = self.0.compiled(&changed)?;
        let details = Given {
            id: id.clone(),
            statement,
            grants,
        };
        self.record(EventKind::Granted, by, &details).await?;
        *given = changed;
        self.0.policy.send_replace(Arc::new(newer));
        info!(grant = id, by = %by, "a right was given");
        Ok(id)
    }

    /// Takes the grant `id` back. Nobody reads under it from now on, and who does is stopped.
    ///
    /// # Errors
    /// `WEFT-NOT-GRANTED` unless `by` is an owner, `WEFT-NOT-FOUND` if there is no such grant,
    /// `WEFT-NOT-AUDITED` if it cannot be written down.
    pub(crate) async fn revoke(&self, by: &Principal, id: &str) -> Result<(), Error> {
        let revoked = Govern::Revoke {
            grant: id.to_owned(),
        };
        let statement = revoked.to_string();
        self.admit(by, &statement).await?;
        let mut given = self.0.given.lock().await;
        let mut changed = given.clone();
        if changed.remove(id).is_none() {
            return Err(check::no_grant(id, &self.0.configured));
        }
        let newer = self.0.compiled(&changed)?;
        let details = Taken {
            id: id.to_owned(),
            statement,
        };
        self.record(EventKind::GrantRevoked, by, &details).await?;
        *given = changed;
        self.0.policy.send_replace(Arc::new(newer));
        info!(grant = id, by = %by, "a right was taken back");
        Ok(())
    }

    /// Has everybody who keeps answers of this node ask anew: a grant has begun or ended by itself.
    ///
    /// # Errors
    /// None that a policy in force can have.
    pub(crate) async fn turn(&self) -> Result<(), Error> {
        let given = self.0.given.lock().await;
        let newer = self.0.compiled(&given)?;
        self.0.policy.send_replace(Arc::new(newer));
        Ok(())
    }

    fn policy(&self) -> Arc<Policy> {
        Arc::clone(&self.0.policy.borrow())
    }

    /// Lets owners pass. Who is none and tries is written down.
    async fn admit(&self, by: &Principal, statement: &str) -> Result<(), Error> {
        if self.is_owner(by) {
            return Ok(());
        }
        let refusal = check::not_an_owner(by, self.policy().domain());
        let details = serde_json::json!({"statement": statement, "refused": refusal.code()});
        self.record(EventKind::Denied, by, &details).await?;
        Err(refusal)
    }

    async fn record(
        &self,
        kind: EventKind,
        by: &Principal,
        details: &impl Serialize,
    ) -> Result<(), Error> {
        let event = Event {
            at: SystemTime::now(),
            kind,
            principal: Some(by.subject.clone()),
            query: None,
            fragment: None,
            details: serde_json::to_value(details).map_err(|error| unreadable(&error))?,
        };
        let recorded = self.0.ledger.append(event).await;
        recorded.map(|_| ()).map_err(|error| {
            let message = "the change could not be written to the event log, so it is not in force";
            Error::new(ErrorKind::Unavailable, code::NOT_AUDITED, message).caused_by(error)
        })
    }
}

impl Shared {
    /// The policy with `given` beside what is configured.
    fn compiled(&self, given: &BTreeMap<String, Vec<Grant>>) -> Result<Policy, Error> {
        let grants = self.configured.iter().chain(given.values().flatten());
        let policy = Arc::clone(&self.policy.borrow());
        policy.with_grants(policy.epoch() + 1, grants.cloned().collect())
    }
}

/// What owners gave and have not taken back.
fn folded(ledger: &Ledger) -> Result<BTreeMap<String, Vec<Grant>>, Error> {
    let records = ledger.read_of(&[EventKind::Granted, EventKind::GrantRevoked]);
    let mut given = BTreeMap::new();
    for record in records.map_err(unread)? {
        let Event { kind, details, .. } = record.event;
        if kind == EventKind::Granted {
            let Given { id, grants, .. } =
                serde_json::from_value(details).map_err(|error| unreadable(&error))?;
            given.insert(id, grants);
        } else {
            let Taken { id, .. } =
                serde_json::from_value(details).map_err(|error| unreadable(&error))?;
            given.remove(&id);
        }
    }
    Ok(given)
}

fn unread(cause: LedgerError) -> Error {
    let message = "the grants in the event log cannot be read";
    Error::new(ErrorKind::Internal, code::NOT_AUDITED, message).caused_by(cause)
}

fn unreadable(cause: &serde_json::Error) -> Error {
    let message = format!("a grant in the event log is malformed: {cause}");
    Error::new(ErrorKind::Internal, code::INTERNAL, message)
}
