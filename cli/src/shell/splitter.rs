//! Where one statement ends and the next begins.

/// A text cut at its semicolons.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Split<'a> {
    /// Complete statements, without their semicolons.
    pub(crate) statements: Vec<&'a str>,
    /// What comes after the last semicolon, if it is more than comments and space.
    pub(crate) rest: &'a str,
}

/// Cuts `text` at each semicolon outside quotes and comments.
pub(crate) fn split(text: &str) -> Split<'_> {
    let mut statements = Vec::new();
    let mut start = 0;
    let mut meaningful = false;
    let mut at = 0;
    while let Some(rest) = text.get(at..).filter(|rest| !rest.is_empty()) {
        let token = token(rest);
        if rest.starts_with(';') {
            if meaningful {
                statements.push(text.get(start..at).unwrap_or_default().trim());
            }
            start = at + 1;
            meaningful = false;
        } else {
            meaningful |= !is_blank(rest);
        }
        at += token;
    }
    let rest = if meaningful {
        text.get(start..).unwrap_or_default()
    } else {
        ""
    };
    Split { statements, rest }
}

/// Whether `rest` begins with something that means nothing.
fn is_blank(rest: &str) -> bool {
    rest.starts_with("--") || rest.starts_with("/*") || rest.starts_with(char::is_whitespace)
}

/// Bytes of the token that `rest` begins with: a quoted text, a comment, or one character.
fn token(rest: &str) -> usize {
    let whole = rest.len();
    let until = |skip: usize, end: &str| {
        rest.get(skip..)
            .and_then(|rest| rest.find(end))
            .map_or(whole, |at| skip + at + end.len())
    };
    if rest.starts_with('\'') {
        until(1, "'")
    } else if rest.starts_with('"') {
        until(1, "\"")
    } else if rest.starts_with("--") {
        until(2, "\n")
    } else if rest.starts_with("/*") {
        until(2, "*/")
    } else if let Some(tag) = dollar_tag(rest) {
        until(tag.len(), tag)
    } else {
        rest.chars().next().map_or(whole, char::len_utf8)
    }
}

/// `$$` or `$tag$` at the start of `rest`.
fn dollar_tag(rest: &str) -> Option<&str> {
    let after = rest.strip_prefix('$')?;
    let end = after.find('$')?;
    let tag = after.get(..end)?;
    let named = tag.chars().all(|c| c.is_alphanumeric() || c == '_')
        && !tag.starts_with(|c: char| c.is_ascii_digit());
    if named { rest.get(..end + 2) } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(text: &str) -> (Vec<&str>, &str) {
        let Split { statements, rest } = split(text);
        (statements, rest.trim())
    }

    #[test]
    fn statements_end_at_semicolons_outside_quotes_and_comments() {
        assert_eq!(
            parts("SELECT 1; SELECT 2;"),
            (vec!["SELECT 1", "SELECT 2"], "")
        );
        assert_eq!(parts("SELECT ';' ; x"), (vec!["SELECT ';'"], "x"));
        assert_eq!(parts("SELECT \"a;b\""), (vec![], "SELECT \"a;b\""));
        assert_eq!(parts("SELECT 1 -- ; no\n;"), (vec!["SELECT 1 -- ; no"], ""));
        assert_eq!(parts("SELECT /* ; */ 1;"), (vec!["SELECT /* ; */ 1"], ""));
        assert_eq!(parts("SELECT $x$;$x$;"), (vec!["SELECT $x$;$x$"], ""));
        assert_eq!(parts("SELECT $1;"), (vec!["SELECT $1"], ""));
        assert_eq!(parts("SELECT 'it''s;';"), (vec!["SELECT 'it''s;'"], ""));
    }

    #[test]
    fn an_open_quote_waits_for_its_end() {
        assert_eq!(parts("SELECT 'a;\nb"), (vec![], "SELECT 'a;\nb"));
    }

    #[test]
    fn blanks_and_comments_are_no_statement() {
        assert_eq!(parts(" ;; -- nothing\n"), (vec![], ""));
        assert_eq!(parts("SELECT 'ä€'; ü"), (vec!["SELECT 'ä€'"], "ü"));
    }
}
