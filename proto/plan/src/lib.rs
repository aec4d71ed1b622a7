//! What a coordinator and a node must do alike with a query: resolve names, plan SQL, encode plans.
//!
//! The leaf of every plan is a [`ProductTable`]: a table of a data product that nobody has been
//! allowed to read yet. Reading it is the owner's business. Beside it there may be [`ShippedTable`]s:
//! rows of another domain that its owner has let go.

mod access;
mod codec;
mod events;
mod failure;
mod fingerprint;
mod fresh;
mod frontend;
mod functions;
mod guards;
mod interrupt;
mod keys;
mod leaf;
mod limits;
mod lineage;
mod memory;
mod names;
mod parameters;
mod plain;
mod reads;
mod receipts;
mod runtime;
mod session;
mod shipped;
mod statistics;
mod threads;
mod weight;
mod workers;

pub use access::{access_schema, access_table};
pub use codec::LeafCodec;
pub use events::{EventLog, event_log_name, event_log_schema, sealer};
pub use failure::from_datafusion;
pub use fingerprint::fingerprint;
pub use fresh::FreshPlan;
pub use frontend::{Tables, plan_query, table_references};
pub use functions::{FragmentFunctions, bounded_calls, query_functions};
pub use guards::{guarded, physical_rules, whole_groups};
pub use interrupt::{Interrupt, RunningPlans};
pub use keys::{KeyBitmap, KeyBloom, KeySet};
pub use leaf::{ProductTable, product_table_of};
pub use limits::{MOST_LITERALS, MOST_UNNESTED};
pub use lineage::{PlainColumn, column_of, origin, plain_columns};
pub use memory::Memory;
pub use names::{Current, FullName, NameIndex, resolve};
pub use parameters::{bind_parameters, parameter_schema, parameter_values};
pub use plain::{is_plain_plan, looks_up, only_selects};
pub use reads::product_accesses;
pub use receipts::{receipts_schema, receipts_table};
pub use session::{QuerySession, QuerySessions, Semantics, session_config};
pub use shipped::{PlannedShipment, ShippedTable, shipped_table_of};
pub use statistics::{ColumnStatistics, Selectivities, TableStatistics, unqualified};
pub use threads::{Effort, PlannerThreads};
pub use weight::weigh;
pub use workers::{Work, Workers, breathe, leashed, unless};
