//! Queries as SQL.

use std::fmt::{self, Display};

use super::query::{Body, Distinct, Expr, From, Group, Kind, On, Query, Select};

impl Display for Query {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, (name, query)) in self.shared.iter().enumerate() {
            let before = if at == 0 { "WITH" } else { "," };
            write!(f, "{before} {name} AS ({query}) ")?;
        }
        write!(f, "{}", self.body)?;
        for (at, direction) in self.order.iter().enumerate() {
            let before = if at == 0 { " ORDER BY" } else { "," };
            let way = if direction.descending { "DESC" } else { "ASC" };
            let nulls = if direction.nulls_first {
                "FIRST"
            } else {
                "LAST"
            };
            write!(f, "{before} {} {way} NULLS {nulls}", at + 1)?;
        }
        if let Some(limit) = self.limit {
            write!(f, " LIMIT {}", limit.rows)?;
            if limit.skip > 0 {
                write!(f, " OFFSET {}", limit.skip)?;
            }
        }
        Ok(())
    }
}

impl Display for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Select(select) => write!(f, "{select}"),
            Self::Set {
                operator,
                left,
                right,
            } => {
                side(f, left)?;
                write!(f, " {operator} ")?;
                side(f, right)
            }
        }
    }
}

fn side(f: &mut fmt::Formatter<'_>, body: &Body) -> fmt::Result {
    match body {
        Body::Select(select) => write!(f, "{select}"),
        Body::Set { .. } => write!(f, "({body})"),
    }
}

impl Display for Select {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SELECT ")?;
        match self.distinct {
            Distinct::Nothing => {}
            Distinct::Rows => f.write_str("DISTINCT ")?,
            Distinct::On(columns) => {
                let on = self.items.iter().take(columns);
                let on: Vec<Expr> = on.map(|(item, _)| item.clone()).collect();
                write!(f, "DISTINCT ON ({}) ", list(&on))?;
            }
        }
        for (at, (item, name)) in self.items.iter().enumerate() {
            let before = if at == 0 { "" } else { ", " };
            write!(f, "{before}{item} AS {name}")?;
        }
        write!(f, " FROM {}", self.from)?;
        if let Some(filter) = &self.filter {
            write!(f, " WHERE {filter}")?;
        }
        write!(f, "{}", self.group)?;
        if let Some(having) = &self.having {
            write!(f, " HAVING {having}")?;
        }
        Ok(())
    }
}

impl Display for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nothing => Ok(()),
            Self::By(by) => write!(f, " GROUP BY {}", list(by)),
            Self::Ladder(ladder, by) => write!(f, " GROUP BY {ladder}({})", list(by)),
            Self::Sets(sets) => {
                let sets = sets.iter().map(|set| format!("({})", list(set)));
                let sets: Vec<String> = sets.collect();
                write!(f, " GROUP BY GROUPING SETS ({})", sets.join(", "))
            }
        }
    }
}

impl Display for From {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Named { name, alias } => write!(f, "{name} AS {alias}"),
            Self::Derived { query, alias } => write!(f, "({query}) AS {alias}"),
            Self::Lateral { query, alias } => write!(f, "LATERAL ({query}) AS {alias}"),
            Self::Unnest {
                members,
                column,
                alias,
            } => {
                let members = members.join(", ");
                write!(f, "unnest([{members}]) AS {alias}({column})")
            }
            Self::Values {
                rows,
                columns,
                alias,
            } => {
                let rows = rows.iter().map(|row| format!("({})", row.join(", ")));
                let rows: Vec<String> = rows.collect();
                let columns = columns.join(", ");
                write!(f, "(VALUES {}) AS {alias}({columns})", rows.join(", "))
            }
            Self::Join {
                join,
                left,
                right,
                on,
            } => {
                write!(f, "{left} {join} ")?;
                match right.as_ref() {
                    Self::Join { .. } => write!(f, "({right})")?,
                    _ => write!(f, "{right}")?,
                }
                match on {
                    On::Nothing => Ok(()),
                    On::Condition(condition) => write!(f, " ON {condition}"),
                    On::Using(columns) => write!(f, " USING ({})", columns.join(", ")),
                }
            }
        }
    }
}

impl Display for Expr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Column { relation, name, .. } if relation.is_empty() => f.write_str(name),
            Self::Column { relation, name, .. } => write!(f, "{relation}.{name}"),
            Self::Literal { sql, .. } => f.write_str(sql),
            Self::Form { form, operands, .. } => fill(f, form, operands.iter().map(Operand)),
            Self::Subquery {
                form,
                operand,
                query,
                ..
            } => {
                let operand = operand.iter().map(|operand| Operand(operand).to_string());
                fill(f, form, operand.chain([query.to_string()]))
            }
        }
    }
}

/// An expression inside another.
struct Operand<'a>(&'a Expr);

impl Display for Operand<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Expr::Form { form, kind, .. } | Expr::Subquery { form, kind, .. }
                if *kind == Kind::Flag && !form.starts_with('(') =>
            {
                write!(f, "({})", self.0)
            }
            other => write!(f, "{other}"),
        }
    }
}

fn fill(
    f: &mut fmt::Formatter<'_>,
    form: &str,
    mut operands: impl Iterator<Item = impl Display>,
) -> fmt::Result {
    for (at, piece) in form.split("{}").enumerate() {
        if at > 0 {
            let operand = operands.next().expect("an operand for each place");
            write!(f, "{operand}")?;
        }
        f.write_str(piece)?;
    }
    Ok(())
}

fn list(exprs: &[Expr]) -> String {
    let exprs: Vec<String> = exprs.iter().map(ToString::to_string).collect();
    exprs.join(", ")
}
