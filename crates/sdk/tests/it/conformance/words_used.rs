//! The keys and the words of a workflow's text, as the published schema of the format names them.

use std::collections::BTreeSet;

use botpipe_lang::SourceFile;
use botpipe_lang::reading::{Report, parse};
use serde_json::Value;

/// A key, or one of a few words that a key takes: where the schema has it, and what it is.
pub(super) type Word = (String, String);

fn schema() -> Value {
    serde_json::from_str(include_str!("../../../../../docs/schema/workflow.json")).unwrap()
}

/// All that the schema has.
pub(super) fn known() -> BTreeSet<Word> {
    let schema = schema();
    let mut words = BTreeSet::new();
    below(&schema, "#", &mut words);
    words
}

fn below(schema: &Value, place: &str, words: &mut BTreeSet<Word>) {
    let object = schema.as_object();
    for (key, value) in object.into_iter().flatten() {
        let inside = format!("{place}/{key}");
        match (key.as_str(), value) {
            ("properties", Value::Object(properties)) => {
                for (name, value) in properties {
                    words.insert((place.to_owned(), name.clone()));
                    below(value, &format!("{inside}/{name}"), words);
                }
            }
            ("definitions", Value::Object(definitions)) => {
                for (name, value) in definitions {
                    below(value, &format!("{inside}/{name}"), words);
                }
            }
            ("enum", Value::Array(choices)) => {
                words.extend(
                    choices.iter().map(|it| (inside.clone(), it.as_str().unwrap().to_owned())),
                );
            }
            ("oneOf", Value::Array(forms)) => {
                for (n, form) in forms.iter().enumerate() {
                    below(form, &format!("{inside}/{n}"), words);
                }
            }
            ("items" | "additionalProperties", _) => below(value, &inside, words),
            _ => {}
        }
    }
}

/// What a text has of it.
pub(super) fn used(text: &str) -> BTreeSet<Word> {
    let source = SourceFile { name: "x".to_owned(), text: text.to_owned() };
    let mut report = Report::on(&source);
    let value = parse(&mut report).unwrap().to_json();
    let schema = schema();
    let mut walk = Walk { schema: &schema, words: BTreeSet::new() };
    walk.value(&value, "#");
    walk.words
}

struct Walk<'s> {
    schema: &'s Value,
    words: BTreeSet<Word>,
}

impl Walk<'_> {
    fn at(&self, place: &str) -> &Value {
        self.schema.pointer(&place[1..]).unwrap()
    }

    fn value(&mut self, value: &Value, place: &str) {
        let here = self.at(place).clone();
        if let Some(to) = here["$ref"].as_str() {
            return self.value(value, to);
        }
        if let Some(forms) = here["oneOf"].as_array() {
            let fits = (0..forms.len()).map(|n| format!("{place}/oneOf/{n}"));
            let fits: Vec<String> = fits.filter(|form| self.may_be(value, form)).collect();
            for form in &fits {
                self.value(value, form);
            }
            return;
        }
        if let (Some(_), Some(word)) = (here["enum"].as_array(), value.as_str()) {
            self.words.insert((format!("{place}/enum"), word.to_owned()));
        }
        for item in value.as_array().into_iter().flatten() {
            if here["items"].is_object() {
                self.value(item, &format!("{place}/items"));
            }
        }
        for (key, value) in value.as_object().into_iter().flatten() {
            if here["properties"][key].is_object() {
                self.words.insert((place.to_owned(), key.clone()));
                self.value(value, &format!("{place}/properties/{key}"));
            } else if here["additionalProperties"].is_object() {
                self.value(value, &format!("{place}/additionalProperties"));
            } else if place == "#/definitions/branch" {
                self.words.insert(("#/definitions/step".to_owned(), key.clone()));
                self.value(value, &format!("#/definitions/step/properties/{key}"));
            } else {
                assert_eq!(here["additionalProperties"], Value::Null, "{place} has no `{key}`");
            }
        }
    }

    /// Whether a value is of the form that the schema has at a place.
    fn may_be(&self, value: &Value, place: &str) -> bool {
        let here = self.at(place);
        if let Some(to) = here["$ref"].as_str() {
            return self.may_be(value, to);
        }
        match here["type"].as_str() {
            Some("object") => {
                let mut required = here["required"].as_array().into_iter().flatten();
                value.is_object() && required.all(|key| !value[key.as_str().unwrap()].is_null())
            }
            Some("array") => value.is_array(),
            Some("string") => value.is_string(),
            _ => here["enum"].as_array().is_none_or(|choices| choices.contains(value)),
        }
    }
}
