//! The proof that a turn of a real harness, cut off by a kill of Botpipe, goes on in its conversation.

mod bench;
mod log;
mod moment;
mod proof;
mod report;
mod trial;

pub use bench::Kind;
pub use proof::{Proof, prove};
pub use report::markdown;
pub use trial::{Trial, trials};
