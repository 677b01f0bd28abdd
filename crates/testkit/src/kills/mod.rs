//! The kill proof: runs cut off at chosen moments, resumed, and judged by what lies outside Botpipe.

mod aim;
pub mod children;
pub mod cuts;
mod ground;
mod held;
mod judge;
pub mod processes;
mod proof;
mod report;
mod trace;
mod trial;

pub use aim::killed_at;
pub use ground::{Ground, GroundError, Programs};
pub use proof::{Proof, Size, prove};
pub use report::markdown;
pub use trial::{Struck, Trial, Victim, When};
