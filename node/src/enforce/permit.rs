//! The proof of an Allow.

use std::collections::BTreeMap;
use std::sync::Arc;

use weft_governance::{Obligations, TableRef};

use super::policy::Guarded;
use crate::fragment::Fragment;

/// A fragment that passed the gate under one version of the policy. Only the gate makes one, and
/// only a permit can be run.
#[derive(Debug)]
pub struct Permit {
    fragment: Fragment,
    bindings: BTreeMap<TableRef, Binding>,
    epoch: u64,
}

/// A table and what has to be done to it before any row is seen.
#[derive(Debug, Clone)]
pub(crate) struct Binding {
    pub(crate) guarded: Arc<Guarded>,
    pub(crate) obligations: Obligations,
    pub(crate) columns: std::collections::BTreeSet<String>,
}

impl Permit {
    pub(super) fn new(
        fragment: Fragment,
        bindings: BTreeMap<TableRef, Binding>,
        epoch: u64,
    ) -> Self {
        Self {
            fragment,
            bindings,
            epoch,
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

    pub(crate) fn into_parts(self) -> (Fragment, BTreeMap<TableRef, Binding>) {
        (self.fragment, self.bindings)
    }
}
