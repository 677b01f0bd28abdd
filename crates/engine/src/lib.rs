//! The engine: drives runs; keeps faces out: no printing, HTTP serving or argument parsing.

pub mod catalog;
pub mod environment;
pub mod process;
pub mod prompt;
pub mod scratch;
pub mod workspace;
