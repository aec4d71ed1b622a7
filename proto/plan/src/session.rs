//! Settings that must be the same on both sides, or answers would differ.

use datafusion::common::Result;
use datafusion::prelude::SessionConfig;

/// Settings of a query that change its answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Semantics {
    /// IANA name or offset; how timestamps without a zone are read and shown.
    pub time_zone: String,
    /// What `now()` is for the whole query, in nanoseconds since 1970-01-01 UTC.
    pub query_start_ns: i64,
}

/// The engine's configuration for a query.
///
/// # Errors
/// If the time zone is unknown.
pub fn session_config(semantics: &Semantics, partitions: usize) -> Result<SessionConfig> {
    let mut config = SessionConfig::new()
        .with_target_partitions(partitions)
        .with_information_schema(false)
        .with_create_default_catalog_and_schema(false);
    let options = config.options_mut();
    options.set("datafusion.execution.time_zone", &semantics.time_zone)?;
    // DataFusion 55.2 returns wrong rows when columns of the same name meet a dynamic filter of a
    // join or a TopK, so no dynamic filter is made at all.
    options.optimizer.enable_dynamic_filter_pushdown = false;
    options.optimizer.enable_join_dynamic_filter_pushdown = false;
    options.optimizer.enable_topk_dynamic_filter_pushdown = false;
    options.optimizer.enable_aggregate_dynamic_filter_pushdown = false;
    // DataFusion 55.2 says `IS NOT TRUE` may be NULL in one place and may not in another, and refuses
    // to group by it: a query that groups, or that is answered by grouping, would fail for that.
    options.execution.skip_physical_aggregate_schema_check = true;
    Ok(config)
}
