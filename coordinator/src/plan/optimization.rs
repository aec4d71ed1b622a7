//! What the planner may do to make a query ship less.

use std::collections::BTreeSet;

/// A step of the planner that changes how a query runs and never what it answers, so that it can be
/// left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Optimization {
    /// Joins of one node are done there wherever they stand in the query.
    Gather,
    /// The value of a scalar subquery over another domain is found first and sent down as a literal.
    Bind,
    /// Joins are done in the order of their size, not of the text.
    Order,
    /// The join keys of one domain's rows keep others from sending rows without partners.
    Reduce,
    /// Costs decide which of the possible flows of keys, and of rows from node to node, are used; left
    /// out, all are.
    Weigh,
    /// Joins keep one side in memory; left out, they sort both and go on from disk.
    Hash,
    /// Branches of a union that are one node's are united there.
    Unite,
    /// What only the first rows are asked of is sorted and cut off where it comes from.
    Bound,
    /// Where one of equal rows is enough, a node sends one of them.
    Distinct,
    /// Rows without a key, which match nothing, stay where they are.
    NotNull,
    /// Conditions that a node can check are checked there, whatever else they stand beside.
    Split,
    /// A join compares once what is equal, so that its columns travel once.
    Imply,
    /// What is read twice in the same way is shipped once.
    Share,
    /// Nodes group rows that are only needed by the group.
    Preaggregate,
    /// The small side of a join is sent to the node of the large side, and joined there.
    Ship,
    /// The first rows of an order, once they are known, keep a running fragment from sending rows
    /// that come after them.
    Tighten,
    /// Where the guess of how many rows meet a condition decides about many bytes, the node of the
    /// table is asked before the query is planned.
    Ask,
}

impl Optimization {
    /// All of them.
    pub const ALL: [Self; 17] = [
        Self::Gather,
        Self::Bind,
        Self::Order,
        Self::Imply,
        Self::Preaggregate,
        Self::Unite,
        Self::Bound,
        Self::Distinct,
        Self::NotNull,
        Self::Split,
        Self::Share,
        Self::Reduce,
        Self::Ship,
        Self::Tighten,
        Self::Weigh,
        Self::Hash,
        Self::Ask,
    ];

    /// Its name in settings.
    pub fn name(self) -> &'static str {
        match self {
            Self::Gather => "gather",
            Self::Bind => "bind",
            Self::Order => "order",
            Self::Reduce => "reduce",
            Self::Weigh => "weigh",
            Self::Hash => "hash",
            Self::Unite => "unite",
            Self::Bound => "bound",
            Self::Distinct => "distinct",
            Self::NotNull => "not_null",
            Self::Split => "split",
            Self::Imply => "imply",
            Self::Share => "share",
            Self::Preaggregate => "preaggregate",
            Self::Ship => "ship",
            Self::Tighten => "tighten",
            Self::Ask => "ask",
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

    /// The same for a query over rows that may be shown in groups alone: their node has to make the
    /// groups, of whatever meets them there, and tells nothing before.
    #[must_use]
    pub fn over_groups(mut self) -> Self {
        for step in [
            Optimization::Ask,
            Optimization::Preaggregate,
            Optimization::Weigh,
        ] {
            self.set(step, false);
        }
        self
    }
}
