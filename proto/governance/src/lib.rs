//! What a data mesh is made of and who may see what: pure types and pure functions.
//!
//! Every crate speaks in these words. Nothing here reads a clock, a file or a socket;
//! callers pass in the time and the text.

pub mod access;
pub mod action;
pub mod asker;
pub mod code;
pub mod contract;
pub mod decision;
pub mod disclosure;
pub mod error;
pub mod evaluate;
pub mod federated;
pub mod flow_to;
pub mod grant;
mod hex;
pub mod id;
pub mod limits;
pub mod principal;
pub mod timestamp;

pub use access::TableAccess;
pub use action::{Action, GroupSize};
pub use asker::Asker;
pub use decision::{Decision, Denial, Obligations};
pub use disclosure::KeyDisclosure;
pub use error::{Error, ErrorKind};
pub use federated::FederatedPolicy;
pub use flow_to::FlowTo;
pub use grant::{Cells, Columns, Grant, Grantee, Mask};
pub use hex::hex;
pub use id::{DomainId, FragmentId, ProductRef, QueryId, ServerId, TableRef};
pub use limits::Limits;
pub use principal::{ADMINS, Principal};
pub use timestamp::Timestamp;
