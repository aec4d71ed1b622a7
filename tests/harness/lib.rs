//! A whole mesh in one process, over real gRPC on loopback, for tests.

// A test that cannot go on fails here, with the reason.
#![allow(clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
// A long run says how far it is.
#![allow(clippy::print_stdout)]

mod client;
mod compare;
mod hostile;
mod logic;
mod mesh;
mod noninterference;
mod operations;
mod oracle;
mod planner;
// The provider that the authority's own tests have.
#[allow(missing_docs, unreachable_pub, dead_code)]
#[path = "../../proto/authority/src/tests/provider.rs"]
mod provider;
mod random;
mod runtime;
mod tpcds;
mod wide;
mod wire;
mod world;

pub use client::{Client, Failure};
pub use compare::{Rows, assert_same_rows};
pub use hostile::HostileCoordinator;
pub use logic::{Engine, run_logic_tests};
pub use mesh::{Mesh, MeshOptions, node_id, workload_data};
pub use noninterference::{HiddenCompared, HiddenPairs, compare_hidden_pairs};
pub use operations::{operations, reading};
pub use oracle::{single_process, unguarded_process};
pub use planner::{Planned, Planner};
pub use provider::Provider;
pub use random::{Compared, RandomQueries, compare_random_queries};
pub use runtime::run;
pub use tpcds::{Answer, Layout, Question, SIX_DOMAINS, THREE_DOMAINS, TpcDs};
pub use wide::{end_of, wide_table};
pub use world::{Column, Published, grant, grant_table};
