//! The planner of a mesh: one SQL surface over every domain.
//!
//! It plans, joins and explains. It holds no credentials of any source and no rights of its own,
//! only the live sessions of people who signed in.

pub mod catalog;
mod channels;
pub mod execute;
mod journal;
pub mod plan;
pub mod query;
pub mod registry;
mod server;
pub mod session;
mod settings;
mod transport;
mod vitals;

pub use journal::Journal;
pub use server::Coordinator;
pub use settings::{ClientListen, QueryLimits, Settings, ShownSetting};
pub use transport::Transport;
