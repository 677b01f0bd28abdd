//! JSON Schemas: written here, or in a file beside the workflow.

use serde_json::Value;

use super::tree::{Map, Node, texts};

/// A JSON Schema.
///
/// ```
/// use botpipe::build::Schema;
///
/// let size = Schema::object()
///     .property("hours", Schema::integer())
///     .property("why", Schema::string().default(""))
///     .required(["hours"]);
/// # let _ = size;
/// ```
#[derive(Debug, Clone)]
#[must_use]
pub struct Schema {
    node: Node,
}

impl Schema {
    /// Any text.
    pub fn string() -> Self {
        Self::of_type("string")
    }

    /// A whole number.
    pub fn integer() -> Self {
        Self::of_type("integer")
    }

    /// A number.
    pub fn number() -> Self {
        Self::of_type("number")
    }

    /// True or false.
    pub fn boolean() -> Self {
        Self::of_type("boolean")
    }

    /// A list of such items.
    pub fn array(items: Self) -> Self {
        Self::of_type("array").with("items", items.node)
    }

    /// An object of any keys, until [`Schema::property`] says more.
    pub fn object() -> Self {
        Self::of_type("object")
    }

    /// Any value.
    pub fn any() -> Self {
        Self { node: Node::Map(Map::default()) }
    }

    /// A schema as it is.
    pub fn json(schema: impl Into<Value>) -> Self {
        Self { node: schema.into().into() }
    }

    /// The path of a `.json` file beside the workflow. It stands for a whole schema, not for a part of one.
    pub fn file(path: impl Into<String>) -> Self {
        Self { node: Node::Text(path.into()) }
    }

    /// What it is when nothing is given.
    pub fn default(self, value: impl Into<Value>) -> Self {
        self.with("default", value.into())
    }

    /// What it is for, in words.
    pub fn description(self, words: impl Into<String>) -> Self {
        self.with("description", words.into())
    }

    /// One of these values (`enum`).
    pub fn one_of(self, values: impl IntoIterator<Item: Into<Value>>) -> Self {
        let values = values.into_iter().map(|value| value.into().into()).collect();
        self.with("enum", Node::List(values))
    }

    /// A property of an object.
    pub fn property(mut self, name: impl Into<String>, schema: Self) -> Self {
        if let Node::Map(map) = &mut self.node {
            map.push_below("properties", name, schema.node);
        }
        self
    }

    /// Properties an object must have.
    pub fn required(mut self, names: impl IntoIterator<Item: Into<String>>) -> Self {
        if let Node::Map(map) = &mut self.node {
            map.extend_below("required", texts(names));
        }
        self
    }

    /// An object has no properties but those that were named.
    pub fn closed(self) -> Self {
        self.with("additionalProperties", false)
    }

    fn of_type(name: &str) -> Self {
        Self { node: Map::of("type", name).into() }
    }

    /// A file, or a schema of no keys, stays as it is.
    fn with(mut self, key: &str, value: impl Into<Node>) -> Self {
        if let Node::Map(map) = &mut self.node {
            map.set(key, value);
        }
        self
    }
}

impl From<Schema> for Node {
    fn from(schema: Schema) -> Self {
        schema.node
    }
}

/// What an object holds: its fields, or a whole [`Schema`].
///
/// ```
/// use botpipe::build::{Fields, Schema};
///
/// let fields = Fields::from([("level", Schema::integer().default(3))]);
/// # let _ = fields;
/// ```
#[derive(Debug, Clone)]
#[must_use]
pub struct Fields {
    node: Node,
}

impl Fields {
    /// No field yet. One without a default has to be given (but in a state, where it is set later).
    pub fn new() -> Self {
        Self { node: Node::Map(Map::default()) }
    }

    /// One more field.
    pub fn field(mut self, name: impl Into<String>, schema: Schema) -> Self {
        if let Node::Map(map) = &mut self.node {
            map.push(name, schema.node);
        }
        self
    }
}

impl Default for Fields {
    fn default() -> Self {
        Self::new()
    }
}

impl<N: Into<String>, const LEN: usize> From<[(N, Schema); LEN]> for Fields {
    fn from(fields: [(N, Schema); LEN]) -> Self {
        fields.into_iter().fold(Self::new(), |all, (name, schema)| all.field(name, schema))
    }
}

impl From<Schema> for Fields {
    fn from(schema: Schema) -> Self {
        Self { node: schema.node }
    }
}

impl From<Fields> for Node {
    fn from(fields: Fields) -> Self {
        fields.node
    }
}
