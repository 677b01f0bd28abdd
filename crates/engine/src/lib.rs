//! The engine: drives runs; keeps faces out: no printing, HTTP serving or argument parsing.

mod account;
pub mod activity;
mod answer;
pub mod attach;
pub mod catalog;
pub mod config;
mod confine;
pub mod doctor;
mod driver;
pub mod enforcement;
pub mod engine;
pub mod environment;
pub mod error;
pub mod explain;
mod found;
mod git_index;
pub mod graph;
pub mod harness;
pub mod host;
mod inbox;
mod limits;
pub mod merges;
mod owner;
mod parts;
mod perform;
mod plain;
pub mod policy;
pub mod process;
mod projection;
pub mod prompt;
mod recording;
mod replace;
mod repository;
pub mod request;
pub mod scaffold;
pub mod schemas;
pub mod scratch;
mod signal;
mod start;
mod take_up;
pub mod testing;
pub mod trace;
pub mod why;
pub mod workspace;

/// A command in the sandbox, outside of any run.
pub mod sandbox {
    pub use botpipe_egress::Host;
    pub use botpipe_sandbox::launch_once;

    pub use crate::confine::Refusal;
    pub use crate::confine::command::{Command, Ended, NotRun};
}

pub use engine::Engine;
pub use error::Error;
pub use start::preview;
