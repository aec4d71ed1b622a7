//! A grant's row filter, compiled once and proved to be harmless.

use std::sync::Arc;

use arrow::datatypes::{DataType, SchemaRef};
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::common::{DFSchema, Result as Planned};
use datafusion::execution::FunctionRegistry;
use datafusion::execution::session_state::SessionStateBuilder;
use datafusion::logical_expr::simplify::SimplifyContext;
use datafusion::logical_expr::{Expr, ExprSchemable};
use datafusion::optimizer::simplify_expressions::ExprSimplifier;
use weft_governance::{Error, ErrorKind, Principal, code};

use super::attribute;
use super::total::is_total;

/// A boolean expression over a table's own columns and the asker's attributes that cannot fail on any
/// row.
#[derive(Debug, Clone)]
pub(crate) struct RowFilter(Expr);

impl RowFilter {
    /// Parses and checks `text`, the filter of `grant`, against the table's columns.
    pub(crate) fn compile(grant: &str, text: &str, schema: &SchemaRef) -> Result<Self, Error> {
        let columns = DFSchema::try_from(Arc::clone(schema)).map_err(|e| wrong(grant, &e))?;
        let mut state = SessionStateBuilder::new_with_default_features().build();
        state
            .register_udf(Arc::new(attribute::function()))
            .map_err(|e| wrong(grant, &e))?;
        let expr = state
            .create_logical_expr(text, &columns)
            .map_err(|e| wrong(grant, &e))?;
        let context = SimplifyContext::builder()
            .with_schema(Arc::new(columns.clone()))
            .build();
        let simplifier = ExprSimplifier::new(context);
        let expr = simplifier
            .coerce(expr, &columns)
            .map_err(|e| wrong(grant, &e))?;
        let expr = simplifier.simplify(expr).map_err(|e| wrong(grant, &e))?;
        let kind = expr.get_type(&columns).map_err(|e| wrong(grant, &e))?;
        if kind != DataType::Boolean {
            return Err(refused(grant, format!("it yields {kind}, not a boolean")));
        }
        check_total(grant, &expr)?;
        Ok(Self(expr))
    }

    /// The condition that a row which `principal` may see meets. NULL hides the row.
    ///
    /// # Errors
    /// None that a filter which compiled can have.
    pub(crate) fn condition(&self, principal: &Principal) -> Planned<Expr> {
        let expr = self.0.clone();
        let told = expr.transform_down(|node| attribute::told(node, principal))?;
        Ok(told.data)
    }

    /// The same for whoever holds the grant; `None` if it depends on who that is.
    ///
    /// # Errors
    /// None that a filter which compiled can have.
    pub(crate) fn condition_for_all(&self) -> Planned<Option<Expr>> {
        let depends = self.0.exists(|node| Ok(attribute::is(node)))?;
        Ok((!depends).then(|| self.0.clone()))
    }
}

/// Refuses what could fail, depend on the moment, or look elsewhere: after coercion a filter is
/// made of columns, literals, comparisons and logic only.
fn check_total(grant: &str, expr: &Expr) -> Result<(), Error> {
    let mut refusal = None;
    expr.apply(|node| {
        let harmless = is_total(node) || attribute::is(node);
        if harmless {
            Ok(TreeNodeRecursion::Continue)
        } else {
            refusal = Some(refused(
                grant,
                format!("`{node}` could fail or change its value"),
            ));
            Ok(TreeNodeRecursion::Stop)
        }
    })
    .map_err(|error| wrong(grant, &error))?;
    refusal.map_or(Ok(()), Err)
}

fn wrong(grant: &str, error: &datafusion::common::DataFusionError) -> Error {
    refused(grant, error.strip_backtrace())
}

fn refused(grant: &str, reason: String) -> Error {
    Error::new(
        ErrorKind::InvalidInput,
        code::SETTINGS,
        format!("the row filter of grant `{grant}` cannot be enforced: {reason}"),
    )
    .with_hint("Use columns of the table, literals, comparisons, IN, BETWEEN, LIKE, IS NULL, AND, OR, NOT, and principal_attribute('NAME') beside text.")
}

#[cfg(test)]
mod tests {
    use arrow::datatypes::{Field, Schema};

    use super::*;

    fn compiled(text: &str) -> Result<String, String> {
        let schema = Arc::new(Schema::new(vec![
            Field::new("status", DataType::Utf8View, true),
            Field::new("price", DataType::Decimal128(15, 2), true),
            Field::new("day", DataType::Date32, true),
        ]));
        RowFilter::compile("g", text, &schema)
            .map(|filter| {
                let asker = Principal {
                    issuer: "test".to_owned(),
                    subject: "ann".to_owned(),
                    groups: Default::default(),
                    attributes: [("region".to_owned(), "it's".to_owned())].into(),
                };
                filter.condition(&asker).expect("told").to_string()
            })
            .map_err(|error| error.to_string())
    }

    #[test]
    fn attributes_of_the_asker_are_texts_and_never_sql() {
        let told = compiled("status = principal_attribute('region')").expect("total");
        assert!(
            told.ends_with("(\"it's\")") && !told.contains("principal"),
            "{told}"
        );
        let absent = compiled("status = principal_attribute('nope')").expect("total");
        assert!(absent.contains("NULL"), "{absent}");
        for text in [
            "price = principal_attribute('region')",
            "status = principal_attribute(status)",
            "principal_attribute('region')",
        ] {
            assert!(compiled(text).is_err(), "{text}: {:?}", compiled(text));
        }
    }

    #[test]
    fn comparisons_with_literals_of_another_type_become_total() {
        assert!(compiled("status = 'F' AND price > 100 AND day < '1995-01-01'").is_ok());
        assert!(compiled("status IN ('F', 'O') OR price IS NULL").is_ok());
        assert!(compiled("status LIKE 'F%'").is_ok());
        assert!(compiled("day < '1995-01-01' AND (price IN (6, 4) OR status LIKE '%')").is_ok());
    }

    #[test]
    fn what_could_fail_or_change_is_refused() {
        for text in [
            "CAST(status AS INT) = 1",
            "1 / price > 2",
            "random() > 0.5",
            "status LIKE 'F!%' ESCAPE '!'",
            "CASE WHEN day > '1995-01-01' THEN 1 / price > 2 ELSE true END",
            "status",
            "nope = 1",
        ] {
            assert!(compiled(text).is_err(), "{text}: {:?}", compiled(text));
        }
    }
}
