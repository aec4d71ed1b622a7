//! From an optimized plan to pieces: what each domain's node runs, and what stays here.

mod ask;
mod cut;
mod estimate;
mod gather;
mod imply;
mod optimization;
mod pieces;
mod preaggregate;
mod push;
mod reduce;
mod remote;
mod scalar;
mod ship;
mod shippable;
mod site;
mod tighten;

pub use ask::{Question, informed, questions};
pub use cut::{CutPlan, FragmentPlan, LiteralFlow};
pub use estimate::Estimate;
pub use optimization::{Optimization, Optimizations};
pub use pieces::pieces;
pub use reduce::{KeyFlow, Reason, Reduction, Refused, leaves};
pub use remote::RemoteFragment;
pub use ship::{Alternative, Objection, Shipment, Unshipped};
pub use site::{Site, Sites};
pub use tighten::{Tighten, Tightened, Tightening, told};
