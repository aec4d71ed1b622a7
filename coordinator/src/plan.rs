//! From an optimized plan to pieces: what each domain's node runs, and what stays here.

mod cut;
mod estimate;
mod gather;
mod optimization;
mod push;
mod reduce;
mod remote;
mod shippable;
mod site;

pub use cut::{CutPlan, FragmentPlan, cut};
pub use estimate::Estimate;
pub use gather::gather;
pub use optimization::{Optimization, Optimizations};
pub use push::push;
pub use reduce::{KeyFlow, Reason, Reduction, Refused, SET_ASIDE, leaves, reduce};
pub use remote::RemoteFragment;
pub use site::{Site, Sites};
