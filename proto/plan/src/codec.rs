//! How the leaf of a plan is written into a fragment and read out of it.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use datafusion::catalog::TableProvider;
use datafusion::common::{DataFusionError, Result, TableReference, not_impl_err};
use datafusion::execution::TaskContext;
use datafusion::logical_expr::{Extension, LogicalPlan};
use datafusion_proto::logical_plan::LogicalExtensionCodec;
use prost::Message;
use weft_governance::{DomainId, ProductRef};
use weft_wire::rpc::fragment::{Leaf, ProductScan, ShippedScan, leaf};

use crate::leaf::ProductTable;
use crate::shipped::ShippedTable;

/// Reads and writes [`ProductTable`]s and [`ShippedTable`]s, and nothing else: extension nodes, file formats and foreign
/// tables have no encoding here.
#[derive(Debug)]
pub struct LeafCodec {
    domain: DomainId,
}

impl LeafCodec {
    /// A codec for fragments of `domain`; the domain itself is not encoded.
    pub fn new(domain: DomainId) -> Self {
        Self { domain }
    }
}

impl LogicalExtensionCodec for LeafCodec {
    fn try_decode(
        &self,
        _buf: &[u8],
        _inputs: &[LogicalPlan],
        _ctx: &TaskContext,
    ) -> Result<Extension> {
        not_impl_err!("extension nodes are not part of a fragment")
    }

    fn try_encode(&self, node: &Extension, _buf: &mut Vec<u8>) -> Result<()> {
        not_impl_err!(
            "extension node {} is not part of a fragment",
            node.node.name()
        )
    }

    fn try_decode_table_provider(
        &self,
        buf: &[u8],
        _table_ref: &TableReference,
        schema: SchemaRef,
        _ctx: &TaskContext,
    ) -> Result<Arc<dyn TableProvider>> {
        match Leaf::decode(buf).map_err(external)?.leaf {
            Some(leaf::Leaf::Product(ProductScan { product, table })) => {
                let product = ProductRef::new(self.domain.clone(), &product).map_err(external)?;
                let table = product.table(&table).map_err(external)?;
                Ok(Arc::new(ProductTable::new(table, schema)))
            }
            Some(leaf::Leaf::Shipped(ShippedScan { number })) => {
                Ok(Arc::new(ShippedTable::new(number, schema)))
            }
            None => not_impl_err!("a leaf that reads nothing"),
        }
    }

    fn try_encode_table_provider(
        &self,
        table_ref: &TableReference,
        node: Arc<dyn TableProvider>,
        buf: &mut Vec<u8>,
    ) -> Result<()> {
        let leaf = if let Some(table) = node.downcast_ref::<ProductTable>() {
            if *table.table().domain() != self.domain {
                return not_impl_err!("{table_ref} is not a table of domain {}", self.domain);
            }
            leaf::Leaf::Product(ProductScan {
                product: table.table().product().product().to_owned(),
                table: table.table().table().to_owned(),
            })
        } else if let Some(shipped) = node.downcast_ref::<ShippedTable>() {
            let number = shipped.number();
            leaf::Leaf::Shipped(ShippedScan { number })
        } else {
            return not_impl_err!("{table_ref} is not a table of a data product");
        };
        let leaf = Leaf { leaf: Some(leaf) };
        leaf.encode(buf).map_err(external)
    }
}

fn external(error: impl std::error::Error + Send + Sync + 'static) -> DataFusionError {
    DataFusionError::External(Box::new(error))
}
