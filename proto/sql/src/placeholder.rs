//! `?` becomes `$1`, `$2`, … in order of appearance, so that parameters bind by position.

use sqlparser::tokenizer::{Token, TokenWithSpan};
use weft_governance::{Error, ErrorKind, code};

pub(crate) fn number(tokens: &mut [TokenWithSpan]) -> Result<(), Error> {
    let mut next = 0;
    let mut numbered = false;
    for token in tokens {
        let Token::Placeholder(text) = &mut token.token else {
            continue;
        };
        if text == "?" {
            next += 1;
            *text = format!("${next}");
        } else {
            numbered = true;
        }
        if numbered && next > 0 {
            return Err(Error::new(
                ErrorKind::InvalidInput,
                code::SYNTAX,
                "the statement mixes `?` with numbered parameters",
            )
            .with_hint("Write all parameters as `?`, or all as `$1`, `$2` and so on."));
        }
    }
    Ok(())
}
