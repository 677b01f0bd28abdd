//! The one spelling of a plan (and of any JSON), and digests of texts.

use std::borrow::Cow;
use std::ops::Range;

use botpipe_kernel::ids::Digest;
use botpipe_kernel::plan::Plan;
use memchr::memchr2;
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
    let mut sorting = Sorting {
        rest: &text,
        out: String::with_capacity(text.len()),
        entries: Vec::new(),
        spare: String::new(),
    };
    sorting.value();
    sorting.out
}

/// JSON without spaces on its way to the same with its keys sorted.
struct Sorting<'t> {
    rest: &'t str,
    out: String,
    /// The entries of the maps that are open, by name and place in `out`.
    entries: Vec<(Cow<'t, str>, Range<usize>)>,
    /// Room to put entries into their order.
    spare: String,
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
        let (start, first) = (self.out.len(), self.entries.len());
        while !self.rest.is_empty() && !self.rest.starts_with('}') {
            let from = self.out.len();
            let key = length_of_text(self.rest);
            let name = name_of(&self.rest[..key]);
            // With its colon.
            self.pass(key + 1);
            self.value();
            self.entries.push((name, from..self.out.len()));
            self.pass(usize::from(self.rest.starts_with(',')));
        }
        let entries = &mut self.entries[first..];
        if !entries.is_sorted_by(|a, b| a.0 <= b.0) {
            entries.sort_by(|a, b| a.0.cmp(&b.0));
            self.spare.clear();
            for (n, (_, range)) in entries.iter().enumerate() {
                self.spare += if n > 0 { "," } else { "" };
                self.spare += &self.out[range.clone()];
            }
            self.out.truncate(start);
            self.out += &self.spare;
        }
        self.entries.truncate(first);
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
    let bytes = json.as_bytes();
    let mut at = 1;
    while let Some(found) = bytes.get(at..).and_then(|rest| memchr2(b'"', b'\\', rest)) {
        at += found + 1;
        if bytes[at - 1] == b'"' {
            return at;
        }
        // What stands behind a backslash closes nothing.
        at += 1;
    }
    json.len()
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
