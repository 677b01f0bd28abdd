//! A scripted model behind the Responses API on loopback, for driving real agent programs in tests.

mod http;
mod server;
mod sse;
mod turn;

pub use crate::script::{Script, ScriptError};
pub use server::{Ended, Options, Server};
