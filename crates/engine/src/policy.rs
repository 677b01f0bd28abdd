//! What binds a turn: the author's policy resolved for a harness, refused where nobody enforces it,
//! and recorded with the turn that owes it.

use std::path::Path;

use botpipe_kernel::ids::{Role, TaskId};
use botpipe_kernel::plan::{NetworkMode, Plan, Policy, SandboxMode, Step};
use botpipe_kernel::run::{Harness, Interface, Provider, Providers};
use botpipe_providers::Access;
use serde_json::json;

use crate::environment::ALLOWED;
use crate::harness::Kind;
use crate::workspace::layout::Layout;

/// What whoever started the run may do: what binds scripts, checks and programs that nobody confines.
pub(crate) const UNCONFINED: Access =
    Access { sandbox: SandboxMode::DangerFullAccess, writable: Vec::new(), network: true };

/// What the commands of an agent may touch in a turn: what its policy says, over the seed's default where
/// the harness brings a sandbox along. Claude Code does not: its own needs programs that few machines
/// have.
pub(crate) fn access(policy: Policy, by: (Kind, &Harness), root: &Path) -> Access {
    let default = match by.0 {
        Kind::Codex => SandboxMode::WorkspaceWrite,
        Kind::Claude | Kind::Acp => SandboxMode::DangerFullAccess,
    };
    let sandbox = policy.sandbox_mode.unwrap_or(default);
    let outside = policy.allow_write.unwrap_or_default();
    let writable = outside.iter().map(|path| lexical(&root.join(path))).collect();
    let network = policy.network != Some(NetworkMode::None) && !keeps_offline(by.1, sandbox);
    Access { sandbox, writable, network }
}

/// The same for a run that works on these files: a branch with its own may also write where the
/// artifacts of its task are, since they are not below them.
pub(crate) fn access_in(
    layout: &Layout,
    task: &TaskId,
    policy: Policy,
    by: (Kind, &Harness),
) -> Access {
    let mut access = access(policy, by, layout.home());
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
fn keeps_offline(harness: &Harness, sandbox: SandboxMode) -> bool {
    harness.interface == Some(Interface::Exec) && sandbox == SandboxMode::ReadOnly
}

/// The path with its dots resolved as text.
fn lexical(path: &Path) -> String {
    let mut resolved = std::path::PathBuf::new();
    for part in path.components() {
        match part {
            std::path::Component::ParentDir => {
                resolved.pop();
            }
            std::path::Component::CurDir => {}
            part => resolved.push(part),
        }
    }
    resolved.display().to_string()
}

/// What of the workflow's policies nobody enforces with these providers, as one sentence with the line
/// that would permit the run.
pub(crate) fn refusal(plan: &Plan, cast: Providers<'_>) -> Option<String> {
    // A function may ask an agent too.
    let calls = |step: &Step| step.codes().any(|code| code.function().is_some());
    let roles = |step: &Step| step.agents().chain(calls(step).then_some(Role::Script)).collect();
    let turns = plan.steps.iter().flat_map(|step| {
        let roles: Vec<Role> = roles(step);
        roles.into_iter().map(move |role| (step, role))
    });
    turns.into_iter().find_map(|(step, role)| {
        let Policy { sandbox_mode, network, .. } = plan.policy_of(step, role);
        let own = step.turn(role).is_some_and(|turn| turn.policy.is_some());
        let who = if own { format!("the {role} of step") } else { "step".to_owned() };
        let confined = sandbox_mode.filter(|mode| *mode != SandboxMode::DangerFullAccess);
        let offline = network.filter(|network| *network == NetworkMode::None);
        let (what, permit) = match &cast.of(step, role)? {
            // Nothing is run.
            Provider::Replay { .. } => return None,
            Provider::Command { .. } | Provider::Acp(_) => match (confined, offline) {
                (Some(mode), _) => (
                    format!("`sandbox_mode: {}`", mode.as_str()),
                    "`sandbox_mode: danger_full_access`",
                ),
                (None, Some(_)) => ("`network: none`".to_owned(), "`network: full`"),
                (None, None) => return None,
            },
            Provider::Codex(harness)
                if network == Some(NetworkMode::Full)
                    && sandbox_mode.is_some_and(|mode| keeps_offline(harness, mode)) =>
            {
                return Some(format!(
                    "{who} `{}` asks for `network: full` with `sandbox_mode: read_only`, which \
                     `codex exec` cannot give; without the `network` the step runs offline, and with \
                     Codex's app server it has it",
                    step.id
                ));
            }
            Provider::Codex(_) | Provider::Claude(_) => match (sandbox_mode, confined, offline) {
                // Without a sandbox there is nothing that keeps commands from the network.
                (Some(_), None, Some(_)) => {
                    ("`network: none` without a sandbox".to_owned(), "`network: full`")
                }
                _ => return None,
            },
        };
        Some(format!(
            "{who} `{}` asks for {what}, and nobody enforces that with this provider; {permit} in its \
             `policy` permits the run",
            step.id
        ))
    })
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
