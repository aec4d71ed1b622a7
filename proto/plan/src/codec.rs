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
use weft_wire::rpc::fragment::ProductScan;

use crate::leaf::ProductTable;

/// Reads and writes [`ProductTable`]s, and nothing else: extension nodes, file formats and foreign
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
        let ProductScan { product, table } = ProductScan::decode(buf).map_err(external)?;
        let product = ProductRef::new(self.domain.clone(), &product).map_err(external)?;
        let table = product.table(&table).map_err(external)?;
        Ok(Arc::new(ProductTable::new(table, schema)))
    }

    fn try_encode_table_provider(
        &self,
        table_ref: &TableReference,
        node: Arc<dyn TableProvider>,
        buf: &mut Vec<u8>,
    ) -> Result<()> {
        let Some(leaf) = node.downcast_ref::<ProductTable>() else {
            return not_impl_err!("{table_ref} is not a table of a data product");
        };
        if *leaf.table().domain() != self.domain {
            return not_impl_err!("{table_ref} is not a table of domain {}", self.domain);
        }
        let scan = ProductScan {
            product: leaf.table().product().product().to_owned(),
            table: leaf.table().table().to_owned(),
        };
        scan.encode(buf).map_err(external)
    }
}

fn external(error: impl std::error::Error + Send + Sync + 'static) -> DataFusionError {
    DataFusionError::External(Box::new(error))
}
