//! Snapshots of the workspace tree in a private git repository.

mod apply;
mod checkout;
mod content;
mod durable;
mod lent;
mod long;
mod merge;
mod objects;
mod restore;
mod rules;
mod scan;
mod settling;
mod stat_cache;
mod store;
mod surroundings;
mod tree;
mod worktree;

pub use merge::{Merged, Side};
pub use restore::Restored;
pub use settling::Settling;
pub use store::Snapshots;
pub(crate) use surroundings::objects_around;
pub use worktree::Worktree;
