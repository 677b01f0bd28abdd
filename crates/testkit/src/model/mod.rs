//! A scripted model behind the Responses and the Messages API on loopback, for driving real agent programs in tests.

mod http;
mod messages;
mod responses;
mod server;
mod turn;

pub use crate::script::{Script, ScriptError};
pub use server::{Ended, Options, Server, fingerprint};
