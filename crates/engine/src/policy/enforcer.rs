//! Who enforces a control, by the mechanism that its value becomes.

use botpipe_kernel::plan::{NetworkMode, SandboxMode};

use super::control::Control;
use super::resolve::Resolved;

/// Who enforces a control of a policy; `-`: there is nothing to enforce. `agent`: the process is an agent's.
pub fn enforcer(control: Control, of: &Resolved, agent: bool) -> &'static str {
    let confined = of.sandbox_mode != SandboxMode::DangerFullAccess;
    let nothing = "-";
    let where_said = |said: bool, by| if said { by } else { nothing };
    match control {
        // The sandbox is around it all the same.
        Control::PermissionMode if agent && of.asks() => "provider-permission",
        // It asks for no sandbox, and there is one.
        Control::PermissionMode if of.wants_no_sandbox() => "nobody",
        // What is no agent's asks nobody.
        Control::PermissionMode if of.asks() => nothing,
        // There is none, and that is said by name.
        Control::SandboxMode if !confined => "nobody",
        Control::SandboxMode | Control::PermissionMode => where_said(confined, "mount-namespace"),
        Control::AllowRead => where_said(confined && of.allow_read != ["/"], "mount-namespace"),
        Control::AllowWrite => {
            where_said(of.sandbox_mode == SandboxMode::WorkspaceWrite, "mount-namespace")
        }
        // Without a sandbox there are no mounts.
        Control::DenyRead if !of.deny_read.is_empty() => {
            if confined {
                "mount-namespace"
            } else {
                "nobody"
            }
        }
        Control::DenyWrite if !of.deny_write.is_empty() => {
            if confined {
                "mount-namespace"
            } else {
                "nobody"
            }
        }
        Control::DenyRead | Control::DenyWrite => nothing,
        Control::Network => match of.network {
            NetworkMode::None => "net-namespace",
            NetworkMode::Limited => "net-namespace + proxy",
            NetworkMode::Full => nothing,
        },
        Control::Domains => where_said(of.domains.iter().any(|it| !it.is_empty()), "proxy"),
        Control::Presets => where_said(of.presets.iter().any(|it| !it.is_empty()), "proxy"),
        // Of a whole network nothing is taken away, and of none there is nothing to take.
        Control::DenyDomains => match (of.deny_domains.is_empty(), of.network) {
            (true, _) | (_, NetworkMode::None) => nothing,
            (false, NetworkMode::Limited) => "proxy",
            (false, NetworkMode::Full) => "nobody",
        },
        Control::LocalBinding => where_said(!of.allow_local_binding, "landlock + seccomp"),
        // A program that is no agent's has none.
        Control::AllowPermissions => {
            where_said(agent && !of.permissions.allow.is_empty(), "provider-permission")
        }
        Control::AskPermissions => where_said(agent && !of.permissions.ask.is_empty(), "nobody"),
        Control::DenyPermissions => {
            where_said(agent && !of.permissions.deny.is_empty(), "provider-permission")
        }
        // The list of names that pass is kept in any case.
        Control::AllowVariables => "supervisor",
        Control::DenyVariables => where_said(!of.environment.deny.is_empty(), "supervisor"),
        Control::SetVariables => where_said(!of.environment.set.is_empty(), "supervisor"),
        Control::Wall => where_said(of.limits.wall_ms.is_some(), "supervisor"),
        Control::Output => where_said(of.limits.output.is_some(), "supervisor"),
        Control::Cpu => where_said(of.limits.cpu_ms.is_some(), "rlimit + supervisor"),
        Control::Memory => where_said(of.limits.memory.is_some(), "rlimit + supervisor"),
        Control::Processes => where_said(of.limits.processes.is_some(), "rlimit + supervisor"),
        Control::FileSize => where_said(of.limits.file_size.is_some(), "rlimit"),
        Control::Validation | Control::Strict => "engine",
    }
}
