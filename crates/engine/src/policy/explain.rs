//! A run's policy as a person reads it: per process, every control with its origin and its enforcer.

use std::path::Path;

use botpipe_kernel::ids::{Role, StepId, WorkflowName};
use botpipe_kernel::plan::{self, Plan, PolicyLayer, SandboxMode};
use botpipe_kernel::run::{Provider, Providers};
use botpipe_lang::Compiled;
use botpipe_sandbox::Account;
use serde::Serialize;
use serde_json::Value;

use super::asking::{RULES, cannot_ask, cannot_keep};
use super::control::{Control, Origin};
use super::enforcer::enforcer;
use super::foreseen::{Foreseen, is_first};
use super::layers::of_role;
use super::limits::{duration, size};
use super::paths::Ground;
use super::refusal::{has_rules, of_process, processes};
use super::resolve::{Resolved, value};
use crate::config::{Agent, Settings};
use crate::confine::report;
use crate::confine::whole::IN_MEMORY;
use crate::enforcement::KeyPlace;
use crate::harness::{Kind, key};
use crate::request::{ProviderChoice, StartRequest};
use crate::start::family;
use crate::workspace::files::Hasher;

/// What binds a process of a step.
///
/// # Shape
/// `{"workflow":"fix","step":"implement","role":"producer","controls":[…],"refusal"?:"…","key"?:{…}}`
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Bound {
    pub workflow: WorkflowName,
    pub step: StepId,
    /// `script`: a command or a function, and what it asks for.
    pub role: Role,
    pub controls: Vec<ControlLine>,
    /// Why a run with this would not begin.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refusal: Option<String>,
    /// Where the key of its agent would be, without `--pass-env`; absent: Botpipe knows of none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<KeyPlace>,
}

/// A control of it.
///
/// # Shape
/// `{"control":"allow_write","value":["src"],"words":"[src]","origin":{"kind":"step"},
/// "enforcer":"mount-namespace","coverage":"full"}`
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ControlLine {
    pub control: Control,
    pub value: Value,
    /// The value as a file would say it.
    pub words: String,
    pub origin: Origin,
    /// `-`: there is nothing to enforce.
    pub enforcer: &'static str,
    /// How far, as the workspace is now: `full`, `launch_snapshot`, `watch`, `partial`, `none`; absent: there is nothing to
    /// enforce, or the policy is refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub coverage: Option<&'static str>,
}

/// Who does the turns, as far as it matters for what is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum By {
    /// Whom the settings say, else the workflow; where nobody says it, what holds of every agent is said.
    Settings,
    /// A recording, which runs nothing.
    Recording,
}

/// What would bind the processes of a run with these settings, and of the runs below it.
pub fn explain(compiled: &Compiled, settings: &Settings, workspace: &Path, by: By) -> Vec<Bound> {
    let Some(plan) = &compiled.plan else { return Vec::new() };
    let recording = || Provider::Replay { cassette: Hasher::default().finish(), loose: false };
    // One that is not found on this machine is judged by its kind.
    let filled = settings.fill(compiled, workspace, StartRequest::default()).unwrap_or_default();
    let of_run = match (by, filled.provider, &plan.provider) {
        (By::Recording, ..) | (By::Settings, Some(ProviderChoice::Replay { .. }), _) => {
            Some(recording())
        }
        (_, Some(ProviderChoice::Harness(chosen)), _) => Some(chosen.provider),
        (_, Some(ProviderChoice::Command { program, args }), _) => {
            Some(Provider::Command { program, args })
        }
        (_, None, Some(plan::Provider::Command { program, args }))
            if !settings.options_choose() =>
        {
            Some(Provider::Command { program: program.clone(), args: args.clone() })
        }
        (_, None, Some(plan::Provider::Replay { .. })) if !settings.options_choose() => {
            Some(recording())
        }
        (_, None, _) => settings.agent().map(|it| match it.value {
            Agent::Command => Provider::Command { program: String::new(), args: Vec::new() },
            Agent::Harness(Kind::Codex) => Provider::Codex(Box::default()),
            Agent::Harness(Kind::Claude) => Provider::Claude(Box::default()),
            Agent::Harness(Kind::Acp) => Provider::Acp(Box::default()),
        }),
    };
    let named =
        filled.providers.into_iter().map(|(name, chosen)| (name, chosen.provider)).collect();
    let cast = Providers { of_run: of_run.as_ref(), named: &named };
    let outside: Vec<PolicyLayer> = settings.policies().map(|it| it.value.clone()).collect();
    let root = workspace.canonicalize().unwrap_or_else(|_| workspace.to_owned());
    let ground = Ground::of_process(&root);
    let plans = family(compiled, plan);
    let mut foreseen = Foreseen::of(&root);
    let of = |(at, plan)| of_plan(plan, at == 0, cast, (&outside, &mut foreseen), &ground);
    plans.iter().enumerate().flat_map(of).collect()
}

fn of_plan(
    plan: &Plan,
    root: bool,
    cast: Providers<'_>,
    (outside, foreseen): (&[PolicyLayer], &mut Foreseen<'_>),
    ground: &Ground,
) -> Vec<Bound> {
    let bound = processes(plan).map(|(step, role)| {
        let holds = of_role(plan, (step, role), outside, ground);
        let cast = cast.of(step, role);
        let first = root && is_first(plan, (step, role));
        let compiled = foreseen.compiled(&holds, (step, role), cast.as_ref(), first);
        let agent = role != Role::Script;
        let kept = match compiled {
            Some(Ok(compiled)) => report::of(compiled, &holds, &[], agent),
            Some(Err(_)) | None => Vec::new(),
        };
        let unstarted = compiled.and_then(|compiled| compiled.as_ref().err());
        let unstarted = unstarted.map(|it| format!("the {role} cannot be confined: {it}"));
        let account = compiled.and_then(|it| it.as_ref().ok()?.files.as_ref()?.account);
        let controls = Control::ALL.iter().map(|control| ControlLine {
            control: *control,
            value: value(&holds, *control),
            words: shown(&holds, *control, account),
            origin: holds.origin(*control).clone(),
            enforcer: if agent && nobody_keeps(*control, &holds, cast.as_ref()) {
                "nobody"
            } else {
                enforcer(*control, &holds, agent)
            },
            coverage: kept
                .iter()
                .filter(|it| !(agent && nobody_keeps(it.control, &holds, cast.as_ref())))
                .find(|it| it.control == *control)
                .map(|it| it.coverage.as_str()),
        });
        let harness = cast.as_ref().and_then(Kind::of).filter(|_| !role.is_code());
        let key = harness.and_then(|(kind, harness)| {
            KeyPlace::of(kind, &key::place(kind, harness, &[], &holds).ok()?)
        });
        Bound {
            workflow: plan.name.clone(),
            step: step.id.clone(),
            role,
            controls: controls.collect(),
            refusal: of_process(&holds, (step, role), cast.as_ref(), outside).or(unstarted),
            key,
        }
    });
    bound.collect()
}

/// Whether this agent cannot be held to what its own program would have to keep.
fn nobody_keeps(control: Control, holds: &Resolved, by: Option<&Provider>) -> bool {
    let said = match control {
        Control::PermissionMode => holds.asks() && cannot_ask(by).is_some(),
        rules => {
            RULES.contains(&rules)
                && has_rules(holds, rules)
                && cannot_keep(rules, holds, by).is_some()
        }
    };
    said && by.is_some()
}

/// The value of a control, with what holds where nothing is said, and as whom root has programs run.
fn shown(holds: &Resolved, control: Control, account: Option<Account>) -> String {
    let words = words(holds, control);
    if let Some(Account { user, group }) = account.filter(|_| control == Control::SandboxMode) {
        return format!("{words}, as user {user} with group {group}");
    }
    let confined = holds.sandbox_mode != SandboxMode::DangerFullAccess;
    if control == Control::Memory && holds.limits.memory.is_none() && confined {
        return format!("{words}; {} of folders in memory", size(Some(IN_MEMORY)));
    }
    words
}

/// The value of a control as a file would say it; layers that all have to match are joined by `and`.
pub(super) fn words(holds: &Resolved, control: Control) -> String {
    let list = |list: &[String]| format!("[{}]", list.join(", "));
    match control {
        Control::Domains | Control::Presets => {
            let layers = if control == Control::Domains { &holds.domains } else { &holds.presets };
            match layers.as_slice() {
                [] => "[]".to_owned(),
                layers => layers.iter().map(|it| list(it)).collect::<Vec<_>>().join(" and "),
            }
        }
        Control::AllowVariables if holds.environment.allow.is_none() => {
            "those that pass".to_owned()
        }
        Control::Wall => duration(holds.limits.wall_ms),
        Control::Cpu => duration(holds.limits.cpu_ms),
        Control::Memory => size(holds.limits.memory),
        Control::FileSize => size(holds.limits.file_size),
        Control::Output => size(holds.limits.output),
        _ => match value(holds, control) {
            Value::Null => "none".to_owned(),
            Value::String(word) => word,
            Value::Array(items) => {
                let items = items.iter().filter_map(Value::as_str).map(str::to_owned);
                list(&items.collect::<Vec<_>>())
            }
            Value::Object(map) => {
                let pairs = map
                    .iter()
                    .map(|(name, value)| format!("{name}: {}", value.as_str().unwrap_or_default()));
                format!("{{{}}}", pairs.collect::<Vec<_>>().join(", "))
            }
            other => other.to_string(),
        },
    }
}
