//! Strict YAML 1.2 as a tree that knows where everything stands.

mod node;
mod parse;
mod scalar;

pub use node::{Entry, Node, Value};
pub(crate) use parse::parse;
pub use parse::parse_settings;
