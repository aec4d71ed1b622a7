//! The cut: maximal subtrees that read a single node become fragments.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use bytes::Bytes;
use datafusion::common::Result;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::execution::TaskContext;
use datafusion::logical_expr::logical_plan::Extension;
use datafusion::logical_expr::{LogicalPlan, Subquery};
use datafusion_proto::logical_plan::AsLogicalPlan;
use datafusion_proto::protobuf::LogicalPlanNode;
use prost::Message;
use weft_governance::DomainId;
use weft_plan::{LeafCodec, ProductTable, product_table_of};

use super::estimate::Estimate;
use super::optimization::{Optimization, Optimizations};
use super::reduce::Reduction;
use super::remote::RemoteFragment;
use super::shippable::is_shippable;
use super::site::{Site, Sites, only_site};

/// What one node runs for a query.
#[derive(Debug)]
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
    /// The rows to be expected.
    pub estimate: Estimate,
}

/// A query in pieces.
#[derive(Debug, Clone)]
pub struct CutPlan {
    /// What the coordinator runs, with a [`RemoteFragment`] for each piece that went away.
    pub plan: LogicalPlan,
    /// The pieces, by ordinal.
    pub fragments: Vec<Arc<FragmentPlan>>,
    /// How they spare one another rows.
    pub reduction: Reduction,
}

/// Cuts an optimized plan. `context` knows the functions of this coordinator.
///
/// # Errors
/// If the plan is malformed.
pub fn cut(
    plan: LogicalPlan,
    sites: &Sites,
    optimizations: &Optimizations,
    context: &TaskContext,
) -> Result<CutPlan> {
    let mut cutter = Cutter {
        sites,
        context,
        share: optimizations.on(Optimization::Share),
        fragments: Vec::new(),
    };
    let plan = cutter.place(plan)?;
    Ok(CutPlan {
        plan,
        fragments: cutter.fragments,
        reduction: Reduction::default(),
    })
}

struct Cutter<'a> {
    sites: &'a Sites,
    context: &'a TaskContext,
    /// Whether a fragment like an earlier one is that one.
    share: bool,
    fragments: Vec<Arc<FragmentPlan>>,
}

impl Cutter<'_> {
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
        let Some(encoded) = self.encode(plan, &site.domain) else {
            return Ok(None);
        };
        let output: SchemaRef = Arc::new(plan.schema().as_arrow().clone());
        let same = |known: &&Arc<FragmentPlan>| {
            known.site.node == site.node && known.encoded == encoded && known.output == output
        };
        if self.share
            && let Some(known) = self.fragments.iter().find(same)
        {
            return Ok(Some(Arc::clone(known)));
        }
        let ordinal = u32::try_from(self.fragments.len()).unwrap_or(u32::MAX);
        let fragment = Arc::new(FragmentPlan {
            ordinal,
            site,
            encoded,
            tables: tables(plan)?,
            output,
            estimate: Estimate::of(plan),
            plan: plan.clone(),
        });
        self.fragments.push(Arc::clone(&fragment));
        Ok(Some(fragment))
    }

    /// The encoding of `plan`, unless it would not come out at the other end as it is here: what
    /// has no encoding, nests too deeply for the decoder, or changes its columns or the types of
    /// values that it holds stays here.
    fn encode(&self, plan: &LogicalPlan, domain: &DomainId) -> Option<Bytes> {
        let codec = LeafCodec::new(domain.clone());
        let bytes = LogicalPlanNode::try_from_logical_plan(plan, &codec)
            .ok()?
            .encode_to_vec();
        let decoded = LogicalPlanNode::decode(bytes.as_slice())
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
        same.then(|| bytes.into())
    }
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
