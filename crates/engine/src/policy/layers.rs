//! The layers of a role's policy: files of the run outside, then the workflow, the step and the turn.

use botpipe_kernel::ids::Role;
use botpipe_kernel::plan::{Plan, Policy, PolicyLayer, Step};
use botpipe_kernel::run::Run;

use super::control::Origin;
use super::paths::Ground;
use super::refusal::processes;
use super::resolve::{Resolved, resolve};
use crate::workspace::layout::Layout;

/// What a role of a step may do in a run.
pub(crate) fn of_run(run: &Run, process: (&Step, Role), layout: &Layout) -> Resolved {
    of_role(&run.plan, process, &run.policies, &Ground::of_process(layout.home()))
}

/// What no process of a plan may read, each by what its own policy says, and the secrets of a home that is the
/// workspace: no copy is made of it.
pub(crate) fn denied(plan: &Plan, outside: &[PolicyLayer], ground: &Ground) -> Vec<String> {
    let all = processes(plan).flat_map(|process| of_role(plan, process, outside, ground).deny_read);
    let of_home = crate::confine::home::secrets_in(ground.workspace());
    let all: std::collections::BTreeSet<String> = all.chain(of_home).collect();
    all.into_iter().collect()
}

/// What a role of a step may do in a run with these layers outside of its workflow.
pub(crate) fn of_role(
    plan: &Plan,
    (step, role): (&Step, Role),
    outside: &[PolicyLayer],
    ground: &Ground,
) -> Resolved {
    let turn = step.turn(role).and_then(|turn| turn.policy.as_deref());
    let own = [
        (Origin::Workflow, plan.policy.as_ref()),
        (Origin::Step, step.policy.as_deref()),
        (Origin::Turn, turn),
    ];
    let own = own.into_iter().filter_map(|(origin, policy)| Some((origin, policy?)));
    let authors: Vec<(Origin, &Policy)> = outside
        .iter()
        .filter(|layer| !layer.ceiling)
        .map(|layer| (Origin::Repository { path: layer.from.clone() }, &layer.policy))
        .chain(own)
        .collect();
    let ceilings = outside.iter().filter(|layer| layer.ceiling);
    let ceilings: Vec<(Origin, &Policy)> = ceilings
        .map(|layer| (Origin::Ceiling { path: layer.from.clone() }, &layer.policy))
        .collect();
    resolve(&authors, &ceilings, ground)
}
