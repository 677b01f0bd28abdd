//! What is kept between steps: its schemas, and what routes put there.

use botpipe_kernel::plan::StatePlace;
use serde_json::{Map, Value as Json};

use super::Reader;
use super::field::{text, wrong_type};
use super::schema::SchemaDecl;
use super::text::TextDecl;
use crate::diagnostic::{Code, Problem};
use crate::source::{Span, Spanned};
use crate::yaml::{Entry, Value};

/// A scope of the state as declared.
#[derive(Debug, Default)]
pub(crate) enum StateDecl {
    #[default]
    None,
    /// It was reported.
    Unknown,
    /// With the place of its key.
    Schema(Span, SchemaDecl),
}

impl StateDecl {
    pub(crate) fn schema(&self) -> Option<&SchemaDecl> {
        match self {
            Self::Schema(_, schema) => Some(schema),
            Self::None | Self::Unknown => None,
        }
    }

    pub(crate) fn is_known(&self) -> bool {
        !matches!(self, Self::Unknown)
    }
}

/// What a route puts into a place of the state.
#[derive(Debug, Clone)]
pub(crate) struct AssignmentDecl {
    pub(crate) place: Spanned<StatePlace>,
    /// An expression.
    pub(crate) value: TextDecl,
}

impl Reader<'_, '_> {
    /// The schema of a state: as an object's, but that nothing has to be there from the start.
    pub(super) fn state(&mut self, entry: Option<&Entry>) -> StateDecl {
        let Some(entry) = entry else { return StateDecl::None };
        let Some(mut schema) = self.object_schema(entry) else { return StateDecl::Unknown };
        if schema.short {
            schema.json["required"] = Json::Array(Vec::new());
        }
        let begin = Json::Object(defaults(&schema.json));
        let Ok(validator) = jsonschema::validator_for(&schema.json) else {
            return StateDecl::Unknown;
        };
        // A default that does not fit was reported where it stands.
        let missing =
            |error: &jsonschema::ValidationError<'_>| error.instance_path().as_str().is_empty();
        if let Some(error) = validator.validate(&begin).err().filter(missing) {
            let message = format!("`{}` does not begin as its schema wants it: {error}", entry.key);
            self.report.push(Problem::new(Code::BadDefault, entry.key_span, message).help(
                "it begins with the defaults of its properties: give one to each that is required",
            ));
        }
        StateDecl::Schema(entry.key_span, schema)
    }

    /// `into:` of a step: the place that gets the payload of its outcome.
    pub(super) fn into(&mut self, entry: Option<&Entry>) -> Option<AssignmentDecl> {
        let written = text(entry?, self.report)?;
        let value = TextDecl { text: "outcome.payload".to_owned(), span: written.span, file: None };
        let place = self.place(written.value, written.span)?;
        Some(AssignmentDecl { place, value })
    }

    fn place(&mut self, written: &str, span: Span) -> Option<Spanned<StatePlace>> {
        let place = written.parse().ok();
        if place.is_none() {
            let message = format!("`{written}` is no place of the state");
            self.report.push(
                Problem::new(Code::UnknownState, span, message)
                    .help("write `state.NAME`, `step_state.NAME` or `item_state.NAME`"),
            );
        }
        place.map(|place| Spanned::new(place, span))
    }

    /// `set:` of a route.
    pub(super) fn assignments(&mut self, entry: &Entry) -> Vec<AssignmentDecl> {
        let Value::Map(entries) = &entry.value.value else {
            let expected = "a map from places of the state to expressions";
            wrong_type(&entry.value, entry.key_span, expected, self.report);
            return Vec::new();
        };
        let mut assignments = Vec::with_capacity(entries.len());
        for entry in entries {
            let Some(place) = self.place(&entry.key, entry.key_span) else { continue };
            let value = self.expression(entry);
            assignments.extend(value.map(|value| AssignmentDecl { place, value }));
        }
        assignments
    }

    /// An expression; a plain number or truth value is that of itself.
    pub(super) fn expression(&mut self, entry: &Entry) -> Option<TextDecl> {
        match &entry.value.value {
            Value::Int(_) | Value::Float(_) | Value::Bool(_) => Some(TextDecl {
                text: entry.value.to_json().to_string(),
                span: entry.value.span,
                file: None,
            }),
            Value::Text(_) => self.inline_text(&entry.value, entry.key_span),
            _ => {
                let expected = "text: an expression";
                wrong_type(&entry.value, entry.key_span, expected, self.report);
                None
            }
        }
    }
}

/// What an object begins with by its schema.
fn defaults(schema: &Json) -> Map<String, Json> {
    let properties = schema.get("properties").and_then(Json::as_object);
    let all = properties.into_iter().flatten();
    all.filter_map(|(name, property)| Some((name.clone(), property.get("default")?.clone())))
        .collect()
}
