//! What of a run's policies nobody enforces here, said before the run begins.

use botpipe_kernel::ids::Role;
use botpipe_kernel::plan::{
    NetworkMode, PermissionMode, Plan, PolicyLayer, SandboxMode, Step, Validation, Work,
};
use botpipe_kernel::run::{Provider, Providers};

use super::asking::{RULES, cannot_ask, cannot_keep};
use super::control::{Control, Origin};
use super::explain::words;
use super::layers::of_role;
use super::paths::Ground;
use super::resolve::Resolved;
use crate::confine::report::{Coverage, coverage_of_limit};

/// What nobody enforces with these providers, as one sentence with the line that would permit the run.
pub(crate) fn refusal(
    plan: &Plan,
    cast: Providers<'_>,
    outside: &[PolicyLayer],
    ground: &Ground,
) -> Option<String> {
    processes(plan).find_map(|process| {
        let holds = of_role(plan, process, outside, ground);
        let by = cast.of(process.0, process.1);
        of_process(&holds, process, by.as_ref(), outside)
    })
}

/// What nobody enforces although the run begins, where `validation: warn` says that it may.
pub(crate) fn warnings(
    plan: &Plan,
    cast: Providers<'_>,
    outside: &[PolicyLayer],
    ground: &Ground,
) -> Vec<String> {
    let of = |process: (&Step, Role)| {
        let holds = of_role(plan, process, outside, ground);
        let by = cast.of(process.0, process.1);
        let open = unenforced(&holds, process, by.as_ref(), outside);
        let open = open
            .into_iter()
            .filter(|it| holds.validation == Validation::Warn && it.relaxes(&holds));
        open.map(|it| {
            let who = who(&holds, process, it.control());
            format!("{who} `{}` asks for {}, which is not enforced", process.0.id, it.shown(&holds))
        })
        .collect::<Vec<_>>()
    };
    processes(plan).flat_map(of).collect()
}

/// The roles of a plan that start processes, or have an agent asked.
pub(super) fn processes(plan: &Plan) -> impl Iterator<Item = (&Step, Role)> {
    plan.steps.iter().flat_map(|step| {
        let runs = step.codes().next().is_some() || has_checks(step);
        step.agents().chain(runs.then_some(Role::Script)).map(move |role| (step, role))
    })
}

pub(super) fn has_checks(step: &Step) -> bool {
    matches!(&step.work, Work::ProduceVerify { checks, .. } if !checks.is_empty())
}

/// The same for one process; `by` does the turn, or what a function asks for.
pub(super) fn of_process(
    holds: &Resolved,
    process: (&Step, Role),
    by: Option<&Provider>,
    outside: &[PolicyLayer],
) -> Option<String> {
    let open = unenforced(holds, process, by, outside);
    let relaxed = holds.validation != Validation::Fail;
    let found = open.into_iter().find(|it| !(relaxed && it.relaxes(holds)))?;
    let (step, role) = process;
    let (control, what) = (found.control(), found.shown(holds));
    let who = who(holds, (step, role), control);
    let permit = found.permit(holds);
    let (why, by_file) = (found.why(role, holds), holds.origin(control));
    Some(match by_file {
        Origin::Ceiling { path } => format!(
            "{who} `{}` is held to {what} by `{path}`, and {why}; {permit} there permits the run",
            step.id
        ),
        Origin::Repository { path } => format!(
            "{who} `{}` is given {what} by `{path}`, and {why}; {permit} in its `policy` permits the run",
            step.id
        ),
        _ => format!(
            "{who} `{}` asks for {what}, and {why}; {permit} in its `policy` permits the run",
            step.id
        ),
    })
}

/// A control that nobody enforces on a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unenforced {
    Control(Control),
    /// A person is to be asked, and that agent cannot be held to it.
    Asking(&'static str),
    /// There are rules for a harness, and that agent cannot be held to them.
    Rules(Control, &'static str),
}

impl Unenforced {
    fn control(self) -> Control {
        match self {
            Self::Control(control) | Self::Rules(control, _) => control,
            Self::Asking(_) => Control::PermissionMode,
        }
    }

    /// The control as a file would say it.
    fn shown(self, holds: &Resolved) -> String {
        let control = self.control();
        let said = format!("`{control}: {}`", words(holds, control));
        let files =
            [Control::AllowRead, Control::DenyRead, Control::AllowWrite, Control::DenyWrite];
        if files.contains(&control) { said + " without a sandbox" } else { said }
    }

    fn why(self, role: Role, holds: &Resolved) -> String {
        if let Self::Asking(why) | Self::Rules(_, why) = self {
            return why.to_owned();
        }
        let why = match self.control() {
            Control::PermissionMode if holds.asks() && holds.sandbox_mode == DANGER => {
                "without a sandbox nobody keeps what is not asked about"
            }
            Control::PermissionMode if holds.wants_no_sandbox() && role == Role::Script => {
                "there is a sandbox around what is run here"
            }
            Control::PermissionMode if holds.wants_no_sandbox() => {
                "there is a sandbox around its agents"
            }
            Control::PermissionMode if holds.asks() => "that is only kept in part (`strict`)",
            Control::Memory | Control::Cpu | Control::Processes | Control::LocalBinding => {
                "that is only kept in part (`strict`)"
            }
            Control::Strict => {
                let denied = words(holds, Control::DenyRead);
                return format!(
                    "`deny_read: {denied}` is only watched: what comes to be in a tree that is written can \
                     be read until it is seen"
                );
            }
            _ if role == Role::Script => "nobody enforces that on what is run here",
            _ => "nobody enforces that with this provider",
        };
        why.to_owned()
    }

    /// Whether `validation` may let it pass: what an operator holds it to stays.
    fn relaxes(self, holds: &Resolved) -> bool {
        !matches!(holds.origin(self.control()), Origin::Ceiling { .. })
    }

    /// What permits the run.
    fn permit(self, holds: &Resolved) -> String {
        match self.control() {
            Control::PermissionMode if holds.wants_no_sandbox() => {
                "`full_auto_sandboxed`, or `sandbox_mode: danger_full_access` beside it,".to_owned()
            }
            Control::PermissionMode => {
                "`permission_mode: full_auto_sandboxed` (or, without a sandbox, `full_auto_unsandboxed`)"
                    .to_owned()
            }
            Control::AllowRead | Control::DenyRead | Control::AllowWrite | Control::DenyWrite => {
                "`sandbox_mode: workspace_write`".to_owned()
            }
            Control::DenyDomains => "`network: limited`".to_owned(),
            Control::Strict => "`strict: false`".to_owned(),
            control => format!("leaving out `{control}`"),
        }
    }
}

/// The controls that nobody enforces: the operating system keeps the rest around every process.
fn unenforced(
    holds: &Resolved,
    (step, role): (&Step, Role),
    by: Option<&Provider>,
    _outside: &[PolicyLayer],
) -> Vec<Unenforced> {
    let calls = step.codes().any(|code| code.function().is_some());
    let agent = role != Role::Script || calls;
    match by {
        // A recording runs nothing.
        Some(Provider::Replay { .. }) if role != Role::Script => Vec::new(),
        None if role != Role::Script => open_for_anybody(holds),
        _ => {
            let mut found = left_open(holds, agent, by);
            // What a verifier writes is gone with it, and so nothing turns up.
            let discards = role == Role::Verifier;
            found.retain(|it| !(discards && it.control() == Control::Strict));
            found
        }
    }
}

/// What no agent keeps, whoever it will be.
fn open_for_anybody(holds: &Resolved) -> Vec<Unenforced> {
    let never = |it: &Unenforced| match it {
        Unenforced::Rules(Control::AllowPermissions, _) => !holds.asks(),
        Unenforced::Rules(control, _) => *control == Control::AskPermissions,
        Unenforced::Asking(_) => false,
        Unenforced::Control(_) => true,
    };
    left_open(holds, true, None).into_iter().filter(never).collect()
}

/// The same for a program, whoever it is of; `agent`: it may be asked to do something of its own accord.
fn left_open(holds: &Resolved, agent: bool, by: Option<&Provider>) -> Vec<Unenforced> {
    let mut found = open(holds, agent);
    if let Some(why) = cannot_ask(by).filter(|_| agent && holds.asks())
        && !found.iter().any(|it| it.control() == Control::PermissionMode)
    {
        found.push(Unenforced::Asking(why));
    }
    for control in RULES.into_iter().filter(|it| agent && has_rules(holds, *it)) {
        let strict = "that is only kept in part (`strict`)";
        let why = cannot_keep(control, holds, by).or(holds.strict.then_some(strict));
        found.extend(why.map(|why| Unenforced::Rules(control, why)));
    }
    found
}

/// A control that nobody keeps around a person's own command.
pub(crate) struct Unkept {
    pub(crate) control: Control,
    /// A sentence.
    pub(crate) what: String,
    pub(crate) permit: String,
}

/// What nobody enforces around a person's own command: a plain program does as it likes within its sandbox, like
/// an agent, and asks nobody.
pub(crate) fn of_command(holds: &Resolved) -> Vec<Unkept> {
    let unkept = |it: Unenforced| {
        let (of, there) = match holds.origin(it.control()) {
            Origin::Ceiling { path } | Origin::Repository { path } => {
                (format!("`{path}`"), " in there")
            }
            _ => ("the policy".to_owned(), ""),
        };
        let why = it.why(Role::Script, holds);
        Unkept {
            control: it.control(),
            what: format!("{of} asks for {}, and {why}", it.shown(holds)),
            permit: format!("{}{there} permits it", it.permit(holds)),
        }
    };
    left_open(holds, true, None).into_iter().map(unkept).collect()
}

/// What is open for a process; `agent`: it may be asked to do something of its own accord.
fn open(holds: &Resolved, agent: bool) -> Vec<Unenforced> {
    let confined = holds.sandbox_mode != SandboxMode::DangerFullAccess;
    let open = |control: &Control| match control {
        // What is done without asking is what the sandbox allows, or everything where there is none.
        Control::PermissionMode => match holds.permission_mode {
            PermissionMode::FullAutoSandboxed => agent && !confined,
            PermissionMode::FullAutoUnsandboxed => confined && (agent || contradicts_itself(holds)),
            // What a harness does not ask about is what the sandbox leaves; where that is nothing, nothing is
            // left that could be permitted.
            PermissionMode::Ask | PermissionMode::AutoEdit | PermissionMode::DenyAll => {
                agent && holds.asks() && (!confined || holds.strict)
            }
        },
        Control::AllowRead => !confined && holds.allow_read != ["/"],
        Control::DenyRead => !confined && !holds.deny_read.is_empty(),
        Control::DenyWrite => !confined && !holds.deny_write.is_empty(),
        Control::AllowWrite => {
            !confined && !holds.allow_write.iter().any(|path| path == "." || path == "/")
        }
        Control::DenyDomains => {
            holds.network == NetworkMode::Full && !holds.deny_domains.is_empty()
        }
        // Of a whole network datagrams are left.
        Control::LocalBinding => {
            holds.strict && !holds.allow_local_binding && holds.network == NetworkMode::Full
        }
        limit if holds.strict && coverage_of_limit(*limit) == Some(Coverage::Watch) => true,
        Control::Strict => holds.strict && !holds.deny_read.is_empty() && writes_workspace(holds),
        _ => false,
    };
    let said = Control::ALL.iter().filter(|control| holds.is_said(**control));
    said.filter(|control| open(control)).map(|control| Unenforced::Control(*control)).collect()
}

/// Whether one and the same layer asks for no sandbox and leaves it there: that is no policy for anybody. Where
/// another layer has the sandbox, the mode is for the agents beside a script.
fn contradicts_itself(holds: &Resolved) -> bool {
    let mode = holds.origin(Control::SandboxMode);
    *mode == Origin::Default || mode == holds.origin(Control::PermissionMode)
}

pub(super) fn has_rules(holds: &Resolved, control: Control) -> bool {
    let rules = &holds.permissions;
    let list = match control {
        Control::AllowPermissions => &rules.allow,
        Control::AskPermissions => &rules.ask,
        _ => &rules.deny,
    };
    !list.is_empty()
}

const DANGER: SandboxMode = SandboxMode::DangerFullAccess;

/// What turns up in a tree that is written is only covered when it is seen.
fn writes_workspace(holds: &Resolved) -> bool {
    holds.sandbox_mode == SandboxMode::WorkspaceWrite && !holds.allow_write.is_empty()
}

/// Whose policy it is, in words.
fn who(holds: &Resolved, (step, role): (&Step, Role), control: Control) -> String {
    let own = *holds.origin(control) == Origin::Turn && step.turn(role).is_some();
    if own { format!("the {role} of step") } else { "step".to_owned() }
}
