//! What is read off the wire, as pure functions of bytes: no sockets, no time, no rules.
//!
//! Each takes what has arrived so far and says: this is it and so long it was, more is needed, or
//! this can never become one.

mod body;
mod head;
mod hello;
pub mod socks;

pub(crate) use body::copy_body;
pub(crate) use head::finish_head;
pub use head::{Form, Framing, Headers, Request, Response};
pub use hello::{Hello, ServerName};

/// Bytes that are not what they should be; says what is wrong with them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Malformed(pub &'static str);

/// What came of reading: the thing and how many bytes it took, or nothing yet.
pub type Parsed<T> = Result<Option<(T, usize)>, Malformed>;
