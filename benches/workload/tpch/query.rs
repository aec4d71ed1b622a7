//! The 22 queries, one file each.

/// One of the 22 queries, over short table names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Query {
    /// The number in the specification, from 1.
    pub number: usize,
    /// The text, without a semicolon. It opens with a comment that names the query.
    pub sql: &'static str,
}

/// The 22 queries in the order of their numbers, with the parameters of the validation run.
pub const QUERIES: [Query; 22] = [
    Query {
        number: 1,
        sql: include_str!("q01.sql"),
    },
    Query {
        number: 2,
        sql: include_str!("q02.sql"),
    },
    Query {
        number: 3,
        sql: include_str!("q03.sql"),
    },
    Query {
        number: 4,
        sql: include_str!("q04.sql"),
    },
    Query {
        number: 5,
        sql: include_str!("q05.sql"),
    },
    Query {
        number: 6,
        sql: include_str!("q06.sql"),
    },
    Query {
        number: 7,
        sql: include_str!("q07.sql"),
    },
    Query {
        number: 8,
        sql: include_str!("q08.sql"),
    },
    Query {
        number: 9,
        sql: include_str!("q09.sql"),
    },
    Query {
        number: 10,
        sql: include_str!("q10.sql"),
    },
    Query {
        number: 11,
        sql: include_str!("q11.sql"),
    },
    Query {
        number: 12,
        sql: include_str!("q12.sql"),
    },
    Query {
        number: 13,
        sql: include_str!("q13.sql"),
    },
    Query {
        number: 14,
        sql: include_str!("q14.sql"),
    },
    Query {
        number: 15,
        sql: include_str!("q15.sql"),
    },
    Query {
        number: 16,
        sql: include_str!("q16.sql"),
    },
    Query {
        number: 17,
        sql: include_str!("q17.sql"),
    },
    Query {
        number: 18,
        sql: include_str!("q18.sql"),
    },
    Query {
        number: 19,
        sql: include_str!("q19.sql"),
    },
    Query {
        number: 20,
        sql: include_str!("q20.sql"),
    },
    Query {
        number: 21,
        sql: include_str!("q21.sql"),
    },
    Query {
        number: 22,
        sql: include_str!("q22.sql"),
    },
];

impl Query {
    /// The name of the query's files: `q01` to `q22`.
    pub fn name(&self) -> String {
        format!("q{:02}", self.number)
    }

    /// The text over the full names of the tables, as a mesh knows them.
    pub fn qualified(&self) -> String {
        super::qualify(self.sql)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_stand_in_the_order_of_their_numbers_and_name_themselves() {
        for (index, query) in QUERIES.iter().enumerate() {
            assert_eq!(query.number, index + 1);
            assert!(
                query.sql.starts_with(&format!("-- Q{}: ", query.number)),
                "{}",
                query.name()
            );
            assert!(!query.sql.contains(';'), "{}", query.name());
        }
    }
}
