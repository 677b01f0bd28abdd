//! The providers' codecs, tested as their users call them.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod asked;
mod cassette;
mod claude;
mod codex;
mod command;
mod settings;
