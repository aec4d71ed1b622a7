//! `LIKE` patterns of metadata calls. Clients send anything here, whole statements included.

/// Whether `text` matches `pattern`: `%` stands for any characters, `_` for one, `\` takes the
/// meaning from the next.
pub(super) fn matches(pattern: &str, text: &str) -> bool {
    let pattern = parts(pattern);
    let text: Vec<char> = text.chars().collect();
    let (mut at, mut from) = (0, 0);
    // Where to go on if what follows the last `%` does not fit.
    let mut retry: Option<(usize, usize)> = None;
    while from < text.len() {
        match (pattern.get(at), text.get(from)) {
            (Some(Part::Many), _) => {
                retry = Some((at + 1, from));
                at += 1;
            }
            (Some(Part::One), _) => (at, from) = (at + 1, from + 1),
            (Some(Part::Literal(wanted)), Some(found)) if wanted == found => {
                (at, from) = (at + 1, from + 1);
            }
            _ => match &mut retry {
                Some((after, start)) => {
                    *start += 1;
                    (at, from) = (*after, *start);
                }
                None => return false,
            },
        }
    }
    pattern.iter().skip(at).all(|part| *part == Part::Many)
}

#[derive(PartialEq, Eq)]
enum Part {
    Many,
    One,
    Literal(char),
}

fn parts(pattern: &str) -> Vec<Part> {
    let mut parts = Vec::new();
    let mut chars = pattern.chars();
    while let Some(char) = chars.next() {
        parts.push(match char {
            '%' => Part::Many,
            '_' => Part::One,
            '\\' => Part::Literal(chars.next().unwrap_or('\\')),
            char => Part::Literal(char),
        });
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn patterns_match_as_in_sql() {
        for (pattern, text) in [
            ("%", ""),
            ("%", "orders"),
            ("orders", "orders"),
            ("ord%", "orders"),
            ("%de%s", "orders"),
            ("_rders", "orders"),
            ("line\\_item", "line_item"),
            ("%a%b", "aabab"),
            ("ü_", "üé"),
        ] {
            assert!(matches(pattern, text), "{pattern} {text}");
        }
        for (pattern, text) in [
            ("", "orders"),
            ("Orders", "orders"),
            ("_", ""),
            ("line\\_item", "line-item"),
            ("%a%b", "aaba"),
            ("SELECT * FROM orders WHERE x LIKE '%y%'", "orders"),
        ] {
            assert!(!matches(pattern, text), "{pattern} {text}");
        }
    }
}
