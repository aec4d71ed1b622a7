//! `SET weft.purpose`: what rows are used for from then on.

use weft_governance::{Error, ErrorKind, code};

/// The name of the setting.
pub const PURPOSE: &str = "weft.purpose";

/// Characters that a purpose has at most.
const LONGEST: usize = 1_000;

/// The purpose that the setting's `value` names; an empty one names none.
///
/// # Errors
/// `WEFT-SETTINGS` for one that no grant can have.
pub fn purpose(value: &str) -> Result<Option<String>, Error> {
    let purpose = value.trim();
    if purpose.chars().count() > LONGEST {
        return Err(Error::new(
            ErrorKind::InvalidInput,
            code::SETTINGS,
            format!("`{PURPOSE}` has at most {LONGEST} characters"),
        ));
    }
    Ok((!purpose.is_empty()).then(|| purpose.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_purpose_is_short_and_an_empty_one_is_none() {
        assert_eq!(purpose(" fraud ").expect("short"), Some("fraud".to_owned()));
        assert_eq!(purpose(" ").expect("none"), None);
        assert!(purpose(&"x".repeat(LONGEST)).is_ok());
        let error = purpose(&"x".repeat(LONGEST + 1)).expect_err("long");
        assert_eq!(error.code(), code::SETTINGS);
    }
}
