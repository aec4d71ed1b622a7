//! The parser: sqlparser behind caps, and Weft's own statements made of its syntax tree.

use sqlparser::ast::{self, ObjectName, Set, ShowStatementIn, ShowStatementOptions, Use};
use sqlparser::dialect::GenericDialect;
use sqlparser::parser::Parser;
use sqlparser::tokenizer::{Token, TokenWithSpan, Tokenizer};
use weft_governance::Error;

use crate::caps::Caps;
use crate::fan::Fan;
use crate::govern;
use crate::kill;
use crate::placeholder;
use crate::refusal::{RECURSION, parse_error, syntax, unsupported};
use crate::statement::{Explain, Show, Statement};

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
    let about = take_about(&mut tokens);
    let mut parser = Parser::new(&dialect)
        .with_recursion_limit(RECURSION)
        .with_tokens_with_locations(tokens);
    while parser.consume_token(&Token::SemiColon) {}
    if parser.peek_token_ref().token == Token::EOF {
        return Err(syntax("there is no statement"));
    }
    let statement = match govern::parse(&mut parser)? {
        Some(statement) => Statement::Govern(Box::new(statement)),
        None => match special(&mut parser)? {
            Some(statement) => statement,
            None => convert(parser.parse_statement().map_err(parse_error)?)?,
        },
    };
    while parser.consume_token(&Token::SemiColon) {}
    if parser.peek_token_ref().token != Token::EOF {
        return Err(syntax("there is text after the end of the statement")
            .with_hint("Send one statement at a time."));
    }
    if let Statement::Query(query) | Statement::Explain(_, query) = &statement {
        caps.check_relations(Fan::of(query))?;
    }
    match (statement, about) {
        (Statement::Explain(kind, query), Some(about)) => {
            Ok(Statement::Explain(about.explained(kind)?, query))
        }
        (statement, _) => Ok(statement),
    }
}

/// What an EXPLAIN may ask about in place of the plan.
enum About {
    Flow,
    Access,
}

impl About {
    fn named(word: &str) -> Option<Self> {
        match word {
            "flow" => Some(Self::Flow),
            "access" => Some(Self::Access),
            _ => None,
        }
    }

    fn explained(&self, kind: Explain) -> Result<Explain, Error> {
        match (self, kind.runs()) {
            (Self::Flow, true) => Ok(Explain::AnalyzeFlow),
            (Self::Flow, false) => Ok(Explain::Flow),
            (Self::Access, false) => Ok(Explain::Access),
            (Self::Access, true) => Err(unsupported("EXPLAIN ACCESS does not run the query")
                .with_hint("Write `EXPLAIN ACCESS SELECT ...`, without ANALYZE.")),
        }
    }
}

/// Takes the FLOW or ACCESS out of `EXPLAIN [ANALYZE] FLOW` in front of a query, if it is there.
/// `EXPLAIN flow` alone describes a table of that name.
fn take_about(tokens: &mut Vec<TokenWithSpan>) -> Option<About> {
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
    let named = match next() {
        Some((_, word)) if word == "explain" => match next() {
            Some((_, word)) if word == "analyze" => next(),
            second => second,
        },
        _ => None,
    };
    let starts_query = |word: &str| matches!(word, "select" | "with" | "values" | "table" | "(");
    let ((at, word), (_, following)) = named.zip(next())?;
    let about = About::named(&word).filter(|_| starts_query(&following))?;
    tokens.remove(at);
    Some(about)
}

/// What the parser does not know, or knows in another form.
fn special(parser: &mut Parser<'_>) -> Result<Option<Statement>, Error> {
    match kill::parse(parser)? {
        Some(query) => Ok(Some(Statement::Kill(query))),
        None => show_statistics(parser),
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
                .with_hint("Weft runs SELECT, EXPLAIN, USE, SHOW, DESCRIBE, SET and KILL QUERY, and for rights GRANT, REVOKE, REQUEST ACCESS, APPROVE and REJECT."),
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

#[cfg(test)]
mod tests;
