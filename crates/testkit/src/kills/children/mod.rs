//! The kill proof of runs with runs below them and with pauses: branches, nested workflows, a person's answers.

mod look;
mod person;
mod proof;
mod report;
mod trial;

pub use proof::{Proof, Size, prove};
pub use report::markdown;
