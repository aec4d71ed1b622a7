//! What a plan reads.

use std::collections::{BTreeMap, BTreeSet};

use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::logical_expr::LogicalPlan;
use weft_governance::{Error, TableAccess, TableRef};

use crate::failure::from_datafusion;
use crate::leaf::product_table_of;

/// The tables of products and their columns that `plan` reads, subqueries included.
///
/// # Errors
/// If the plan is malformed.
pub fn product_accesses(plan: &LogicalPlan) -> Result<Vec<TableAccess>, Error> {
    let mut found: BTreeMap<TableRef, BTreeSet<String>> = BTreeMap::new();
    plan.apply_with_subqueries(|node| {
        if let LogicalPlan::TableScan(scan) = node
            && let Some(table) = product_table_of(scan)
        {
            let columns = found.entry(table.table().clone()).or_default();
            let fields = scan.projected_schema.fields().iter();
            columns.extend(fields.map(|field| field.name().clone()));
        }
        Ok(TreeNodeRecursion::Continue)
    })
    .map_err(from_datafusion)?;
    let accesses = found.into_iter();
    Ok(accesses
        .map(|(table, columns)| TableAccess { table, columns })
        .collect())
}
