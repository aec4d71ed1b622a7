//! The parser: sqlparser behind caps, and Weft's own statements made of its syntax tree.

use sqlparser::ast::{self, ObjectName, Set, ShowStatementIn, ShowStatementOptions, Use};
use sqlparser::dialect::GenericDialect;
use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::{Token, TokenWithSpan, Tokenizer};
use weft_governance::{Error, ErrorKind, code};

use crate::caps::Caps;
use crate::placeholder;
use crate::statement::{Explain, Show, Statement};

/// Nesting of expressions and subqueries that the parser follows.
const RECURSION: usize = 100;

/// Parses exactly one statement; a closing semicolon is allowed.
///
/// # Errors
/// `WEFT-SYNTAX` if the text is no statement, `WEFT-TOO-COMPLEX` if it passes a cap,
/// `WEFT-UNSUPPORTED` for statements that Weft does not run.
pub fn parse(sql: &str, caps: &Caps) -> Result<Statement, Error> {
    caps.check_text(sql)?;
    let dialect = GenericDialect {};
    let mut tokens = Tokenizer::new(&dialect, sql)
        .tokenize_with_location()
        .map_err(|error| syntax(error.to_string()))?;
    caps.check_tokens(&tokens)?;
    placeholder::number(&mut tokens)?;
    let flow = take_flow(&mut tokens);
    let mut parser = Parser::new(&dialect)
        .with_recursion_limit(RECURSION)
        .with_tokens_with_locations(tokens);
    while parser.consume_token(&Token::SemiColon) {}
    if parser.peek_token_ref().token == Token::EOF {
        return Err(syntax("there is no statement"));
    }
    let statement = match show_statistics(&mut parser)? {
        Some(statement) => statement,
        None => convert(parser.parse_statement().map_err(parse_error)?)?,
    };
    while parser.consume_token(&Token::SemiColon) {}
    if parser.peek_token_ref().token != Token::EOF {
        return Err(syntax("there is text after the end of the statement")
            .with_hint("Send one statement at a time."));
    }
    match (statement, flow) {
        (Statement::Explain(kind, query), true) => {
            let kind = if kind.runs() {
                Explain::AnalyzeFlow
            } else {
                Explain::Flow
            };
            Ok(Statement::Explain(kind, query))
        }
        (statement, _) => Ok(statement),
    }
}

/// Takes the FLOW out of `EXPLAIN [ANALYZE] FLOW` in front of a query, and says whether it was
/// there. `EXPLAIN flow` alone describes a table of that name.
fn take_flow(tokens: &mut Vec<TokenWithSpan>) -> bool {
    let is_space = |it: &TokenWithSpan| matches!(it.token, Token::Whitespace(_));
    let mut words = tokens.iter().enumerate().filter(|(_, it)| !is_space(it));
    let mut next = || {
        let (at, token) = words.next()?;
        match &token.token {
            Token::Word(word) => Some((at, word.value.to_lowercase())),
            // A query in parentheses.
            Token::LParen => Some((at, "(".to_owned())),
            _ => None,
        }
    };
    let flow = match next() {
        Some((_, word)) if word == "explain" => match next() {
            Some((_, word)) if word == "analyze" => next(),
            second => second,
        },
        _ => None,
    };
    let starts_query = |word: &str| matches!(word, "select" | "with" | "values" | "table" | "(");
    match (flow, next()) {
        (Some((at, word)), Some((_, following))) if word == "flow" && starts_query(&following) => {
            tokens.remove(at);
            true
        }
        _ => false,
    }
}

/// `SHOW STATS FOR table`, which the parser does not know, if the text starts like it.
fn show_statistics(parser: &mut Parser<'_>) -> Result<Option<Statement>, Error> {
    let is_word = |place: usize, word: &str| match &parser.peek_nth_token_ref(place).token {
        Token::Word(found) => found.quote_style.is_none() && found.value.eq_ignore_ascii_case(word),
        _ => false,
    };
    if !is_word(0, "SHOW") || !is_word(1, "STATS") {
        return Ok(None);
    }
    if !is_word(2, "FOR") {
        return Err(syntax("SHOW STATS needs a table").with_hint("Write `SHOW STATS FOR orders`."));
    }
    for _ in ["SHOW", "STATS", "FOR"] {
        parser.advance_token();
    }
    let table = parser.parse_object_name(false).map_err(parse_error)?;
    Ok(Some(Statement::Show(Show::Statistics(table))))
}

fn convert(statement: ast::Statement) -> Result<Statement, Error> {
    match statement {
        ast::Statement::Query(query) => Ok(Statement::Query(query)),
        ast::Statement::Explain {
            analyze, statement, ..
        } => match *statement {
            ast::Statement::Query(query) => {
                let kind = if analyze {
                    Explain::Analyze
                } else {
                    Explain::Plan
                };
                Ok(Statement::Explain(kind, query))
            }
            _ => Err(unsupported("EXPLAIN works on queries only")),
        },
        ast::Statement::ExplainTable { table_name, .. } => {
            Ok(Statement::Show(Show::Columns(table_name)))
        }
        ast::Statement::Use(place) => use_statement(place),
        ast::Statement::ShowCatalogs { .. } | ast::Statement::ShowDatabases { .. } => {
            Ok(Statement::Show(Show::Catalogs))
        }
        ast::Statement::ShowSchemas { show_options, .. } => {
            Ok(Statement::Show(Show::Schemas(parent(show_options)?)))
        }
        ast::Statement::ShowTables { show_options, .. } => {
            Ok(Statement::Show(Show::Tables(parent(show_options)?)))
        }
        ast::Statement::ShowColumns { show_options, .. } => show_columns(show_options),
        ast::Statement::Set(Set::SingleAssignment {
            variable, values, ..
        }) => set(&variable, &values),
        _ => Err(
            unsupported("the mesh is read-only, and this is not a query")
                .with_hint("Weft runs SELECT, EXPLAIN, USE, SHOW, DESCRIBE and SET."),
        ),
    }
}

fn use_statement(place: Use) -> Result<Statement, Error> {
    match place {
        Use::Object(name) | Use::Catalog(name) | Use::Schema(name) | Use::Database(name) => {
            let parts = parts(&name)?;
            if parts.len() > 2 {
                return Err(syntax("USE takes a domain or a domain and a product")
                    .with_hint("Write `USE sales` or `USE sales.orders`."));
            }
            Ok(Statement::Use(parts))
        }
        Use::Default => Ok(Statement::Use(Vec::new())),
        Use::Warehouse(_) | Use::Role(_) | Use::SecondaryRoles(_) => {
            Err(unsupported("USE takes a domain or a domain and a product"))
        }
    }
}

fn show_columns(options: ShowStatementOptions) -> Result<Statement, Error> {
    let table = options
        .show_in
        .and_then(|ShowStatementIn { parent_name, .. }| parent_name);
    table
        .map(|name| Statement::Show(Show::Columns(name)))
        .ok_or_else(|| {
            syntax("SHOW COLUMNS needs a table").with_hint("Write `SHOW COLUMNS FROM orders`.")
        })
}

fn parent(options: ShowStatementOptions) -> Result<Vec<String>, Error> {
    match options
        .show_in
        .and_then(|ShowStatementIn { parent_name, .. }| parent_name)
    {
        Some(name) => parts(&name),
        None => Ok(Vec::new()),
    }
}

fn set(variable: &ObjectName, values: &[ast::Expr]) -> Result<Statement, Error> {
    let name = parts(variable)?.join(".");
    let [value] = values else {
        return Err(syntax(format!("SET {name} takes one value")));
    };
    let value = match value {
        ast::Expr::Value(value) => match &value.value {
            ast::Value::SingleQuotedString(text) | ast::Value::DoubleQuotedString(text) => {
                text.clone()
            }
            other => other.to_string(),
        },
        other => other.to_string(),
    };
    Ok(Statement::Set { name, value })
}

/// The parts of a name, folded to lower case where they are not quoted.
fn parts(name: &ObjectName) -> Result<Vec<String>, Error> {
    name.0
        .iter()
        .map(|part| {
            let ident = part
                .as_ident()
                .ok_or_else(|| syntax(format!("`{name}` is not a name")))?;
            Ok(match ident.quote_style {
                Some(_) => ident.value.clone(),
                None => ident.value.to_lowercase(),
            })
        })
        .collect()
}

fn syntax(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidInput, code::SYNTAX, message)
}

fn unsupported(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::Unsupported, code::UNSUPPORTED, message)
}

fn parse_error(error: ParserError) -> Error {
    match error {
        ParserError::TokenizerError(message) | ParserError::ParserError(message) => syntax(message),
        ParserError::RecursionLimitExceeded => Error::new(
            ErrorKind::InvalidInput,
            code::TOO_COMPLEX,
            format!("the statement nests deeper than {RECURSION} levels"),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(sql: &str) -> Result<Statement, String> {
        parse(sql, &Caps::default()).map_err(|error| format!("{}: {error}", error.code()))
    }

    #[test]
    fn one_statement_with_or_without_a_semicolon() {
        assert!(matches!(parsed("SELECT 1"), Ok(Statement::Query(_))));
        assert!(matches!(parsed("select 1 ; "), Ok(Statement::Query(_))));
        assert!(parsed("SELECT 1; SELECT 2").is_err_and(|e| e.starts_with("WEFT-SYNTAX")));
        assert!(parsed(" -- nothing\n").is_err_and(|e| e.contains("no statement")));
    }

    #[test]
    fn flow_asks_for_what_crosses_and_is_still_a_name() {
        let kind = |sql| match parsed(sql) {
            Ok(Statement::Explain(kind, query)) => Some((kind, query.to_string())),
            _ => None,
        };
        let one = "SELECT 1".to_owned();
        assert_eq!(
            kind("explain flow select 1"),
            Some((Explain::Flow, one.clone()))
        );
        assert_eq!(
            kind("EXPLAIN ANALYZE FLOW (SELECT 1)"),
            Some((Explain::AnalyzeFlow, "(SELECT 1)".to_owned()))
        );
        assert_eq!(
            kind("EXPLAIN ANALYZE SELECT 1"),
            Some((Explain::Analyze, one))
        );
        let described = parsed("EXPLAIN flow");
        assert!(matches!(described, Ok(Statement::Show(Show::Columns(_)))));
        assert!(parsed("SELECT flow FROM flow").is_ok());
    }

    #[test]
    fn names_fold_unless_quoted() {
        assert_eq!(
            parsed("USE Sales"),
            Ok(Statement::Use(vec!["sales".to_owned()]))
        );
        let quoted = vec!["sales".to_owned(), "Orders".to_owned()];
        assert_eq!(parsed("USE sales.\"Orders\""), Ok(Statement::Use(quoted)));
    }

    #[test]
    fn question_marks_become_numbers_but_not_inside_text() {
        let Ok(Statement::Query(query)) = parsed("SELECT ? , '?' , ?") else {
            panic!("no query")
        };
        assert_eq!(query.to_string(), "SELECT $1, '?', $2");
        assert!(parsed("SELECT ?, $1").is_err_and(|e| e.contains("mixes")));
    }

    #[test]
    fn show_stats_takes_one_table() {
        for (sql, table) in [
            ("SHOW STATS FOR orders", "orders"),
            ("show stats for sales.orders.orders;", "sales.orders.orders"),
            ("Show Stats For sales.\"Orders\"", "sales.\"Orders\""),
        ] {
            let Ok(Statement::Show(Show::Statistics(name))) = parsed(sql) else {
                panic!("{sql}: {:?}", parsed(sql))
            };
            assert_eq!(name.to_string(), table);
        }
        for sql in [
            "SHOW STATS",
            "SHOW STATS orders",
            "SHOW STATS FOR",
            "SHOW STATS FOR (SELECT 1)",
            "SHOW STATS FOR a b",
        ] {
            let refused = parsed(sql);
            assert!(
                refused
                    .as_ref()
                    .is_err_and(|e| e.starts_with("WEFT-SYNTAX")),
                "{sql}: {refused:?}"
            );
        }
    }

    #[test]
    fn writing_statements_are_refused() {
        for sql in [
            "DELETE FROM t",
            "DROP TABLE t",
            "CREATE TABLE t AS SELECT 1",
            "INSERT INTO t VALUES (1)",
        ] {
            assert!(
                parsed(sql).is_err_and(|e| e.starts_with("WEFT-UNSUPPORTED")),
                "{sql}"
            );
        }
    }

    #[test]
    fn long_chains_and_deep_nesting_are_refused_before_parsing() {
        let chain = vec!["a = 1"; 1_100].join(" AND ");
        assert!(parsed(&format!("SELECT 1 WHERE {chain}")).is_err_and(|e| e.contains("chained")));
        let deep = format!("SELECT {}1{}", "(".repeat(3_000), ")".repeat(3_000));
        assert!(parsed(&deep).is_err_and(|e| e.starts_with("WEFT-TOO-COMPLEX")));
        let nots = format!("SELECT {} true", "NOT ".repeat(3_000));
        assert!(parsed(&nots).is_err_and(|e| e.starts_with("WEFT-TOO-COMPLEX")));
    }
}
