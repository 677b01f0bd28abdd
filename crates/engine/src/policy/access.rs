//! What the harness's own sandbox is told, and what of a policy is recorded with a turn.

use std::path::Path;

use botpipe_kernel::ids::TaskId;
use botpipe_kernel::plan::{NetworkMode, SandboxMode};
use botpipe_kernel::run::{Harness, Interface};
use botpipe_providers::Access;
use serde_json::json;

use super::control::Control;
use super::resolve::Resolved;
use crate::environment::ALLOWED;
use crate::harness::Kind;
use crate::workspace::layout::Layout;

/// What whoever started the run may do: what binds scripts, checks and programs that nobody confines.
pub(crate) const UNCONFINED: Access =
    Access { sandbox: SandboxMode::DangerFullAccess, writable: Vec::new(), network: true };

/// What the commands of an agent may touch in a turn, by the harness's own sandbox: what is said, over
/// the seed's default where the harness brings a sandbox along. Claude Code does not: its own needs
/// programs that few machines have.
pub(crate) fn access(holds: &Resolved, by: (Kind, &Harness)) -> Access {
    let default = match by.0 {
        Kind::Codex => SandboxMode::WorkspaceWrite,
        Kind::Claude | Kind::Acp => SandboxMode::DangerFullAccess,
    };
    let said = holds.is_said(Control::SandboxMode);
    let sandbox = if said { holds.sandbox_mode } else { default };
    // The workspace itself is no place outside of it.
    let outside = holds.allow_write.iter().filter(|path| Path::new(path).is_absolute());
    let writable = outside.cloned().collect();
    let offline = holds.is_said(Control::Network) && holds.network != NetworkMode::Full;
    let network = !offline && !keeps_offline(by.1, sandbox);
    Access { sandbox, writable, network }
}

/// The same for a run that works on these files: a branch with its own may also write where the
/// artifacts of its task are, since they are not below them.
pub(crate) fn access_in(
    layout: &Layout,
    task: &TaskId,
    holds: &Resolved,
    by: (Kind, &Harness),
) -> Access {
    let mut access = access(holds, by);
    // An ACP agent may have a sandbox of its own accord.
    let confined = access.sandbox == SandboxMode::WorkspaceWrite || by.0 == Kind::Acp;
    if layout.own_folder().is_some() && confined {
        access.writable.push(layout.task(task).display().to_string());
    }
    access
}

/// Whether the harness has no network for commands that may write nothing, whatever is asked for.
///
/// # Source
/// Codex CLI 0.169.0: the app server takes it as a field; `codex exec` has no word for it.
pub(super) fn keeps_offline(harness: &Harness, sandbox: SandboxMode) -> bool {
    harness.interface == Some(Interface::Exec) && sandbox == SandboxMode::ReadOnly
}

/// What binds a turn or a script, as JSON in the words of the seed.
///
/// `pass` are the names of variables that pass beside [`ALLOWED`]; values are never written. `by` is the
/// harness whose own sandbox enforces it.
///
/// # Shape
/// `{"sandbox_mode":"workspace_write","network":"full","allow_write":["/srv"],"enforced_by":"codex",
/// "environment":{"allow":["HOME",…]},"processes":"end_with_turn"}`
pub(crate) fn in_force(pass: &[String], access: &Access, by: Option<Kind>) -> String {
    let mut allow: Vec<&str> = ALLOWED.iter().copied().chain(["LC_*"]).collect();
    allow.extend(pass.iter().map(String::as_str));
    allow.sort_unstable();
    allow.dedup();
    let network = if access.network { NetworkMode::Full } else { NetworkMode::None };
    let mut policy = json!({
        "sandbox_mode": access.sandbox.as_str(),
        "network": network.as_str(),
        "environment": { "allow": allow },
        "processes": "end_with_turn",
    });
    if !access.writable.is_empty() {
        policy["allow_write"] = json!(access.writable);
    }
    if let Some(kind) = by.filter(|_| access.sandbox != SandboxMode::DangerFullAccess) {
        policy["enforced_by"] = json!(kind.name());
    }
    policy.to_string()
}
