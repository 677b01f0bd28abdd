//! Artifacts: the files that steps write.

use std::marker::PhantomData;

use super::schema::WholeSchema;
use super::tree::{Map, Node};

/// A declared file: its format and place, and what it must fit.
///
/// ```
/// use botpipe::build::{Artifact, Schema};
///
/// let plan = Artifact::json("plan.json").schema(Schema::file("schemas/plan.json")).required();
/// let notes = Artifact::md("{{ item.dir_key }}/notes.md");
/// # let _ = (plan, notes);
/// ```
///
/// Only JSON has a schema:
///
/// ```compile_fail
/// # use botpipe::build::{Artifact, Schema};
/// Artifact::md("notes.md").schema(Schema::object());
/// ```
#[derive(Debug, Clone)]
#[must_use]
pub struct Artifact<F> {
    keys: Map,
    format: PhantomData<F>,
}

/// The format of an artifact that can have a schema.
#[derive(Debug, Clone, Copy)]
pub struct Json;

/// The formats that are no JSON.
#[derive(Debug, Clone, Copy)]
pub struct Plain;

impl Artifact<Json> {
    /// A JSON file.
    pub fn json(path: impl Into<String>) -> Self {
        Self::of("json", path)
    }

    /// What its content has to fit.
    pub fn schema(mut self, schema: impl Into<WholeSchema>) -> Self {
        self.keys.set("schema", schema.into());
        self
    }
}

impl Artifact<Plain> {
    /// A Markdown file.
    pub fn md(path: impl Into<String>) -> Self {
        Self::of("md", path)
    }

    /// A text file.
    pub fn text(path: impl Into<String>) -> Self {
        Self::of("text", path)
    }

    /// Any other file.
    pub fn raw(path: impl Into<String>) -> Self {
        Self::of("raw", path)
    }
}

impl<F> Artifact<F> {
    fn of(format: &str, path: impl Into<String>) -> Self {
        Self { keys: Map::of(format, path.into()), format: PhantomData }
    }

    /// It must be there on every route of the step that writes it, unless a route says otherwise.
    pub fn required(mut self) -> Self {
        self.keys.set("required", true);
        self
    }
}

impl<F> From<Artifact<F>> for Node {
    fn from(artifact: Artifact<F>) -> Self {
        artifact.keys.into()
    }
}

/// An artifact that a step writes: its name, or a name and its declaration in place.
#[derive(Debug, Clone)]
pub struct Write {
    node: Node,
}

impl From<&str> for Write {
    fn from(name: &str) -> Self {
        Self { node: name.into() }
    }
}

impl From<String> for Write {
    fn from(name: String) -> Self {
        Self { node: name.into() }
    }
}

impl<N: Into<String>, F> From<(N, Artifact<F>)> for Write {
    fn from((name, artifact): (N, Artifact<F>)) -> Self {
        let mut map = Map::default();
        map.push(name, artifact);
        Self { node: map.into() }
    }
}

impl From<Write> for Node {
    fn from(write: Write) -> Self {
        write.node
    }
}

/// The items of a list of writes.
pub(super) fn writes(items: impl IntoIterator<Item: Into<Write>>) -> impl Iterator<Item = Node> {
    items.into_iter().map(|item| item.into().node)
}
