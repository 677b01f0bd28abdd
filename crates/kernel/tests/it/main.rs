//! The kernel's behaviour, in laws and in scenarios.

mod laws;
mod plans;
mod world;
