//! What can be named at a place in a query.

use crate::random::dice::Dice;
use crate::random::query::{Expr, Kind};

/// The name and kind of a column.
pub(super) type Column = (String, Kind);

/// The relations of one FROM.
#[derive(Debug, Clone, Default)]
pub(super) struct Scope {
    pub(super) relations: Vec<Relation>,
    /// How many rows there are, roughly.
    pub(super) rows: usize,
    /// The number of the next alias.
    pub(super) next: usize,
}

#[derive(Debug, Clone)]
pub(super) struct Relation {
    pub(super) alias: String,
    pub(super) columns: Vec<Column>,
}

impl Scope {
    /// All columns.
    pub(super) fn columns(&self) -> Vec<Expr> {
        let relations = self.relations.iter();
        relations
            .flat_map(|relation| {
                let columns = relation.columns.iter();
                columns.map(|(name, kind)| Expr::column(&relation.alias, name, *kind))
            })
            .collect()
    }

    /// The columns that `fits` accepts.
    fn fitting(&self, fits: impl Fn(Kind) -> bool) -> Vec<Expr> {
        let mut columns = self.columns();
        columns.retain(|column| fits(column.kind()));
        columns
    }

    /// A column of `kind`.
    pub(super) fn of_kind(&self, dice: &mut Dice, kind: Kind) -> Option<Expr> {
        choose(dice, &self.fitting(|it| it == kind))
    }

    /// A column that can be compared with one of `kind`.
    pub(super) fn like(&self, dice: &mut Dice, kind: Kind) -> Option<Expr> {
        choose(dice, &self.fitting(|it| it.meets(kind)))
    }

    /// A column.
    pub(super) fn any(&self, dice: &mut Dice) -> Option<Expr> {
        choose(dice, &self.columns())
    }
}

fn choose(dice: &mut Dice, columns: &[Expr]) -> Option<Expr> {
    (!columns.is_empty()).then(|| dice.pick(columns).clone())
}
