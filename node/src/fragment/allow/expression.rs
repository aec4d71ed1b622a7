//! Expressions of a fragment.

use datafusion_proto::protobuf::logical_expr_node::ExprType;
use datafusion_proto::protobuf::window_expr_node::WindowFunction;
use datafusion_proto::protobuf::window_frame::EndBound;
use datafusion_proto::protobuf::{LogicalExprNode, WindowExprNode, WindowFrame};
use weft_governance::Error;

use super::literal::literal;
use super::{Walk, refused};

impl Walk<'_> {
    pub(super) fn expr(&mut self, node: &LogicalExprNode) -> Result<(), Error> {
        use ExprType as E;
        self.count()?;
        let kind = node
            .expr_type
            .as_ref()
            .ok_or_else(|| refused("an empty expression"))?;
        match kind {
            E::Column(_) => Ok(()),
            E::Literal(value) => literal(value),
            E::Alias(node) => self.required(node.expr.as_deref()),
            E::BinaryExpr(node) => self.exprs(&node.operands),
            E::IsNullExpr(node) => self.required(node.expr.as_deref()),
            E::IsNotNullExpr(node) => self.required(node.expr.as_deref()),
            E::NotExpr(node) => self.required(node.expr.as_deref()),
            E::IsTrue(node) => self.required(node.expr.as_deref()),
            E::IsFalse(node) => self.required(node.expr.as_deref()),
            E::IsUnknown(node) => self.required(node.expr.as_deref()),
            E::IsNotTrue(node) => self.required(node.expr.as_deref()),
            E::IsNotFalse(node) => self.required(node.expr.as_deref()),
            E::IsNotUnknown(node) => self.required(node.expr.as_deref()),
            E::Negative(node) => self.required(node.expr.as_deref()),
            E::Cast(node) => self.required(node.expr.as_deref()),
            E::TryCast(node) => self.required(node.expr.as_deref()),
            E::Between(node) => {
                self.required(node.expr.as_deref())?;
                self.required(node.low.as_deref())?;
                self.required(node.high.as_deref())
            }
            E::InList(node) => {
                self.required(node.expr.as_deref())?;
                self.exprs(&node.list)
            }
            E::Like(node) => {
                self.required(node.expr.as_deref())?;
                self.required(node.pattern.as_deref())
            }
            E::Ilike(node) => {
                self.required(node.expr.as_deref())?;
                self.required(node.pattern.as_deref())
            }
            E::SimilarTo(node) => {
                self.required(node.expr.as_deref())?;
                self.required(node.pattern.as_deref())
            }
            E::Case(node) => {
                self.optional(node.expr.as_deref())?;
                for arm in &node.when_then_expr {
                    self.required(arm.when_expr.as_ref())?;
                    self.required(arm.then_expr.as_ref())?;
                }
                self.optional(node.else_expr.as_deref())
            }
            E::ScalarUdfExpr(node) => {
                self.function(&node.fun_name, node.fun_definition.as_deref())?;
                self.exprs(&node.args)
            }
            E::AggregateUdfExpr(node) => {
                self.function(&node.fun_name, node.fun_definition.as_deref())?;
                self.exprs(&node.args)?;
                self.optional(node.filter.as_deref())?;
                self.sorts(&node.order_by)
            }
            E::WindowExpr(node) => self.window(node),
            E::GroupingSet(node) => node.expr.iter().try_for_each(|set| self.exprs(&set.expr)),
            E::Cube(node) => self.exprs(&node.expr),
            E::Rollup(node) => self.exprs(&node.expr),
            E::ScalarSubqueryExpr(node) => {
                let subquery = node
                    .subquery
                    .as_deref()
                    .ok_or_else(|| refused("an empty subquery"))?;
                if !subquery.outer_ref_columns.is_empty() {
                    return Err(refused("a correlated subquery"));
                }
                self.input(subquery.subquery.as_deref())
            }
            E::Wildcard(_) => Err(refused("a wildcard")),
            E::Placeholder(_) => Err(refused("a parameter without a value")),
            E::Unnest(_) => Err(refused("an unnest")),
            E::HigherOrderUdfExpr(_) | E::Lambda(_) | E::LambdaVariable(_) => {
                Err(refused("a lambda"))
            }
        }
    }

    fn window(&mut self, node: &WindowExprNode) -> Result<(), Error> {
        let name = match &node.window_function {
            Some(WindowFunction::Udaf(name) | WindowFunction::Udwf(name)) => name,
            None => return Err(refused("a window without a function")),
        };
        self.function(name, node.fun_definition.as_deref())?;
        self.exprs(&node.exprs)?;
        self.exprs(&node.partition_by)?;
        self.sorts(&node.order_by)?;
        self.optional(node.filter.as_deref())?;
        node.window_frame.as_ref().map_or(Ok(()), frame)
    }
}

fn frame(frame: &WindowFrame) -> Result<(), Error> {
    let end = frame.end_bound.as_ref().map(|EndBound::Bound(bound)| bound);
    [frame.start_bound.as_ref(), end]
        .into_iter()
        .flatten()
        .filter_map(|bound| bound.bound_value.as_ref())
        .try_for_each(literal)
}
