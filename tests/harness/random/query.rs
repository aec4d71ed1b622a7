//! Queries as trees, so that they can be taken apart again.

/// What values are alike enough to be compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Int,
    Decimal,
    Double,
    Text,
    Day,
    Moment,
    Flag,
}

/// A query with its order.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Query {
    /// Common tables: name and query.
    pub(crate) shared: Vec<(String, Query)>,
    pub(crate) body: Body,
    /// By output column, or nothing at all: an order that leaves no tie between rows that differ.
    pub(crate) order: Vec<Direction>,
    pub(crate) limit: Option<Limit>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Direction {
    pub(crate) descending: bool,
    pub(crate) nulls_first: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Limit {
    pub(crate) rows: usize,
    pub(crate) skip: usize,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Body {
    Select(Box<Select>),
    Set {
        /// `UNION ALL` and the like.
        operator: &'static str,
        left: Box<Body>,
        right: Box<Body>,
    },
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Select {
    pub(crate) distinct: Distinct,
    /// Expressions and their names.
    pub(crate) items: Vec<(Expr, String)>,
    pub(crate) from: From,
    pub(crate) filter: Option<Expr>,
    pub(crate) group: Group,
    pub(crate) having: Option<Expr>,
}

/// Which rows are left out because there are others like them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Distinct {
    Nothing,
    Rows,
    /// Those that come later in the query's order with the same in so many columns, the first ones.
    On(usize),
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Group {
    Nothing,
    By(Vec<Expr>),
    /// `ROLLUP` or `CUBE`.
    Ladder(&'static str, Vec<Expr>),
    Sets(Vec<Vec<Expr>>),
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum From {
    /// A table or a common table, by its name.
    Named {
        name: String,
        alias: String,
    },
    Derived {
        query: Box<Query>,
        alias: String,
    },
    /// A query that may use the columns of what stands before it.
    Lateral {
        query: Box<Query>,
        alias: String,
    },
    /// The members of an array, as a table of one column.
    Unnest {
        members: Vec<String>,
        column: String,
        alias: String,
    },
    /// `VALUES`, and the names of the columns.
    Values {
        rows: Vec<Vec<String>>,
        columns: Vec<String>,
        alias: String,
    },
    Join {
        /// `LEFT JOIN` and the like.
        join: &'static str,
        left: Box<From>,
        right: Box<From>,
        on: On,
    },
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum On {
    Nothing,
    Condition(Expr),
    Using(Vec<String>),
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Expr {
    Column {
        /// Empty for a column that stands without one.
        relation: String,
        name: String,
        kind: Kind,
    },
    Literal {
        sql: String,
        kind: Kind,
    },
    /// SQL with `{}` for each operand.
    Form {
        form: String,
        operands: Vec<Expr>,
        kind: Kind,
    },
    /// SQL with `{}` for the operand, if there is one, and then for the query.
    Subquery {
        form: String,
        operand: Option<Box<Expr>>,
        query: Box<Query>,
        kind: Kind,
    },
}

impl Kind {
    pub(crate) const ALL: [Self; 7] = [
        Self::Int,
        Self::Decimal,
        Self::Double,
        Self::Text,
        Self::Day,
        Self::Moment,
        Self::Flag,
    ];

    /// Whether values of both can be compared.
    pub(crate) fn meets(self, other: Self) -> bool {
        let family = |kind| match kind {
            Self::Int | Self::Decimal | Self::Double => 0,
            Self::Text => 1,
            Self::Day | Self::Moment => 2,
            Self::Flag => 3,
        };
        family(self) == family(other)
    }

    /// NULL of this kind.
    pub(crate) fn null(self) -> Expr {
        let name = match self {
            Self::Int => "BIGINT",
            Self::Decimal => "DECIMAL(10, 2)",
            Self::Double => "DOUBLE",
            Self::Text => "VARCHAR",
            Self::Day => "DATE",
            Self::Moment => "TIMESTAMP",
            Self::Flag => "BOOLEAN",
        };
        Expr::Literal {
            sql: format!("CAST(NULL AS {name})"),
            kind: self,
        }
    }
}

impl Expr {
    pub(crate) fn form(form: impl Into<String>, operands: Vec<Self>, kind: Kind) -> Self {
        Self::Form {
            form: form.into(),
            operands,
            kind,
        }
    }

    pub(crate) fn literal(sql: impl Into<String>, kind: Kind) -> Self {
        Self::Literal {
            sql: sql.into(),
            kind,
        }
    }

    pub(crate) fn column(relation: &str, name: &str, kind: Kind) -> Self {
        Self::Column {
            relation: relation.to_owned(),
            name: name.to_owned(),
            kind,
        }
    }

    pub(crate) fn kind(&self) -> Kind {
        match self {
            Self::Column { kind, .. }
            | Self::Literal { kind, .. }
            | Self::Form { kind, .. }
            | Self::Subquery { kind, .. } => *kind,
        }
    }

    /// All of `conditions`.
    pub(crate) fn all(conditions: Vec<Self>) -> Option<Self> {
        conditions
            .into_iter()
            .reduce(|one, other| Self::form("({} AND {})", vec![one, other], Kind::Flag))
    }
}

impl Query {
    pub(crate) fn of(body: Body) -> Self {
        Self {
            shared: Vec::new(),
            body,
            order: Vec::new(),
            limit: None,
        }
    }
}
