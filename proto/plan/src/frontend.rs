//! SQL to a logical plan over tables that were resolved before.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::datatypes::{DataType, SchemaRef};
use datafusion::catalog::TableProvider;
use datafusion::catalog::cte_worktable::CteWorkTable;
use datafusion::common::{Result, TableReference, plan_err};
use datafusion::config::ConfigOptions;
use datafusion::datasource::provider_as_source;
use datafusion::execution::session_state::SessionState;
use datafusion::logical_expr::planner::{ContextProvider, ExprPlanner, TypePlanner};
use datafusion::logical_expr::{
    AggregateUDF, HigherOrderUDF, LogicalPlan, ScalarUDF, TableSource, WindowUDF,
};
use datafusion::sql::parser::Statement as DfStatement;
use datafusion::sql::planner::{ParserOptions, SqlToRel};
use datafusion::sql::resolve::resolve_table_references;
use sqlparser::ast;
use weft_governance::Error;

use crate::failure::from_datafusion;
use crate::weight::weigh;

/// The tables of a query, by the name that the query writes.
pub type Tables = HashMap<TableReference, Arc<dyn TableProvider>>;

/// The tables that `query` names, without those that it defines itself.
///
/// # Errors
/// If a name is malformed.
pub fn table_references(query: &ast::Query) -> Result<Vec<TableReference>, Error> {
    let statement = ast::Statement::Query(Box::new(query.clone()));
    resolve_table_references(&DfStatement::Statement(Box::new(statement)), true)
        .map(|(tables, _)| tables)
        .map_err(from_datafusion)
}

/// Plans `query` over `tables`; neither analyzed nor optimized. Needs a deep stack.
///
/// # Errors
/// If the query does not fit its tables, or its expressions would grow beyond measure.
pub fn plan_query(
    state: &SessionState,
    tables: &Tables,
    query: ast::Query,
) -> Result<LogicalPlan, Error> {
    let sources = tables
        .iter()
        .map(|(name, table)| (name.clone(), provider_as_source(Arc::clone(table))))
        .collect();
    let context = QueryContext { state, sources };
    let options = ParserOptions {
        map_string_types_to_utf8view: true,
        ..ParserOptions::default()
    };
    let plan = SqlToRel::new_with_options(&context, options)
        .sql_statement_to_plan(ast::Statement::Query(Box::new(query)))
        .map_err(from_datafusion)?;
    weigh(&plan)?;
    Ok(plan)
}

/// A session's functions and the query's own tables.
struct QueryContext<'a> {
    state: &'a SessionState,
    sources: HashMap<TableReference, Arc<dyn TableSource>>,
}

impl ContextProvider for QueryContext<'_> {
    fn get_table_source(&self, name: TableReference) -> Result<Arc<dyn TableSource>> {
        match self.sources.get(&name) {
            Some(source) => Ok(Arc::clone(source)),
            None => plan_err!("there is no table `{name}`"),
        }
    }

    fn create_cte_work_table(&self, name: &str, schema: SchemaRef) -> Result<Arc<dyn TableSource>> {
        Ok(provider_as_source(Arc::new(CteWorkTable::new(
            name, schema,
        ))))
    }

    fn get_expr_planners(&self) -> &[Arc<dyn ExprPlanner>] {
        self.state.expr_planners()
    }

    fn get_type_planner(&self) -> Option<Arc<dyn TypePlanner>> {
        None
    }

    fn get_function_meta(&self, name: &str) -> Option<Arc<ScalarUDF>> {
        self.state.scalar_functions().get(name).cloned()
    }

    fn get_higher_order_meta(&self, name: &str) -> Option<Arc<HigherOrderUDF>> {
        self.state.higher_order_functions().get(name).cloned()
    }

    fn get_aggregate_meta(&self, name: &str) -> Option<Arc<AggregateUDF>> {
        self.state.aggregate_functions().get(name).cloned()
    }

    fn get_window_meta(&self, name: &str) -> Option<Arc<WindowUDF>> {
        self.state.window_functions().get(name).cloned()
    }

    fn get_variable_type(&self, _variable_names: &[String]) -> Option<DataType> {
        None
    }

    fn options(&self) -> &ConfigOptions {
        self.state.config_options()
    }

    fn udf_names(&self) -> Vec<String> {
        self.state.scalar_functions().keys().cloned().collect()
    }

    fn higher_order_function_names(&self) -> Vec<String> {
        self.state
            .higher_order_functions()
            .keys()
            .cloned()
            .collect()
    }

    fn udaf_names(&self) -> Vec<String> {
        self.state.aggregate_functions().keys().cloned().collect()
    }

    fn udwf_names(&self) -> Vec<String> {
        self.state.window_functions().keys().cloned().collect()
    }
}
