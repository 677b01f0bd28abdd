//! The journal keeps out SQL: the durable record of runs, their leases, and the objects they cite.
//!
//! A [`Journal`] is one `.botpipe` folder's database. Runs are created and taken over under a
//! [`Lease`]; events are appended with it, durable when [`Journal::append`] returns; anybody may read.
//! Content that is too large for an event lives in [`Objects`], named by its digest.

mod append;
mod chain;
mod claim;
mod codec;
mod error;
mod journal;
mod lease;
mod mark;
mod objects;
mod open;
mod owner;
mod read;
mod request;
mod seal;
mod writer;

pub use codec::{decode, encode};
pub use error::Error;
pub use journal::{Appended, Journal, NewRun};
pub use lease::Lease;
pub use objects::{Objects, digest_of};
pub use open::Options;
pub use owner::{Liveness, Owner};
pub use read::{RunFilter, RunRow, Stored};
pub use request::{Asked, Request};
