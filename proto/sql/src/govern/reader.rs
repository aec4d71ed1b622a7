//! The words, names, texts and numbers of a statement about rights.
//!
//! No word is reserved: whether a word is a keyword or a name follows from its place alone.

use sqlparser::ast::Expr;
use sqlparser::parser::Parser;
use sqlparser::tokenizer::{Token, TokenWithSpan};
use weft_governance::Error;

use super::readable::check;
use crate::refusal::{parse_error, syntax};

/// Characters of the text that an error repeats.
const REPEATED: usize = 40;

/// Reads a statement from front to back.
pub(super) struct Reader<'p, 'd> {
    parser: &'p mut Parser<'d>,
}

impl<'p, 'd> Reader<'p, 'd> {
    pub(super) fn new(parser: &'p mut Parser<'d>) -> Self {
        Self { parser }
    }

    /// Whether these words come next, in any case and not quoted.
    pub(super) fn is_at(&self, words: &str) -> bool {
        words
            .split(' ')
            .enumerate()
            .all(|(place, word)| is_word(&self.parser.peek_nth_token_ref(place).token, word))
    }

    /// Takes these words if they come next.
    pub(super) fn take(&mut self, words: &str) -> bool {
        let found = self.is_at(words);
        if found {
            for _ in words.split(' ') {
                self.parser.advance_token();
            }
        }
        found
    }

    /// Takes these words.
    ///
    /// # Errors
    /// If something else comes next.
    pub(super) fn expect(&mut self, words: &str) -> Result<(), Error> {
        match self.take(words) {
            true => Ok(()),
            false => Err(self.expected(words)),
        }
    }

    /// Takes `symbol` if it comes next.
    pub(super) fn take_symbol(&mut self, symbol: &Token) -> bool {
        self.parser.consume_token(symbol)
    }

    /// Whether `symbol` comes next.
    pub(super) fn is_at_symbol(&self, symbol: &Token) -> bool {
        self.next() == symbol
    }

    /// Whether nothing more belongs to the statement.
    pub(super) fn is_at_end(&self) -> bool {
        matches!(self.next(), Token::EOF | Token::SemiColon)
    }

    /// # Errors
    /// If more comes.
    pub(super) fn end(&self) -> Result<(), Error> {
        match self.is_at_end() {
            true => Ok(()),
            false => Err(self.expected("the end of the statement")),
        }
    }

    /// One name: folded to lower case unless quoted.
    pub(super) fn name(&mut self, what: &str) -> Result<String, Error> {
        let name = match self.next() {
            Token::Word(word) if word.quote_style.is_some() => word.value.clone(),
            Token::Word(word) => word.value.to_lowercase(),
            Token::SingleQuotedString(_) => {
                return Err(self.expected(what).with_hint(
                    "Write names bare or in double quotes; single quotes are for texts.",
                ));
            }
            _ => return Err(self.expected(what)),
        };
        check(what, &name)?;
        self.parser.advance_token();
        Ok(name)
    }

    /// Names with dots between them.
    pub(super) fn path(&mut self, what: &str) -> Result<Vec<String>, Error> {
        let mut parts = vec![self.name(what)?];
        while self.take_symbol(&Token::Period) {
            parts.push(self.name(what)?);
        }
        Ok(parts)
    }

    /// A text in single quotes, without the white space around it.
    pub(super) fn text(&mut self, what: &str) -> Result<String, Error> {
        let text = match self.next() {
            Token::SingleQuotedString(text) => text.trim().to_owned(),
            _ => return Err(self.expected(&format!("{what} in single quotes"))),
        };
        check(what, &text)?;
        self.parser.advance_token();
        Ok(text)
    }

    /// A text that is a value of `T`.
    pub(super) fn parsed<T>(&mut self, what: &str) -> Result<T, Error>
    where
        T: std::str::FromStr<Err: ToString>,
    {
        let text = self.text(what)?;
        text.parse()
            .map_err(|error: T::Err| syntax(error.to_string()))
    }

    /// A whole number that is not negative.
    pub(super) fn number(&mut self, what: &str) -> Result<u64, Error> {
        let Token::Number(digits, false) = self.next() else {
            return Err(self.expected(what));
        };
        let Ok(number) = digits.parse() else {
            let most = u64::MAX;
            return Err(self.expected(&format!("{what}, a whole number of at most {most},")));
        };
        self.parser.advance_token();
        Ok(number)
    }

    /// One or more of `item` with commas between them.
    pub(super) fn list<T>(
        &mut self,
        mut item: impl FnMut(&mut Self) -> Result<T, Error>,
    ) -> Result<Vec<T>, Error> {
        let mut items = vec![item(self)?];
        while self.take_symbol(&Token::Comma) {
            items.push(item(self)?);
        }
        Ok(items)
    }

    /// `inner` in parentheses.
    pub(super) fn parenthesized<T>(
        &mut self,
        inner: impl FnOnce(&mut Self) -> Result<T, Error>,
    ) -> Result<T, Error> {
        if !self.take_symbol(&Token::LParen) {
            return Err(self.expected("`(`"));
        }
        let read = inner(self)?;
        if !self.take_symbol(&Token::RParen) {
            return Err(self.expected("`,` or `)`"));
        }
        Ok(read)
    }

    /// An expression of SQL.
    pub(super) fn expression(&mut self) -> Result<Expr, Error> {
        self.parser.parse_expr().map_err(parse_error)
    }

    /// The error that `what` does not come next.
    pub(super) fn expected(&self, what: &str) -> Error {
        let TokenWithSpan { token, span } = self.parser.peek_token_ref();
        if *token == Token::EOF {
            return syntax(format!("expected {what}, but the statement ends"));
        }
        let found: String = token.to_string().chars().take(REPEATED).collect();
        let (line, column) = (span.start.line, span.start.column);
        syntax(format!(
            "expected {what} at line {line}, column {column}, and found `{found}`"
        ))
    }

    fn next(&self) -> &Token {
        &self.parser.peek_token_ref().token
    }
}

fn is_word(token: &Token, word: &str) -> bool {
    match token {
        Token::Word(found) => found.quote_style.is_none() && found.value.eq_ignore_ascii_case(word),
        _ => false,
    }
}
