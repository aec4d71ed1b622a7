//! The owner's word: who may read what, and how it is made to hold.
//!
//! [`Gate::admit`] is the one choke point. It turns a [`Fragment`](crate::fragment::Fragment) into
//! a [`Permit`], and only a permit can be run. Nothing here knows how the asker reached the node.

mod account;
mod attribute;
mod barrier;
mod bound;
mod budget;
mod explain;
mod federation;
mod gate;
mod grouped;
mod leakproof;
mod mask;
mod permit;
mod policy;
mod protected;
mod row_filter;
mod standing;
mod total;

pub(crate) use account::{Account, Meter};
pub(crate) use bound::bind;
pub(crate) use explain::{explain, explain_each};
pub(crate) use federation::labelled;
pub use federation::{Federation, InForce};
pub use gate::Gate;
pub use permit::Permit;
pub(crate) use permit::{Binding, Parts};
pub use policy::{Policy, Shown, VisibleTable};
pub(crate) use standing::Standing;
