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
    map: Map,
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
        Self::of_type("array").with("items", items)
    }

    /// An object of any keys, until [`Schema::property`] says more.
    pub fn object() -> Self {
        Self::of_type("object")
    }

    /// Any value.
    pub fn any() -> Self {
        Self { map: Map::default() }
    }

    /// A schema as it is; one that is no object, such as `true`, is said within one that is.
    pub fn json(schema: impl Into<Value>) -> Self {
        match schema.into().into() {
            Node::Map(map) => Self { map },
            other => Self { map: Map::of("allOf", Node::List(vec![other])) },
        }
    }

    /// The path of a `.json` file beside the workflow, which holds the schema.
    pub fn file(path: impl Into<String>) -> SchemaFile {
        SchemaFile { path: path.into() }
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
        self.map.push_below("properties", name, schema);
        self
    }

    /// Properties an object must have.
    pub fn required(mut self, names: impl IntoIterator<Item: Into<String>>) -> Self {
        self.map.extend_below("required", texts(names));
        self
    }

    /// An object has no properties but those that were named.
    pub fn closed(self) -> Self {
        self.with("additionalProperties", false)
    }

    fn of_type(name: &str) -> Self {
        Self { map: Map::of("type", name) }
    }

    fn with(mut self, key: &str, value: impl Into<Node>) -> Self {
        self.map.set(key, value);
        self
    }
}

impl From<Schema> for Node {
    fn from(schema: Schema) -> Self {
        schema.map.into()
    }
}

/// A schema in a file beside the workflow. It stands for a whole one, not for a part of another:
///
/// ```compile_fail
/// # use botpipe::build::Schema;
/// Schema::object().property("size", Schema::file("schemas/size.json"));
/// ```
#[derive(Debug, Clone)]
#[must_use]
pub struct SchemaFile {
    path: String,
}

/// A whole schema: a [`Schema`], or the file that holds it.
#[derive(Debug, Clone)]
#[must_use]
pub struct WholeSchema {
    node: Node,
}

impl From<Schema> for WholeSchema {
    fn from(schema: Schema) -> Self {
        Self { node: schema.map.into() }
    }
}

impl From<SchemaFile> for WholeSchema {
    fn from(file: SchemaFile) -> Self {
        Self { node: file.path.into() }
    }
}

impl From<WholeSchema> for Node {
    fn from(schema: WholeSchema) -> Self {
        schema.node
    }
}

/// The fields of an object, each with its schema.
///
/// ```
/// use botpipe::build::{Fields, Schema};
///
/// let fields = Fields::from([("level", Schema::integer().default(3))]);
/// # let _ = fields;
/// ```
#[derive(Debug, Clone, Default)]
#[must_use]
pub struct Fields {
    map: Map,
}

impl Fields {
    /// No field yet. One without a default has to be given (but in a state, where it is set later).
    pub fn new() -> Self {
        Self::default()
    }

    /// One more field.
    pub fn field(mut self, name: impl Into<String>, schema: Schema) -> Self {
        self.map.push(name, schema);
        self
    }
}

impl<N: Into<String>, const LEN: usize> From<[(N, Schema); LEN]> for Fields {
    fn from(fields: [(N, Schema); LEN]) -> Self {
        fields.into_iter().fold(Self::new(), |all, (name, schema)| all.field(name, schema))
    }
}

/// What an object has to fit: its [`Fields`], or a whole schema.
#[derive(Debug, Clone)]
#[must_use]
pub struct Shape {
    node: Node,
}

impl From<Fields> for Shape {
    fn from(fields: Fields) -> Self {
        Self { node: fields.map.into() }
    }
}

impl<N: Into<String>, const LEN: usize> From<[(N, Schema); LEN]> for Shape {
    fn from(fields: [(N, Schema); LEN]) -> Self {
        Fields::from(fields).into()
    }
}

impl From<Schema> for Shape {
    fn from(schema: Schema) -> Self {
        Self { node: schema.map.into() }
    }
}

impl From<SchemaFile> for Shape {
    fn from(file: SchemaFile) -> Self {
        Self { node: file.path.into() }
    }
}

impl From<Shape> for Node {
    fn from(shape: Shape) -> Self {
        shape.node
    }
}
