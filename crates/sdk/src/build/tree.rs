//! A document as it is put together: a tree whose maps keep the order they were written in.

use std::time::Duration;

use serde::Serialize;
use serde_json::Value;

/// A value of the document.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Node {
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(String),
    List(Vec<Node>),
    Map(Map),
}

/// Keys and values in the order they were written in.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Map {
    pub(super) entries: Vec<(String, Node)>,
}

impl Map {
    /// A map of one key.
    pub(crate) fn of(key: &str, value: impl Into<Node>) -> Self {
        let mut map = Self::default();
        map.set(key, value);
        map
    }

    /// Writes a key that is there once: said again, the last word holds.
    pub(crate) fn set(&mut self, key: &str, value: impl Into<Node>) {
        *self.at(key, || Node::Null) = value.into();
    }

    /// Adds a key that an author chose. The same one twice is written twice, for `compile` to report.
    pub(crate) fn push(&mut self, key: impl Into<String>, value: impl Into<Node>) {
        self.entries.push((key.into(), value.into()));
    }

    /// Adds to the map below a key.
    pub(crate) fn push_below(
        &mut self,
        key: &str,
        name: impl Into<String>,
        value: impl Into<Node>,
    ) {
        if let Node::Map(map) = self.at(key, || Node::Map(Self::default())) {
            map.push(name, value);
        }
    }

    /// Writes a key of the map below a key.
    pub(crate) fn set_below(&mut self, key: &str, name: &str, value: impl Into<Node>) {
        if let Node::Map(map) = self.at(key, || Node::Map(Self::default())) {
            map.set(name, value);
        }
    }

    /// Adds to the list below a key.
    pub(crate) fn extend_below<I>(&mut self, key: &str, items: I)
    where
        I: IntoIterator<Item: Into<Node>>,
    {
        if let Node::List(list) = self.at(key, || Node::List(Vec::new())) {
            list.extend(items.into_iter().map(Into::into));
        }
    }

    fn at(&mut self, key: &str, empty: impl FnOnce() -> Node) -> &mut Node {
        let found = self.entries.iter().position(|(known, _)| known == key);
        let at = found.unwrap_or_else(|| {
            self.entries.push((key.to_owned(), empty()));
            self.entries.len() - 1
        });
        &mut self.entries[at].1
    }
}

/// Names, one by one.
pub(crate) fn texts<I>(items: I) -> impl Iterator<Item = Node>
where
    I: IntoIterator<Item: Into<String>>,
{
    items.into_iter().map(|item| Node::Text(item.into()))
}

/// The word that stands for a value in a file.
pub(crate) fn word(value: impl Serialize) -> Node {
    // What is no text is told by `compile`.
    serde_json::to_value(value).map_or(Node::Null, Node::from)
}

/// A duration in the largest unit that it is a whole number of.
pub(crate) fn duration(span: Duration) -> Node {
    let millis = span.as_millis();
    let units = [(3_600_000, "h"), (60_000, "m"), (1_000, "s")];
    let unit = units.into_iter().find(|(size, _)| millis > 0 && millis.is_multiple_of(*size));
    let (size, unit) = unit.unwrap_or((1, "ms"));
    Node::Text(format!("{}{unit}", millis / size))
}

impl From<&str> for Node {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Node {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<bool> for Node {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<u32> for Node {
    fn from(value: u32) -> Self {
        Self::Int(value.into())
    }
}

impl From<u64> for Node {
    fn from(value: u64) -> Self {
        Value::from(value).into()
    }
}

impl From<f64> for Node {
    fn from(value: f64) -> Self {
        Self::Float(value)
    }
}

impl From<Map> for Node {
    fn from(map: Map) -> Self {
        Self::Map(map)
    }
}

impl From<Value> for Node {
    fn from(value: Value) -> Self {
        match value {
            Value::Null => Self::Null,
            Value::Bool(value) => Self::Bool(value),
            Value::Number(number) => match number.as_i64() {
                Some(value) => Self::Int(value),
                None => number.as_f64().map_or(Self::Null, Self::Float),
            },
            Value::String(text) => Self::Text(text),
            Value::Array(items) => Self::List(items.into_iter().map(Self::from).collect()),
            Value::Object(fields) => Self::Map(Map {
                entries: fields.into_iter().map(|(key, it)| (key, it.into())).collect(),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_said_in_its_largest_whole_unit() {
        let said = |millis| duration(Duration::from_millis(millis));
        for (millis, words) in
            [(500, "500ms"), (90_000, "90s"), (1_200_000, "20m"), (7_200_000, "2h"), (0, "0ms")]
        {
            assert_eq!(said(millis), Node::from(words));
        }
    }
}
