//! The behaviour of the language, from outside.
#![expect(clippy::unwrap_used, reason = "a test ends where it fails")]

mod corpus;
mod door;
mod files;
mod mutants;
mod mutations;
mod render;
