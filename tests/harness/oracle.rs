//! The same tables in one process.

use std::path::Path;
use std::sync::Arc;

use datafusion::catalog::{
    CatalogProvider, MemoryCatalogProvider, MemorySchemaProvider, SchemaProvider,
};
use datafusion::execution::session_state::SessionStateBuilder;
use datafusion::prelude::{SessionConfig, SessionContext};
use weft_node::product;
use weft_plan::{Semantics, guarded, physical_rules, session_config};

/// An engine over the products in each domain's folder, under the names that the mesh gives them,
/// without any fragment, grant or wire in between.
pub async fn single_process(domains: &[(&str, &Path)]) -> SessionContext {
    // The same settings as in a mesh: among them what guards against the engine's own defect with
    // columns of the same name.
    let semantics = Semantics {
        time_zone: "UTC".to_owned(),
        query_start_ns: 0,
    };
    let config = session_config(&semantics, 2).expect("settings");
    // Another one: conditions on columns of the same name reach the wrong files. Without the rule
    // that moves them there, the engine reads every row.
    let mut rules = physical_rules();
    rules.retain(|rule| !rule.name().starts_with("FilterPushdown"));
    let state = guarded(SessionStateBuilder::new_with_default_features())
        .with_config(config)
        .with_physical_optimizer_rules(rules)
        .build();
    process(SessionContext::new_with_state(state), domains).await
}

/// The same with the engine's defects.
pub async fn unguarded_process(domains: &[(&str, &Path)]) -> SessionContext {
    let config = SessionConfig::new().with_target_partitions(2);
    process(SessionContext::new_with_config(config), domains).await
}

async fn process(context: SessionContext, domains: &[(&str, &Path)]) -> SessionContext {
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
