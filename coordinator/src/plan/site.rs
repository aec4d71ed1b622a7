//! Where a subtree can run.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use datafusion::common::Result;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::logical_expr::LogicalPlan;
use weft_governance::{DomainId, ServerId, TableRef};
use weft_plan::product_table_of;

/// A node that fragments can go to.
#[derive(Debug, Clone)]
pub struct Site {
    /// The node.
    pub node: ServerId,
    /// Its domain.
    pub domain: DomainId,
    /// The functions that it runs.
    pub functions: Arc<BTreeSet<String>>,
}

/// Where each table of the query is served.
pub type Sites = HashMap<TableRef, Arc<Site>>;

/// The site of all leaves of `plan`, if there is exactly one and nothing else is read.
pub(super) fn only_site(plan: &LogicalPlan, sites: &Sites) -> Result<Option<Arc<Site>>> {
    let mut site: Option<Arc<Site>> = None;
    let mut several = false;
    plan.apply_with_subqueries(|node| {
        if let LogicalPlan::TableScan(scan) = node {
            let here = product_table_of(scan).and_then(|table| sites.get(table.table()).cloned());
            match (here, &site) {
                (None, _) => several = true,
                (Some(here), None) => site = Some(here),
                (Some(here), Some(site)) => several |= here.node != site.node,
            }
        }
        Ok(if several {
            TreeNodeRecursion::Stop
        } else {
            TreeNodeRecursion::Continue
        })
    })?;
    Ok(site.filter(|_| !several))
}
