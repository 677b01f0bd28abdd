//! A scripted model behind the Responses API on loopback, for driving real agent programs in tests.

mod http;
mod script;
mod server;
mod sse;
mod turn;

pub use script::{Script, ScriptError};
pub use server::{Ended, Options, Server};
