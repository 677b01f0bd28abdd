//! The enforcement report: each control of a policy with who keeps it, how far, what is left open, and
//! what its canaries saw.

use botpipe_kernel::plan::{NetworkMode, SandboxMode};
use botpipe_sandbox::Account;
use serde::Serialize;

use super::canary::{Canary, Seen};
use super::whole::Compiled;
use crate::policy::{Control, Resolved, enforcer};

/// What keeps a control.
///
/// # Shape
/// `{"control":"deny_read","by":"mount-namespace","coverage":"watch","gaps":["…"],"canary":"passed"}`
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Kept {
    pub(crate) control: Control,
    pub(crate) by: &'static str,
    pub(crate) coverage: Coverage,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) gaps: Vec<String>,
    /// `None`: it is not one that can be tried.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) canary: Option<Seen>,
}

/// How far a control is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Coverage {
    Full,
    /// In part: the gaps say what is left open.
    Partial,
    /// It is looked at now and then while a program runs, and acted on when it is seen.
    Watch,
    /// What was there at the start.
    LaunchSnapshot,
    /// Nobody keeps it.
    None,
}

impl Coverage {
    /// Its word, as a report has it.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Partial => "partial",
            Self::Watch => "watch",
            Self::LaunchSnapshot => "launch_snapshot",
            Self::None => "none",
        }
    }
}

/// The report of a compiled policy; `agent`: of a process that is an agent's.
pub(crate) fn of(
    compiled: &Compiled,
    policy: &Resolved,
    canaries: &[Canary],
    agent: bool,
) -> Vec<Kept> {
    let confined = policy.sandbox_mode != SandboxMode::DangerFullAccess;
    Control::ALL
        .iter()
        .map(|control| (*control, enforcer(*control, policy, agent)))
        // What a relaxed policy leaves to nobody is kept by nothing; that there is no sandbox is said.
        .filter(|(control, by)| match *by {
            "-" => false,
            "nobody" => *control == Control::SandboxMode,
            _ => true,
        })
        .map(|(control, by)| {
            let of_control = canaries.iter().filter(|canary| canary.control == control);
            let canary = of_control.map(|canary| canary.result).max();
            let (mut coverage, mut gaps) = coverage(control, compiled);
            if control == Control::LocalBinding && policy.network == NetworkMode::Full {
                coverage = Coverage::Partial;
                gaps.push(
                    "who waits for datagrams (UDP) cannot be told from who asks a name server".to_owned(),
                );
            }
            if control == Control::PermissionMode && agent && policy.asks() {
                coverage = Coverage::Partial;
                gaps.extend(UNASKED.map(str::to_owned));
            }
            if matches!(control, Control::AllowPermissions | Control::DenyPermissions) {
                coverage = Coverage::Partial;
                gaps.push(
                    "the agent's program compares what a command says; the same can be said otherwise".to_owned(),
                );
            }
            if control == Control::SandboxMode && confined && is_root() {
                gaps.push(match compiled.files.as_ref().and_then(|files| files.account) {
                    Some(Account { user, group }) => format!(
                        "it runs as user {user} with group {group}, whose the files are: what others of that \
                         user's may do with them is not kept"
                    ),
                    None => {
                        "whoever runs it is root: the host's root owns what it writes".to_owned()
                    }
                });
            }
            Kept { control, by, coverage, gaps, canary }
        })
        .collect()
}

/// How far a limit is kept; `None`: it is none, or bounds no more than is said.
pub(crate) fn coverage_of_limit(control: Control) -> Option<Coverage> {
    match control {
        Control::Cpu | Control::Memory => Some(Coverage::Watch),
        // The kernel does not count the processes of its root.
        Control::Processes if is_root() => Some(Coverage::Watch),
        _ => None,
    }
}

/// The control that keeps a strict policy from being kept: it is only looked at now and then.
pub(crate) fn watched<'a>(controls: &'a [Kept], policy: &Resolved) -> Option<&'a Kept> {
    let in_part = |it: &&Kept| matches!(it.coverage, Coverage::Watch | Coverage::Partial);
    controls.iter().find(in_part).filter(|_| policy.strict)
}

fn coverage(control: Control, compiled: &Compiled) -> (Coverage, Vec<String>) {
    let files = compiled.files.as_ref();
    let open = files.iter().flat_map(|files| &files.gaps);
    let mut gaps: Vec<String> =
        open.filter(|gap| gap.control == control.to_string()).map(|gap| gap.what.clone()).collect();
    let coverage = match control {
        Control::DenyRead if files.is_some_and(|files| files.watched.is_some()) => {
            gaps.push(
                "a file that the host makes or replaces in a tree that is written can be read until it is \
                 seen and covered"
                    .to_owned(),
            );
            Coverage::Watch
        }
        Control::SandboxMode if files.is_none() => {
            gaps.push("there is no sandbox: it may write and read what its starter may".to_owned());
            Coverage::None
        }
        Control::SandboxMode => {
            gaps.push(
                "a unix socket that the host opens after the start can be reached, and outside the workspace \
                 one that was renamed since it was made"
                    .to_owned(),
            );
            if confined_as_user(compiled) {
                gaps.push(
                    "a program that others run in the group of whoever runs it (setgid) can be made"
                        .to_owned(),
                );
            }
            Coverage::LaunchSnapshot
        }
        Control::DenyWrite if !gaps.is_empty() => Coverage::LaunchSnapshot,
        Control::Memory => {
            gaps.push(
                "what is written to folders in memory, such as `/tmp`, is counted apart, up to as much again"
                    .to_owned(),
            );
            gaps.push(
                "what the kernel itself holds for a program, such as the buffers of its sockets, is not counted; of \
                 files in memory without a name those that nobody has open and nobody has touched, and of memory that is shared \
                 by fork what no process has in its table of pages any more (`MADV_DONTNEED`)"
                    .to_owned(),
            );
            Coverage::Watch
        }
        Control::Cpu => {
            gaps.push(
                "the time of processes whose end nobody waits for is only estimated where they are shorter than \
                 the time between two looks"
                    .to_owned(),
            );
            Coverage::Watch
        }
        limit => coverage_of_limit(limit).unwrap_or(Coverage::Full),
    };
    (coverage, gaps)
}

/// What is not asked about, whoever the agent is.
const UNASKED: [&str; 3] = [
    "what the agent's program holds for plainly reading is not asked about",
    "tools of the MCP servers that the run was started with are not asked about",
    "a command that is allowed does all that the sandbox allows, and may go on while others are asked about",
];

/// Of root the group is kept: others' folders need it.
fn confined_as_user(compiled: &Compiled) -> bool {
    compiled.files.is_some() && !is_root()
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}
