//! What a list of workflows shows: read from the text alone, nothing else is opened.

use serde::Serialize;

use crate::diagnostic::Report;
use crate::source::SourceFile;
use crate::yaml::{self, Node, Value};

/// Name and words about a workflow.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Metadata {
    /// As written; not checked to be a valid name.
    pub name: Option<String>,
    /// One line.
    pub title: Option<String>,
    /// Any length.
    pub description: Option<String>,
    /// Other names a person may use.
    pub aliases: Vec<String>,
}

/// Reads the metadata of a workflow file; what is not there or wrong is left out.
pub fn metadata(text: &str) -> Metadata {
    let source = SourceFile { name: String::new(), text: text.to_owned() };
    let mut unheard = Report::on(&source);
    yaml::parse(&mut unheard).map_or_else(Metadata::default, |root| of_tree(&root))
}

pub(crate) fn of_tree(root: &Node) -> Metadata {
    let words = |key| {
        Some(root.get(key)?.value.as_text()?.trim_end().to_owned()).filter(|it| !it.is_empty())
    };
    let aliases = match root.get("aliases").map(|entry| &entry.value.value) {
        Some(Value::List(items)) => {
            items.iter().filter_map(Node::as_text).map(str::to_owned).collect()
        }
        _ => Vec::new(),
    };
    Metadata {
        name: words("name"),
        title: words("title"),
        description: words("description"),
        aliases,
    }
}
