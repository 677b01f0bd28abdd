//! Items of a Codex turn in a few words, for a person who watches.

use serde_json::Value;

/// What an item that has ended was; `None` for one that nobody wants to read.
pub(super) fn say(item: &Value) -> Option<String> {
    let text = |name: &str| item[name].as_str().unwrap_or_default().trim().to_owned();
    let said = match item["type"].as_str()? {
        "agentMessage" => text("text"),
        "commandExecution" => {
            let end = match item["exitCode"].as_i64() {
                Some(0) => String::new(),
                Some(code) => format!(" (exit code {code})"),
                None => format!(" ({})", text("status")),
            };
            format!("$ {}{end}", text("command"))
        }
        "fileChange" => {
            let changes = item["changes"].as_array()?;
            let paths: Vec<&str> = changes.iter().filter_map(|it| it["path"].as_str()).collect();
            format!("changed {}", paths.join(", "))
        }
        "mcpToolCall" | "dynamicToolCall" => {
            format!("tool {} {}", text("tool"), text("status"))
        }
        "webSearch" => format!("searched the web: {}", text("query")),
        "contextCompaction" => "the conversation was compacted".to_owned(),
        _ => return None,
    };
    (!said.is_empty()).then_some(said)
}

/// Whether an item is work of the agent's that may take long without a word.
pub(super) fn takes_long(item: &Value) -> bool {
    matches!(
        item["type"].as_str(),
        Some(
            "commandExecution"
                | "mcpToolCall"
                | "dynamicToolCall"
                | "collabAgentToolCall"
                | "collabToolCall"
        )
    )
}
