//! Who leaves processes of a run without a sandbox: said when it begins, and with the run.

use std::path::Path;

use botpipe_kernel::ids::{Role, StepId};
use botpipe_kernel::plan::{Plan, PolicyLayer, SandboxMode};
use botpipe_kernel::run::{Provider, Providers, Run};
use serde::Serialize;

use super::control::{Control, Origin};
use super::layers::of_role;
use super::paths::Ground;
use super::refusal::processes;

/// A layer that turns the sandbox off, and around whom.
///
/// # Shape
/// `{"control":"sandbox_mode","value":"danger_full_access","by":"nobody",
/// "origin":{"kind":"repository","path":"botpipe.yaml"},"steps":["test"]}`
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Unsandboxed {
    pub control: Control,
    pub value: SandboxMode,
    /// Who enforces it.
    pub by: &'static str,
    pub origin: Origin,
    pub steps: Vec<StepId>,
}

/// Where a run has no sandbox.
pub fn unsandboxed(run: &Run) -> Vec<Unsandboxed> {
    let cast = Providers { of_run: run.provider.as_ref(), named: &run.providers };
    of_plans([&*run.plan], cast, &run.policies)
}

/// The same of plans of a run that is to begin, each layer as a sentence with the way to a sandbox.
pub(crate) fn told_unsandboxed(
    plans: &[Plan],
    cast: Providers<'_>,
    outside: &[PolicyLayer],
) -> Vec<String> {
    let tell = |it: &Unsandboxed| {
        format!(
            "no sandbox around {}: `sandbox_mode: danger_full_access` in {}; a `--policy-file` with \
             `sandbox_mode: workspace_write` keeps one",
            it.steps(),
            it.place()
        )
    };
    of_plans(plans, cast, outside).iter().map(tell).collect()
}

impl Unsandboxed {
    /// The steps in words: the first of them.
    pub fn steps(&self) -> String {
        let names: Vec<String> = self.steps.iter().take(MOST).map(|it| format!("`{it}`")).collect();
        let (names, more) = (names.join(", "), self.steps.len().saturating_sub(MOST));
        let steps = if self.steps.len() == 1 { "step" } else { "steps" };
        if more == 0 {
            format!("{steps} {names}")
        } else {
            format!("{steps} {names} and {more} more")
        }
    }

    /// Where it is said, in words.
    pub fn place(&self) -> String {
        match &self.origin {
            Origin::Repository { path } | Origin::Ceiling { path } => format!("`{path}`"),
            Origin::Turn => "a turn's own `policy`".to_owned(),
            layer => format!("the `policy` of the {layer}"),
        }
    }
}

/// Steps that are named.
const MOST: usize = 3;

fn of_plans<'p>(
    plans: impl IntoIterator<Item = &'p Plan>,
    cast: Providers<'_>,
    outside: &[PolicyLayer],
) -> Vec<Unsandboxed> {
    // Modes speak of no paths.
    let ground = Ground::of_process(Path::new("/"));
    let mut found: Vec<Unsandboxed> = Vec::new();
    for (plan, (step, role)) in
        plans.into_iter().flat_map(|plan| processes(plan).map(move |process| (plan, process)))
    {
        let plays = matches!(cast.of(step, role), Some(Provider::Replay { .. }));
        let holds = of_role(plan, (step, role), outside, &ground);
        if holds.sandbox_mode != SandboxMode::DangerFullAccess || (plays && role != Role::Script) {
            continue;
        }
        let origin = holds.origin(Control::SandboxMode);
        match found.iter_mut().find(|it| it.origin == *origin) {
            Some(known) if known.steps.contains(&step.id) => {}
            Some(known) => known.steps.push(step.id.clone()),
            None => found.push(Unsandboxed {
                control: Control::SandboxMode,
                value: holds.sandbox_mode,
                by: "nobody",
                origin: origin.clone(),
                steps: vec![step.id.clone()],
            }),
        }
    }
    found
}
