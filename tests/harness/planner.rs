//! The planner of a coordinator without a mesh.

use std::sync::Arc;

use datafusion::execution::TaskContext;
use datafusion::execution::session_state::SessionStateBuilder;
use datafusion::logical_expr::LogicalPlan;
use weft_coordinator::plan::{CutPlan, Optimizations, Site, Sites, pieces};
use weft_plan::{
    FragmentFunctions, ProductTable, QuerySession, Semantics, Tables, plan_query, session_config,
    table_references,
};

use crate::mesh::{node_id, workload_data};

/// Plans as a coordinator of the three domains with TPC-H data does. It knows nothing of their rows.
pub struct Planner {
    known: Vec<(ProductTable, Arc<Site>)>,
    session: QuerySession,
}

/// An optimized plan, and where its tables are.
#[derive(Debug, Clone)]
pub struct Planned {
    plan: LogicalPlan,
    sites: Sites,
}

impl Planner {
    /// Loads the products of the three domains.
    pub async fn new() -> Self {
        let data = workload_data(0.01);
        let functions = Arc::new(FragmentFunctions::of_this_version().names());
        let mut known = Vec::new();
        for domain in ["sales", "crm", "supply"] {
            let id = domain.parse().expect("domain");
            let loaded = weft_node::product::load(&id, &data.join(domain).join("data")).await;
            let site = Arc::new(Site {
                node: node_id(domain),
                domain: id,
                functions: Arc::clone(&functions),
            });
            let tables = loaded.products.into_iter();
            for table in tables.flat_map(|product| product.tables) {
                let leaf = ProductTable::new(table.reference, table.source.schema());
                known.push((leaf.with_key(table.key), Arc::clone(&site)));
            }
        }
        assert_eq!(known.len(), 8);
        let semantics = Semantics {
            time_zone: "+00:00".to_owned(),
            query_start_ns: 0,
        };
        let session = SessionStateBuilder::new_with_default_features()
            .with_config(session_config(&semantics, 2).expect("settings"))
            .build()
            .into();
        Self { known, session }
    }

    /// The optimized plan of `sql`, whole.
    pub fn plan(&self, sql: &str) -> Planned {
        let (tables, sites) = self.named(sql);
        let plan = plan_query(&self.session.state, &tables, parsed(sql)).expect("planned");
        let plan = self.session.state.optimize(&plan).expect("optimized");
        Planned { plan, sites }
    }

    /// The pieces of `planned`.
    pub fn pieces(&self, planned: Planned) -> CutPlan {
        let Planned { plan, sites } = planned;
        let all = Optimizations::default();
        pieces(plan, &sites, &all, &self.session).expect("pieces")
    }

    /// The pieces of the plan of `sql`.
    pub fn cut(&self, sql: &str) -> CutPlan {
        self.pieces(self.plan(sql))
    }

    /// What encoded plans are decoded with.
    pub fn context(&self) -> Arc<TaskContext> {
        Arc::clone(&self.session.context)
    }

    fn named(&self, sql: &str) -> (Tables, Sites) {
        let (mut tables, mut sites) = (Tables::new(), Sites::new());
        for reference in table_references(&parsed(sql)).expect("names") {
            let full = reference.to_string();
            let (table, site) = self
                .known
                .iter()
                .find(|(table, _)| table.table().to_string() == full)
                .expect("a known table");
            tables.insert(reference, Arc::new(table.clone()));
            sites.insert(table.table().clone(), Arc::clone(site));
        }
        (tables, sites)
    }
}

fn parsed(sql: &str) -> weft_sql::ast::Query {
    match weft_sql::parse(sql, &weft_sql::Caps::default()) {
        Ok(weft_sql::Statement::Query(query)) => *query,
        other => panic!("{other:?}"),
    }
}
