//! What code returns: read strictly, since it says where the run goes.

use std::collections::BTreeMap;

use botpipe_kernel::ids::WorklistName;
use botpipe_kernel::plan::{StatePlace, Target};
use botpipe_kernel::run::WorklistChange;
use serde_json::{Map, Value};

use super::outcome::{Envelope, last_line};
use super::schema::compile;
use super::text::did_you_mean;

/// What code returned; not yet known to be legal.
///
/// # Shape
/// `null`, a tag, or an object with at most one of `event`, `goto`, `request_input`, `fail`, and beside
/// it `set` and `effects`.
#[derive(Debug, Clone, PartialEq)]
pub struct Return {
    pub way: Way,
    /// What it puts into the state.
    pub set: BTreeMap<StatePlace, Value>,
    /// What it does to worklists; an item that is not named is the current one.
    pub worklists: Vec<(WorklistName, Change)>,
}

/// Where code leads.
#[derive(Debug, Clone, PartialEq)]
pub enum Way {
    Go,
    Event { envelope: Envelope, handoff: Option<String> },
    Goto { to: Target, handoff: Option<String>, why: Option<String> },
    RequestInput { question: String, choices: Vec<String>, schema: Option<Value> },
    Fail { why: String },
}

/// A change of a worklist as it is written.
#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    Complete(Option<String>),
    Reset(Option<String>),
    Advance,
    Refresh,
}

const WAYS: [&str; 4] = ["event", "goto", "request_input", "fail"];

/// Reads what a function returned.
///
/// # Errors
/// What is wrong, in words for its author.
pub fn read_return(value: &Value) -> Result<Return, String> {
    let plain = |way| Return { way, set: BTreeMap::new(), worklists: Vec::new() };
    let object = match value {
        Value::Null => return Ok(plain(Way::Go)),
        Value::String(tag) => return Ok(plain(event(&Value::String(tag.clone()))?)),
        Value::Object(object) => object,
        other => return Err(format!("a return is null, a tag or an object, not {other}")),
    };
    let keys = ["event", "goto", "request_input", "fail", "set", "effects"];
    only(object, "the return", &keys)?;
    let ways: Vec<_> = WAYS.iter().filter(|way| is_there(object, way)).collect();
    let way = match ways.as_slice() {
        [] => Way::Go,
        [way] => {
            let value = &object[**way];
            match **way {
                "event" => event(value)?,
                "goto" => goto(value)?,
                "request_input" => request_input(value)?,
                _ => fail(value)?,
            }
        }
        [first, second, ..] => {
            return Err(format!("the return leads two ways: `{first}` and `{second}`"));
        }
    };
    let set = match object.get("set") {
        None | Some(Value::Null) => BTreeMap::new(),
        Some(Value::Object(values)) => values
            .iter()
            .map(|(place, value)| Ok((place.parse::<StatePlace>()?, value.clone())))
            .collect::<Result<_, String>>()?,
        Some(other) => return Err(format!("`set` is an object of places and values, not {other}")),
    };
    Ok(Return { way, set, worklists: effects(object.get("effects"))? })
}

/// A control that a command printed, alone and as what `change` makes of its values; `None`: it printed
/// none, or one that cannot be read.
pub fn control_line(stdout: &str, change: impl FnOnce(Value) -> Value) -> Option<String> {
    let control = last_line(stdout, "control").ok()??;
    Some(format!("{}\n", serde_json::json!({ "control": change(control) })))
}

/// The control that a hook's command printed: its last line that is `{"control": …}`.
///
/// # Errors
/// What is wrong with that line.
pub fn printed_return(stdout: &str) -> Result<Return, String> {
    read_return(&last_line(stdout, "control")?.unwrap_or(Value::Null))
}

fn is_there(object: &Map<String, Value>, key: &str) -> bool {
    object.get(key).is_some_and(|value| !value.is_null())
}

fn only(object: &Map<String, Value>, what: &str, keys: &[&str]) -> Result<(), String> {
    match object.keys().find(|key| !keys.contains(&key.as_str())) {
        Some(unknown) => {
            let meant = did_you_mean(unknown, keys.iter().copied());
            Err(format!("{what} has no key `{unknown}`{meant}"))
        }
        None => Ok(()),
    }
}

fn as_object<'v>(
    value: &'v Value,
    what: &str,
    keys: &[&str],
) -> Result<&'v Map<String, Value>, String> {
    let Value::Object(object) = value else {
        return Err(format!("`{what}` is an object, not {value}"));
    };
    only(object, &format!("`{what}`"), keys)?;
    Ok(object)
}

/// A text that may be left out.
fn text(object: &Map<String, Value>, what: &str, key: &str) -> Result<Option<String>, String> {
    match object.get(key) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(other) => Err(format!("`{what}.{key}` is a text, not {other}")),
    }
}

fn need(object: &Map<String, Value>, what: &str, key: &str) -> Result<String, String> {
    let found = text(object, what, key)?.filter(|text| !text.trim().is_empty());
    found.ok_or_else(|| format!("`{what}` needs `{key}`"))
}

/// A tag; or `{tag, payload, route_fields, question, handoff, reason}`.
fn event(value: &Value) -> Result<Way, String> {
    const WHAT: &str = "event";
    if let Value::String(tag) = value {
        if tag.trim().is_empty() {
            return Err("the tag that was returned is empty".to_owned());
        }
        let (payload, fields) = (Value::Null, Map::new());
        let envelope = Envelope { tag: tag.clone(), payload, fields };
        return Ok(Way::Event { envelope, handoff: None });
    }
    let keys = ["tag", "payload", "route_fields", "question", "handoff", "reason"];
    let object = as_object(value, WHAT, &keys)?;
    let tag = need(object, WHAT, "tag")?;
    let mut fields = match object.get("route_fields") {
        None | Some(Value::Null) => Map::new(),
        Some(Value::Object(fields)) => fields.clone(),
        Some(other) => return Err(format!("`event.route_fields` is an object, not {other}")),
    };
    if let Some(question) = text(object, WHAT, "question")? {
        fields.insert("question".to_owned(), Value::String(question));
    }
    let handoff = text(object, WHAT, "handoff")?;
    let reason = text(object, WHAT, "reason")?;
    let payload = object.get("payload").cloned().unwrap_or(Value::Null);
    // A reason is what comes with an event that brings nothing else.
    let payload = match (payload, reason) {
        (Value::Null, Some(reason)) => Value::String(reason),
        (payload, _) => payload,
    };
    Ok(Way::Event { envelope: Envelope { tag, payload, fields }, handoff })
}

/// A target; or `{target, handoff, reason}`.
fn goto(value: &Value) -> Result<Way, String> {
    const WHAT: &str = "goto";
    let (target, handoff, why) = if let Value::String(target) = value {
        (target.clone(), None, None)
    } else {
        let object = as_object(value, WHAT, &["target", "handoff", "reason"])?;
        let (handoff, why) = (text(object, WHAT, "handoff")?, text(object, WHAT, "reason")?);
        (need(object, WHAT, "target")?, handoff, why)
    };
    let to = match target.as_str() {
        "SELF" => Target::SelfStep,
        "FINISH" => Target::Finish,
        "FAIL" => Target::Fail,
        "AWAIT_INPUT" => {
            return Err("to ask a person, return `request_input`".to_owned());
        }
        step => Target::Step(step.parse().map_err(|error| format!("`goto`: {error}"))?),
    };
    Ok(Way::Goto { to, handoff, why })
}

/// A question; or `{question, choices, schema, reason, best_supposition}`.
fn request_input(value: &Value) -> Result<Way, String> {
    const WHAT: &str = "request_input";
    if let Value::String(question) = value {
        if question.trim().is_empty() {
            return Err("the question of `request_input` is empty".to_owned());
        }
        let (choices, schema) = (Vec::new(), None);
        return Ok(Way::RequestInput { question: question.clone(), choices, schema });
    }
    let keys = ["question", "choices", "schema", "reason", "best_supposition"];
    let object = as_object(value, WHAT, &keys)?;
    let mut question = need(object, WHAT, "question")?;
    for (key, before) in [("reason", "Why it is asked: "), ("best_supposition", "Supposed: ")] {
        if let Some(text) = text(object, WHAT, key)? {
            question = format!("{question}\n{before}{text}");
        }
    }
    let choices = match object.get("choices") {
        None | Some(Value::Null) => Vec::new(),
        Some(Value::Array(choices)) => choices
            .iter()
            .map(|choice| choice.as_str().map(str::to_owned))
            .collect::<Option<_>>()
            .ok_or("`request_input.choices` are texts")?,
        Some(other) => return Err(format!("`request_input.choices` is a list, not {other}")),
    };
    let schema = object.get("schema").filter(|schema| !schema.is_null()).cloned();
    if let Some(schema) = &schema
        && let Err(why) = compile(schema)
    {
        return Err(format!("`request_input.schema`: {why}"));
    }
    Ok(Way::RequestInput { question, choices, schema })
}

/// A reason; or `{reason}`.
fn fail(value: &Value) -> Result<Way, String> {
    if let Value::String(why) = value {
        return Ok(Way::Fail { why: why.clone() });
    }
    let object = as_object(value, "fail", &["reason"])?;
    Ok(Way::Fail { why: need(object, "fail", "reason")? })
}

/// `{"worklists": [{"worklist": "item", "op": "complete", "item": "item-2"}]}`
fn effects(value: Option<&Value>) -> Result<Vec<(WorklistName, Change)>, String> {
    let Some(value) = value.filter(|value| !value.is_null()) else { return Ok(Vec::new()) };
    let object = as_object(value, "effects", &["worklists"])?;
    match object.get("worklists") {
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(Value::Array(changes)) => changes.iter().map(worklist_change).collect(),
        Some(other) => Err(format!("`effects.worklists` is a list, not {other}")),
    }
}

/// One change of a worklist: `{"worklist": …, "op": …, "item": …}`.
///
/// # Errors
/// What is wrong with it.
pub fn worklist_change(value: &Value) -> Result<(WorklistName, Change), String> {
    const WHAT: &str = "a change of a worklist";
    let object = as_object(value, WHAT, &["worklist", "op", "item"])?;
    let worklist = need(object, WHAT, "worklist")?;
    let worklist = worklist.parse().map_err(|error| format!("{error}"))?;
    let item = text(object, WHAT, "item")?;
    let op = need(object, WHAT, "op")?;
    let change = match op.as_str() {
        "complete" => Change::Complete(item),
        "reset" => Change::Reset(item),
        "advance" | "refresh" if item.is_some() => {
            return Err(format!("`{op}` is of the whole worklist; it takes no `item`"));
        }
        "advance" => Change::Advance,
        "refresh" => Change::Refresh,
        other => {
            let meant =
                did_you_mean(other, ["complete", "reset", "advance", "refresh"].into_iter());
            return Err(format!("nothing does `{other}` to a worklist{meant}"));
        }
    };
    Ok((worklist, change))
}

impl Change {
    /// The change with its item, which is the current one unless another is named.
    ///
    /// # Errors
    /// There is no such item, or no current one.
    pub fn of(self, current: Option<&str>, known: &[&str]) -> Result<WorklistChange, String> {
        let item = |named: Option<String>| {
            let named = named.as_deref().or(current).ok_or("the worklist has no current item")?;
            if !known.contains(&named) {
                let meant = did_you_mean(named, known.iter().copied());
                return Err(format!("the worklist has no item `{named}`{meant}"));
            }
            named.parse().map_err(|error| format!("{error}"))
        };
        Ok(match self {
            Self::Complete(named) => WorklistChange::Complete { item: item(named)? },
            Self::Reset(named) => WorklistChange::Reset { item: item(named)? },
            Self::Advance => WorklistChange::Advance,
            Self::Refresh => WorklistChange::Refresh,
        })
    }
}
