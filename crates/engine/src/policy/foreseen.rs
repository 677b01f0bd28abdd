//! What shows of the processes of a plan before they are started: their policies compiled for the workspace as it
//! is now.

use std::path::Path;

use botpipe_kernel::ids::Role;
use botpipe_kernel::plan::{Plan, PolicyLayer, Step};
use botpipe_kernel::run::{Provider, Providers};

use super::layers::of_role;
use super::paths::Ground;
use super::refusal::{has_checks, processes};
use super::resolve::Resolved;
use crate::confine::whole::Compiled;
use crate::confine::{Refusal, View, foresee};

/// Policies that were compiled for a workspace, each once.
pub(crate) struct Foreseen<'a> {
    workspace: &'a Path,
    known: Vec<(Asked, Result<Compiled, Refusal>)>,
}

/// Whose policy it is does not matter, but for what becomes of its changes, and whether others come before.
type Asked = (Resolved, View, bool);

impl<'a> Foreseen<'a> {
    pub(crate) fn of(workspace: &'a Path) -> Self {
        Self { workspace, known: Vec::new() }
    }

    /// What the policy of a process comes to; `None`: nothing is confined for it. `first`: nothing runs before it
    /// that could make what is not there.
    pub(super) fn compiled(
        &mut self,
        holds: &Resolved,
        (step, role): (&Step, Role),
        by: Option<&Provider>,
        first: bool,
    ) -> Option<&Result<Compiled, Refusal>> {
        let is_code = role == Role::Script;
        // A recording runs nothing, and a function runs in its host.
        let plays = !is_code && matches!(by, Some(Provider::Replay { .. }));
        let codes = || step.codes().filter(|code| code.function().is_none());
        if plays || (is_code && codes().next().is_none() && !has_checks(step)) {
            return None;
        }
        // Checks alone look at the work as who judges it does.
        let checks = is_code && step.codes().next().is_none();
        let view = if checks { View::Discarded } else { View::of(role) };
        let asked = (holds.clone(), view, first);
        let at = self.known.iter().position(|(known, _)| *known == asked).unwrap_or_else(|| {
            let compiled = foresee(holds, self.workspace, view, first);
            self.known.push((asked, compiled));
            self.known.len() - 1
        });
        Some(&self.known[at].1)
    }
}

/// Why processes of a plan would not be started although their policies can be enforced. `root`: the run begins
/// with it.
pub(crate) fn all_unstarted(
    plan: &Plan,
    root: bool,
    cast: Providers<'_>,
    (outside, foreseen): (&[PolicyLayer], &mut Foreseen<'_>),
    ground: &Ground,
) -> Vec<String> {
    let why = |process: (&Step, Role)| {
        let holds = of_role(plan, process, outside, ground);
        let (step, role) = process;
        let first = root && is_first(plan, process);
        let by = cast.of(step, role);
        let refusal = foreseen.compiled(&holds, process, by.as_ref(), first)?.as_ref().err()?;
        Some(format!("the {role} of step `{}` cannot be confined: {refusal}", step.id))
    };
    processes(plan).filter_map(why).collect()
}

/// Whether a process is the first of a run of its plan: where a step has hooks beside its agents, none is.
pub(super) fn is_first(plan: &Plan, (step, role): (&Step, Role)) -> bool {
    let hooks = role != Role::Script && step.codes().next().is_some();
    step.id == plan.entry && role == step.first_role() && !hooks
}
