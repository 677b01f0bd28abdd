//! The engine: drives runs; keeps faces out: no printing, HTTP serving or argument parsing.

pub mod environment;
pub mod process;
pub mod prompt;
pub mod workspace;
