//! The test programs themselves, a real agent driven by them, and the walls between the crates.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stderr,
    reason = "the steps shared by tests are test code"
)]

mod house;
mod model;
mod real;
