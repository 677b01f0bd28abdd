//! The Messages API: what a request says, and answers as its event stream or as one object.

use serde_json::{Value, json};

use super::turn::{Call, Conversation, Output, Reply, offers, pieces, text_of};

/// Reads the body of a `POST …/messages`.
///
/// The prompt is the last text of a user that the agent program has not added itself: that stands
/// in blocks of its own.
///
/// # Source
/// Observed: Claude Code 2.1.330 marks what it adds with `<system-reminder>`, sends several blocks
/// in one message, and reports a command in a block `tool_result`.
pub(super) fn read(body: &Value) -> Conversation {
    let messages = body["messages"].as_array().map_or(&[][..], Vec::as_slice);
    let mut said = Conversation {
        prompt: String::new(),
        tool: ["Bash"].into_iter().find(|tool| offers(&body["tools"], tool)),
        last_call: None,
        output: None,
    };
    for message in messages {
        let blocks = match &message["content"] {
            Value::Array(blocks) => blocks.clone(),
            text => vec![json!({ "type": "text", "text": text })],
        };
        for block in &blocks {
            let role = message["role"].as_str().unwrap_or_default();
            match (role, block["type"].as_str().unwrap_or_default()) {
                ("user", "text") => said.hears(block["text"].as_str().unwrap_or_default()),
                ("user", "tool_result") => said.output = Some(output(block)),
                ("assistant", "tool_use") => {
                    said.last_call = block["id"].as_str().and_then(Call::parse);
                }
                _ => {}
            }
        }
    }
    said
}

impl Conversation {
    /// A text of the user begins a turn.
    fn hears(&mut self, text: &str) {
        if text.trim_start().starts_with(ADDED) {
            return;
        }
        text.clone_into(&mut self.prompt);
        self.last_call = None;
        self.output = None;
    }
}

fn output(block: &Value) -> Output {
    let report = text_of(&block["content"]);
    Output { succeeded: block["is_error"] != true, printed: report.clone(), report }
}

/// The answer as one object, for a request that wants no stream.
pub(super) fn message(reply: &Reply, serial: u64, model: &Value) -> Value {
    let (block, stop) = match reply {
        Reply::Call { id, tool, arguments } => {
            (json!({ "type": "tool_use", "id": id, "name": tool, "input": arguments }), "tool_use")
        }
        Reply::Say(text) | Reply::Silent(Some(text)) => {
            (json!({ "type": "text", "text": text }), "end_turn")
        }
        _ => (Value::Null, "end_turn"),
    };
    json!({
        "id": format!("msg_{serial}"), "type": "message", "role": "assistant", "model": model,
        "content": [block], "stop_reason": stop, "stop_sequence": null, "usage": usage(20),
    })
}

/// The whole event stream for one reply; for a fault or a silence, its beginning.
///
/// # Source
/// The event names and fields that Claude Code 2.1.330 was observed to accept.
pub(super) fn stream(reply: &Reply, serial: u64, model: &Value) -> Vec<u8> {
    let whole = message(reply, serial, model);
    let mut begun = whole.clone();
    begun["content"] = json!([]);
    begun["stop_reason"] = Value::Null;
    begun["usage"] = usage(1);
    let mut out = Vec::new();
    event(&mut out, "message_start", json!({ "message": begun }));
    let mut empty = whole["content"][0].clone();
    let (key, kind, text) = match reply {
        Reply::Call { arguments, .. } => {
            empty["input"] = json!({});
            ("partial_json", "input_json_delta", arguments.to_string())
        }
        Reply::Say(text) | Reply::Silent(Some(text)) => {
            empty["text"] = json!("");
            ("text", "text_delta", text.clone())
        }
        _ => return out,
    };
    event(&mut out, "content_block_start", json!({ "index": 0, "content_block": empty }));
    let mut pieces = pieces(&text);
    let silent = matches!(reply, Reply::Silent(_));
    if silent {
        pieces.truncate(pieces.len().div_ceil(2));
    }
    for piece in pieces {
        let delta = json!({ "type": kind, key: piece });
        event(&mut out, "content_block_delta", json!({ "index": 0, "delta": delta }));
    }
    if silent {
        return out;
    }
    event(&mut out, "content_block_stop", json!({ "index": 0 }));
    let delta = json!({ "stop_reason": whole["stop_reason"], "stop_sequence": null });
    event(&mut out, "message_delta", json!({ "delta": delta, "usage": usage(20) }));
    event(&mut out, "message_stop", json!({}));
    out
}

/// An error in the form of this API.
pub(super) fn error(status: u16, message: &str) -> Value {
    let kind = match status {
        401 => "authentication_error",
        403 => "permission_error",
        404 => "not_found_error",
        413 => "request_too_large",
        429 => "rate_limit_error",
        529 => "overloaded_error",
        500.. => "api_error",
        _ => "invalid_request_error",
    };
    json!({ "type": "error", "error": { "type": kind, "message": message } })
}

fn usage(output: u32) -> Value {
    json!({
        "input_tokens": 100, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 0,
        "output_tokens": output,
    })
}

fn event(out: &mut Vec<u8>, name: &str, mut fields: Value) {
    fields["type"] = name.into();
    out.extend_from_slice(format!("event: {name}\ndata: {fields}\n\n").as_bytes());
}

/// How a text begins that the agent program itself has put beside the user's.
const ADDED: &str = "<system-reminder>";
