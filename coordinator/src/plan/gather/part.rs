//! The joins of a cluster put together again, those of one node first.

use std::cmp::Ordering;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use datafusion::common::{Column, DFSchema, NullEquality, Result, internal_err};
use datafusion::logical_expr::{Expr, Filter, Join, JoinConstraint, JoinType, LogicalPlan};

use super::cluster::Cluster;
use super::key::keys;
use crate::plan::Sites;
use crate::plan::estimate::Estimate;
use crate::plan::site::{Site, only_site};

/// Positions of inputs of the cluster.
type Members = BTreeSet<usize>;

/// Some of the inputs, joined.
#[derive(Debug)]
struct Part {
    members: Members,
    /// Where all of it is, if it is in one place.
    site: Option<Arc<Site>>,
    /// The input whose keys are keys of the whole part.
    root: usize,
    plan: LogicalPlan,
}

/// An equality between two inputs.
#[derive(Debug)]
struct Pair {
    sides: [(Expr, Members); 2],
}

/// A condition on inputs.
#[derive(Debug)]
struct Condition {
    on: Members,
    filter: Expr,
}

/// A semi or anti join over inputs.
#[derive(Debug)]
struct Reducer {
    on: Members,
    site: Option<Arc<Site>>,
    join: Join,
}

/// Columns that are equal in every row of the answer have one number.
type Classes = HashMap<Column, usize>;

/// Of the joins of two parts, by their first members.
type Costs = HashMap<(usize, usize), Cost>;

/// What speaks against a join, the worst first.
#[derive(Debug, Clone, Copy)]
struct Cost {
    /// No condition connects the two.
    crossed: bool,
    /// One node would send more for the join than for the two.
    swells: bool,
    /// Rows to be expected.
    rows: f64,
}

impl Cost {
    fn of(one: &Part, other: &Part, on: Vec<(Expr, Expr)>) -> Result<Self> {
        let crossed = on.is_empty();
        let joined = Estimate::of(&joined(one, other, on)?);
        let apart = Estimate::of(&one.plan).bytes() + Estimate::of(&other.plan).bytes();
        Ok(Self {
            crossed,
            swells: one.site_with(other).is_some() && joined.bytes() > apart,
            rows: joined.rows,
        })
    }

    fn cmp(&self, other: &Self) -> Ordering {
        (self.crossed, self.swells)
            .cmp(&(other.crossed, other.swells))
            .then(self.rows.total_cmp(&other.rows))
    }
}

/// What is joined so far, and what is still to be said of it.
#[derive(Debug)]
pub(super) struct Assembly {
    parts: Vec<Part>,
    pairs: Vec<Pair>,
    conditions: Vec<Condition>,
    reducers: Vec<Reducer>,
    /// By input: its columns.
    columns: Vec<Vec<Column>>,
    /// By input: its keys.
    keys: Vec<Vec<Vec<Column>>>,
    classes: Classes,
}

impl Assembly {
    /// Nothing is joined yet. `None` if a condition does not say which inputs it is about.
    pub(super) fn new(cluster: Cluster, sites: &Sites) -> Result<Option<Self>> {
        let Cluster {
            inputs,
            pairs,
            filters,
            reducers,
        } = cluster;
        let classes = classes(&pairs);
        let mut known = Vec::new();
        let mut conditions = Vec::new();
        for (left, right) in pairs {
            let (Some(l), Some(r)) = (owners(&left, &inputs, None), owners(&right, &inputs, None))
            else {
                return Ok(None);
            };
            if l.len() != 1 || r.len() != 1 || l == r {
                conditions.push(Condition {
                    on: l.union(&r).copied().collect(),
                    filter: left.eq(right),
                });
            } else {
                known.push(Pair {
                    sides: [(left, l), (right, r)],
                });
            }
        }
        for filter in filters {
            let Some(on) = owners(&filter, &inputs, None) else {
                return Ok(None);
            };
            conditions.push(Condition { on, filter });
        }
        let mut lookups = Vec::new();
        for join in reducers {
            let Some(on) = looked_up_by(&join, &inputs) else {
                return Ok(None);
            };
            let site = only_site(&join.right, sites)?;
            lookups.push(Reducer { on, site, join });
        }
        Ok(Some(Self {
            columns: inputs.iter().map(|it| it.schema().columns()).collect(),
            keys: inputs.iter().map(keys).collect(),
            parts: parts(inputs, sites)?,
            pairs: known,
            conditions,
            reducers: lookups,
            classes,
        }))
    }

    /// Everything joined: with `gather` what one node can do first, with `order` the smallest next.
    /// `None` if that changes nothing.
    pub(super) fn join(mut self, gather: bool, order: bool) -> Result<Option<LogicalPlan>> {
        let gathered = gather && self.gather()?;
        let plan = match (gathered, order) {
            (_, true) => self.in_order_of_cost()?,
            (true, false) => self.in_order_of_text()?,
            (false, false) => return Ok(None),
        };
        let all_said =
            self.pairs.is_empty() && self.conditions.is_empty() && self.reducers.is_empty();
        Ok(all_said.then_some(plan))
    }

    /// Joins what one node can join by itself, and says whether there was anything.
    fn gather(&mut self) -> Result<bool> {
        let mut gathered = false;
        for part in std::mem::take(&mut self.parts) {
            let (part, reduced) = self.settle(part, true)?;
            gathered |= reduced;
            self.parts.push(part);
        }
        while let Some((one, other, root)) = self.mergeable()? {
            // The later one first: its removal does not move the earlier one.
            let other = self.parts.remove(other);
            let one = self.parts.remove(one);
            let site = one.site.clone();
            let merged = self.merge(one, other, root, site, true)?;
            let (merged, _) = self.settle(merged, true)?;
            self.parts.push(merged);
            gathered = true;
        }
        Ok(gathered)
    }

    /// Joins the parts so that each time the fewest rows are to be expected, wherever they stand in
    /// the text.
    fn in_order_of_cost(&mut self) -> Result<LogicalPlan> {
        let mut rest = Vec::new();
        for part in std::mem::take(&mut self.parts) {
            rest.push(self.settle(part, false)?.0);
        }
        // Nothing that follows depends on the text but by way of names.
        rest.sort_by_cached_key(|part| part.plan.display_indent().to_string());
        let mut costs = Costs::new();
        while rest.len() > 1 {
            let (one, other) = self.cheapest(&rest, &mut costs)?;
            // The later one first: its removal does not move the earlier one.
            let (other, one) = (rest.remove(other), rest.remove(one));
            let root = one.root;
            let site = one.site_with(&other).cloned();
            let joined = self.merge(one, other, root, site, false)?;
            let joined = self.settle(joined, false)?.0;
            costs.retain(|(l, r), _| !joined.members.contains(l) && !joined.members.contains(r));
            rest.push(joined);
        }
        match rest.pop() {
            Some(whole) => Ok(whole.plan),
            None => internal_err!("a cluster of joins has inputs"),
        }
    }

    /// The two of `parts` that are best joined next.
    fn cheapest(&self, parts: &[Part], costs: &mut Costs) -> Result<(usize, usize)> {
        let mut best: Option<(Cost, usize, usize)> = None;
        for (at, one) in parts.iter().enumerate() {
            for (later, other) in parts.iter().enumerate().skip(at + 1) {
                let (Some(l), Some(r)) = (one.members.first(), other.members.first()) else {
                    continue;
                };
                let cost = match costs.get(&(*l, *r)) {
                    Some(cost) => *cost,
                    None => {
                        let cost = Cost::of(one, other, self.pairs_between(one, other))?;
                        costs.insert((*l, *r), cost);
                        cost
                    }
                };
                if best.is_none_or(|(least, ..)| cost.cmp(&least).is_lt()) {
                    best = Some((cost, at, later));
                }
            }
        }
        match best {
            Some((.., one, other)) => Ok((one, other)),
            None => internal_err!("there are no two parts to join"),
        }
    }

    /// The equalities between `one` and `other`.
    fn pairs_between(&self, one: &Part, other: &Part) -> Vec<(Expr, Expr)> {
        self.pairs
            .iter()
            .filter_map(|pair| pair.between(one, other))
            .map(|(left, right)| (left.clone(), right.clone()))
            .collect()
    }

    /// Joins the parts as the optimizer would: each time the first that a condition connects.
    fn in_order_of_text(&mut self) -> Result<LogicalPlan> {
        let mut rest = Vec::new();
        for part in std::mem::take(&mut self.parts) {
            rest.push(self.settle(part, false)?.0);
        }
        rest.sort_by_key(|part| part.members.first().copied());
        if rest.is_empty() {
            return internal_err!("a cluster of joins has inputs");
        }
        let mut whole = rest.remove(0);
        while !rest.is_empty() {
            let next = rest.iter().position(|part| self.connected(&whole, part));
            let next = rest.remove(next.unwrap_or(0));
            let root = whole.root;
            let joined = self.merge(whole, next, root, None, false)?;
            whole = self.settle(joined, false)?.0;
        }
        Ok(whole.plan)
    }

    fn connected(&self, one: &Part, other: &Part) -> bool {
        self.pairs
            .iter()
            .any(|pair| pair.between(one, other).is_some())
    }

    /// Two parts at one site of which one has a key that the join names, and the root of both
    /// together: those whose join has the fewest rows.
    fn mergeable(&self) -> Result<Option<(usize, usize, usize)>> {
        let mut best: Option<(f64, (usize, usize, usize))> = None;
        for (at, one) in self.parts.iter().enumerate() {
            for (later, other) in self.parts.iter().enumerate().skip(at + 1) {
                let root = match one.site_with(other).is_some() {
                    true if self.names_key(other, one) => one.root,
                    true if self.names_key(one, other) => other.root,
                    _ => continue,
                };
                let mut on = self.pairs_between(one, other);
                self.imply(one, other, &mut on);
                let rows = Estimate::of(&joined(one, other, on)?).rows;
                if best.is_none_or(|(least, _)| rows < least) {
                    best = Some((rows, (at, later, root)));
                }
            }
        }
        Ok(best.map(|(_, found)| found))
    }

    /// Whether each row of `many` meets at most one of `one`.
    fn names_key(&self, one: &Part, many: &Part) -> bool {
        let there: BTreeSet<usize> = self
            .columns_of(many)
            .filter_map(|column| self.classes.get(column).copied())
            .collect();
        let named = |column: &Column| {
            self.classes
                .get(column)
                .is_some_and(|class| there.contains(class))
        };
        let keys = self.keys.get(one.root);
        keys.is_some_and(|keys| keys.iter().any(|key| key.iter().all(named)))
    }

    fn columns_of<'a>(&'a self, part: &'a Part) -> impl Iterator<Item = &'a Column> {
        part.members
            .iter()
            .filter_map(|member| self.columns.get(*member))
            .flatten()
    }

    /// `one` and `other` joined on every equality between them; with `implied`, also on those that
    /// follow from equalities with other inputs.
    fn merge(
        &mut self,
        one: Part,
        other: Part,
        root: usize,
        site: Option<Arc<Site>>,
        implied: bool,
    ) -> Result<Part> {
        let mut on = Vec::new();
        self.pairs.retain(|pair| match pair.between(&one, &other) {
            Some((left, right)) => {
                on.push((left.clone(), right.clone()));
                false
            }
            None => true,
        });
        if implied {
            self.imply(&one, &other, &mut on);
        }
        Ok(Part {
            plan: joined(&one, &other, on)?,
            members: one.members.union(&other.members).copied().collect(),
            site,
            root,
        })
    }

    fn imply(&self, one: &Part, other: &Part, on: &mut Vec<(Expr, Expr)>) {
        let class = |expr: &Expr| match expr {
            Expr::Column(column) => self.classes.get(column).copied(),
            _ => None,
        };
        let mut said: BTreeSet<usize> = on.iter().filter_map(|(left, _)| class(left)).collect();
        for left in self.columns_of(one) {
            let Some(&number) = self.classes.get(left) else {
                continue;
            };
            let right = self
                .columns_of(other)
                .find(|column| self.classes.get(*column) == Some(&number));
            if let Some(right) = right
                && said.insert(number)
            {
                on.push((Expr::Column(left.clone()), Expr::Column(right.clone())));
            }
        }
    }

    /// `part` under every condition and reducer that is about it alone, and whether a reducer was
    /// among them; with `here`, only reducers of its own site.
    fn settle(&mut self, part: Part, here: bool) -> Result<(Part, bool)> {
        let Part {
            members,
            site,
            root,
            mut plan,
        } = part;
        for condition in take(&mut self.conditions, |it| it.on.is_subset(&members)) {
            plan = LogicalPlan::Filter(Filter::try_new(condition.filter, Arc::new(plan))?);
        }
        let node = site.as_ref().map(|site| &site.node);
        let fitting = take(&mut self.reducers, |it| {
            let at_home = node.is_some() && it.site.as_ref().map(|site| &site.node) == node;
            it.on.is_subset(&members) && (at_home || !here)
        });
        let reduced = !fitting.is_empty();
        for Reducer { join, .. } in fitting {
            let join = Join::try_new(
                Arc::new(plan),
                join.right,
                join.on,
                join.filter,
                join.join_type,
                join.join_constraint,
                join.null_equality,
                join.null_aware,
            )?;
            plan = LogicalPlan::Join(join);
        }
        let part = Part {
            members,
            site,
            root,
            plan,
        };
        Ok((part, reduced))
    }
}

impl Part {
    /// Where both are, if that is one place.
    fn site_with(&self, other: &Self) -> Option<&Arc<Site>> {
        let (own, other) = self.site.as_ref().zip(other.site.as_ref())?;
        (own.node == other.node).then_some(own)
    }
}

impl Pair {
    /// The side in `one` and the side in `other`, if there is one in each.
    fn between(&self, one: &Part, other: &Part) -> Option<(&Expr, &Expr)> {
        let [(left, l), (right, r)] = &self.sides;
        if l.is_subset(&one.members) && r.is_subset(&other.members) {
            Some((left, right))
        } else if r.is_subset(&one.members) && l.is_subset(&other.members) {
            Some((right, left))
        } else {
            None
        }
    }
}

fn joined(one: &Part, other: &Part, on: Vec<(Expr, Expr)>) -> Result<LogicalPlan> {
    let join = Join::try_new(
        Arc::new(one.plan.clone()),
        Arc::new(other.plan.clone()),
        on,
        None,
        JoinType::Inner,
        JoinConstraint::On,
        NullEquality::NullEqualsNothing,
        false,
    )?;
    Ok(LogicalPlan::Join(join))
}

fn parts(inputs: Vec<LogicalPlan>, sites: &Sites) -> Result<Vec<Part>> {
    inputs
        .into_iter()
        .enumerate()
        .map(|(root, plan)| {
            Ok(Part {
                members: Members::from([root]),
                site: only_site(&plan, sites)?,
                root,
                plan,
            })
        })
        .collect()
}

fn take<T>(from: &mut Vec<T>, which: impl Fn(&T) -> bool) -> Vec<T> {
    from.extract_if(.., |item| which(item)).collect()
}

/// The inputs that `expr` speaks of; columns of `besides` do not count. `None` if a column is
/// nobody's, or of more than one.
fn owners(expr: &Expr, inputs: &[LogicalPlan], besides: Option<&DFSchema>) -> Option<Members> {
    let mut owners = Members::new();
    for column in expr.column_refs() {
        let mut having = inputs
            .iter()
            .enumerate()
            .filter(|(_, input)| input.schema().has_column(column));
        let foreign = besides.is_some_and(|schema| schema.has_column(column));
        match (having.next(), having.next(), foreign) {
            (Some((owner, _)), None, false) => {
                owners.insert(owner);
            }
            (None, None, true) => {}
            _ => return None,
        }
    }
    Some(owners)
}

/// The inputs that the left side of a reducer stands for.
fn looked_up_by(join: &Join, inputs: &[LogicalPlan]) -> Option<Members> {
    let right = join.right.schema().as_ref();
    let mut all = Members::new();
    for (left, _) in &join.on {
        all.append(&mut owners(left, inputs, None)?);
    }
    if let Some(filter) = &join.filter {
        all.append(&mut owners(filter, inputs, Some(right))?);
    }
    // A column of the right side must go on meaning just that.
    let clash = |column: &Column| inputs.iter().any(|it| it.schema().has_column(column));
    (!all.is_empty() && !right.columns().iter().any(clash)).then_some(all)
}

/// Columns of one type that `pairs` make equal, with a number for each set of them.
fn classes(pairs: &[(Expr, Expr)]) -> Classes {
    let mut classes = Classes::new();
    for (number, pair) in pairs.iter().enumerate() {
        let (Expr::Column(left), Expr::Column(right)) = pair else {
            continue;
        };
        let one = *classes.entry(left.clone()).or_insert(number);
        let other = *classes.entry(right.clone()).or_insert(one);
        for class in classes.values_mut().filter(|class| **class == other) {
            *class = one;
        }
    }
    classes
}
