//! What of a run's policies nobody enforces here, said before the run begins.

use botpipe_kernel::ids::Role;
use botpipe_kernel::plan::{
    NetworkMode, PermissionMode, Plan, PolicyLayer, SandboxMode, Step, Validation, Work,
};
use botpipe_kernel::run::{Provider, Providers};

use super::access::keeps_offline;
use super::control::{Control, Origin};
use super::explain::words;
use super::layers::of_role;
use super::paths::Ground;
use super::resolve::{Resolved, holds_to};

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

fn has_checks(step: &Step) -> bool {
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
    if found == Unenforced::OnlineReadOnly {
        return Some(format!(
            "{who} `{}` asks for `network: full` with `sandbox_mode: read_only`, which `codex exec` cannot \
             give; without the `network` the step runs offline, and with Codex's app server it has it",
            step.id
        ));
    }
    let permit = found.permit();
    let (why, by_file) = (found.why(role), holds.origin(control));
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

/// What nobody enforces of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unenforced {
    Control(Control),
    /// A harness keeps to it only in its own sandbox.
    NoSandbox(Control),
    OnlineReadOnly,
    PartOfWorkspace,
}

impl Unenforced {
    fn control(self) -> Control {
        match self {
            Self::Control(control) | Self::NoSandbox(control) => control,
            Self::OnlineReadOnly => Control::Network,
            Self::PartOfWorkspace => Control::AllowWrite,
        }
    }

    /// The control as a file would say it.
    fn shown(self, holds: &Resolved) -> String {
        let control = self.control();
        let said = format!("`{control}: {}`", words(holds, control));
        if matches!(self, Self::NoSandbox(_)) { said + " without a sandbox" } else { said }
    }

    fn why(self, role: Role) -> &'static str {
        match self {
            Self::PartOfWorkspace => "nobody enforces that only a part of the workspace is written",
            _ if role == Role::Script => "nobody enforces that on what is run here",
            _ => "nobody enforces that with this provider",
        }
    }

    /// Whether `validation` may let it pass: what an operator holds it to stays.
    fn relaxes(self, holds: &Resolved) -> bool {
        !matches!(holds.origin(self.control()), Origin::Ceiling { .. })
    }

    /// What permits the run.
    fn permit(self) -> String {
        match self.control() {
            Control::SandboxMode => "`sandbox_mode: danger_full_access`".to_owned(),
            Control::Network => "`network: full`".to_owned(),
            Control::LocalBinding => "`allow_local_binding: true`".to_owned(),
            Control::AllowRead => "`allow_read: [/]`".to_owned(),
            Control::AllowWrite => "`.` in `allow_write`".to_owned(),
            Control::Strict => "`strict: false`".to_owned(),
            control => format!("no `{control}`"),
        }
    }
}

/// The controls that nobody enforces. Everything that says so is here: once the operating system
/// confines every process, this asks that instead.
fn unenforced(
    holds: &Resolved,
    (step, role): (&Step, Role),
    by: Option<&Provider>,
    outside: &[PolicyLayer],
) -> Vec<Unenforced> {
    let calls = step.codes().any(|code| code.function().is_some());
    let mut open = Vec::new();
    if role == Role::Script && (!calls || step.codes().any(|code| code.function().is_none())) {
        let held = |control| {
            let ceilings = outside.iter().filter(|it| it.ceiling);
            let by_ceiling = ceilings.map(|it| &it.policy).any(|it| holds_to(it, control, holds));
            let own = matches!(holds.origin(control), Origin::Step | Origin::Turn);
            // The modes of a workflow bind the turns of agents.
            by_ceiling || (own && step.code().is_some() && !calls)
        };
        let confined = holds.sandbox_mode != SandboxMode::DangerFullAccess;
        if confined && held(Control::SandboxMode) {
            open.push(Unenforced::Control(Control::SandboxMode));
        }
        if holds.network == NetworkMode::None && held(Control::Network) {
            open.push(Unenforced::Control(Control::Network));
        }
        open.extend(others(holds, false, None));
    }
    match by {
        // A recording runs nothing.
        None | Some(Provider::Replay { .. }) => {}
        Some(_) if role == Role::Script && !calls => {}
        Some(by) => {
            open.extend(of_agent(holds, by));
            let mode = holds.is_said(Control::SandboxMode).then_some(holds.sandbox_mode);
            open.extend(others(holds, true, mode.filter(|_| is_harness(by))));
        }
    }
    open
}

fn is_harness(by: &Provider) -> bool {
    matches!(by, Provider::Codex(_) | Provider::Claude(_))
}

/// Sandbox and network of a turn.
fn of_agent(holds: &Resolved, by: &Provider) -> Option<Unenforced> {
    let mode = holds.is_said(Control::SandboxMode).then_some(holds.sandbox_mode);
    let confined = mode.is_some_and(|mode| mode != SandboxMode::DangerFullAccess);
    let network = holds.is_said(Control::Network).then_some(holds.network);
    let offline = network == Some(NetworkMode::None);
    match by {
        Provider::Codex(it)
            if network == Some(NetworkMode::Full)
                && mode.is_some_and(|mode| keeps_offline(it, mode)) =>
        {
            Some(Unenforced::OnlineReadOnly)
        }
        _ if is_harness(by) => (offline && mode.is_some() && !confined)
            .then_some(Unenforced::NoSandbox(Control::Network)),
        _ if confined => Some(Unenforced::Control(Control::SandboxMode)),
        _ if offline => Some(Unenforced::Control(Control::Network)),
        _ => None,
    }
}

/// The controls that no provider keeps; `sandbox` is that of a harness, where one is said.
fn others(
    holds: &Resolved,
    agent: bool,
    sandbox: Option<SandboxMode>,
) -> impl Iterator<Item = Unenforced> {
    let confined = sandbox.is_some_and(|mode| mode != SandboxMode::DangerFullAccess);
    let open = move |control: &Control| match control {
        Control::SandboxMode | Control::AllowWrite | Control::Validation => false,
        // What is done without asking is what the sandbox allows, or everything where there is none.
        Control::PermissionMode => match holds.permission_mode {
            PermissionMode::FullAutoSandboxed => agent && !confined,
            PermissionMode::FullAutoUnsandboxed => agent && confined,
            _ => agent,
        },
        // What is not narrowed needs nobody.
        Control::AllowRead => holds.allow_read != ["/"],
        Control::LocalBinding => !holds.allow_local_binding,
        Control::Network | Control::Domains | Control::Presets => {
            holds.network == NetworkMode::Limited
        }
        Control::DenyRead => !holds.deny_read.is_empty(),
        Control::DenyWrite => !holds.deny_write.is_empty(),
        Control::DenyDomains => !holds.deny_domains.is_empty(),
        Control::AllowPermissions => agent && !holds.permissions.allow.is_empty(),
        Control::AskPermissions => agent && !holds.permissions.ask.is_empty(),
        Control::DenyPermissions => agent && !holds.permissions.deny.is_empty(),
        Control::DenyVariables => !holds.environment.deny.is_empty(),
        Control::SetVariables => !holds.environment.set.is_empty(),
        Control::Strict => holds.strict,
        _ => true,
    };
    let part = holds.is_said(Control::AllowWrite)
        && !holds.allow_write.iter().any(|path| path == "." || path == "/")
        && !(holds.is_said(Control::SandboxMode)
            && holds.sandbox_mode != SandboxMode::WorkspaceWrite);
    let said = Control::ALL.iter().copied().filter(|control| holds.is_said(*control));
    let found = said.filter(move |control| open(control)).map(Unenforced::Control);
    found.chain(part.then_some(Unenforced::PartOfWorkspace))
}

/// Whose policy it is, in words.
fn who(holds: &Resolved, (step, role): (&Step, Role), control: Control) -> String {
    let own = *holds.origin(control) == Origin::Turn && step.turn(role).is_some();
    if own { format!("the {role} of step") } else { "step".to_owned() }
}
