//! JSON-RPC in lines, as Codex and ACP agents speak it: what a line is, and lines to send.

use serde_json::{Value, json};

/// A line, by what it is.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Message {
    /// They ask something of us; `id` goes back as it came.
    Request {
        id: Value,
        method: String,
        params: Value,
    },
    Notification {
        method: String,
        params: Value,
    },
    /// The reply to our request of this number.
    Reply {
        id: u64,
        result: Result<Value, Value>,
    },
    /// Nothing that can be understood; skipped.
    Noise,
}

/// Reads a line. Unknown members pass; their order means nothing.
pub(crate) fn read(line: &str) -> Message {
    let Ok(Value::Object(mut fields)) = serde_json::from_str(line) else { return Message::Noise };
    let mut take = |name: &str| fields.remove(name).filter(|value| !value.is_null());
    let (id, params) = (take("id"), take("params").unwrap_or(Value::Null));
    match (take("method"), id) {
        (Some(Value::String(method)), Some(id)) => Message::Request { id, method, params },
        (Some(Value::String(method)), None) => Message::Notification { method, params },
        (None, Some(id)) => {
            let Some(id) = id.as_u64() else { return Message::Noise };
            let result = take("error").map_or_else(|| Ok(take("result").unwrap_or_default()), Err);
            Message::Reply { id, result }
        }
        _ => Message::Noise,
    }
}

/// The line of a request of ours.
pub(crate) fn request(id: u64, method: &str, params: &Value) -> String {
    format!("{}\n", json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params }))
}

/// The line of a notification of ours.
pub(crate) fn notification(method: &str, params: &Value) -> String {
    format!("{}\n", json!({ "jsonrpc": "2.0", "method": method, "params": params }))
}

/// The line that answers their request.
pub(crate) fn reply(id: &Value, result: &Value) -> String {
    format!("{}\n", json!({ "jsonrpc": "2.0", "id": id, "result": result }))
}

/// The line that tells them that we do not know what they ask.
pub(crate) fn unknown(id: &Value, method: &str) -> String {
    let error =
        json!({ "code": METHOD_NOT_FOUND, "message": format!("no method `{method}` here") });
    format!("{}\n", json!({ "jsonrpc": "2.0", "id": id, "error": error }))
}

/// Of the JSON-RPC 2.0 specification.
const METHOD_NOT_FOUND: i64 = -32601;
