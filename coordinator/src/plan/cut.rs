//! The cut: maximal subtrees that read a single node become fragments.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use bytes::Bytes;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{Result, ScalarValue, internal_err};
use datafusion::execution::TaskContext;
use datafusion::logical_expr::logical_plan::Extension;
use datafusion::logical_expr::{LogicalPlan, Subquery};
use datafusion_proto::logical_plan::AsLogicalPlan;
use datafusion_proto::protobuf::LogicalPlanNode;
use prost::Message;
use weft_door::encode::wire_schema;
use weft_governance::DomainId;
use weft_plan::{LeafCodec, ProductTable, product_table_of, shipped_table_of};

use super::estimate::Estimate;
use super::optimization::{Optimization, Optimizations};
use super::reduce::{Reduction, leaves};
use super::remote::RemoteFragment;
use super::scalar;
use super::ship::{Alternative, Shipment, Unshipped};
use super::shippable::is_shippable;
use super::site::{Site, Sites, only_site};

/// What one node runs for a query.
#[derive(Debug, Clone)]
pub struct FragmentPlan {
    /// Counted from 0 within the query.
    pub ordinal: u32,
    /// Where it runs.
    pub site: Arc<Site>,
    /// The subtree that was cut off.
    pub plan: LogicalPlan,
    /// The subtree, encoded.
    pub encoded: Bytes,
    /// The tables it reads, as this query sees them.
    pub tables: Vec<ProductTable>,
    /// The schema of its rows.
    pub output: SchemaRef,
    /// The same in the types that its rows have once they are here: those of `output` where a plan goes on
    /// with them.
    pub read_as: SchemaRef,
    /// The rows to be expected.
    pub estimate: Estimate,
    /// The scalars whose values it waits for.
    pub scalars: Vec<usize>,
    /// The shipments that it reads, by number.
    pub shipped: Vec<u32>,
}

impl FragmentPlan {
    /// The fragment with the values of scalars that it waits for.
    ///
    /// # Errors
    /// If a value cannot be encoded.
    pub fn bound(&self, values: &[ScalarValue]) -> Result<Self> {
        let plan = scalar::bound(&self.plan, values)?;
        Ok(Self {
            ordinal: self.ordinal,
            site: Arc::clone(&self.site),
            encoded: encoded(&plan, &self.site.domain)?,
            plan,
            tables: self.tables.clone(),
            output: Arc::clone(&self.output),
            read_as: Arc::clone(&self.read_as),
            estimate: self.estimate.clone(),
            scalars: Vec::new(),
            shipped: self.shipped.clone(),
        })
    }
}

/// A query in pieces.
#[derive(Debug, Clone)]
pub struct CutPlan {
    /// What the coordinator runs, with a [`RemoteFragment`] for each piece that went away.
    pub plan: LogicalPlan,
    /// What it runs before, in this order, for one value each.
    pub scalars: Vec<LogicalPlan>,
    /// The values that go to nodes.
    pub literals: Vec<LiteralFlow>,
    /// The pieces, by ordinal.
    pub fragments: Vec<Arc<FragmentPlan>>,
    /// How they spare one another rows.
    pub reduction: Reduction,
    /// Rows that go from one of them into another.
    pub shipments: Vec<Shipment>,
    /// How the query goes on if the rows of one fragment turn out to be few.
    pub alternative: Option<Box<Alternative>>,
    /// The rows that do not go to another node, each with the reason.
    pub unshipped: Vec<Unshipped>,
}

/// The value of a scalar on its way to a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LiteralFlow {
    /// The scalar, by its place among those of the query.
    pub scalar: usize,
    /// A fragment that it was made of.
    pub from: u32,
    /// The fragment that it is bound in.
    pub to: u32,
}

impl CutPlan {
    /// The pieces of a query whose fragments do not spare one another anything yet.
    pub(super) fn new(
        plan: LogicalPlan,
        scalars: Vec<LogicalPlan>,
        fragments: Vec<Arc<FragmentPlan>>,
    ) -> Result<Self> {
        let mut literals = Vec::new();
        for fragment in &fragments {
            for scalar in &fragment.scalars {
                let made_of = scalars.get(*scalar).map(leaves).transpose()?;
                literals.extend(made_of.into_iter().flatten().map(|from| LiteralFlow {
                    scalar: *scalar,
                    from,
                    to: fragment.ordinal,
                }));
            }
        }
        Ok(Self {
            plan,
            scalars,
            literals,
            fragments,
            reduction: Reduction::default(),
            shipments: Vec::new(),
            alternative: None,
            unshipped: Vec::new(),
        })
    }

    /// The fragment that is the whole query: nothing is left for the coordinator to do.
    pub fn whole(&self) -> Option<&Arc<FragmentPlan>> {
        let waits = !self.scalars.is_empty() || self.alternative.is_some();
        match self.fragments.as_slice() {
            [_] if !waits => RemoteFragment::of(&self.plan).map(RemoteFragment::fragment),
            _ => None,
        }
    }

    /// The same query, with rows in the types in which they come and go if nothing here looks into them.
    /// They would be turned into the types that this engine works with, and back again.
    #[must_use]
    pub fn passing_on(mut self) -> Self {
        let Some(leaf) = RemoteFragment::of(&self.plan) else {
            return self;
        };
        let ordinal = leaf.fragment().ordinal;
        // The values of scalars are bound in this one, not in the leaf's.
        let Some(fragment) = self.fragments.iter_mut().find(|it| it.ordinal == ordinal) else {
            return self;
        };
        *fragment = Arc::new(FragmentPlan {
            read_as: wire_schema(&fragment.output),
            ..fragment.as_ref().clone()
        });
        let leaf = RemoteFragment::new(Arc::clone(fragment), Arc::clone(leaf.columns()));
        let node = Arc::new(leaf);
        self.plan = LogicalPlan::Extension(Extension { node });
        self
    }

    /// The query once the first of its scalars have `values`.
    ///
    /// # Errors
    /// If a value cannot be encoded.
    pub fn bound(&self, values: &[ScalarValue]) -> Result<Self> {
        let fragment = |fragment: &Arc<FragmentPlan>| {
            let known = fragment.scalars.iter().all(|scalar| *scalar < values.len());
            match known && !fragment.scalars.is_empty() {
                true => fragment.bound(values).map(Arc::new),
                false => Ok(Arc::clone(fragment)),
            }
        };
        let scalars = self.scalars.iter();
        Ok(Self {
            plan: scalar::bound(&self.plan, values)?,
            scalars: scalars
                .map(|plan| scalar::bound(plan, values))
                .collect::<Result<_>>()?,
            fragments: self.fragments.iter().map(fragment).collect::<Result<_>>()?,
            alternative: match &self.alternative {
                Some(alternative) => Some(Box::new(alternative.bound(values)?)),
                None => None,
            },
            ..self.clone()
        })
    }

    /// The part of the query that finds the value of the scalar `index`.
    ///
    /// # Errors
    /// If there is no such scalar.
    pub fn scalar(&self, index: usize) -> Result<Self> {
        let Some(plan) = self.scalars.get(index) else {
            return internal_err!("there is no scalar {index}");
        };
        Ok(Self {
            plan: plan.clone(),
            alternative: None,
            ..self.clone()
        })
    }

    /// The piece with this ordinal.
    pub fn fragment(&self, ordinal: u32) -> Option<&Arc<FragmentPlan>> {
        self.fragments.iter().find(|it| it.ordinal == ordinal)
    }

    /// The query once its first `shipments` were decided to go.
    pub fn decided(&self, shipments: usize) -> &Self {
        match &self.alternative {
            Some(alternative) if shipments > 0 => alternative.cut.decided(shipments - 1),
            _ => self,
        }
    }

    /// The query in all forms that it may take, the one without shipments first.
    pub fn forms(&self) -> impl Iterator<Item = &Self> {
        std::iter::successors(Some(self), |form| {
            form.alternative.as_ref().map(|it| &it.cut)
        })
    }
}

/// Cuts the plans of one query. `context` knows the functions of this coordinator.
pub(super) struct Cutter<'a> {
    sites: &'a Sites,
    context: &'a TaskContext,
    /// Whether a fragment like an earlier one is that one.
    share: bool,
    /// Those that were cut off elsewhere come first.
    fragments: Vec<Arc<FragmentPlan>>,
    /// Where the fragments of the plan begin that is being cut.
    first: usize,
    /// The number of the next fragment, unless that is taken.
    next: u32,
}

impl<'a> Cutter<'a> {
    /// A cutter that leaves the numbers of the fragments `known` alone.
    pub(super) fn new(
        sites: &'a Sites,
        steps: &Optimizations,
        context: &'a TaskContext,
        known: Vec<Arc<FragmentPlan>>,
    ) -> Self {
        Self {
            sites,
            context,
            share: steps.on(Optimization::Share),
            first: known.len(),
            fragments: known,
            next: 0,
        }
    }

    /// The same, with `number` for the first new fragment.
    pub(super) fn numbered_from(self, number: u32) -> Self {
        Self {
            next: number,
            ..self
        }
    }

    /// What stays here of `plan`.
    pub(super) fn cut(&mut self, plan: LogicalPlan) -> Result<LogicalPlan> {
        // What another part of the query has read is gone by the time that this one runs.
        self.first = self.fragments.len();
        self.place(plan)
    }

    /// All fragments, those that were known before first.
    pub(super) fn finish(self) -> Vec<Arc<FragmentPlan>> {
        self.fragments
    }

    fn place(&mut self, plan: LogicalPlan) -> Result<LogicalPlan> {
        // A subquery keeps its node; only what is inside it can go away.
        if let LogicalPlan::Subquery(subquery) = plan {
            let inner = self.place(subquery.subquery.as_ref().clone())?;
            return Ok(LogicalPlan::Subquery(Subquery {
                subquery: Arc::new(inner),
                ..subquery
            }));
        }
        if let Some(site) = only_site(&plan, self.sites)?
            && let Some(fragment) = self.fragment(unnamed(&plan), site)?
        {
            let node = RemoteFragment::new(fragment, Arc::clone(plan.schema()));
            return Ok(LogicalPlan::Extension(Extension {
                node: Arc::new(node),
            }));
        }
        let plan = plan
            .map_subqueries(|subquery| self.place(subquery).map(Transformed::yes))?
            .data;
        plan.map_children(|child| self.place(child).map(Transformed::yes))
            .map(|placed| placed.data)
    }

    /// The whole of `plan` as a fragment, if `site` can be asked to run it.
    fn fragment(
        &mut self,
        plan: &LogicalPlan,
        site: Arc<Site>,
    ) -> Result<Option<Arc<FragmentPlan>>> {
        if !is_shippable(plan, &site.functions)? {
            return Ok(None);
        }
        let scalars = scalar::awaited(plan)?;
        let encoded = match scalars.is_empty() {
            true => self.encode(plan, &site.domain),
            false => self.encode(&scalar::without_values(plan)?, &site.domain),
        };
        let Some(encoded) = encoded else {
            return Ok(None);
        };
        let output: SchemaRef = Arc::new(plan.schema().as_arrow().clone());
        let same = |known: &&Arc<FragmentPlan>| {
            known.site.node == site.node
                && known.encoded == encoded
                && known.output == output
                && known.scalars == scalars
        };
        if self.share
            && let Some(known) = self.fragments.iter().skip(self.first).find(same)
        {
            return Ok(Some(Arc::clone(known)));
        }
        let ordinal = self.number();
        let fragment = Arc::new(FragmentPlan {
            ordinal,
            site,
            encoded,
            tables: tables(plan)?,
            read_as: Arc::clone(&output),
            output,
            estimate: Estimate::of(plan),
            scalars,
            shipped: shipped(plan)?,
            plan: plan.clone(),
        });
        self.fragments.push(Arc::clone(&fragment));
        Ok(Some(fragment))
    }

    fn number(&mut self) -> u32 {
        let taken = |number| self.fragments.iter().any(|it| it.ordinal == number);
        let number = (self.next..).find(|number| !taken(*number));
        let number = number.unwrap_or(u32::MAX);
        self.next = number.saturating_add(1);
        number
    }

    /// The encoding of `plan`, unless it would not come out at the other end as it is here: what
    /// has no encoding, nests too deeply for the decoder, or changes its columns or the types of
    /// values that it holds stays here.
    fn encode(&self, plan: &LogicalPlan, domain: &DomainId) -> Option<Bytes> {
        let codec = LeafCodec::new(domain.clone());
        let bytes = encoded(plan, domain).ok()?;
        let decoded = LogicalPlanNode::decode(bytes.as_ref())
            .ok()?
            .try_into_logical_plan(self.context, &codec)
            .ok()?;
        let same = same_columns(&decoded, plan)
            && match (values(&decoded).ok()?, values(plan).ok()?) {
                (there, here) if there.len() == here.len() => {
                    let mut pairs = there.iter().zip(&here);
                    pairs.all(|(there, here)| same_columns(there, here))
                }
                _ => false,
            };
        same.then_some(bytes)
    }
}

fn encoded(plan: &LogicalPlan, domain: &DomainId) -> Result<Bytes> {
    let codec = LeafCodec::new(domain.clone());
    let node = LogicalPlanNode::try_from_logical_plan(plan, &codec)?;
    Ok(node.encode_to_vec().into())
}

/// What `plan` names; the leaf that replaces it has the columns' new qualifiers, so that one result
/// can have several names.
fn unnamed(plan: &LogicalPlan) -> &LogicalPlan {
    match plan {
        LogicalPlan::SubqueryAlias(alias) => unnamed(&alias.input),
        plan => plan,
    }
}

fn same_columns(there: &LogicalPlan, here: &LogicalPlan) -> bool {
    let (there, here) = (there.schema().fields(), here.schema().fields());
    there.len() == here.len()
        && there.iter().zip(here.iter()).all(|(there, here)| {
            there.name() == here.name() && there.data_type() == here.data_type()
        })
}

/// The lists of values in `plan`. Their types are not encoded, but found again.
fn values(plan: &LogicalPlan) -> Result<Vec<LogicalPlan>> {
    let mut found = Vec::new();
    plan.apply_with_subqueries(|node| {
        if let LogicalPlan::Values(_) = node {
            found.push(node.clone());
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(found)
}

fn tables(plan: &LogicalPlan) -> Result<Vec<ProductTable>> {
    let mut tables: Vec<ProductTable> = Vec::new();
    plan.apply_with_subqueries(|node| {
        if let LogicalPlan::TableScan(scan) = node
            && let Some(table) = product_table_of(scan)
            && !tables.iter().any(|known| known.table() == table.table())
        {
            tables.push(table);
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(tables)
}

/// The shipments that `plan` reads.
pub(super) fn shipped(plan: &LogicalPlan) -> Result<Vec<u32>> {
    let mut found = Vec::new();
    plan.apply_with_subqueries(|node| {
        if let LogicalPlan::TableScan(scan) = node
            && let Some(shipped) = shipped_table_of(scan)
            && !found.contains(&shipped.number())
        {
            found.push(shipped.number());
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(found)
}
