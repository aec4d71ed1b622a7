//! Settings of the servers: a TOML file, then the environment, then flags.
//!
//! Every key has a default, a source and an explanation, and an unknown key is refused with the
//! nearest known one.

mod authority;
mod coordinator;
mod keys;
mod load;
mod node;
mod operations;

pub(crate) use authority::AuthorityConfig;
pub(crate) use coordinator::CoordinatorConfig;
pub(crate) use load::{Loaded, load};
pub(crate) use node::NodeConfig;
