//! The authority of a mesh: it signs people in, exchanges tokens, and is the CA of the servers.
//!
//! A role of its own. It never sees a query or a row, and no other role can sign what it signs.

mod ca;
mod incoming;
mod office;
mod oidc;
mod password;
mod people;
mod policy;
mod roll;
mod server;
mod service;
mod service_account;
mod settings;
mod state;
mod throttle;
mod user;
mod vitals;

pub use oidc::{ProviderSettings, SignatureAlgorithm};
pub use password::hash_password;
pub use server::AuthorityServer;
pub use settings::Settings;
pub use user::User;

#[cfg(test)]
mod tests;
