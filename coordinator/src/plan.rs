//! From an optimized plan to pieces: what each domain's node runs, and what stays here.

mod cut;
mod gather;
mod optimization;
mod remote;
mod shippable;
mod site;

pub use cut::{CutPlan, FragmentPlan, cut};
pub use gather::gather;
pub use optimization::{Optimization, Optimizations};
pub use remote::RemoteFragment;
pub use site::{Site, Sites};
