//! The names in a query, before anybody knows what they stand for.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use sqlparser::ast::{Expr, Ident, Query, TableFactor, Visit, Visitor};

/// Tables with the names that the query gives them, and columns.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Mentioned {
    /// A table's name, in as many parts as are written, and what stands before its columns.
    pub tables: BTreeSet<(Vec<String>, String)>,
    /// What stands before a column's name, if something does, and its name.
    pub columns: BTreeSet<(Option<String>, String)>,
}

impl Mentioned {
    /// The names in `query` and its subqueries.
    pub fn of(query: &Query) -> Self {
        let mut mentioned = Self::default();
        // Nothing here ends the visit early.
        let _: ControlFlow<()> = query.visit(&mut mentioned);
        mentioned
    }
}

impl Visitor for Mentioned {
    type Break = ();

    fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> ControlFlow<()> {
        if let TableFactor::Table { name, alias, .. } = factor {
            let parts = name.0.iter().filter_map(|part| part.as_ident());
            let parts: Vec<String> = parts.map(folded).collect();
            let called = match alias {
                Some(alias) => Some(folded(&alias.name)),
                None => parts.last().cloned(),
            };
            if let Some(called) = called {
                self.tables.insert((parts, called));
            }
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        let named = match expr {
            Expr::Identifier(name) => Some((None, folded(name))),
            Expr::CompoundIdentifier(parts) => match parts.as_slice() {
                [.., table, name] => Some((Some(folded(table)), folded(name))),
                _ => None,
            },
            _ => None,
        };
        self.columns.extend(named);
        ControlFlow::Continue(())
    }
}

/// As names are compared: as written in quotes, in small letters without.
pub(crate) fn folded(name: &Ident) -> String {
    match name.quote_style {
        Some(_) => name.value.clone(),
        None => name.value.to_lowercase(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Caps, Statement, parse};

    #[test]
    fn names_are_found_wherever_they_stand() {
        let sql = "SELECT o.ID, total FROM sales.orders.o JOIN crm.people.\"P\" x ON o.who = x.id \
                   WHERE EXISTS (SELECT 1 FROM geo.places WHERE \"Name\" = x.city)";
        let Ok(Statement::Query(query)) = parse(sql, &Caps::default()) else {
            panic!("no query");
        };
        let Mentioned { tables, columns } = Mentioned::of(&query);
        let tables: Vec<_> = tables
            .iter()
            .map(|(parts, called)| format!("{} as {called}", parts.join(".")))
            .collect();
        assert_eq!(
            tables,
            [
                "crm.people.P as x",
                "geo.places as places",
                "sales.orders.o as o"
            ]
        );
        let columns: Vec<_> = columns
            .iter()
            .map(|(table, name)| match table {
                Some(table) => format!("{table}.{name}"),
                None => name.clone(),
            })
            .collect();
        assert_eq!(
            columns,
            ["Name", "total", "o.id", "o.who", "x.city", "x.id"]
        );
    }
}
