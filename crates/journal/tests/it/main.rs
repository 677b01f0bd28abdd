//! How the journal behaves, seen from outside: the disk, other processes, damage.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on ends there")]

mod append;
mod damage;
mod full;
mod golden;
mod lease;
mod list;
mod objects;
mod samples;
mod samples_of_code;
mod samples_of_interrupted;
mod scratch;
