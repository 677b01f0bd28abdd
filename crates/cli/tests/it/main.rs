//! The command as a person uses it: the built binary in scratch workspaces.
#![expect(clippy::unwrap_used, reason = "a test ends where it fails")]

mod attach;
mod bad_programs;
mod cassette;
mod commands;
mod commits;
mod config;
mod demo;
mod detach;
mod doctor;
mod faults;
mod flows;
mod harness;
mod init;
mod interrupts;
mod kills;
mod limits;
mod logs;
mod pages;
mod place;
mod real_acp;
mod real_claude;
mod real_codex;
mod real_faults;
mod resumed;
mod runs;
mod say;
mod scenario;
mod secrets;
mod sessions;
mod signals;
mod spending;
mod why;
