//! Scalar subqueries over other domains: their values are found first and bound as literals, so that
//! the conditions they stand in can go down to a node.

use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{Result, ScalarValue, internal_err};
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::{
    ColumnarValue, Expr, LogicalPlan, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    Subquery, Volatility,
};
use weft_governance::KeyDisclosure;
use weft_plan::product_table_of;

use super::shippable::is_plain;
use super::site::{Site, Sites, only_site};

/// Scalar subqueries that were taken out of a plan. A plan may hold stand-ins of earlier ones.
#[derive(Debug, Default)]
pub(super) struct Scalars {
    pub(super) plans: Vec<LogicalPlan>,
}

impl Scalars {
    /// `plan` with a stand-in for each scalar subquery that keeps work from its node.
    pub(super) fn take(
        &mut self,
        plan: LogicalPlan,
        sites: &Sites,
    ) -> Result<Transformed<LogicalPlan>> {
        plan.map_children(|input| self.take(input, sites))?
            .transform_sibling(|plan| {
                let Some(site) = site_of_inputs(&plan, sites)? else {
                    return Ok(Transformed::no(plan));
                };
                let names = NamePreserver::new(&plan);
                plan.map_expressions(|expr| {
                    let name = names.save(&expr);
                    let taken = expr.transform_up(|expr| self.stand_in(expr, &site, sites))?;
                    Ok(taken.update_data(|expr| name.restore(expr)))
                })
            })
    }

    fn stand_in(&mut self, expr: Expr, site: &Site, sites: &Sites) -> Result<Transformed<Expr>> {
        let Expr::ScalarSubquery(subquery) = &expr else {
            return Ok(Transformed::no(expr));
        };
        if !is_foreign(subquery, site, sites)? {
            return Ok(Transformed::no(expr));
        }
        let plan = subquery.subquery.as_ref().clone();
        let plan = self.take(plan, sites)?.data;
        let data_type = plan.schema().field(0).data_type().clone();
        let function = StandIn::new(self.plans.len(), data_type);
        self.plans.push(plan);
        let function = ScalarFunction::new_udf(Arc::new(function.into()), Vec::new());
        Ok(Transformed::yes(Expr::ScalarFunction(function)))
    }
}

/// Whether the value can be found before the rest of the query and sent to `site`, which could not
/// find it.
fn is_foreign(subquery: &Subquery, site: &Site, sites: &Sites) -> Result<bool> {
    let plan = &subquery.subquery;
    let [field] = plan.schema().fields().as_ref() else {
        return Ok(false);
    };
    if !subquery.outer_ref_columns.is_empty() || !is_plain(field.data_type()) {
        return Ok(false);
    }
    let own = only_site(plan, sites)?.is_some_and(|it| it.node == site.node);
    Ok(!own && is_disclosed(plan)?)
}

/// Whether the owners of everything that `plan` reads let values of it travel.
fn is_disclosed(plan: &LogicalPlan) -> Result<bool> {
    let mut disclosed = true;
    plan.apply_with_subqueries(|node| {
        if let LogicalPlan::TableScan(scan) = node
            && let Some(table) = product_table_of(scan)
        {
            let every: Vec<usize> = (0..table.visible().fields().len()).collect();
            let read = scan.projection.as_ref().unwrap_or(&every);
            let list = |index: &usize| table.disclosure(*index) == KeyDisclosure::List;
            disclosed &= read.iter().all(list);
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(disclosed)
}

fn site_of_inputs(plan: &LogicalPlan, sites: &Sites) -> Result<Option<Arc<Site>>> {
    let mut found: Option<Arc<Site>> = None;
    for input in plan.inputs() {
        let Some(site) = only_site(input, sites)? else {
            return Ok(None);
        };
        if found.as_ref().is_some_and(|it| it.node != site.node) {
            return Ok(None);
        }
        found = Some(site);
    }
    Ok(found)
}

/// Stands for a value until it is known.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct StandIn {
    index: usize,
    name: String,
    data_type: DataType,
    signature: Signature,
}

impl StandIn {
    fn new(index: usize, data_type: DataType) -> Self {
        Self {
            index,
            name: format!("scalar_{index}"),
            data_type,
            signature: Signature::nullary(Volatility::Stable),
        }
    }

    /// The stand-in that `function` is.
    pub(super) fn of(function: &ScalarUDF) -> Option<&Self> {
        function.inner().as_ref().downcast_ref()
    }
}

impl ScalarUDFImpl for StandIn {
    fn name(&self) -> &str {
        &self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _types: &[DataType]) -> Result<DataType> {
        Ok(self.data_type.clone())
    }

    fn invoke_with_args(&self, _args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        internal_err!("the value of a scalar subquery is not known yet")
    }
}

/// The values that `plan` waits for, by number.
///
/// # Errors
/// If the plan is malformed.
pub(super) fn awaited(plan: &LogicalPlan) -> Result<Vec<usize>> {
    let mut found = Vec::new();
    plan.apply_with_subqueries(|node| {
        node.apply_expressions(|expr| {
            expr.apply(|expr| {
                if let Expr::ScalarFunction(call) = expr
                    && let Some(stand_in) = StandIn::of(&call.func)
                    && !found.contains(&stand_in.index)
                {
                    found.push(stand_in.index);
                }
                Ok(TreeNodeRecursion::Continue)
            })
        })
    })?;
    Ok(found)
}

/// `plan` with NULL in place of all stand-ins.
///
/// # Errors
/// If the plan is malformed.
pub(super) fn without_values(plan: &LogicalPlan) -> Result<LogicalPlan> {
    replaced(plan, &|stand_in| {
        ScalarValue::try_from(&stand_in.data_type).map(Some)
    })
}

/// `plan` with the values that are known in place of their stand-ins.
///
/// # Errors
/// If the plan is malformed.
pub(super) fn bound(plan: &LogicalPlan, values: &[ScalarValue]) -> Result<LogicalPlan> {
    replaced(plan, &|stand_in| Ok(values.get(stand_in.index).cloned()))
}

type Value<'a> = &'a dyn Fn(&StandIn) -> Result<Option<ScalarValue>>;

fn replaced(plan: &LogicalPlan, value: Value<'_>) -> Result<LogicalPlan> {
    let plan = plan.clone().transform_up_with_subqueries(|node| {
        let names = NamePreserver::new(&node);
        node.map_expressions(|expr| {
            let name = names.save(&expr);
            let bound = expr.transform_up(|expr| replaced_expr(expr, value))?;
            Ok(bound.update_data(|expr| name.restore(expr)))
        })
    })?;
    Ok(plan.data)
}

fn replaced_expr(expr: Expr, value: Value<'_>) -> Result<Transformed<Expr>> {
    let Expr::ScalarFunction(call) = &expr else {
        return Ok(Transformed::no(expr));
    };
    let Some(stand_in) = StandIn::of(&call.func) else {
        return Ok(Transformed::no(expr));
    };
    Ok(match value(stand_in)? {
        Some(value) => Transformed::yes(Expr::Literal(value, None)),
        None => Transformed::no(expr),
    })
}
