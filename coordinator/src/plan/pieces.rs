//! From an optimized plan to a query in pieces: all steps in their order.

use datafusion::common::Result;
use datafusion::logical_expr::LogicalPlan;
use weft_plan::QuerySession;

use super::cut::{CutPlan, Cutter};
use super::gather::gather;
use super::imply::imply;
use super::preaggregate::preaggregate;
use super::push::push;
use super::reduce::reduce;
use super::scalar::Scalars;
use super::ship::ship;
use super::tighten::tighten;
use super::{Optimization, Optimizations, Sites};

/// Takes an optimized plan apart: what each node runs, what is found first, what stays here.
///
/// # Errors
/// If the plan is malformed.
pub fn pieces(
    plan: LogicalPlan,
    sites: &Sites,
    steps: &Optimizations,
    session: &QuerySession,
) -> Result<CutPlan> {
    let planner = Planner {
        sites,
        steps,
        session,
    };
    let mut scalars = Scalars::default();
    let plan = match steps.on(Optimization::Bind) {
        true => scalars.take(plan, sites)?.data,
        false => plan,
    };
    let mut cutter = Cutter::new(sites, steps, &session.context, Vec::new());
    let scalars: Vec<LogicalPlan> = scalars
        .plans
        .into_iter()
        .map(|scalar| cutter.cut(planner.arranged(scalar)?.plan))
        .collect::<Result<_>>()?;
    let arranged = planner.arranged(plan.clone())?;
    let placed = cutter.cut(arranged.plan)?;
    let cut = CutPlan::new(placed, scalars, cutter.finish())?;
    let cut = planner.reduced(cut)?;
    let cut = match steps.on(Optimization::Ship) {
        true => ship(cut, &planner, arranged.grouped.then_some(plan))?,
        false => cut,
    };
    match steps.on(Optimization::Tighten) {
        true => tighten(cut, steps.on(Optimization::Weigh)),
        false => Ok(cut),
    }
}

/// A plan with as much as possible in the reach of single nodes.
pub(super) struct Arranged {
    pub(super) plan: LogicalPlan,
    /// Whether nodes make more groups than the query asks for.
    pub(super) grouped: bool,
}

/// What the steps need to know.
pub(super) struct Planner<'a> {
    pub(super) sites: &'a Sites,
    pub(super) steps: &'a Optimizations,
    pub(super) session: &'a QuerySession,
}

impl Planner<'_> {
    /// `plan` with as much as possible in the reach of single nodes.
    pub(super) fn arranged(&self, plan: LogicalPlan) -> Result<Arranged> {
        self.arranged_with(plan, self.steps.on(Optimization::Preaggregate))
    }

    /// The same, with no more groups than the query asks for.
    pub(super) fn arranged_ungrouped(&self, plan: LogicalPlan) -> Result<LogicalPlan> {
        Ok(self.arranged_with(plan, false)?.plan)
    }

    fn arranged_with(&self, plan: LogicalPlan, groups: bool) -> Result<Arranged> {
        let plan = gather(plan, self.sites, &self.session.state, self.steps)?;
        let plan = match self.steps.on(Optimization::Imply) {
            true => imply(plan, self.sites, &self.session.state)?,
            false => plan,
        };
        let groups = match groups {
            true => preaggregate(&plan, self.sites, &self.session.state),
            false => None,
        };
        let grouped = groups.is_some();
        let plan = groups.unwrap_or(plan);
        let plan = push(plan, self.sites, self.steps, &self.session.state)?;
        Ok(Arranged { plan, grouped })
    }

    /// `cut`, whose fragments spare one another rows.
    pub(super) fn reduced(&self, cut: CutPlan) -> Result<CutPlan> {
        if !self.steps.on(Optimization::Reduce) {
            return Ok(cut);
        }
        let reduction = reduce(&cut, self.steps.on(Optimization::Weigh))?;
        Ok(CutPlan { reduction, ..cut })
    }
}
