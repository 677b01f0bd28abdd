//! Strict YAML 1.2 as a tree that knows where everything stands.

mod node;
mod parse;
mod scalar;

pub(crate) use node::{Entry, Node, Value};
pub(crate) use parse::parse;
