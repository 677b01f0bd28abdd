//! The catalogue: which workflows a workspace has, and how a reference leads to one.
//!
//! Looking runs nothing and reads no more than the names and words at the top of each file.

mod error;
mod find;
mod found;
mod roots;
mod shipped;

pub use error::Error;
pub use find::{find, list};
pub(crate) use found::with_workflows;
pub use found::{Found, Origin};
pub use shipped::{ShippedFile, shipped};
