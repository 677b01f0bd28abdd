//! The one spelling of a plan (and of any JSON), and digests of texts.

use botpipe_kernel::ids::Digest;
use botpipe_kernel::plan::Plan;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

/// The SHA-256 of a text's bytes.
pub fn digest_of(text: &str) -> Digest {
    Digest::from_bytes(Sha256::digest(text.as_bytes()).into())
}

/// The canonical JSON of a plan: keys sorted by their bytes, no spaces; its digest is the plan's.
pub fn canonical_plan(plan: &Plan) -> String {
    // A plan holds only text keys, texts and whole numbers: all of it can be JSON.
    serde_json::to_value(plan).map(|json| canonical_json(&json)).unwrap_or_default()
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
