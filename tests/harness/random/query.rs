//! Queries as trees, so that they can be taken apart again.

/// What values are alike enough to be compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
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
pub(super) struct Query {
    /// Common tables: name and query.
    pub(super) shared: Vec<(String, Query)>,
    pub(super) body: Body,
    /// By output column, or nothing at all: an order that leaves no tie between rows that differ.
    pub(super) order: Vec<Direction>,
    pub(super) limit: Option<Limit>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Direction {
    pub(super) descending: bool,
    pub(super) nulls_first: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Limit {
    pub(super) rows: usize,
    pub(super) skip: usize,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Body {
    Select(Box<Select>),
    Set {
        /// `UNION ALL` and the like.
        operator: &'static str,
        left: Box<Body>,
        right: Box<Body>,
    },
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Select {
    pub(super) distinct: Distinct,
    /// Expressions and their names.
    pub(super) items: Vec<(Expr, String)>,
    pub(super) from: From,
    pub(super) filter: Option<Expr>,
    pub(super) group: Group,
    pub(super) having: Option<Expr>,
}

/// Which rows are left out because there are others like them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Distinct {
    Nothing,
    Rows,
    /// Those that come later in the query's order with the same in so many columns, the first ones.
    On(usize),
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Group {
    Nothing,
    By(Vec<Expr>),
    /// `ROLLUP` or `CUBE`.
    Ladder(&'static str, Vec<Expr>),
    Sets(Vec<Vec<Expr>>),
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum From {
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
pub(super) enum On {
    Nothing,
    Condition(Expr),
    Using(Vec<String>),
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Expr {
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
    pub(super) const ALL: [Self; 7] = [
        Self::Int,
        Self::Decimal,
        Self::Double,
        Self::Text,
        Self::Day,
        Self::Moment,
        Self::Flag,
    ];

    /// Whether values of both can be compared.
    pub(super) fn meets(self, other: Self) -> bool {
        let family = |kind| match kind {
            Self::Int | Self::Decimal | Self::Double => 0,
            Self::Text => 1,
            Self::Day | Self::Moment => 2,
            Self::Flag => 3,
        };
        family(self) == family(other)
    }

    /// NULL of this kind.
    pub(super) fn null(self) -> Expr {
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
    pub(super) fn form(form: impl Into<String>, operands: Vec<Self>, kind: Kind) -> Self {
        Self::Form {
            form: form.into(),
            operands,
            kind,
        }
    }

    pub(super) fn literal(sql: impl Into<String>, kind: Kind) -> Self {
        Self::Literal {
            sql: sql.into(),
            kind,
        }
    }

    pub(super) fn column(relation: &str, name: &str, kind: Kind) -> Self {
        Self::Column {
            relation: relation.to_owned(),
            name: name.to_owned(),
            kind,
        }
    }

    pub(super) fn kind(&self) -> Kind {
        match self {
            Self::Column { kind, .. }
            | Self::Literal { kind, .. }
            | Self::Form { kind, .. }
            | Self::Subquery { kind, .. } => *kind,
        }
    }

    /// All of `conditions`.
    pub(super) fn all(conditions: Vec<Self>) -> Option<Self> {
        conditions
            .into_iter()
            .reduce(|one, other| Self::form("({} AND {})", vec![one, other], Kind::Flag))
    }
}

impl Query {
    pub(super) fn of(body: Body) -> Self {
        Self {
            shared: Vec::new(),
            body,
            order: Vec::new(),
            limit: None,
        }
    }
}
