//! What Weft's servers say to each other: messages, tokens, certificates, errors.
//!
//! Generated code stays in [`rpc`]; everything else in the workspace uses the valid types that
//! [`convert`] makes of it.

pub mod authority;
pub mod convert;
pub mod identity;
pub mod join;
pub mod person;
pub mod policy;
#[cfg(any(test, fuzzing))]
pub mod properties;
pub mod protocol;
pub mod receipt;
pub mod replay;
pub mod status;
pub mod token;
pub mod trace;

#[cfg(test)]
mod fixture;

/// Generated from `proto/`. Names and comments are those of the `.proto` files.
#[allow(missing_docs, unreachable_pub, clippy::all)]
pub mod rpc {
    pub mod authority {
        tonic::include_proto!("weft.authority.v1");
    }
    pub mod fragment {
        tonic::include_proto!("weft.fragment.v1");
    }
    pub mod node {
        tonic::include_proto!("weft.node.v1");
    }
    pub mod registry {
        tonic::include_proto!("weft.registry.v1");
    }
}
