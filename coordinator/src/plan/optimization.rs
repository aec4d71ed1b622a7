//! What the planner may do to make a query ship less.

use std::collections::BTreeSet;

/// A step of the planner that changes how a query runs and never what it answers, so that it can be
/// left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Optimization {
    /// Joins of one node are done there wherever they stand in the query.
    Gather,
    /// Joins are done in the order of their size, not of the text.
    Order,
    /// The join keys of one domain's rows keep others from sending rows without partners.
    Reduce,
    /// Costs decide which of the possible flows of keys are used; left out, all are.
    Weigh,
    /// Joins keep one side in memory; left out, they sort both and go on from disk.
    Hash,
}

impl Optimization {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Gather,
        Self::Order,
        Self::Reduce,
        Self::Weigh,
        Self::Hash,
    ];

    /// Its name in settings.
    pub fn name(self) -> &'static str {
        match self {
            Self::Gather => "gather",
            Self::Order => "order",
            Self::Reduce => "reduce",
            Self::Weigh => "weigh",
            Self::Hash => "hash",
        }
    }

    /// The one called `name`.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.name() == name)
    }
}

/// The steps that a session takes. All of them, unless it says otherwise.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Optimizations {
    off: BTreeSet<Optimization>,
}

impl Optimizations {
    /// Whether `step` is taken.
    pub fn on(&self, step: Optimization) -> bool {
        !self.off.contains(&step)
    }

    /// Takes `step`, or leaves it out.
    pub fn set(&mut self, step: Optimization, on: bool) {
        if on {
            self.off.remove(&step);
        } else {
            self.off.insert(step);
        }
    }
}
