//! The proof of an Allow.

use std::collections::BTreeMap;
use std::sync::Arc;

use datafusion::logical_expr::Expr;
use tokio::task::JoinHandle;
use weft_governance::{Error, ErrorKind, Obligations, TableRef, code};

use super::account::Account;
use super::policy::Guarded;
use super::standing::Standing;
use crate::fragment::Fragment;

/// A fragment that passed the gate under one version of the policy. Only the gate makes one, and
/// only a permit can be run.
#[derive(Debug)]
pub struct Permit {
    fragment: Fragment,
    bindings: BTreeMap<TableRef, Binding>,
    epoch: u64,
    audit: Audit,
    standing: Standing,
    account: Account,
}

/// The admission on its way into the event log. The event stays, whoever waits for it.
#[derive(Debug)]
pub(crate) struct Audit(JoinHandle<Result<(), Error>>);

impl Audit {
    pub(super) fn new(written: JoinHandle<Result<(), Error>>) -> Self {
        Self(written)
    }

    /// Returns when the admission is durable. No row may leave before.
    ///
    /// # Errors
    /// `WEFT-NOT-AUDITED` if it will never be.
    pub(crate) async fn durable(self) -> Result<(), Error> {
        self.0.await.unwrap_or_else(|error| Err(not_audited(error)))
    }
}

/// The refusal of a node that cannot write down what it allows.
pub(super) fn not_audited(cause: impl std::error::Error + Send + Sync + 'static) -> Error {
    let message = "the admission could not be written to the event log, so nothing is served";
    Error::new(ErrorKind::Unavailable, code::NOT_AUDITED, message).caused_by(cause)
}

/// A table and what has to be done to it before any row is seen.
#[derive(Debug, Clone)]
pub(crate) struct Binding {
    pub(crate) guarded: Arc<Guarded>,
    pub(crate) obligations: Obligations,
    /// The row filter of the obligations, as it reads for the asker.
    pub(crate) row_filter: Option<Expr>,
    pub(crate) columns: std::collections::BTreeSet<String>,
}

/// What is needed to run a permit.
pub(crate) struct Parts {
    pub(crate) fragment: Fragment,
    pub(crate) bindings: BTreeMap<TableRef, Binding>,
    pub(crate) audit: Audit,
    pub(crate) standing: Standing,
}

impl Permit {
    pub(super) fn new(
        fragment: Fragment,
        bindings: BTreeMap<TableRef, Binding>,
        epoch: u64,
        audit: Audit,
        (standing, account): (Standing, Account),
    ) -> Self {
        Self {
            fragment,
            bindings,
            epoch,
            audit,
            standing,
            account,
        }
    }

    /// What may run.
    pub fn fragment(&self) -> &Fragment {
        &self.fragment
    }

    /// The version of the policy that allowed it.
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    pub(crate) fn into_parts(self) -> (Parts, Account) {
        let Self {
            fragment,
            bindings,
            epoch: _,
            audit,
            standing,
            account,
        } = self;
        let parts = Parts {
            fragment,
            bindings,
            audit,
            standing,
        };
        (parts, account)
    }
}
