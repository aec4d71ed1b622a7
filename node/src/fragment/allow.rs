//! The closed list of what a fragment may hold, checked on the protobuf message itself.
//!
//! Nothing has been converted when this runs: DataFusion's own decoder opens files that a message
//! names. Every match lists every variant, so that a new one has to be judged before it builds.

mod expression;
mod literal;
mod rows;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use datafusion_proto::protobuf::logical_plan_node::LogicalPlanType;
use datafusion_proto::protobuf::{
    CustomTableScanNode, LogicalExprNode, LogicalPlanNode, SortExprNode,
};
use prost::Message;
use weft_governance::{DomainId, Error, ErrorKind, ProductRef, TableAccess, TableRef, code};
use weft_wire::rpc::fragment::{Leaf, ProductScan, leaf};

/// How large a fragment may be.
#[derive(Debug, Clone)]
pub struct FragmentLimits {
    /// Bytes of the encoded plan.
    pub bytes: usize,
    /// Plan and expression nodes together.
    pub nodes: usize,
}

impl Default for FragmentLimits {
    fn default() -> Self {
        Self {
            bytes: 8 << 20,
            nodes: 100_000,
        }
    }
}

/// A message that holds nothing outside the list, and what it reads.
#[derive(Debug)]
pub struct Allowed {
    /// The plan.
    pub plan: LogicalPlanNode,
    /// The tables and the columns of each that the plan can tell anything about.
    pub accesses: Vec<TableAccess>,
}

/// Decodes and checks a fragment's plan for a node of `domain` with these `functions`.
///
/// # Errors
/// `WEFT-FRAGMENT-REFUSED`, naming the kind of thing that is not allowed, or `WEFT-TOO-COMPLEX`.
pub fn check(
    bytes: &[u8],
    domain: &DomainId,
    functions: &BTreeSet<String>,
    limits: &FragmentLimits,
) -> Result<Allowed, Error> {
    if bytes.len() > limits.bytes {
        return Err(too_complex(format!(
            "the fragment has {} bytes, and at most {} are allowed",
            bytes.len(),
            limits.bytes
        )));
    }
    let plan = LogicalPlanNode::decode(bytes).map_err(|error| {
        if error.to_string().contains("recursion limit") {
            too_complex("the fragment nests too deeply".to_owned())
        } else {
            refused("a malformed plan")
        }
    })?;
    let mut walk = Walk {
        domain,
        functions,
        left: limits.nodes,
        reads: BTreeMap::new(),
    };
    walk.plan(&plan)?;
    // There would be nothing to decide on, and nothing to write down.
    if walk.reads.is_empty() {
        return Err(refused("no table at all"));
    }
    let accesses = walk
        .reads
        .into_iter()
        .map(|(table, columns)| TableAccess { table, columns })
        .collect();
    Ok(Allowed { plan, accesses })
}

struct Walk<'a> {
    domain: &'a DomainId,
    functions: &'a BTreeSet<String>,
    left: usize,
    reads: BTreeMap<TableRef, BTreeSet<String>>,
}

impl Walk<'_> {
    fn count(&mut self) -> Result<(), Error> {
        self.left = self
            .left
            .checked_sub(1)
            .ok_or_else(|| too_complex("the fragment has too many nodes".to_owned()))?;
        Ok(())
    }

    fn plan(&mut self, node: &LogicalPlanNode) -> Result<(), Error> {
        use LogicalPlanType as P;
        self.count()?;
        let kind = node
            .logical_plan_type
            .as_ref()
            .ok_or_else(|| refused("an empty plan node"))?;
        match kind {
            P::CustomScan(scan) => self.leaf(scan),
            P::Projection(node) => {
                self.exprs(&node.expr)?;
                self.input(node.input.as_deref())
            }
            P::Selection(node) => {
                self.required(node.expr.as_deref())?;
                self.input(node.input.as_deref())
            }
            P::Limit(node) => self.input(node.input.as_deref()),
            P::Aggregate(node) => {
                self.exprs(&node.group_expr)?;
                self.exprs(&node.aggr_expr)?;
                self.input(node.input.as_deref())
            }
            P::Join(node) => {
                self.exprs(&node.left_join_key)?;
                self.exprs(&node.right_join_key)?;
                self.optional(node.filter.as_deref())?;
                self.input(node.left.as_deref())?;
                self.input(node.right.as_deref())
            }
            P::CrossJoin(node) => {
                self.input(node.left.as_deref())?;
                self.input(node.right.as_deref())
            }
            P::Sort(node) => {
                self.sorts(&node.expr)?;
                self.input(node.input.as_deref())
            }
            P::Window(node) => {
                self.exprs(&node.window_expr)?;
                self.input(node.input.as_deref())
            }
            P::Union(node) => node.inputs.iter().try_for_each(|input| self.plan(input)),
            P::SubqueryAlias(node) => self.input(node.input.as_deref()),
            P::Distinct(node) => self.input(node.input.as_deref()),
            P::DistinctOn(node) => {
                self.exprs(&node.on_expr)?;
                self.exprs(&node.select_expr)?;
                self.sorts(&node.sort_expr)?;
                self.input(node.input.as_deref())
            }
            P::ListingScan(_) => Err(refused("a file scan")),
            P::ViewScan(_) => Err(refused("a view scan")),
            P::EmptyTableScan(_) => Err(refused("an empty relation")),
            P::EmptyRelation(node) => rows::one(node),
            P::Values(node) => self.values(node),
            P::CteWorkTableScan(_) | P::RecursiveQuery(_) => Err(refused("a recursive query")),
            P::Repartition(_) => Err(refused("a repartitioning")),
            P::Unnest(node) => {
                rows::lists_once(node)?;
                self.input(node.input.as_deref())
            }
            P::Extension(_) => Err(refused("an extension node")),
            P::Explain(_) | P::Analyze(_) => Err(refused("an explanation")),
            P::CopyTo(_) => Err(refused("a copy to a file")),
            P::Dml(_) => Err(refused("a change of data")),
            P::Prepare(_) => Err(refused("a prepared statement")),
            P::CreateExternalTable(_)
            | P::CreateCatalogSchema(_)
            | P::CreateCatalog(_)
            | P::CreateView(_)
            | P::DropView(_) => Err(refused("a definition")),
        }
    }

    fn leaf(&mut self, scan: &CustomTableScanNode) -> Result<(), Error> {
        let CustomTableScanNode {
            table_name: _,
            projection,
            schema,
            filters,
            custom_table_data,
        } = scan;
        if !filters.is_empty() {
            return Err(refused("a scan with filters inside"));
        }
        let schema = schema
            .as_ref()
            .ok_or_else(|| refused("a scan without a schema"))?;
        let columns: BTreeSet<String> = match projection {
            Some(projection) => projection.columns.iter().cloned().collect(),
            None => schema
                .columns
                .iter()
                .map(|field| field.name.clone())
                .collect(),
        };
        let leaf = Leaf::decode(custom_table_data.as_slice());
        let table = match leaf.ok().and_then(|leaf| leaf.leaf) {
            // Its asker has seen these rows.
            Some(leaf::Leaf::Shipped(_)) => return Ok(()),
            Some(leaf::Leaf::Product(ProductScan { product, table })) => {
                let product = ProductRef::new(self.domain.clone(), &product).ok();
                product.and_then(|product| product.table(&table).ok())
            }
            None => None,
        };
        let table =
            table.ok_or_else(|| refused("a scan of something other than a product table"))?;
        self.reads.entry(table).or_default().extend(columns);
        Ok(())
    }

    fn input(&mut self, node: Option<&LogicalPlanNode>) -> Result<(), Error> {
        node.map_or_else(
            || Err(refused("a plan node without input")),
            |node| self.plan(node),
        )
    }

    fn exprs(&mut self, exprs: &[LogicalExprNode]) -> Result<(), Error> {
        exprs.iter().try_for_each(|expr| self.expr(expr))
    }

    fn optional(&mut self, expr: Option<&LogicalExprNode>) -> Result<(), Error> {
        expr.map_or(Ok(()), |expr| self.expr(expr))
    }

    fn required(&mut self, expr: Option<&LogicalExprNode>) -> Result<(), Error> {
        expr.map_or_else(
            || Err(refused("a missing expression")),
            |expr| self.expr(expr),
        )
    }

    fn sorts(&mut self, sorts: &[SortExprNode]) -> Result<(), Error> {
        sorts
            .iter()
            .try_for_each(|sort| self.required(sort.expr.as_ref()))
    }

    fn function(&self, name: &str, definition: Option<&[u8]>) -> Result<(), Error> {
        if definition.is_some_and(|bytes| !bytes.is_empty()) {
            return Err(refused("a function with a definition of its own"));
        }
        if self.functions.contains(name) {
            return Ok(());
        }
        let shown: String = name
            .chars()
            .filter(|c| c.is_alphanumeric() || *c == '_')
            .take(64)
            .collect();
        Err(refused(&format!("function `{shown}`")))
    }
}

fn refused(what: &str) -> Error {
    Error::new(
        ErrorKind::InvalidInput,
        code::FRAGMENT_REFUSED,
        format!("a fragment may not hold {what}"),
    )
}

fn too_complex(message: String) -> Error {
    Error::new(ErrorKind::InvalidInput, code::TOO_COMPLEX, message)
}
