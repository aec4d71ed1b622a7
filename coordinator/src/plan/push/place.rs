//! Where parts of a plan run.

use std::sync::Arc;

use datafusion::common::Result;
use datafusion::common::tree_node::{Transformed, TreeNodeRecursion};
use datafusion::logical_expr::{Expr, LogicalPlan};

use crate::plan::shippable::{fits_whole, is_shippable};
use crate::plan::site::only_site;
use crate::plan::{Site, Sites};

/// Tells what one node can be asked to run.
#[derive(Debug)]
pub(in crate::plan) struct Place<'a> {
    sites: &'a Sites,
}

impl<'a> Place<'a> {
    pub(in crate::plan) fn new(sites: &'a Sites) -> Self {
        Self { sites }
    }

    /// The node that reads everything that `plan` reads, if there is one.
    pub(in crate::plan) fn site(&self, plan: &LogicalPlan) -> Result<Option<Arc<Site>>> {
        only_site(plan, self.sites)
    }

    /// The node that runs all of `plan`, if there is one.
    pub(in crate::plan) fn runs(&self, plan: &LogicalPlan) -> Result<Option<Arc<Site>>> {
        match self.site(plan)? {
            Some(site) if is_shippable(plan, &site.functions)? => Ok(Some(site)),
            _ => Ok(None),
        }
    }

    /// Rewrites from the top what no single node runs: `f` never sees a plan that one does.
    pub(in crate::plan) fn rewrite_above(
        &self,
        plan: LogicalPlan,
        mut f: impl FnMut(LogicalPlan) -> Result<Transformed<LogicalPlan>>,
    ) -> Result<Transformed<LogicalPlan>> {
        plan.transform_down_with_subqueries(|node| match self.runs(&node)? {
            Some(_) => Ok(Transformed::new(node, false, TreeNodeRecursion::Jump)),
            None => f(node),
        })
    }

    /// Whether a node runs all of `plan` and, on top of it, `exprs`.
    pub(in crate::plan) fn runs_with<'e>(
        &self,
        plan: &LogicalPlan,
        exprs: impl IntoIterator<Item = &'e Expr>,
    ) -> Result<bool> {
        let Some(site) = self.runs(plan)? else {
            return Ok(false);
        };
        for expr in exprs {
            if !fits_whole(expr, &site.functions)? {
                return Ok(false);
            }
        }
        Ok(true)
    }
}
