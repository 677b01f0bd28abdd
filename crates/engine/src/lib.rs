//! The engine: drives runs; keeps faces out: no printing, HTTP serving or argument parsing.

pub mod activity;
pub mod attach;
pub mod catalog;
pub mod config;
pub mod doctor;
mod driver;
pub mod engine;
pub mod environment;
pub mod error;
mod found;
pub mod harness;
mod inbox;
mod limits;
mod owner;
mod parts;
mod perform;
mod policy;
pub mod process;
mod projection;
pub mod prompt;
pub mod request;
pub mod scaffold;
pub mod scratch;
mod start;
mod take_up;
pub mod trace;
pub mod why;
pub mod workspace;

pub use engine::Engine;
pub use error::Error;
pub use start::preview;
