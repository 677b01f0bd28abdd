//! How the journal behaves, seen from outside: the disk, other processes, damage.

mod append;
mod damage;
mod full;
mod golden;
mod lease;
mod list;
mod objects;
mod samples;
mod scratch;
