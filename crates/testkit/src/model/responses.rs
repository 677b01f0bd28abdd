//! The Responses API: what a request says, and answers as its event stream.

use std::sync::LazyLock;

use regex::Regex;
use serde_json::{Value, json};

use super::turn::{Call, Conversation, Output, Reply, offers, pieces, text_of};

/// Reads the body of a `POST …/responses`.
pub(super) fn read(body: &Value) -> Conversation {
    let items = body["input"].as_array().map_or(&[][..], Vec::as_slice);
    let start = items.iter().rposition(|item| item["role"] == "user");
    let since = start.map_or(items, |start| &items[start..]);
    let latest = |kind: &str| since.iter().rev().find(|item| item["type"] == kind);
    Conversation {
        prompt: start.map(|start| text_of(&items[start]["content"])).unwrap_or_default(),
        tool: SHELL_TOOLS.into_iter().find(|tool| offers(&body["tools"], tool)),
        last_call: latest("function_call").and_then(|item| Call::parse(item["call_id"].as_str()?)),
        output: latest("function_call_output").map(|item| output(text_of(&item["output"]))),
    }
}

fn output(report: String) -> Output {
    let (head, printed) = report.split_once(OUTPUT_MARK).unwrap_or((&report, &report));
    let succeeded = EXIT_CODE.captures(head).is_some_and(|code| &code[1] == "0");
    Output { succeeded, printed: printed.to_owned(), report }
}

/// The whole event stream for one reply; for a cut or a silent one, its beginning.
///
/// # Source
/// The event names and fields that Codex CLI 0.169.0 was observed to accept.
pub(super) fn stream(reply: &Reply, serial: u64, model: &Value) -> Vec<u8> {
    let id = format!("resp_{serial}");
    let response = |status: &str, output: &[Value]| {
        json!({
            "id": id, "object": "response", "model": model, "status": status, "output": output,
        })
    };
    let mut out = Vec::new();
    event(&mut out, "response.created", json!({ "response": response("in_progress", &[]) }));
    let item = match reply {
        Reply::Call { id, tool, arguments } => call(&mut out, id, tool, arguments),
        Reply::Say(text) => message(&mut out, serial, text, false),
        Reply::Silent(Some(text)) => {
            message(&mut out, serial, text, true);
            return out;
        }
        _ => return out,
    };
    event(
        &mut out,
        "response.output_item.done",
        json!({ "output_index": 0, "item": item.clone() }),
    );
    let mut response = response("completed", &[item]);
    response["usage"] = json!({
        "input_tokens": 100, "input_tokens_details": { "cached_tokens": 0 },
        "output_tokens": 20, "output_tokens_details": { "reasoning_tokens": 0 },
        "total_tokens": 120,
    });
    event(&mut out, "response.completed", json!({ "response": response }));
    out
}

fn call(out: &mut Vec<u8>, id: &str, tool: &str, arguments: &Value) -> Value {
    let item = |arguments: &str| {
        json!({
            "type": "function_call", "id": format!("fc_{id}"), "call_id": id,
            "name": tool, "arguments": arguments,
        })
    };
    event(out, "response.output_item.added", json!({ "output_index": 0, "item": item("") }));
    item(&arguments.to_string())
}

/// A message, or half of one.
fn message(out: &mut Vec<u8>, serial: u64, text: &str, half: bool) -> Value {
    let id = format!("msg_{serial}");
    let item = |status: &str, content: Value| {
        json!({
            "type": "message", "id": id, "role": "assistant", "status": status,
            "content": content,
        })
    };
    let empty = item("in_progress", json!([]));
    event(out, "response.output_item.added", json!({ "output_index": 0, "item": empty }));
    let mut pieces = pieces(text);
    if half {
        pieces.truncate(pieces.len().div_ceil(2));
    }
    for delta in pieces {
        let fields =
            json!({ "item_id": id, "output_index": 0, "content_index": 0, "delta": delta });
        event(out, "response.output_text.delta", fields);
    }
    item("completed", json!([{ "type": "output_text", "text": text, "annotations": [] }]))
}

fn event(out: &mut Vec<u8>, name: &str, mut fields: Value) {
    fields["type"] = name.into();
    out.extend_from_slice(format!("event: {name}\ndata: {fields}\n\n").as_bytes());
}

/// The shell tools the model can call, the preferred one first.
///
/// # Source
/// Observed: Codex CLI 0.169.0 offers `exec_command`; its older releases `shell`.
const SHELL_TOOLS: [&str; 2] = ["exec_command", "shell"];

/// What stands before a command's output in the report of Codex CLI 0.169.0.
const OUTPUT_MARK: &str = "\nOutput:\n";

#[expect(clippy::expect_used, reason = "a constant pattern; the turn tests compile it")]
static EXIT_CODE: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"(?m)(?:Process exited with code|Exit code:) (-?\d+)").expect("a valid pattern")
});
