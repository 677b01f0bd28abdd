//! What a run gives back, and the expressions that say it.

use super::schema::Shape;
use super::tree::{Map, Node};

/// An expression over what templates see; a number or a truth value is that of itself.
#[derive(Debug, Clone)]
pub struct Expression {
    node: Node,
}

macro_rules! of_values {
    ($($value:ty),+) => { $(
        impl From<$value> for Expression {
            fn from(value: $value) -> Self {
                Self { node: value.into() }
            }
        }
    )+ };
}

of_values!(&str, String, bool, u32, u64, f64);

impl From<i32> for Expression {
    fn from(value: i32) -> Self {
        Self { node: Node::Int(value.into()) }
    }
}

impl From<i64> for Expression {
    fn from(value: i64) -> Self {
        Self { node: Node::Int(value) }
    }
}

impl From<Expression> for Node {
    fn from(expression: Expression) -> Self {
        expression.node
    }
}

/// What a run that is led to FINISH gives back.
///
/// ```
/// use botpipe::build::{Output, Schema};
///
/// let output = Output::values([("rounds", "state.rounds")]).schema([("rounds", Schema::integer())]);
/// # let _ = output;
/// ```
#[derive(Debug, Clone)]
#[must_use]
pub struct Output {
    keys: Map,
}

impl Output {
    /// Expressions by key.
    pub fn values<N, E>(values: impl IntoIterator<Item = (N, E)>) -> Self
    where
        N: Into<String>,
        E: Into<Expression>,
    {
        let mut map = Map::default();
        for (key, value) in values {
            map.push(key, value.into());
        }
        Self { keys: Map::of("values", map) }
    }

    /// The content of a JSON artifact that every way to FINISH has written.
    pub fn artifact(name: impl Into<String>) -> Self {
        Self { keys: Map::of("artifact", name.into()) }
    }

    /// What it has to fit.
    pub fn schema(mut self, fields: impl Into<Shape>) -> Self {
        self.keys.set("schema", fields.into());
        self
    }
}

impl From<Output> for Node {
    fn from(output: Output) -> Self {
        output.keys.into()
    }
}
