//! Snapshots of the workspace tree in a private git repository.

mod apply;
mod objects;
mod restore;
mod rules;
mod scan;
mod stat_cache;
mod store;
mod surroundings;
mod tree;

pub use restore::Restored;
pub use store::Snapshots;
