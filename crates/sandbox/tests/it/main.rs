//! Behaviour of containment, judged from outside: what `/proc` shows of a marked process.
#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a test ends where it fails")]

mod account;
mod confine;
mod containment;
mod filter;
mod identity;
mod launch;
mod likely;
mod server;
mod stage;
