//! What Codex asks leave for before it does it.

use botpipe_kernel::run::WantedKind;
use serde_json::Value;

use crate::harness::{Want, inside};

/// A command, whole, as it is to be run.
pub(super) fn of_command(params: &Value, cwd: &str) -> Want {
    let text = |name: &str| params[name].as_str().map(str::to_owned);
    Want {
        id: String::new(),
        kind: WantedKind::Command,
        // Where no command is told, all that is told.
        what: text("command").unwrap_or_else(|| params.to_string()),
        detail: None,
        cwd: text("cwd").filter(|it| it != cwd),
        why: text("reason"),
    }
}

/// A change of files: `changes` as its item told them when it began.
pub(super) fn of_changes(params: &Value, changes: Option<&Value>, cwd: &str) -> Want {
    let changes = changes.and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let path = |change: &Value| inside(cwd, change["path"].as_str().unwrap_or_default()).to_owned();
    let paths: Vec<String> = changes.iter().map(path).collect();
    let told = changes.iter().map(|change| {
        let kind = change["kind"]["type"].as_str().unwrap_or_default();
        let moved =
            change["kind"]["move_path"].as_str().map(|to| format!(" to {}", inside(cwd, to)));
        let diff = change["diff"].as_str().unwrap_or_default();
        format!("{kind} {}{}:\n{diff}", path(change), moved.unwrap_or_default())
    });
    let detail = told.collect::<Vec<_>>().join("\n");
    Want {
        id: String::new(),
        kind: WantedKind::Edit,
        what: if paths.is_empty() { params.to_string() } else { paths.join(", ") },
        detail: Some(detail).filter(|it| !it.is_empty()),
        cwd: None,
        why: params["reason"].as_str().map(str::to_owned),
    }
}
