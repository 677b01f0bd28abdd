//! Worklists: the ordered items that scoped steps work on, one by one.

use std::marker::PhantomData;
use std::time::Duration;

use super::tree::{Map, Node, duration};

/// An ordered list of items.
///
/// ```
/// use botpipe::build::{Select, Worklist};
///
/// let tickets = Worklist::from_artifact("work").id("id").title("title").status("status");
/// let files = Worklist::run("ls src | jq -R . | jq -s .").select(Select::new().mode("all"));
/// # let _ = (tickets, files);
/// ```
#[derive(Debug, Clone)]
#[must_use]
pub struct Worklist<S> {
    keys: Map,
    source: PhantomData<S>,
}

/// Items that are there: in an artifact, the parameters or the state.
#[derive(Debug, Clone, Copy)]
pub struct Data;

/// Items that a command prints.
#[derive(Debug, Clone, Copy)]
pub struct Printed;

impl Worklist<Data> {
    /// The list under the key `items` (or [`Worklist::collection`]) of a JSON artifact.
    pub fn from_artifact(name: impl Into<String>) -> Self {
        Self::of("from", name.into())
    }

    /// A list of the parameters.
    pub fn from_params(name: impl AsRef<str>) -> Self {
        Self::of("from", format!("params.{}", name.as_ref()))
    }

    /// A list of the state.
    pub fn from_state(name: impl AsRef<str>) -> Self {
        Self::of("from", format!("state.{}", name.as_ref()))
    }
}

impl Worklist<Printed> {
    /// What a command prints: a list, or an object with [`Worklist::collection`].
    pub fn run(command: impl Into<String>) -> Self {
        Self::of("run", command.into())
    }

    /// The longest the command may take.
    pub fn timeout(self, longest: Duration) -> Self {
        self.with("timeout", duration(longest))
    }
}

impl<S> Worklist<S> {
    fn of(key: &str, source: String) -> Self {
        Self { keys: Map::of(key, source), source: PhantomData }
    }

    /// Key of the list.
    pub fn collection(self, key: impl Into<String>) -> Self {
        self.with("collection", key.into())
    }

    /// Key of an item's id.
    pub fn id(self, key: impl Into<String>) -> Self {
        self.with("id", key.into())
    }

    /// Key of an item's title.
    pub fn title(self, key: impl Into<String>) -> Self {
        self.with("title", key.into())
    }

    /// Key of an item's status, which Botpipe writes.
    pub fn status(self, key: impl Into<String>) -> Self {
        self.with("status", key.into())
    }

    /// Which of them.
    pub fn select(self, select: Select) -> Self {
        self.with("select", select.keys)
    }

    fn with(mut self, key: &str, value: impl Into<Node>) -> Self {
        self.keys.set(key, value);
        self
    }
}

impl<S> From<Worklist<S>> for Node {
    fn from(worklist: Worklist<S>) -> Self {
        worklist.keys.into()
    }
}

/// Which items of a worklist a run works on; all of it templates. What renders to nothing is not said.
#[derive(Debug, Clone, Default)]
#[must_use]
pub struct Select {
    keys: Map,
}

impl Select {
    /// Nothing is said yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// `all`, `single`, `up_to` or `from_to`; without it this follows from the rest.
    pub fn mode(self, template: impl Into<String>) -> Self {
        self.with("mode", template)
    }

    /// The id of the one item.
    pub fn item(self, template: impl Into<String>) -> Self {
        self.with("item", template)
    }

    /// The id of the first item.
    pub fn start(self, template: impl Into<String>) -> Self {
        self.with("start", template)
    }

    /// The id of the last item.
    pub fn end(self, template: impl Into<String>) -> Self {
        self.with("end", template)
    }

    fn with(mut self, key: &str, template: impl Into<String>) -> Self {
        self.keys.set(key, template.into());
        self
    }
}
