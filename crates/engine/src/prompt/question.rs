//! What a run asks a person, and which answers count.

use botpipe_kernel::run::{Leave, Question, QuestionKind};
use serde_json::{Map, Value};

use super::schema::{compile, problems};
use super::text::quoted;

/// A question as the agent put it, found usable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// Never empty.
    pub text: String,
    /// The only answers accepted, when not empty.
    pub choices: Vec<String>,
    /// JSON Schema of the answer: the route's own, else the one the agent gave.
    pub schema: Option<String>,
}

/// The question in the route fields of an outcome whose route waits for a person.
///
/// # Errors
/// The exact error, in words for the agent that answered. A question that no answer could satisfy
/// is one.
pub fn question(fields: &Map<String, Value>, route_schema: Option<&str>) -> Result<Asked, String> {
    let text = match fields.get("question") {
        Some(Value::String(text)) if !text.trim().is_empty() => text.trim().to_owned(),
        Some(Value::String(_)) => return Err("`route_fields.question` is empty".to_owned()),
        Some(other) => {
            return Err(format!("`route_fields.question` must be a string, not {other}"));
        }
        None => {
            return Err("this route asks a person: `route_fields.question` is missing".to_owned());
        }
    };
    let choices = choices(fields.get("choices"))?;
    let schema = match (route_schema, fields.get("answer_schema")) {
        (Some(schema), _) => Some(schema.to_owned()),
        (None, None | Some(Value::Null)) => None,
        (None, Some(schema @ Value::Object(_))) => Some(schema.to_string()),
        (None, Some(other)) => {
            return Err(format!("`route_fields.answer_schema` must be an object, not {other}"));
        }
    };
    let parsed = parsed(schema.as_deref())?;
    for choice in &choices {
        typed(choice, parsed.as_ref()).map_err(|why| {
            format!("the choice `{choice}` breaks the schema of the answer: {why}")
        })?;
    }
    if let (Some(schema), true) = (&parsed, choices.is_empty()) {
        compile(schema).map_err(|why| format!("`route_fields.answer_schema`: {why}"))?;
    }
    Ok(Asked { text, choices, schema })
}

/// The answer as JSON: typed where there is a schema, else the text itself.
///
/// # Errors
/// Why it does not count, in words for the person.
pub fn check_answer(
    question: &Question,
    schema: Option<&Value>,
    answer: &str,
) -> Result<Value, String> {
    let answer = answer.trim();
    // A letter, and words for the agent behind it.
    let leave = matches!(question.kind, QuestionKind::Permission { .. });
    if leave && Leave::read(answer).is_some() {
        return Ok(Value::String(answer.to_owned()));
    }
    if !question.choices.is_empty() && !question.choices.iter().any(|choice| choice == answer) {
        return Err(format!("the answer must be one of {}", quoted(&question.choices)));
    }
    if answer.is_empty() {
        return Err("the answer is empty".to_owned());
    }
    typed(answer, schema)
}

fn choices(given: Option<&Value>) -> Result<Vec<String>, String> {
    const RULE: &str = "`route_fields.choices` must be a list of different, non-empty strings";
    let list = match given {
        None | Some(Value::Null) => return Ok(Vec::new()),
        Some(Value::Array(list)) => list,
        Some(_) => return Err(RULE.to_owned()),
    };
    let mut choices: Vec<String> = Vec::new();
    for choice in list {
        match choice.as_str().map(str::trim) {
            Some(text) if !text.is_empty() && choices.iter().all(|other| other != text) => {
                choices.push(text.to_owned());
            }
            _ => return Err(RULE.to_owned()),
        }
    }
    Ok(choices)
}

fn parsed(schema: Option<&str>) -> Result<Option<Value>, String> {
    schema
        .map(|text| serde_json::from_str(text).map_err(|e| format!("the schema is no JSON: {e}")))
        .transpose()
}

/// Reads a text as what the schema wants: as JSON, or as the string it is, whichever fits.
fn typed(text: &str, schema: Option<&Value>) -> Result<Value, String> {
    let string = Value::String(text.to_owned());
    let Some(schema) = schema else { return Ok(string) };
    let validator = compile(schema)?;
    let json: Option<Value> = serde_json::from_str(text).ok();
    let wants_string = schema.get("type").is_some_and(|kind| kind == "string");
    let readings = match json {
        Some(json) if wants_string => vec![string, json],
        Some(json) => vec![json, string],
        None => vec![string],
    };
    let mut first = None;
    for reading in readings {
        match problems(&validator, &reading) {
            Ok(()) => return Ok(reading),
            Err(why) => {
                first.get_or_insert(why);
            }
        }
    }
    Err(first.unwrap_or_default())
}
