//! From an optimized plan to pieces: what each domain's node runs, and what stays here.

mod cut;
mod remote;
mod shippable;

pub use cut::{CutPlan, FragmentPlan, Site, Sites, cut};
pub use remote::RemoteFragment;
