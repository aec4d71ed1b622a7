//! Short table names to full ones.

use super::Table;

/// Rewrites `sql` so that every short table name in a FROM clause becomes the full one:
/// `from lineitem l1` reads `from sales.orders.lineitem l1`.
///
/// Aliases, columns, text literals and comments stay as they are. A qualifier such as
/// `lineitem.l_orderkey` needs no change: it resolves against the last part of the full name.
pub fn qualify(sql: &str) -> String {
    qualify_with(sql, Table::full_name)
}

/// The same with full names of another layout.
pub(crate) fn qualify_with(sql: &str, full_name: impl Fn(Table) -> String) -> String {
    let mut output = String::with_capacity(sql.len() * 2);
    // One entry per open parenthesis, and one for the statement itself.
    let mut clauses = vec![Clause::Other];
    let mut rest = sql;
    while let Some(token) = next_token(rest) {
        rest = rest.get(token.len()..).unwrap_or_default();
        let clause = clauses.last().copied().unwrap_or(Clause::Other);
        let table = match clause {
            Clause::FromTable if !rest.starts_with('.') => Table::named(token),
            _ => None,
        };
        match table {
            Some(table) => output.push_str(&full_name(table)),
            None => output.push_str(token),
        }
        match token {
            "(" => clauses.push(Clause::Other),
            ")" => drop(clauses.pop()),
            _ => {
                if let Some(last) = clauses.last_mut() {
                    *last = clause.after(token);
                }
            }
        }
    }
    output
}

/// What may stand next at one depth of parentheses.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Clause {
    /// A table of a FROM clause.
    FromTable,
    /// The rest of a FROM clause: an alias, a join condition.
    FromRest,
    /// Any other clause.
    Other,
}

impl Clause {
    fn after(self, token: &str) -> Self {
        let is_blank = token.starts_with(char::is_whitespace) || token.starts_with("--");
        let is = |words: &[&str]| words.iter().any(|word| word.eq_ignore_ascii_case(token));
        match self {
            _ if is_blank => self,
            _ if is(&["from", "join"]) => Self::FromTable,
            _ if is(&[
                "select", "where", "group", "having", "order", "limit", "union",
            ]) =>
            {
                Self::Other
            }
            Self::FromTable | Self::FromRest if token == "," => Self::FromTable,
            Self::FromTable | Self::FromRest => Self::FromRest,
            Self::Other => Self::Other,
        }
    }
}

/// The first token of `text`: a run of blanks, a word, a quoted text, a line comment, or one
/// other character.
fn next_token(text: &str) -> Option<&str> {
    let first = text.chars().next()?;
    let length = if first == '\'' || first == '"' {
        text.get(1..)?.find(first).map_or(text.len(), |at| at + 2)
    } else if text.starts_with("--") {
        text.find('\n').unwrap_or(text.len())
    } else if first.is_whitespace() {
        run_length(text, char::is_whitespace)
    } else if is_word(first) {
        run_length(text, is_word)
    } else {
        first.len_utf8()
    };
    text.get(..length)
}

fn run_length(text: &str, belongs: impl Fn(char) -> bool) -> usize {
    text.find(|c| !belongs(c)).unwrap_or(text.len())
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

#[cfg(test)]
mod tests {
    use super::super::QUERIES;
    use super::*;

    #[test]
    fn tables_of_lists_joins_and_subqueries_become_full_names() {
        assert_eq!(
            qualify(
                "select count(*) from customer left outer join orders on c_custkey = o_custkey, \
                 nation n1\nwhere exists (select * from LINEITEM)"
            ),
            "select count(*) from crm.customers.customer left outer join sales.orders.orders on \
             c_custkey = o_custkey, crm.customers.nation n1\nwhere exists (select * from \
             sales.orders.lineitem)"
        );
    }

    #[test]
    fn aliases_columns_literals_and_comments_stay() {
        for sql in [
            "select nation, 'from part', orders.o_orderkey from (select 1 as nation) as part",
            "select extract(year from o_orderdate) from x -- from orders",
            "select a from sales.orders.orders, b part where region = 1 group by nation, region",
            "select \"from\", part from x order by orders, part",
        ] {
            assert_eq!(qualify(sql), sql);
        }
    }

    #[test]
    fn every_query_uses_full_names_only() {
        for query in QUERIES {
            let qualified = query.qualified();
            let named = Table::ALL
                .iter()
                .filter(|table| qualified.contains(&table.full_name()));
            assert!(named.count() > 0, "{}", query.name());
            for table in Table::ALL {
                for before in ["from ", ", ", "join "] {
                    for after in ["\n", ",", " l", " n", " l1"] {
                        let short = format!("{before}{}{after}", table.name());
                        let is_column = query.number == 8 || query.number == 9;
                        assert!(
                            is_column || !qualified.contains(&short),
                            "{}: `{short}`",
                            query.name()
                        );
                    }
                }
            }
            assert_eq!(qualify(&qualified), qualified, "{} is stable", query.name());
        }
    }
}
