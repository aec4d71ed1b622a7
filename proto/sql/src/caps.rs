//! How large a statement may be.

use sqlparser::keywords::Keyword;
use sqlparser::tokenizer::{Token, TokenWithSpan};
use weft_governance::{Error, ErrorKind, code};

/// Limits on a statement's text, checked before it is parsed.
///
/// Planning time grows faster than the text: a chain of 5,000 `AND` terms takes a minute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caps {
    /// Bytes of text.
    pub bytes: usize,
    /// Tokens other than white space and comments.
    pub tokens: usize,
    /// `AND`, `OR`, `NOT` and set operators together; also operators in one run without a comma.
    pub chain: usize,
    /// Nesting of parentheses.
    pub depth: usize,
    /// Tables, each as often as the query reads it once its own definitions are put in place.
    pub relations: u64,
}

impl Default for Caps {
    fn default() -> Self {
        Self {
            bytes: 1 << 20,
            tokens: 50_000,
            chain: 1_000,
            depth: 100,
            relations: 400,
        }
    }
}

impl Caps {
    pub(crate) fn check_text(&self, sql: &str) -> Result<(), Error> {
        check("bytes", sql.len(), self.bytes)
    }

    pub(crate) fn check_tokens(&self, tokens: &[TokenWithSpan]) -> Result<(), Error> {
        let mut counted = 0;
        let mut chain = 0;
        let mut run = 0;
        let mut longest_run = 0;
        let mut depth: usize = 0;
        let mut deepest = 0;
        for token in tokens {
            match &token.token {
                Token::Whitespace(_) => continue,
                Token::LParen | Token::LBracket => depth += 1,
                Token::RParen | Token::RBracket => depth = depth.saturating_sub(1),
                Token::Word(word) if is_chain(word.keyword) => chain += 1,
                Token::Comma => run = 0,
                token if is_operator(token) => run += 1,
                _ => {}
            }
            counted += 1;
            longest_run = longest_run.max(run);
            deepest = deepest.max(depth);
        }
        check("tokens", counted, self.tokens)?;
        check("chained conditions", chain, self.chain)?;
        check("chained operators", longest_run, self.chain)?;
        check("nested parentheses", deepest, self.depth)
    }
}

impl Caps {
    /// Definitions that use others several times each grow faster than any text.
    pub(crate) fn check_relations(&self, found: u64) -> Result<(), Error> {
        if found <= self.relations {
            return Ok(());
        }
        let message = format!(
            "the statement goes through {} tables, each counted as often as it is gone through, and at most {} are allowed",
            match found {
                u64::MAX => "countless".to_owned(),
                found => found.to_string(),
            },
            self.relations
        );
        Err(
            Error::new(ErrorKind::InvalidInput, code::TOO_COMPLEX, message).with_hint(
                "Read fewer tables at a time, use each definition of WITH fewer times, and give CUBE fewer columns.",
            ),
        )
    }
}

fn is_chain(keyword: Keyword) -> bool {
    matches!(
        keyword,
        Keyword::AND
            | Keyword::OR
            | Keyword::NOT
            | Keyword::UNION
            | Keyword::INTERSECT
            | Keyword::EXCEPT
    )
}

/// Operators nest one level deeper each time, so a long run of them makes a deep tree.
fn is_operator(token: &Token) -> bool {
    !matches!(
        token,
        Token::Word(_)
            | Token::Number(..)
            | Token::SingleQuotedString(_)
            | Token::DoubleQuotedString(_)
            | Token::Comma
            | Token::Period
            | Token::LParen
            | Token::RParen
            | Token::SemiColon
            | Token::EOF
    )
}

fn check(what: &str, found: usize, allowed: usize) -> Result<(), Error> {
    if found <= allowed {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::InvalidInput,
        code::TOO_COMPLEX,
        format!("the statement has {found} {what}, and at most {allowed} are allowed"),
    )
    .with_hint("Join against a table or a VALUES list instead of writing out long conditions."))
}
