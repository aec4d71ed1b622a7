//! `KILL QUERY 'id'`.

use sqlparser::parser::Parser;
use sqlparser::tokenizer::Token;
use weft_governance::{Error, QueryId};

use crate::refusal::syntax;

/// The query of a KILL, if the text starts like one.
pub(crate) fn parse(parser: &mut Parser<'_>) -> Result<Option<QueryId>, Error> {
    let is_word = |token: &Token, word: &str| match token {
        Token::Word(found) => found.quote_style.is_none() && found.value.eq_ignore_ascii_case(word),
        _ => false,
    };
    if !is_word(&parser.peek_nth_token_ref(0).token, "KILL") {
        return Ok(None);
    }
    parser.advance_token();
    if !is_word(&parser.peek_nth_token_ref(0).token, "QUERY") {
        return Err(malformed());
    }
    parser.advance_token();
    let id = match parser.next_token().token {
        Token::SingleQuotedString(id) => id.parse().map_err(|_| malformed())?,
        _ => return Err(malformed()),
    };
    Ok(Some(id))
}

fn malformed() -> Error {
    syntax("KILL takes the id of a query").with_hint(
        "Write `KILL QUERY '…'` with an id of `SELECT query_id FROM system.runtime.queries`.",
    )
}

#[cfg(test)]
mod tests {
    use weft_governance::code;

    use super::*;
    use crate::{Caps, Statement, parse};

    #[test]
    fn a_kill_names_a_query() {
        let id = QueryId::generate();
        for sql in [
            format!("KILL QUERY '{id}'"),
            format!("  kill query '{id}';"),
        ] {
            let parsed = parse(&sql, &Caps::default()).expect("a statement");
            assert_eq!(parsed, Statement::Kill(id), "{sql}");
        }
    }

    #[test]
    fn anything_else_is_refused_or_no_kill() {
        for sql in [
            "KILL",
            "KILL QUERY",
            "KILL QUERY 5",
            "KILL 5",
            "KILL QUERY 'x'",
            "KILL CONNECTION 5",
        ] {
            let refused = parse(sql, &Caps::default()).expect_err(sql);
            assert_eq!(refused.code(), code::SYNTAX, "{sql}");
            assert!(
                refused
                    .hint()
                    .is_some_and(|hint| hint.contains("KILL QUERY '")),
                "{sql}"
            );
        }
    }
}
