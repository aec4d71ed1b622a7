//! A query that is optimized and not taken apart yet.

use std::collections::HashMap;
use std::sync::Arc;

use datafusion::logical_expr::LogicalPlan;
use tracing::debug;
use weft_governance::{Error, TableRef};
use weft_plan::{QuerySession, Selectivities, from_datafusion};

use crate::plan::{
    CutPlan, Optimization, Optimizations, Question, Sites, informed, pieces, questions,
};

/// What is known of a query before its nodes are asked.
pub(super) struct Draft {
    pub(super) plan: LogicalPlan,
    pub(super) sites: Sites,
    pub(super) steps: Optimizations,
    pub(super) session: QuerySession,
}

impl Draft {
    /// What had better be asked before it is taken apart.
    pub(super) fn questions(&self) -> Vec<Question> {
        if !self.steps.on(Optimization::Ask) {
            return Vec::new();
        }
        let found = questions(&self.plan, &self.sites, &self.steps, &self.session);
        // A query can do without.
        found.unwrap_or_else(|_| {
            debug!("nothing could be asked about a query");
            Vec::new()
        })
    }

    /// The query in pieces, as far as the nodes have `answered`.
    pub(super) fn cut(
        self,
        answered: &HashMap<TableRef, Arc<Selectivities>>,
    ) -> Result<(CutPlan, QuerySession), Error> {
        let plan = match answered.is_empty() {
            true => self.plan,
            false => informed(self.plan, answered).map_err(from_datafusion)?,
        };
        let cut = pieces(plan, &self.sites, &self.steps, &self.session).map_err(from_datafusion)?;
        Ok((cut, self.session))
    }
}
