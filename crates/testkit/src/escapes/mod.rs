//! The escape proof: attempts to break out of the sandbox, each first made without it, judged by the host.

mod adapter;
mod attempt;
mod ground;
mod listeners;
mod proof;
mod report;
mod seen;
mod trial;

pub use adapter::{Adapter, Caller, Network, callers, for_others};
pub use attempt::{Attempt, Judge, all};
pub use proof::{Outcome, Proof, Verdict, WATCHED, prove};
pub use report::{faults, markdown};
pub use seen::tree;

/// Why a proof could not be made.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file of attempts is not understood.
    #[error("the attempts in `{file}` are not understood: {why}")]
    Attempts {
        /// Its name.
        file: String,
        /// What is wrong.
        why: String,
    },
    /// The machine refused something.
    #[error("{what}: {source}")]
    Io {
        /// What was done.
        what: String,
        /// The reason.
        source: std::io::Error,
    },
}

/// Says what was done when the machine refuses it.
fn doing<T>(what: &str, result: std::io::Result<T>) -> Result<T, Error> {
    result.map_err(|source| Error::Io { what: what.to_owned(), source })
}
