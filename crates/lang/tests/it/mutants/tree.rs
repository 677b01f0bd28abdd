//! A file as a tree that can be changed and written anew, so that the place of every part is known.

use std::collections::BTreeMap;
use std::ops::Range;

use saphyr_parser::{Event, Parser, ScalarStyle};
use serde_json::Value as Json;

/// A value as written; a map may hold a key twice.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Tree {
    Scalar(Json),
    List(Vec<Tree>),
    Map(Vec<(String, Tree)>),
}

/// The way to a part: keys, and indexes of lists as digits.
pub(crate) type Path = Vec<String>;

/// Where a part stands: its key, if it has one, and its value.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    pub(crate) key: Range<usize>,
    pub(crate) value: Range<usize>,
}

impl Tree {
    /// Reads a file that is right.
    pub(crate) fn read(text: &str) -> Self {
        let mut open: Vec<(Self, Option<String>)> = Vec::new();
        let mut root = None;
        for event in Parser::new_from_str(text) {
            let done = match event.unwrap().0 {
                Event::Scalar(text, style, ..) => scalar(&text, style),
                Event::SequenceStart(..) => {
                    open.push((Self::List(Vec::new()), None));
                    continue;
                }
                Event::MappingStart(..) => {
                    open.push((Self::Map(Vec::new()), None));
                    continue;
                }
                Event::SequenceEnd | Event::MappingEnd => open.pop().unwrap().0,
                _ => continue,
            };
            match open.last_mut() {
                None => root = Some(done),
                Some((Self::List(items), _)) => items.push(done),
                Some((Self::Map(entries), key)) => match key.take() {
                    Some(key) => entries.push((key, done)),
                    None => *key = Some(done.text().unwrap().to_owned()),
                },
                Some((Self::Scalar(_), _)) => unreachable!("a scalar holds nothing"),
            }
        }
        root.unwrap()
    }

    pub(crate) fn text(&self) -> Option<&str> {
        if let Self::Scalar(Json::String(text)) = self { Some(text) } else { None }
    }

    pub(crate) fn json(&self) -> Json {
        match self {
            Self::Scalar(value) => value.clone(),
            Self::List(items) => items.iter().map(Self::json).collect(),
            Self::Map(entries) => {
                entries.iter().map(|(key, value)| (key.clone(), value.json())).collect()
            }
        }
    }

    pub(crate) fn of(json: &Json) -> Self {
        match json {
            Json::Array(items) => Self::List(items.iter().map(Self::of).collect()),
            Json::Object(entries) => Self::Map(
                entries.iter().map(|(key, value)| (key.clone(), Self::of(value))).collect(),
            ),
            value => Self::Scalar(value.clone()),
        }
    }

    pub(crate) fn get(&self, key: &str) -> Option<&Self> {
        match self {
            Self::Map(entries) => entries.iter().find(|(it, _)| it == key).map(|(_, value)| value),
            Self::List(items) => items.get(key.parse::<usize>().ok()?),
            Self::Scalar(_) => None,
        }
    }

    pub(crate) fn at(&self, path: &[String]) -> Option<&Self> {
        path.iter().try_fold(self, |tree, key| tree.get(key))
    }

    pub(crate) fn at_mut(&mut self, path: &[String]) -> Option<&mut Self> {
        path.iter().try_fold(self, |tree, key| match tree {
            Self::Map(entries) => entries.iter_mut().find(|(it, _)| it == key).map(|(_, it)| it),
            Self::List(items) => items.get_mut(key.parse::<usize>().ok()?),
            Self::Scalar(_) => None,
        })
    }

    /// The entries of the map at a path.
    pub(crate) fn entries_mut(&mut self, path: &[String]) -> &mut Vec<(String, Self)> {
        match self.at_mut(path) {
            Some(Self::Map(entries)) => entries,
            _ => panic!("no map at {path:?}"),
        }
    }

    /// The file, and where each part of it stands; of a key given twice, the second.
    pub(crate) fn write(&self) -> (String, BTreeMap<Path, Place>) {
        let mut written = Written::default();
        written.tree(self, 0..0);
        (written.text + "\n", written.places)
    }
}

fn scalar(text: &str, style: ScalarStyle) -> Tree {
    let plain = style == ScalarStyle::Plain;
    let value = match text {
        "" | "~" | "null" if plain => Json::Null,
        "true" if plain => true.into(),
        "false" if plain => false.into(),
        _ if plain && text.parse::<i64>().is_ok() => text.parse::<i64>().unwrap().into(),
        _ if plain && text.starts_with(|it: char| it.is_ascii_digit()) => {
            text.parse::<f64>().map_or_else(|_| text.into(), Into::into)
        }
        _ => text.into(),
    };
    Tree::Scalar(value)
}

#[derive(Default)]
struct Written {
    text: String,
    path: Path,
    places: BTreeMap<Path, Place>,
}

impl Written {
    fn tree(&mut self, tree: &Tree, key: Range<usize>) {
        let start = self.text.len();
        match tree {
            Tree::Scalar(value) => self.text += &value.to_string(),
            Tree::List(items) => {
                self.text.push('[');
                for (n, item) in items.iter().enumerate() {
                    self.text += if n == 0 { "" } else { ", " };
                    self.path.push(n.to_string());
                    let at = self.text.len();
                    self.tree(item, at..at);
                    self.path.pop();
                }
                self.text.push(']');
            }
            Tree::Map(entries) => {
                self.text.push('{');
                for (n, (key, value)) in entries.iter().enumerate() {
                    self.text += if n == 0 { "" } else { ", " };
                    // A line for each part near the top, so that a person can read it.
                    self.text += if self.path.len() < 3 { "\n" } else { "" };
                    let start = self.text.len();
                    self.text += &Json::from(key.as_str()).to_string();
                    let place = start..self.text.len();
                    self.text += ": ";
                    self.path.push(key.clone());
                    self.tree(value, place);
                    self.path.pop();
                }
                self.text.push('}');
            }
        }
        let value = start..self.text.len();
        self.places.insert(self.path.clone(), Place { key, value });
    }
}
