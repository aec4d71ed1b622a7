//! What an owner signs reads as what it is.

use weft_governance::Error;

use crate::refusal::syntax;

/// Characters that a text or name may have.
const LONGEST: usize = 1_000;

/// # Errors
/// If `text` is empty, too long, or has characters that cannot be seen.
pub(super) fn check(what: &str, text: &str) -> Result<(), Error> {
    if text.is_empty() {
        return Err(syntax(format!("{what} is empty")));
    }
    let characters = text.chars().count();
    if characters > LONGEST {
        return Err(syntax(format!(
            "{what} has {characters} characters, and at most {LONGEST} are allowed"
        )));
    }
    check_characters(what, text)
}

/// # Errors
/// If `text` has characters that cannot be seen.
pub(super) fn check_characters(what: &str, text: &str) -> Result<(), Error> {
    match text.chars().find(|c| c.is_control() || is_invisible(*c)) {
        Some(found) => Err(syntax(format!(
            "{what} has the control character U+{:04X}",
            u32::from(found)
        ))),
        None => Ok(()),
    }
}

/// Marks that break lines, change the direction of writing, or leave no trace.
fn is_invisible(c: char) -> bool {
    matches!(
        c,
        '\u{061C}'
            | '\u{200B}'
            | '\u{200E}'
            | '\u{200F}'
            | '\u{2028}'..='\u{202E}'
            | '\u{2060}'..='\u{2069}'
            | '\u{FEFF}'
    )
}
