//! The outcome envelope of an answer: found leniently, read strictly.

use serde_json::{Map, Value};

use super::text::did_you_mean;

/// What a deciding turn answered; not yet known to be legal.
///
/// # Shape
/// `{"outcome": {"tag": "accepted", "payload": …, "route_fields": {…}}}`
#[derive(Debug, Clone, PartialEq)]
pub struct Envelope {
    /// Never empty.
    pub tag: String,
    /// `null` when none was given.
    pub payload: Value,
    pub fields: Map<String, Value>,
}

const SHAPE: &str = "end the answer with one JSON object in a fenced json block: \
                     {\"outcome\": {\"tag\": \"…\", \"payload\": …, \"route_fields\": {…}}}";

/// Places looked at in one text, counted from its end: bounds the work to linear.
const MAX_CANDIDATES: usize = 64;

/// Reads the envelope of a final text.
///
/// It may be the whole text, stand in a fenced block (the last that holds one counts), or stand in
/// prose (the last one counts). A later one that is broken is never passed over for an earlier one:
/// that could take a route nobody chose.
///
/// # Errors
/// The exact error, in words for the agent that answered.
pub fn read(text: &str) -> Result<Envelope, String> {
    let text = text.trim_start_matches('\u{feff}').trim();
    if text.is_empty() {
        return Err(format!("the answer is empty; {SHAPE}"));
    }
    if let Some(found) = whole(text) {
        return found;
    }
    for block in fenced_blocks(text).into_iter().rev() {
        if let Some(found) = whole(block).or_else(|| inside(block)) {
            return found;
        }
    }
    inside(text).unwrap_or_else(|| Err(format!("no outcome was found; {SHAPE}")))
}

/// The outcome of a program: `failed` when it exits with anything but 0; else the last line of its
/// output that is an envelope; else `done`.
///
/// # Errors
/// When that line is no valid envelope.
pub fn script_outcome(stdout: &str, exit: i32) -> Result<Envelope, String> {
    let plain =
        |tag: &str| Envelope { tag: tag.to_owned(), payload: Value::Null, fields: Map::new() };
    if exit != 0 {
        return Ok(plain("failed"));
    }
    last_line(stdout, "outcome")?.map_or_else(|| Ok(plain("done")), |outcome| strict(&outcome))
}

/// What stands under a key in the last line that is an object with it; or in the whole text, when that
/// is one.
///
/// # Errors
/// That line is broken: it is not passed over, since what it says may matter.
pub(super) fn last_line(stdout: &str, key: &str) -> Result<Option<Value>, String> {
    let quoted = format!("\"{key}\"");
    let found = |text: &str| match serde_json::from_str(text) {
        Ok(Value::Object(mut object)) => Ok(object.remove(key)),
        Ok(_) => Ok(None),
        Err(error) => Err(format!("the line with {quoted} is no JSON: {error}")),
    };
    if let Ok(Some(whole)) = found(stdout.trim_start_matches('\u{feff}').trim()) {
        return Ok(Some(whole));
    }
    let lines = stdout.lines().rev().map(|line| line.trim_start_matches('\u{feff}').trim());
    for line in lines.filter(|line| line.starts_with('{') && line.contains(&quoted)) {
        if let Some(value) = found(line)? {
            return Ok(Some(value));
        }
    }
    Ok(None)
}

/// The text as one JSON object that is an envelope; `None` when it is none.
fn whole(text: &str) -> Option<Result<Envelope, String>> {
    let Ok(Value::Object(object)) = serde_json::from_str(text) else { return None };
    match object.get("outcome") {
        Some(outcome) => Some(strict(outcome)),
        None if object.get("tag").is_some_and(Value::is_string) => {
            Some(strict(&Value::Object(object)))
        }
        None => None,
    }
}

/// The last envelope somewhere in a text; `None` when there is nothing like one.
fn inside(text: &str) -> Option<Result<Envelope, String>> {
    last_object(text, outcome_objects(text)).or_else(|| last_object(text, bare_objects(text)))
}

/// Reads the object at the last of these places; a place inside an object already read is skipped.
fn last_object(text: &str, places: Vec<usize>) -> Option<Result<Envelope, String>> {
    let skip = places.len().saturating_sub(MAX_CANDIDATES);
    let mut last = None;
    let mut end = 0;
    for place in places.into_iter().skip(skip) {
        if place < end {
            continue;
        }
        last = Some(match first_value_end(&text[place..]) {
            Ok((value, length)) => {
                end = place + length;
                strict(&value)
            }
            Err(why) => Err(format!("the outcome is no valid JSON: {why}; {SHAPE}")),
        });
    }
    last
}

/// Where a `{` follows `"outcome":`.
fn outcome_objects(text: &str) -> Vec<usize> {
    const KEY: &str = "\"outcome\"";
    text.match_indices(KEY)
        .filter_map(|(at, _)| {
            let colon = skip_space(text, at + KEY.len());
            if text.as_bytes().get(colon) != Some(&b':') {
                return None;
            }
            let brace = skip_space(text, colon + 1);
            (text.as_bytes().get(brace) == Some(&b'{')).then_some(brace)
        })
        .collect()
}

/// Where a `{` is followed by `"tag"`.
fn bare_objects(text: &str) -> Vec<usize> {
    text.match_indices("\"tag\"")
        .filter_map(|(at, _)| {
            let before = text[..at].trim_end_matches([' ', '\t', '\r', '\n']);
            before.ends_with('{').then(|| before.len() - 1)
        })
        .collect()
}

fn skip_space(text: &str, from: usize) -> usize {
    let rest = &text[from..];
    from + (rest.len() - rest.trim_start_matches([' ', '\t', '\r', '\n']).len())
}

/// The contents of the fenced blocks, in order; an unclosed one reaches to the end.
fn fenced_blocks(text: &str) -> Vec<&str> {
    let mut blocks = Vec::new();
    let mut open: Option<(char, usize, usize)> = None;
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        let trimmed = line.trim();
        let next = at + line.len();
        let mark = trimmed.chars().next().filter(|c| matches!(c, '`' | '~'));
        let width = mark.map_or(0, |mark| trimmed.chars().take_while(|c| *c == mark).count());
        match (open, mark) {
            (None, Some(mark)) if width >= 3 && !trimmed[width..].contains(mark) => {
                open = Some((mark, width, next));
            }
            (Some((mark, least, from)), Some(found))
                if found == mark && width >= least && trimmed.len() == width =>
            {
                blocks.push(&text[from..at]);
                open = None;
            }
            _ => {}
        }
        at = next;
    }
    if let Some((_, _, from)) = open {
        blocks.push(&text[from..]);
    }
    blocks
}

/// The first JSON value of a text and its length in bytes.
fn first_value_end(text: &str) -> Result<(Value, usize), String> {
    let mut stream = serde_json::Deserializer::from_str(text).into_iter::<Value>();
    match stream.next() {
        Some(Ok(value)) => Ok((value, stream.byte_offset())),
        Some(Err(error)) => Err(error.to_string()),
        None => Err("nothing there".to_owned()),
    }
}

/// Reads what stands under `outcome`.
fn strict(outcome: &Value) -> Result<Envelope, String> {
    const KEYS: [&str; 3] = ["tag", "payload", "route_fields"];
    let Value::Object(object) = outcome else {
        return Err(format!("`outcome` must be an object; {SHAPE}"));
    };
    if let Some(unknown) = object.keys().find(|key| !KEYS.contains(&key.as_str())) {
        let meant = did_you_mean(unknown, KEYS.into_iter());
        return Err(format!("`outcome` has no key `{unknown}`{meant}"));
    }
    let tag = match object.get("tag") {
        Some(Value::String(tag)) if !tag.trim().is_empty() => tag.clone(),
        Some(Value::String(_)) => return Err("`outcome.tag` is empty".to_owned()),
        Some(other) => return Err(format!("`outcome.tag` must be a string, not {other}")),
        None => return Err("`outcome.tag` is missing".to_owned()),
    };
    let fields = match object.get("route_fields") {
        None | Some(Value::Null) => Map::new(),
        Some(Value::Object(fields)) => fields.clone(),
        Some(other) => {
            return Err(format!("`outcome.route_fields` must be an object, not {other}"));
        }
    };
    Ok(Envelope { tag, payload: object.get("payload").cloned().unwrap_or(Value::Null), fields })
}
