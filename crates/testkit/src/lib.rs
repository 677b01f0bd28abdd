//! Test programs and builders; keeps test code out of production.

pub mod acp;
pub mod agent;
pub mod claude;
pub mod codex;
#[cfg(target_os = "linux")]
pub mod escapes;
pub mod harness;
#[cfg(target_os = "linux")]
pub mod kills;
pub mod model;
pub mod programs;
pub mod script;
