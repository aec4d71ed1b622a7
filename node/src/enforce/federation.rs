//! What the mesh demands of every grant here: the federated policy that is in force.

use std::sync::Arc;

use arrow::datatypes::Field;
use weft_governance::federated::{Covered, LabelledColumn, LabelledTable, Labels, Narrowing};
use weft_governance::{FederatedPolicy, Grant, Timestamp};

use super::mask;
use crate::product::{Product, Table};

/// The federated policy in force, as far as this node can follow it.
#[derive(Debug, Clone, Default)]
pub enum Federation {
    /// There is none; owners decide alone.
    #[default]
    Free,
    /// Nobody has said yet whether there is one, so that no grant holds.
    Awaited,
    /// Every grant is narrowed by it.
    InForce(Arc<InForce>),
    /// This version of the program cannot follow it, so that no grant holds.
    Unreadable {
        /// The version that the policy gives itself.
        version: u64,
    },
}

/// A policy in force.
#[derive(Debug)]
pub struct InForce {
    /// The policy.
    pub policy: FederatedPolicy,
    /// When a federated policy, this one or an earlier one, was first in force here. Grants of the
    /// configuration that do not say when they begin are taken to have begun then.
    pub since: Timestamp,
}

impl Federation {
    /// The version in force.
    pub fn version(&self) -> Option<u64> {
        match self {
            Self::Free | Self::Awaited => None,
            Self::InForce(now) => Some(now.policy.version),
            Self::Unreadable { version } => Some(*version),
        }
    }

    /// What is taken away from `grant` on `table`; `None` if all is.
    pub(crate) fn narrowing(&self, grant: &Grant, table: &LabelledTable) -> Option<Narrowing> {
        match self {
            Self::Free => Some(Narrowing::default()),
            Self::InForce(now) => {
                let since = now.since;
                Some(now.policy.narrowing(Covered { grant, since }, table))
            }
            Self::Awaited | Self::Unreadable { .. } => None,
        }
    }
}

/// `table` as rules see it.
pub(crate) fn labelled(product: &Product, table: &Table) -> LabelledTable {
    let column = |(field, labels): (&Arc<Field>, &Labels)| LabelledColumn {
        name: field.name().clone(),
        labels: labels.clone(),
        cells: mask::cells(field.data_type()),
    };
    let columns = table.schema.fields().iter().zip(&table.labels);
    LabelledTable {
        table: table.reference.clone(),
        status: product.status.clone(),
        columns: columns.map(column).collect(),
    }
}
