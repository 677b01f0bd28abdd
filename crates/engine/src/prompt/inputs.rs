//! A run's input and parameters: from what a person typed to an object that fits its schema.

use std::fmt;

use jsonschema::ValidationError;
use jsonschema::error::ValidationErrorKind;
use serde_json::{Map, Value};

use super::schema::{compile, reason};
use super::text::{did_you_mean, one_line};

/// Something about the input that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InputProblem {
    /// The field it is about; `None`: the input as a whole.
    pub field: Option<String>,
    pub message: String,
}

impl fmt::Display for InputProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.field {
            Some(field) => write!(f, "`{field}`: {}", self.message),
            None => f.write_str(&self.message),
        }
    }
}

/// Builds the input (or the parameters) of a run and validates it.
///
/// `json` is the whole object, `pairs` are single fields as text and win over it; the message fills
/// `message_field` when nothing else does; defaults of the schema fill the rest.
///
/// # Errors
/// Everything wrong at once, in the order found.
pub fn run_input(
    schema: &Value,
    message_field: Option<&str>,
    message: Option<&str>,
    json: Option<Value>,
    pairs: &[(String, String)],
) -> Result<Value, Vec<InputProblem>> {
    let mut found = Vec::new();
    let mut object = match json {
        None => Map::new(),
        Some(Value::Object(object)) => object,
        Some(other) => {
            let message = format!("the input must be a JSON object, not {}", kind_of(&other));
            return Err(vec![InputProblem { field: None, message }]);
        }
    };
    for (index, (name, text)) in pairs.iter().enumerate() {
        match typed_pair(schema, name, text, &pairs[..index]) {
            Ok(value) => {
                object.insert(name.clone(), value);
            }
            Err(message) => found.push(problem(name, message)),
        }
    }
    if let (Some(field), Some(message)) = (message_field, message)
        && !message.is_empty()
        && !object.contains_key(field)
    {
        object.insert(field.to_owned(), Value::String(message.to_owned()));
    }
    fill_defaults(schema, &mut object);
    let value = Value::Object(object);
    match compile(schema) {
        Ok(validator) => {
            for error in validator.iter_errors(&value) {
                add(&mut found, schema_problems(schema, message_field, &error));
            }
        }
        Err(message) => found.push(InputProblem { field: None, message }),
    }
    if found.is_empty() { Ok(value) } else { Err(found) }
}

/// Adds problems, but none about a field that has one: the first says it best.
fn add(found: &mut Vec<InputProblem>, more: Vec<InputProblem>) {
    for problem in more {
        let known = problem.field.is_some() && found.iter().any(|it| it.field == problem.field);
        if !known {
            found.push(problem);
        }
    }
}

fn problem(field: &str, message: impl Into<String>) -> InputProblem {
    InputProblem { field: Some(field.to_owned()), message: message.into() }
}

/// Reads the text of one field as its schema wants it.
fn typed_pair(
    schema: &Value,
    name: &str,
    text: &str,
    earlier: &[(String, String)],
) -> Result<Value, String> {
    if earlier.iter().any(|(other, _)| other == name) {
        return Err("given twice".to_owned());
    }
    let Some(property) = schema.get("properties").and_then(|all| all.get(name)) else {
        if takes_any_name(schema) {
            return Ok(Value::String(text.to_owned()));
        }
        return Err(unknown(schema, name));
    };
    let types = types_of(property);
    if types.is_empty() || types.contains(&"string") {
        return Ok(Value::String(text.to_owned()));
    }
    serde_json::from_str::<Value>(text.trim())
        .ok()
        .filter(|value| types.iter().any(|wanted| is_a(wanted, value)))
        .ok_or_else(|| format!("expected {}, got `{}`", wanted(&types), one_line(text, 60)))
}

fn takes_any_name(schema: &Value) -> bool {
    schema.get("patternProperties").is_some()
        || schema.get("additionalProperties").is_some_and(|more| more != &Value::Bool(false))
}

fn unknown(schema: &Value, name: &str) -> String {
    let names = schema.get("properties").and_then(Value::as_object);
    let meant = did_you_mean(name, names.into_iter().flat_map(Map::keys).map(String::as_str));
    format!("no such field{meant}")
}

fn types_of(property: &Value) -> Vec<&str> {
    match property.get("type") {
        Some(Value::String(kind)) => vec![kind],
        Some(Value::Array(kinds)) => kinds.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    }
}

fn is_a(kind: &str, value: &Value) -> bool {
    match kind {
        "integer" => value.as_f64().is_some_and(|number| number.fract() == 0.0),
        kind => kind == kind_of(value),
    }
}

fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

fn wanted(types: &[&str]) -> String {
    let words = |kind: &&str| match *kind {
        "integer" => "an integer",
        "number" => "a number",
        "boolean" => "`true` or `false`",
        "array" => "a JSON array",
        "object" => "a JSON object",
        _ => "`null`",
    };
    types.iter().map(words).collect::<Vec<_>>().join(" or ")
}

/// Fills what is absent and has a default, also inside objects that are there.
pub fn fill_defaults(schema: &Value, object: &mut Map<String, Value>) {
    let Some(Value::Object(properties)) = schema.get("properties") else { return };
    for (name, property) in properties {
        if let Some(default) = property.get("default") {
            object.entry(name.clone()).or_insert_with(|| default.clone());
        }
        if let Some(Value::Object(inner)) = object.get_mut(name) {
            fill_defaults(property, inner);
        }
    }
}

fn schema_problems(
    schema: &Value,
    message_field: Option<&str>,
    error: &ValidationError<'_>,
) -> Vec<InputProblem> {
    let place = error.instance_path().as_str().trim_start_matches('/');
    match error.kind() {
        ValidationErrorKind::Required { property } if place.is_empty() => {
            let name = property.as_str().unwrap_or_default();
            let message = if message_field == Some(name) {
                "missing; the run's message fills it"
            } else {
                "missing, and it is required"
            };
            vec![problem(name, message)]
        }
        ValidationErrorKind::AdditionalProperties { unexpected } if place.is_empty() => {
            unexpected.iter().map(|name| problem(name, unknown(schema, name))).collect()
        }
        _ if place.is_empty() => vec![InputProblem { field: None, message: reason(error) }],
        _ => vec![problem(&place.replace('/', "."), reason(error))],
    }
}
