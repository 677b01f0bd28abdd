//! What a turn may do, as Claude Code asks before it uses a tool.

use std::path::{Component, Path, PathBuf};

use botpipe_kernel::run::WantedKind;
use serde_json::Value;

use crate::harness::{Access, SandboxMode, Want, inside};

/// The answer to a request.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Allow,
    /// With what the model is told.
    Deny(String),
    /// It is asked on.
    Ask(Box<Want>),
}

/// Whether a tool may be used with this input, by a turn in the folder `cwd`; `asks`: it is asked on whether
/// it may, unless it only reads, or was named by whoever started the run.
pub(super) fn of(access: &Access, asks: bool, cwd: &str, tool: &str, input: &Value) -> Verdict {
    let deny = |why: &str| Verdict::Deny(why.to_owned());
    if INTERACTIVE.contains(&tool) {
        return deny(NOBODY);
    }
    if HARMLESS.contains(&tool) {
        return Verdict::Allow;
    }
    if asks && !tool.starts_with("mcp__") {
        return Verdict::Ask(Box::new(want(cwd, tool, input)));
    }
    if access.sandbox == SandboxMode::DangerFullAccess {
        return Verdict::Allow;
    }
    match tool {
        // Where something may be written, commands run in the sandbox and are not asked about.
        "Bash" => deny("the policy of this step does not allow this command here"),
        "WebFetch" | "WebSearch" if access.network => Verdict::Allow,
        "WebFetch" | "WebSearch" => deny("the policy of this step allows no network"),
        "Edit" | "Write" | "NotebookEdit" => {
            let path =
                ["file_path", "notebook_path"].into_iter().find_map(|key| input[key].as_str());
            match path.and_then(|path| absolute(cwd, path)) {
                Some(path) if may_write(access, cwd, &path) => Verdict::Allow,
                _ => deny("the policy of this step does not allow writing there"),
            }
        }
        // Named by whoever started the run.
        _ if tool.starts_with("mcp__") => Verdict::Allow,
        _ => deny("the policy of this step does not allow this tool"),
    }
}

/// The use of a tool as a person is asked about it.
fn want(cwd: &str, tool: &str, input: &Value) -> Want {
    let text = |names: &[&str]| names.iter().find_map(|name| input[*name].as_str());
    let (kind, what, detail) = match tool {
        "Bash" => (WantedKind::Command, text(&["command"]), None),
        "Edit" | "MultiEdit" | "Write" | "NotebookEdit" => {
            let path = text(&["file_path", "notebook_path"]).map(|path| inside(cwd, path));
            (WantedKind::Edit, path, Some(change(input)))
        }
        "WebFetch" | "WebSearch" => (WantedKind::Network, text(&["url", "query"]), None),
        _ => (WantedKind::Tool, Some(tool), Some(input.to_string())),
    };
    Want {
        id: String::new(),
        kind,
        // Where it is not told as known, all that is told.
        what: what.map_or_else(|| format!("{tool} {input}"), str::to_owned),
        detail,
        cwd: None,
        why: text(&["description"]).map(str::to_owned),
    }
}

/// What an edit changes: a new text whole, of a part what goes and what comes.
fn change(input: &Value) -> String {
    let lines = |sign: &str, text: &Value| {
        let lines = text.as_str().unwrap_or_default().lines().map(|line| format!("{sign}{line}\n"));
        lines.collect::<String>()
    };
    match input.as_object() {
        Some(fields) if fields.contains_key("content") => lines("", &input["content"]),
        Some(fields) if fields.contains_key("old_string") => {
            let all = if input["replace_all"] == true { "everywhere:\n" } else { "" };
            format!("{all}{}{}", lines("-", &input["old_string"]), lines("+", &input["new_string"]))
        }
        _ => input.to_string(),
    }
}

fn may_write(access: &Access, cwd: &str, path: &Path) -> bool {
    let inside = access.sandbox == SandboxMode::WorkspaceWrite && path.starts_with(cwd);
    inside || access.writable.iter().any(|root| path.starts_with(root))
}

/// The path with its dots resolved as text; nothing for one that leads above the root.
fn absolute(cwd: &str, path: &str) -> Option<PathBuf> {
    let mut resolved = PathBuf::new();
    for part in Path::new(cwd).join(path).components() {
        match part {
            Component::ParentDir if !resolved.pop() => return None,
            Component::ParentDir | Component::CurDir => {}
            part => resolved.push(part),
        }
    }
    Some(resolved)
}

/// Tools that ask a person.
const INTERACTIVE: [&str; 2] = ["AskUserQuestion", "ExitPlanMode"];

const NOBODY: &str = "Nobody is there to answer. Go on by your own judgement, and say in your last \
                      message what you took for granted.";

/// Tools that only read, or only order the model's own work.
const HARMLESS: [&str; 9] =
    ["Read", "Glob", "Grep", "Agent", "Task", "TaskStop", "Skill", "ToolSearch", "TodoWrite"];
