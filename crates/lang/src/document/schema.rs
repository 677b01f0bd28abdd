//! JSON Schemas as authored: inline, in a file beside the workflow, or in short form.

use serde_json::{Map, Value as Json, json};

use super::Reader;
use super::field::wrong_type;
use crate::diagnostic::{Code, Problem};
use crate::source::Span;
use crate::yaml::{Entry, Node, Value};

/// A schema that compiles.
#[derive(Debug, Clone)]
pub(crate) struct SchemaDecl {
    pub(crate) json: Json,
    /// Written in the short form.
    pub(crate) short: bool,
}

impl Default for SchemaDecl {
    /// The schema of a workflow that asks for nothing: an object without properties.
    fn default() -> Self {
        let json = json!({ "type": "object", "properties": {}, "additionalProperties": false });
        Self { json, short: false }
    }
}

impl SchemaDecl {
    /// The schema of any text.
    pub(crate) fn text() -> Self {
        Self { json: json!({ "type": "string" }), ..Self::default() }
    }
}

impl Reader<'_, '_> {
    /// A schema inline, or the path of a `.json` file.
    pub(super) fn schema(&mut self, entry: &Entry) -> Option<SchemaDecl> {
        if let Some(path) = entry.value.as_text() {
            return self.schema_file(path, entry.value.span);
        }
        if !matches!(entry.value.value, Value::Map(_)) {
            wrong_type(
                &entry.value,
                entry.key_span,
                "a JSON Schema or the path of one",
                self.report,
            );
            return None;
        }
        let json = entry.value.to_json();
        self.checked(json, &Place::Inline(&entry.value), &entry.value)
    }

    /// The schema of an object: a whole one, a path, or the short form, a map of its properties.
    pub(super) fn object_schema(&mut self, entry: &Entry) -> Option<SchemaDecl> {
        let Value::Map(properties) = &entry.value.value else {
            return self.schema(entry);
        };
        // A whole schema says `type: object`; in the short form every value is a map.
        let whole = ["type", "$schema", "$ref", "$id", "title", "description"]
            .iter()
            .any(|key| entry.value.get(key).is_some_and(|found| found.value.as_text().is_some()));
        if whole {
            return self.schema(entry);
        }
        let mut fields = Map::new();
        let mut required = Vec::new();
        for property in properties {
            if !matches!(property.value.value, Value::Map(_)) {
                let expected = "a property's schema, such as `{ type: string }`";
                wrong_type(&property.value, property.key_span, expected, self.report);
                continue;
            }
            if property.value.get("default").is_none() {
                required.push(Json::from(property.key.as_str()));
            }
            fields.insert(property.key.clone(), property.value.to_json());
        }
        let json = json!({
            "type": "object",
            "properties": fields,
            "required": required,
            "additionalProperties": false,
        });
        self.checked(json, &Place::Properties(&entry.value), &entry.value)
    }

    fn schema_file(&mut self, path: &str, span: Span) -> Option<SchemaDecl> {
        let is_json = std::path::Path::new(path).extension().is_some_and(|found| found == "json");
        if !is_json {
            self.report.push(
                Problem::new(Code::WrongType, span, format!("`{path}` is no schema"))
                    .help("write the schema in place, or the path of a `.json` file"),
            );
            return None;
        }
        let text = self.read_file(path, span)?;
        match serde_json::from_str(&text) {
            Ok(json) => self.compiles(json, &Place::File { path, span }),
            Err(error) => {
                let message = format!("`{path}` is not JSON: {error}");
                self.report.push(Problem::new(Code::NotJson, span, message));
                None
            }
        }
    }

    fn checked(&mut self, json: Json, place: &Place<'_>, node: &Node) -> Option<SchemaDecl> {
        // What was reported while parsing would be reported again, in worse words.
        if node.is_broken() {
            return None;
        }
        self.compiles(json, place)
    }

    fn compiles(&mut self, json: Json, place: &Place<'_>) -> Option<SchemaDecl> {
        if !json.is_object() && !json.is_boolean() {
            let message = "a JSON Schema is an object";
            self.report.push(Problem::new(Code::BadSchema, place.of(""), message));
            return None;
        }
        if let Err(error) = jsonschema::validator_for(&json) {
            let pointer = error.instance_path().to_string();
            let wrong = json.pointer(&pointer).filter(|_| pointer.ends_with("/type"));
            let problem = bad_schema(&pointer, wrong, place, &error.to_string());
            self.report.push(problem);
            return None;
        }
        self.check_defaults(&json, place);
        let short = matches!(place, Place::Properties(_));
        Some(SchemaDecl { json, short })
    }

    /// A default that its own schema refuses would stop every run that relies on it.
    fn check_defaults(&mut self, json: &Json, place: &Place<'_>) {
        let Some(properties) = json.get("properties").and_then(Json::as_object) else { return };
        for (name, property) in properties {
            let Some(default) = property.get("default") else { continue };
            let Ok(validator) = jsonschema::validator_for(property) else { continue };
            if let Err(error) = validator.validate(default) {
                let pointer =
                    format!("/properties/{}/default", name.replace('~', "~0").replace('/', "~1"));
                let message = format!("the default of `{name}` does not fit its schema: {error}");
                self.report.push(Problem::new(Code::BadDefault, place.of(&pointer), message));
            }
        }
    }
}

/// The diagnostic for a schema that breaks the standard's own; `wrong` is a `type` that is none.
fn bad_schema(pointer: &str, wrong: Option<&Json>, place: &Place<'_>, words: &str) -> Problem {
    let (at, within) = (place.of(pointer), place.words(pointer));
    let Some(wrong) = wrong.and_then(Json::as_str) else {
        let message = format!("not a valid JSON Schema{within}: {words}");
        return Problem::new(Code::BadSchema, at, message);
    };
    let message = format!("`{wrong}` is no type of JSON{within}");
    let problem = Problem::new(Code::BadSchema, at, message);
    match place {
        Place::File { .. } => problem.help_known(TYPES),
        Place::Inline(_) | Place::Properties(_) => problem.suggest(wrong, TYPES),
    }
}

/// The types of JSON Schema.
const TYPES: [&str; 7] = ["string", "number", "integer", "boolean", "object", "array", "null"];

/// Where a schema stands, to find the place of a pointer into it.
enum Place<'n> {
    Inline(&'n Node),
    /// Short form: the node is the schema's `properties`.
    Properties(&'n Node),
    File {
        path: &'n str,
        span: Span,
    },
}

impl Place<'_> {
    fn of(&self, pointer: &str) -> Span {
        match self {
            Self::Inline(node) => node.place_of(pointer),
            Self::Properties(node) => {
                node.place_of(pointer.strip_prefix("/properties").unwrap_or(""))
            }
            Self::File { span, .. } => *span,
        }
    }

    fn words(&self, pointer: &str) -> String {
        match self {
            Self::File { path, .. } if pointer.is_empty() => format!(" ({path})"),
            Self::File { path, .. } => format!(" ({path}, at {pointer})"),
            Self::Inline(_) | Self::Properties(_) => String::new(),
        }
    }
}
