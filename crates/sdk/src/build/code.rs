//! Code that a step runs: a command of the shell, or a function of the host.

use serde_json::Value;

use super::tree::{Map, Node};

/// Code: a text is a command of the shell, a [`Call`] a function of the host.
///
/// ```
/// use botpipe::build::{Call, Step};
///
/// let step = Step::prompt("go", "Go.")
///     .before("git fetch --quiet")
///     .after(Call::new("overrule").with("tag", "{{ outcome.tag }}"));
/// # let _ = step;
/// ```
#[derive(Debug, Clone)]
#[must_use]
pub struct Code {
    keys: Map,
}

impl Code {
    /// A shell command: a template.
    pub fn run(command: impl Into<String>) -> Self {
        Self { keys: Map::of("run", command.into()) }
    }
}

impl From<&str> for Code {
    fn from(command: &str) -> Self {
        Self::run(command)
    }
}

impl From<String> for Code {
    fn from(command: String) -> Self {
        Self::run(command)
    }
}

impl From<Call> for Code {
    fn from(call: Call) -> Self {
        Self { keys: call.keys }
    }
}

impl From<Code> for Node {
    fn from(code: Code) -> Self {
        code.keys.into()
    }
}

/// A function of the host.
#[derive(Debug, Clone)]
#[must_use]
pub struct Call {
    keys: Map,
}

impl Call {
    /// By its name.
    pub fn new(function: impl Into<String>) -> Self {
        Self { keys: Map::of("call", function.into()) }
    }

    /// What it is called with. Texts are templates; one that is an expression alone keeps its type.
    pub fn with(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.keys.push_below("with", name, value.into());
        self
    }
}
