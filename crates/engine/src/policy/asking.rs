//! Which agents can be held to asking leave and to rules of their own, and why others cannot.

use botpipe_kernel::run::{Harness, Interface, Provider};

use super::control::Control;
use super::resolve::Resolved;

/// Why an agent cannot be held to asking leave before it does something; `None`: it can.
pub(crate) fn cannot_ask(by: Option<&Provider>) -> Option<&'static str> {
    match by {
        Some(Provider::Codex(harness)) if harness.interface == Some(Interface::Exec) => Some(
            "`codex exec` asks nobody: the app server does, which is `--codex-interface app_server`",
        ),
        Some(Provider::Codex(harness) | Provider::Claude(harness)) if harness.hooks => {
            Some("with `hooks` the project's own settings say what is asked about")
        }
        Some(Provider::Claude(harness)) if says_itself(harness) => {
            Some("its further arguments say what is asked about")
        }
        Some(Provider::Codex(_) | Provider::Claude(_)) => None,
        Some(Provider::Acp(_)) => {
            Some("an ACP agent asks as its own mode says, to which nobody holds it")
        }
        Some(Provider::Command { .. }) => {
            Some("a program that is given a prompt and answers it asks nobody")
        }
        Some(Provider::Replay { .. }) | None => Some("there is no agent that could ask"),
    }
}

/// Why an agent cannot be held to these rules; `None`: it can.
pub(crate) fn cannot_keep(
    control: Control,
    holds: &Resolved,
    by: Option<&Provider>,
) -> Option<&'static str> {
    let rules = &holds.permissions;
    let list = match control {
        Control::AllowPermissions if !holds.asks() => {
            return Some(
                "nothing is asked about that could be allowed: `permission_mode: ask` asks",
            );
        }
        Control::AllowPermissions => &rules.allow,
        Control::DenyPermissions => &rules.deny,
        _ => return Some("what is asked about is the `permission_mode`'s"),
    };
    match by {
        Some(Provider::Claude(harness)) if harness.hooks => {
            Some("with `hooks` the project's own settings have rules too")
        }
        Some(Provider::Claude(harness)) if says_itself(harness) => {
            Some("its further arguments have rules too")
        }
        Some(Provider::Claude(_)) if !list.iter().all(|rule| is_of_claude(rule)) => Some(
            "one of them names no tool of Claude Code's (as `Bash`, `Edit`, `Read`, `mcp__SERVER`)",
        ),
        Some(Provider::Claude(_)) => None,
        _ => Some("only Claude Code has rules of that kind"),
    }
}

/// The controls that are left to an agent's own program and that it does not keep.
pub(crate) fn unkept(holds: &Resolved, by: Option<&Provider>) -> Vec<Control> {
    let mut found = Vec::new();
    if holds.asks() && cannot_ask(by).is_some() {
        found.push(Control::PermissionMode);
    }
    found.extend(RULES.into_iter().filter(|control| cannot_keep(*control, holds, by).is_some()));
    found
}

/// The controls that are rules of an agent's own program.
pub(super) const RULES: [Control; 3] =
    [Control::AllowPermissions, Control::AskPermissions, Control::DenyPermissions];

/// Whether the tool that a rule names is one: others would bind nothing.
fn is_of_claude(rule: &str) -> bool {
    let tool = rule.split('(').next().unwrap_or_default();
    TOOLS.contains(&tool) || tool.strip_prefix("mcp__").is_some_and(|rest| !rest.is_empty())
}

/// # Source
/// Claude Code 2.1.330: the tools it tells at its start, and those that its rules name.
const TOOLS: [&str; 14] = [
    "Agent",
    "Bash",
    "Edit",
    "Glob",
    "Grep",
    "Monitor",
    "NotebookEdit",
    "Read",
    "Skill",
    "Task",
    "WebFetch",
    "WebSearch",
    "Workflow",
    "Write",
];

/// Whether a person's own arguments for Claude Code change what it asks about.
fn says_itself(harness: &Harness) -> bool {
    harness.args.iter().any(|arg| SAY.iter().any(|word| arg.to_lowercase().starts_with(word)))
}

/// How those arguments begin.
const SAY: [&str; 4] = ["--allow", "--dangerously", "--permission", "--setting"];

#[cfg(test)]
mod tests {
    use super::*;

    fn claude(args: &[&str]) -> Provider {
        let args = args.iter().map(|&arg| arg.to_owned()).collect();
        Provider::Claude(Box::new(Harness { args, ..Harness::default() }))
    }

    #[test]
    fn only_a_harness_whose_questions_come_to_us_can_be_held_to_asking() {
        assert_eq!(cannot_ask(Some(&claude(&["--effort", "low"]))), None);
        for own in ["--permission-mode", "--allowedTools=Bash", "--dangerously-skip-permissions"] {
            assert!(cannot_ask(Some(&claude(&[own]))).is_some(), "{own}");
        }
        let codex =
            |interface| Provider::Codex(Box::new(Harness { interface, ..Harness::default() }));
        assert_eq!(cannot_ask(Some(&codex(Some(Interface::AppServer)))), None);
        assert!(cannot_ask(Some(&codex(Some(Interface::Exec)))).is_some());
        let hooks = Harness { hooks: true, ..Harness::default() };
        assert!(cannot_ask(Some(&Provider::Codex(Box::new(hooks)))).is_some());
        assert!(cannot_ask(Some(&Provider::Acp(Box::default()))).is_some());
    }
}
