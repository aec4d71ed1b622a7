//! What a view is made of.

use std::collections::BTreeSet;
use std::sync::Arc;

use weft_governance::ServerId;

use crate::catalog::describe::Described;
use crate::registry::{NodeEntry, ProductSummary};

/// All that a view takes from one node.
#[derive(Debug)]
pub(super) struct Source {
    node: ServerId,
    is_up: bool,
    functions: Arc<BTreeSet<String>>,
    products: Arc<[ProductSummary]>,
    described: Option<Arc<Described>>,
}

impl Source {
    /// What `node` is like now, if it says `described` of itself.
    pub(super) fn of(node: &NodeEntry, described: Option<Arc<Described>>) -> Self {
        Self {
            node: node.id.clone(),
            is_up: node.is_up(),
            functions: Arc::clone(&node.functions),
            products: Arc::clone(&node.products),
            described,
        }
    }

    /// Whether `node`, if it says `described` of itself, is as it was.
    pub(super) fn is_still(&self, node: &NodeEntry, described: Option<&Arc<Described>>) -> bool {
        let same_answer = match (&self.described, described) {
            (Some(own), Some(other)) => Arc::ptr_eq(own, other),
            (None, None) => true,
            (Some(_), None) | (None, Some(_)) => false,
        };
        same_answer
            && self.node == node.id
            && self.is_up == node.is_up()
            && Arc::ptr_eq(&self.functions, &node.functions)
            && Arc::ptr_eq(&self.products, &node.products)
    }
}
