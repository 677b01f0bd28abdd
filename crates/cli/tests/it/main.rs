//! The command as a person uses it: the built binary in scratch workspaces.
#![expect(clippy::unwrap_used, reason = "a test ends where it fails")]

mod cassette;
mod commands;
mod commits;
mod config;
mod demo;
mod doctor;
mod explain;
mod faults;
mod graph;
mod harness;
mod init;
mod interrupts;
mod kills;
mod pages;
mod place;
mod real_acp;
mod real_claude;
mod real_codex;
mod record;
mod runs;
mod say;
mod schema;
mod signals;
mod spending;
mod testing;
