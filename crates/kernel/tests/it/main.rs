//! The kernel's behaviour, in laws and in scenarios.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test may fail by panicking")]

mod any_plan;
mod children;
mod laws;
mod leaves;
mod obligations;
mod planned;
mod plans;
mod policies;
mod said;
mod said_calls;
mod said_outside;
mod said_permission;
mod scenarios;
mod world;
