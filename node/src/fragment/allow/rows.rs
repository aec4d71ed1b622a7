//! Rows that a fragment brings along or makes out of lists.

use datafusion_proto::protobuf::logical_expr_node::ExprType;
use datafusion_proto::protobuf::{
    EmptyRelationNode, LogicalExprNode, RecursionUnnestOption, UnnestNode, UnnestOptions,
    ValuesNode,
};
use weft_governance::Error;
use weft_plan::{MOST_LITERALS, MOST_UNNESTED};

use super::{Walk, refused, too_complex};

impl Walk<'_> {
    /// Allows a list of literal rows that is not long.
    pub(super) fn values(&mut self, node: &ValuesNode) -> Result<(), Error> {
        let ValuesNode {
            n_cols,
            values_list,
        } = node;
        let columns = usize::try_from(*n_cols).unwrap_or(0);
        if values_list.len().checked_rem(columns) != Some(0) || values_list.is_empty() {
            return Err(refused("a list of values without form"));
        }
        if values_list.len() > MOST_LITERALS {
            return Err(too_complex(format!(
                "a list of values has {} of them, and at most {MOST_LITERALS} are allowed",
                values_list.len()
            )));
        }
        for value in values_list {
            if !is_literal(value) {
                return Err(refused("a list of values that are computed"));
            }
            self.expr(value)?;
        }
        Ok(())
    }
}

/// Whether `value` is a literal, under whatever name.
fn is_literal(value: &LogicalExprNode) -> bool {
    match &value.expr_type {
        Some(ExprType::Alias(alias)) => alias.expr.as_deref().is_some_and(is_literal),
        kind => matches!(kind, Some(ExprType::Literal(_))),
    }
}

/// Allows one row without columns, which literals can be put beside.
pub(super) fn one(node: &EmptyRelationNode) -> Result<(), Error> {
    let EmptyRelationNode { produce_one_row } = node;
    if *produce_one_row {
        Ok(())
    } else {
        Err(refused("an empty relation"))
    }
}

/// Allows to unnest lists, but not what is inside them: the engine bounds a batch of the former
/// before it makes it, and cannot do so for the latter.
pub(super) fn lists_once(node: &UnnestNode) -> Result<(), Error> {
    // The decoder finds out by itself what the columns are; only names and options say how deep.
    let UnnestNode {
        input: _,
        exec_columns,
        list_type_columns,
        struct_type_columns,
        dependency_indices: _,
        schema: _,
        options,
    } = node;
    let UnnestOptions {
        null_handling: _,
        recursions,
    } = options
        .as_ref()
        .ok_or_else(|| refused("an unnest without options"))?;
    if !struct_type_columns.is_empty() {
        return Err(refused("an unnest of named parts"));
    }
    if exec_columns.len().max(recursions.len()) > MOST_UNNESTED {
        return Err(too_complex(format!(
            "an unnest has more than {MOST_UNNESTED} columns"
        )));
    }
    let named =
        |it: &RecursionUnnestOption| it.input_column.is_some() && it.output_column.is_some();
    if !recursions.iter().all(named) {
        return Err(refused("an unnest of a column without name"));
    }
    let listed = list_type_columns.iter().map(|list| list.recursion.as_ref());
    let deep = listed.map(|recursion| recursion.map_or(0, |it| it.depth));
    let deep = deep.chain(recursions.iter().map(|recursion| recursion.depth));
    if deep.into_iter().any(|depth| depth != 1) {
        return Err(refused("an unnest of lists in lists"));
    }
    Ok(())
}
