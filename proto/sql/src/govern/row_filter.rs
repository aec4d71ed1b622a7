//! WHERE: which rows a right shows.

use std::fmt;
use std::ops::ControlFlow;

use sqlparser::ast::{
    Expr, Function, FunctionArgumentClause, FunctionArguments, Ident, ObjectName, ObjectNamePart,
    Query, Value, ValueWithSpan, Visit, VisitMut, Visitor, VisitorMut,
};
use sqlparser::dialect::GenericDialect;
use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::Token;
use weft_governance::{Error, ErrorKind, code};

use super::readable::check_characters;
use crate::refusal::{RECURSION, parse_error, syntax};

/// A condition on single rows, with names folded: no subquery, aggregate, window or parameter.
///
/// Prints its canonical text, which parses back to the same expression.
#[derive(Debug, Clone, PartialEq)]
pub struct RowFilter {
    expr: Expr,
    sql: String,
}

impl RowFilter {
    /// Makes a filter of `expr`.
    ///
    /// # Errors
    /// `WEFT-SYNTAX` if it looks at more than one row, or has a parameter, a character that cannot
    /// be seen, or no canonical text;
    /// `WEFT-TOO-COMPLEX` if it nests too deeply.
    pub fn new(mut expr: Expr) -> Result<Self, Error> {
        if let ControlFlow::Break(refused) = expr.visit(&mut Refusing::default()) {
            return Err(refused);
        }
        let _: ControlFlow<()> = VisitMut::visit(&mut expr, &mut Folded);
        let sql = expr.to_string();
        check_characters("the row filter", &sql)?;
        if parse(&sql)?.is_none_or(|read| read != expr) {
            return Err(syntax("the row filter has no canonical text").with_hint(
                "Write it more plainly: no minus after a minus, no two quotes in a row inside a text.",
            ));
        }
        Ok(Self { expr, sql })
    }

    /// The condition.
    pub fn expr(&self) -> &Expr {
        &self.expr
    }

    /// The canonical text.
    pub fn as_str(&self) -> &str {
        &self.sql
    }
}

impl fmt::Display for RowFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.sql)
    }
}

/// The expression that all of `sql` is, if it is one.
fn parse(sql: &str) -> Result<Option<Expr>, Error> {
    let dialect = GenericDialect {};
    let parser = Parser::new(&dialect).with_recursion_limit(RECURSION);
    let Ok(mut parser) = parser.try_with_sql(sql) else {
        return Ok(None);
    };
    match parser.parse_expr() {
        Ok(expr) if parser.peek_token_ref().token == Token::EOF => Ok(Some(expr)),
        Ok(_) | Err(ParserError::ParserError(_) | ParserError::TokenizerError(_)) => Ok(None),
        Err(error @ ParserError::RecursionLimitExceeded) => Err(parse_error(error)),
    }
}

/// Levels of an expression. Comparing two expressions takes stack for each.
const DEEPEST: usize = 100;

/// Finds what looks beyond one row or beyond the statement, and what nests too deeply.
#[derive(Default)]
struct Refusing {
    depth: usize,
}

impl Visitor for Refusing {
    type Break = Error;

    fn pre_visit_query(&mut self, _: &Query) -> ControlFlow<Error> {
        foreign("a subquery")
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<Error> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return ControlFlow::Break(too_deep());
        }
        match expr {
            Expr::Function(function) => foreign_call(function),
            Expr::Wildcard(_) | Expr::QualifiedWildcard(..) => foreign("a `*`"),
            _ => ControlFlow::Continue(()),
        }
    }

    fn post_visit_expr(&mut self, _: &Expr) -> ControlFlow<Error> {
        self.depth -= 1;
        ControlFlow::Continue(())
    }

    fn pre_visit_value(&mut self, value: &ValueWithSpan) -> ControlFlow<Error> {
        match &value.value {
            Value::Placeholder(name) => foreign(&format!("the parameter `{name}`")),
            _ => ControlFlow::Continue(()),
        }
    }
}

fn foreign(part: &str) -> ControlFlow<Error> {
    let error = syntax(format!("a row filter cannot have {part}"));
    ControlFlow::Break(error.with_hint(
        "Write a condition on the columns of one row; principal_attribute('name') is the asker's.",
    ))
}

fn too_deep() -> Error {
    Error::new(
        ErrorKind::InvalidInput,
        code::TOO_COMPLEX,
        format!("the row filter nests deeper than {DEEPEST} levels"),
    )
    .with_hint("Write IN and a list in place of long conditions.")
}

/// Functions are known by name alone here; the planner knows the rest.
fn foreign_call(function: &Function) -> ControlFlow<Error> {
    let Function { name, over, .. } = function;
    let last = name.0.last().and_then(ObjectNamePart::as_ident);
    let called = last.map(|last| last.value.to_lowercase());
    let called = called.as_deref().unwrap_or_default();
    if over.is_some() || WINDOW.contains(&called) {
        foreign(&format!("the window function `{name}`"))
    } else if AGGREGATE.contains(&called) || is_written_as_aggregate(function) {
        foreign(&format!("the aggregate `{name}`"))
    } else {
        ControlFlow::Continue(())
    }
}

fn is_written_as_aggregate(function: &Function) -> bool {
    let arguments = match &function.args {
        FunctionArguments::List(list) => {
            list.duplicate_treatment.is_some()
                || list
                    .clauses
                    .iter()
                    .any(|clause| matches!(clause, FunctionArgumentClause::OrderBy(_)))
        }
        FunctionArguments::None | FunctionArguments::Subquery(_) => false,
    };
    arguments || function.filter.is_some() || !function.within_group.is_empty()
}

const WINDOW: [&str; 8] = [
    "cume_dist",
    "dense_rank",
    "lag",
    "lead",
    "ntile",
    "percent_rank",
    "rank",
    "row_number",
];

const AGGREGATE: [&str; 50] = [
    "any_value",
    "approx_distinct",
    "approx_median",
    "approx_percentile_cont",
    "approx_percentile_cont_with_weight",
    "array_agg",
    "avg",
    "bit_and",
    "bit_or",
    "bit_xor",
    "bool_and",
    "bool_or",
    "corr",
    "count",
    "covar",
    "covar_pop",
    "covar_samp",
    "first_value",
    "group_concat",
    "grouping",
    "last_value",
    "listagg",
    "max",
    "mean",
    "median",
    "min",
    "nth_value",
    "percentile_cont",
    "percentile_disc",
    "quantile_cont",
    "regr_avgx",
    "regr_avgy",
    "regr_count",
    "regr_intercept",
    "regr_r2",
    "regr_slope",
    "regr_sxx",
    "regr_sxy",
    "regr_syy",
    "stddev",
    "stddev_pop",
    "stddev_samp",
    "string_agg",
    "sum",
    "var",
    "var_pop",
    "var_population",
    "var_samp",
    "var_sample",
    "variance",
];

/// Folds names to lower case where they are not quoted, and quotes the rest in one way.
struct Folded;

impl VisitorMut for Folded {
    type Break = ();

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        match expr {
            Expr::Identifier(name) => fold(name),
            Expr::CompoundIdentifier(names) => names.iter_mut().for_each(fold),
            Expr::Function(Function {
                name: ObjectName(parts),
                ..
            }) => {
                for part in parts {
                    if let ObjectNamePart::Identifier(name) = part {
                        fold(name);
                    }
                }
            }
            _ => {}
        }
        ControlFlow::Continue(())
    }
}

fn fold(name: &mut Ident) {
    match &mut name.quote_style {
        None => name.value = name.value.to_lowercase(),
        Some(quote) => *quote = '"',
    }
}
