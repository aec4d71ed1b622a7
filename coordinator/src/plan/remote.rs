//! The place in the coordinator's plan where a fragment's rows come in.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use datafusion::common::{DFSchemaRef, Result, internal_err};
use datafusion::logical_expr::{Expr, LogicalPlan, UserDefinedLogicalNodeCore};

use super::cut::FragmentPlan;

/// A leaf that stands for everything that one node runs.
#[derive(Debug, Clone)]
pub struct RemoteFragment {
    fragment: Arc<FragmentPlan>,
    schema: DFSchemaRef,
}

impl RemoteFragment {
    /// The leaf for `fragment`, with the schema of the subtree that it replaces.
    pub(super) fn new(fragment: Arc<FragmentPlan>, schema: DFSchemaRef) -> Self {
        Self { fragment, schema }
    }

    /// The leaf that `node` is.
    pub fn of(node: &LogicalPlan) -> Option<&Self> {
        match node {
            LogicalPlan::Extension(extension) => extension.node.as_any().downcast_ref(),
            _ => None,
        }
    }

    /// The columns of its rows, by the names that the plan above knows.
    pub(super) fn columns(&self) -> &DFSchemaRef {
        &self.schema
    }

    /// What runs there.
    pub fn fragment(&self) -> &Arc<FragmentPlan> {
        &self.fragment
    }
}

impl PartialEq for RemoteFragment {
    fn eq(&self, other: &Self) -> bool {
        self.fragment.ordinal == other.fragment.ordinal && self.schema == other.schema
    }
}

impl Eq for RemoteFragment {}

impl Hash for RemoteFragment {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.fragment.ordinal.hash(state);
    }
}

impl PartialOrd for RemoteFragment {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        let ordinals = self.fragment.ordinal.partial_cmp(&other.fragment.ordinal);
        ordinals.filter(|order| *order != Ordering::Equal || self == other)
    }
}

impl UserDefinedLogicalNodeCore for RemoteFragment {
    fn name(&self) -> &str {
        "RemoteFragment"
    }

    fn inputs(&self) -> Vec<&LogicalPlan> {
        Vec::new()
    }

    fn schema(&self) -> &DFSchemaRef {
        &self.schema
    }

    fn expressions(&self) -> Vec<Expr> {
        Vec::new()
    }

    fn fmt_for_explain(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let FragmentPlan { ordinal, site, .. } = self.fragment.as_ref();
        write!(f, "RemoteFragment: #{ordinal} at {}", site.domain)
    }

    fn with_exprs_and_inputs(&self, exprs: Vec<Expr>, inputs: Vec<LogicalPlan>) -> Result<Self> {
        if exprs.is_empty() && inputs.is_empty() {
            Ok(self.clone())
        } else {
            internal_err!("a remote fragment has neither expressions nor inputs")
        }
    }
}
