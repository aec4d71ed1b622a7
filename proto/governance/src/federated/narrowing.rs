//! What a policy takes away from a grant, and why.

use std::collections::BTreeMap;

use super::selector::{LabelledColumn, LabelledTable, selected};
use super::{FederatedPolicy, MaskDemand, Rule};
use crate::grant::{Columns, Grant, Mask};
use crate::timestamp::Timestamp;

/// What is taken away from one grant on one table. What is not named here stays as the owner gave it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Narrowing {
    /// The masks of columns that rules mask, with the names of these rules.
    pub masks: BTreeMap<String, (Mask, Vec<String>)>,
    /// When the grant ends, if that is before its own end, and the rule that says so.
    pub until: Option<Bound>,
    /// The rules by which a purpose has to be named, where the grant itself asks for none.
    pub purpose: Vec<String>,
}

/// An end that a rule sets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bound {
    /// The first moment at which the grant is no longer held.
    pub until: Timestamp,
    /// The name of the rule.
    pub rule: String,
}

/// A grant and what is known of its beginning.
#[derive(Debug, Clone, Copy)]
pub struct Covered<'a> {
    /// The grant.
    pub grant: &'a Grant,
    /// What counts as its beginning where neither it nor its id says one.
    pub since: Timestamp,
}

impl Narrowing {
    /// Masks `columns`. Of two different masks on one column neither may show what the other hides,
    /// so that nothing is left.
    fn mask(&mut self, rule: &str, mask: Mask, grant: &Grant, columns: &[&LabelledColumn]) {
        for column in columns {
            let fitting = match mask.fits(column.cells) {
                true => mask,
                false => Mask::ReplaceWithNull,
            };
            let known = self.masks.get(&column.name).map(|(mask, _)| *mask);
            let known = known.or(grant.masks.get(&column.name).copied());
            let both = match known {
                Some(known) if known != fitting => Mask::ReplaceWithNull,
                Some(_) | None => fitting,
            };
            let (kept, rules) = self
                .masks
                .entry(column.name.clone())
                .or_insert((both, Vec::new()));
            *kept = both;
            rules.push(rule.to_owned());
        }
    }

    fn end(&mut self, rule: &str, until: Timestamp, grant: &Grant) {
        let known = self.until.as_ref().map(|bound| bound.until);
        let known = known.or(grant.valid_until);
        if known.is_none_or(|known| until < known) {
            self.until = Some(Bound {
                until,
                rule: rule.to_owned(),
            });
        }
    }

    /// Whether nothing is taken away.
    pub fn is_empty(&self) -> bool {
        let Self {
            masks,
            until,
            purpose,
        } = self;
        masks.is_empty() && until.is_none() && purpose.is_empty()
    }

    /// What is left of `grant`.
    #[must_use]
    pub fn of(&self, grant: &Grant) -> Grant {
        let Self {
            masks,
            until,
            purpose,
        } = self;
        let mut left = grant.clone();
        for (column, (mask, _)) in masks {
            left.masks.insert(column.clone(), *mask);
        }
        if let Some(Bound { until, .. }) = until {
            left.valid_until = Some(*until);
        }
        left.purpose_required |= !purpose.is_empty();
        left
    }
}

impl FederatedPolicy {
    /// What is taken away from a grant on `table`.
    pub fn narrowing(&self, covered: Covered<'_>, table: &LabelledTable) -> Narrowing {
        let Covered { grant, since } = covered;
        let begin = grant.valid_from.or(grant.given_at()).unwrap_or(since);
        let mut narrowing = Narrowing::default();
        for rule in &self.rules {
            let columns = rule.columns_of(grant, table);
            if columns.is_empty() {
                continue;
            }
            if let Some(demand) = &rule.mask
                && !demand.is_lifted_for(grant)
            {
                narrowing.mask(&rule.name, demand.mask, grant, &columns);
            }
            if let Some(span) = rule.max_grant_duration {
                narrowing.end(&rule.name, span.after(begin), grant);
            }
            if rule.require_purpose && grant.purposes.is_empty() {
                narrowing.purpose.push(rule.name.clone());
            }
        }
        narrowing
    }

    /// What is left of a grant on `table`.
    #[must_use]
    pub fn narrowed(&self, covered: Covered<'_>, table: &LabelledTable) -> Grant {
        self.narrowing(covered, table).of(covered.grant)
    }
}

impl Rule {
    /// The columns of `table` that the rule is about and `grant` covers.
    fn columns_of<'a>(&self, grant: &Grant, table: &'a LabelledTable) -> Vec<&'a LabelledColumn> {
        let mut columns = selected(self.columns.as_ref(), self.products.as_ref(), table);
        columns.retain(|column| grant.columns.contains(&column.name));
        columns
    }
}

impl MaskDemand {
    /// Whether `grant` unmasks by name and purpose: it lists its columns, and is for certain purposes,
    /// all of which lift the mask. What it masks itself then stays as the owner said.
    fn is_lifted_for(&self, grant: &Grant) -> bool {
        let by_name = match &grant.columns {
            Columns::All => false,
            Columns::Only(_) => true,
        };
        let lifts = |purpose| {
            self.unmask_for
                .as_ref()
                .is_none_or(|it| it.contains(purpose))
        };
        by_name && !grant.purposes.is_empty() && grant.purposes.iter().all(lifts)
    }
}
