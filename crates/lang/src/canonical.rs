//! The one spelling of a plan (and of any JSON), and digests of texts.

use std::borrow::Cow;

use botpipe_kernel::ids::Digest;
use botpipe_kernel::plan::Plan;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

/// The SHA-256 of a text's bytes.
pub fn digest_of(text: &str) -> Digest {
    Digest::from_bytes(Sha256::digest(text.as_bytes()).into())
}

/// The canonical JSON of a plan: keys sorted by their bytes, no spaces; its digest is the plan's.
///
/// The same as [`canonical_json`] of its JSON, without the tree of it: that takes longer than the rest of a
/// check.
pub fn canonical_plan(plan: &Plan) -> String {
    // A plan holds only text keys, texts and whole numbers: all of it can be JSON.
    let text = serde_json::to_string(plan).unwrap_or_default();
    let mut sorting = Sorting { rest: &text, out: String::with_capacity(text.len()) };
    sorting.value();
    sorting.out
}

/// JSON without spaces on its way to the same with its keys sorted.
struct Sorting<'t> {
    rest: &'t str,
    out: String,
}

impl Sorting<'_> {
    fn value(&mut self) {
        match self.rest.as_bytes().first() {
            Some(b'{') => self.map(),
            Some(b'[') => {
                self.pass(1);
                while !self.rest.is_empty() && !self.rest.starts_with(']') {
                    self.value();
                    self.pass(usize::from(self.rest.starts_with(',')));
                }
                self.pass(1);
            }
            Some(b'"') => self.pass(length_of_text(self.rest)),
            _ => self.pass(self.rest.find([',', ']', '}']).unwrap_or(self.rest.len())),
        }
    }

    fn map(&mut self) {
        self.pass(1);
        let start = self.out.len();
        let mut entries = Vec::new();
        while !self.rest.is_empty() && !self.rest.starts_with('}') {
            let from = self.out.len() - start;
            let key = length_of_text(self.rest);
            let name = name_of(&self.rest[..key]);
            // With its colon.
            self.pass(key + 1);
            self.value();
            entries.push((name, from..self.out.len() - start));
            self.rest = self.rest.strip_prefix(',').unwrap_or(self.rest);
        }
        entries.sort_by(|a, b| a.0.cmp(&b.0));
        let written = self.out.split_off(start);
        for (n, (_, range)) in entries.into_iter().enumerate() {
            self.out += if n > 0 { "," } else { "" };
            self.out += &written[range];
        }
        self.pass(1);
    }

    /// Takes the next bytes over as they are.
    fn pass(&mut self, length: usize) {
        let (passed, rest) = self.rest.split_at(length.min(self.rest.len()));
        self.out += passed;
        self.rest = rest;
    }
}

/// What a key in quotes is called.
fn name_of(key: &str) -> Cow<'_, str> {
    let plain = key.strip_prefix('"').and_then(|key| key.strip_suffix('"'));
    match plain.filter(|name| !name.contains('\\')) {
        Some(name) => Cow::Borrowed(name),
        None => Cow::Owned(serde_json::from_str(key).unwrap_or_default()),
    }
}

/// The bytes of the JSON text that begins here, its quotes included.
fn length_of_text(json: &str) -> usize {
    let mut escaped = false;
    let end = json.bytes().skip(1).position(|byte| {
        let closes = byte == b'"' && !escaped;
        escaped = byte == b'\\' && !escaped;
        closes
    });
    end.map_or(json.len(), |end| end + 2)
}

/// JSON with its keys sorted by their bytes and no spaces.
pub fn canonical_json(value: &Value) -> String {
    let mut text = String::new();
    write(value, &mut text);
    text
}

fn write(value: &Value, text: &mut String) {
    match value {
        Value::Array(items) => {
            text.push('[');
            for (n, item) in items.iter().enumerate() {
                if n > 0 {
                    text.push(',');
                }
                write(item, text);
            }
            text.push(']');
        }
        Value::Object(fields) => {
            let mut keys: Vec<&String> = fields.keys().collect();
            keys.sort();
            text.push('{');
            for (n, key) in keys.into_iter().enumerate() {
                if n > 0 {
                    text.push(',');
                }
                text.push_str(&Value::from(key.as_str()).to_string());
                text.push(':');
                write(&fields[key], text);
            }
            text.push('}');
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
            text.push_str(&value.to_string());
        }
    }
}
