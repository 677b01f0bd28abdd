//! What a turn may do, as Claude Code asks before it uses a tool.

use std::path::{Component, Path, PathBuf};

use serde_json::Value;

use crate::harness::{Access, SandboxMode};

/// The answer to a request.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Allow,
    /// With what the model is told.
    Deny(String),
}

/// Whether a tool may be used with this input, by a turn in the folder `cwd`.
pub(super) fn of(access: &Access, cwd: &str, tool: &str, input: &Value) -> Verdict {
    let deny = |why: &str| Verdict::Deny(why.to_owned());
    if INTERACTIVE.contains(&tool) {
        return deny(NOBODY);
    }
    if access.sandbox == SandboxMode::DangerFullAccess || HARMLESS.contains(&tool) {
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
