//! Where a subtree can run.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use datafusion::common::Result;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::logical_expr::{LogicalPlan, TableScan};
use weft_governance::{DomainId, ServerId, TableRef};
use weft_plan::{product_table_of, shipped_table_of};

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
            match (site_of(scan, sites), &site) {
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

/// Where a leaf is read: a table where it is served, rows of another domain where they go.
fn site_of(scan: &TableScan, sites: &Sites) -> Option<Arc<Site>> {
    if let Some(table) = product_table_of(scan) {
        return sites.get(table.table()).cloned();
    }
    let shipped = shipped_table_of(scan)?;
    let to = &shipped.planned()?.to;
    sites.values().find(|site| site.node == *to).cloned()
}
