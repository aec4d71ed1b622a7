//! Rows of another domain that came with a fragment.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{Schema, SchemaRef};
use datafusion::common::tree_node::Transformed;
use datafusion::datasource::provider_as_source;
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryPool, MemoryReservation};
use datafusion::logical_expr::{LogicalPlan, TableScan};
use datafusion::physical_plan::spill::get_record_batch_memory_size;
use weft_door::encode::wire_schema;
use weft_governance::Error;
use weft_plan::{from_datafusion, shipped_table_of};
use weft_wire::rpc::fragment::ShippedRows;

use super::arrival::{cast_to, decode};
use super::engine::malformed;

/// Shipments that one fragment may bring along.
const SHIPMENTS: usize = 16;

/// What the audit says of one shipment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShipmentSummary {
    /// Its columns, by the names that the plan gives them.
    pub columns: usize,
    /// How many rows came.
    pub rows: usize,
}

/// Rows by the number of their shipment, with the memory that they occupy.
pub(super) struct Shipments {
    rows: BTreeMap<u32, (SchemaRef, Vec<RecordBatch>)>,
    memory: MemoryReservation,
}

impl Shipments {
    /// The rows in `messages`.
    ///
    /// # Errors
    /// `WEFT-PROTOCOL` if they are malformed, `WEFT-RESOURCES` for more than there is memory for.
    pub(super) fn decode(
        messages: Vec<ShippedRows>,
        memory: &Arc<dyn MemoryPool>,
    ) -> Result<Self, Error> {
        if messages.len() > SHIPMENTS {
            return Err(malformed("number of shipments"));
        }
        let memory = MemoryConsumer::new("shipped rows").register(memory);
        let mut rows = BTreeMap::new();
        for ShippedRows { number, messages } in messages {
            let (schema, batches) = decode(messages)?;
            let schema = schema.ok_or_else(|| malformed("shipment"))?;
            for batch in &batches {
                let bytes = get_record_batch_memory_size(batch);
                memory.try_grow(bytes).map_err(from_datafusion)?;
            }
            if rows.insert(number, (schema, batches)).is_some() {
                return Err(malformed("shipment"));
            }
        }
        Ok(Self { rows, memory })
    }

    /// `plan` with the rows in their leaves, what is to be said of them, and their memory.
    ///
    /// # Errors
    /// `WEFT-PROTOCOL` unless each leaf has its rows, and all rows their leaf.
    pub(super) fn put_into(
        self,
        plan: LogicalPlan,
    ) -> Result<(LogicalPlan, Vec<ShipmentSummary>, MemoryReservation), Error> {
        let mut problem = None;
        let mut summaries = BTreeMap::new();
        let plan = plan.transform_down_with_subqueries(|node| {
            let LogicalPlan::TableScan(scan) = node else {
                return Ok(Transformed::no(node));
            };
            Ok(match self.filled(&scan) {
                Ok(None) => Transformed::no(LogicalPlan::TableScan(scan)),
                Ok(Some((number, filled, summary))) => {
                    summaries.insert(number, summary);
                    Transformed::yes(LogicalPlan::TableScan(filled))
                }
                Err(error) => {
                    problem = Some(error);
                    Transformed::no(LogicalPlan::TableScan(scan))
                }
            })
        });
        let plan = plan.map_err(from_datafusion)?.data;
        if problem.is_none() && summaries.len() != self.rows.len() {
            problem = Some(malformed("shipment"));
        }
        match problem {
            Some(problem) => Err(problem),
            None => Ok((plan, summaries.into_values().collect(), self.memory)),
        }
    }

    fn filled(&self, scan: &TableScan) -> Result<Option<(u32, TableScan, ShipmentSummary)>, Error> {
        let Some(table) = shipped_table_of(scan) else {
            return Ok(None);
        };
        let number = table.number();
        let schema = scan.source.schema();
        let (came, batches) = self
            .rows
            .get(&number)
            .ok_or_else(|| malformed("shipment"))?;
        if !fits(came, &schema) {
            return Err(malformed("schema of a shipment"));
        }
        let rows: Vec<RecordBatch> = batches
            .iter()
            .map(|batch| cast_to(&schema, batch).map_err(|_| malformed("shipment")))
            .collect::<Result<_, _>>()?;
        let summary = ShipmentSummary {
            columns: schema.fields().len(),
            rows: rows.iter().map(RecordBatch::num_rows).sum(),
        };
        let filled = TableScan {
            source: provider_as_source(Arc::new(table.with_rows(rows))),
            ..scan.clone()
        };
        Ok(Some((number, filled, summary)))
    }
}

/// Whether rows of `planned` travel in the types of `came`.
fn fits(came: &Schema, planned: &Schema) -> bool {
    let wired = wire_schema(planned);
    wired.fields().len() == came.fields().len()
        && wired
            .fields()
            .iter()
            .zip(came.fields())
            .all(|(wired, came)| wired.data_type() == came.data_type())
}
