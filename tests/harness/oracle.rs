//! The same tables in one process.

use std::path::Path;

use datafusion::catalog::{
    CatalogProvider, MemoryCatalogProvider, MemorySchemaProvider, SchemaProvider,
};
use datafusion::prelude::{SessionConfig, SessionContext};
use std::sync::Arc;
use weft_node::product;

/// An engine over the products in each domain's folder, under the names that the mesh gives them,
/// without any fragment, grant or wire in between.
pub async fn single_process(domains: &[(&str, &Path)]) -> SessionContext {
    let mut config = SessionConfig::new().with_target_partitions(2);
    // The engine's own defect with columns of the same name, which the mesh is guarded against.
    config
        .options_mut()
        .optimizer
        .enable_dynamic_filter_pushdown = false;
    let context = SessionContext::new_with_config(config);
    for (domain, data) in domains {
        let loaded = product::load(&domain.parse().expect("domain"), data).await;
        assert!(loaded.problems.is_empty(), "{:?}", loaded.problems);
        let catalog = MemoryCatalogProvider::new();
        for product in loaded.products {
            let schema = MemorySchemaProvider::new();
            for table in product.tables {
                let name = table.reference.table().to_owned();
                schema
                    .register_table(name, table.source)
                    .expect("new table");
            }
            let name = product.reference.product();
            catalog
                .register_schema(name, Arc::new(schema))
                .expect("new product");
        }
        context.register_catalog(*domain, Arc::new(catalog));
    }
    context
}
