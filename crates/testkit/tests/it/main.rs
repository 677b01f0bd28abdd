//! Behaviour of the test programs themselves: the loopback model, and a real agent driven by it.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stderr,
    reason = "the steps shared by tests are test code"
)]

mod codex;
mod model;
