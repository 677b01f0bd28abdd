//! Test programs and builders; keeps test code out of production.

pub mod codex;
pub mod model;
