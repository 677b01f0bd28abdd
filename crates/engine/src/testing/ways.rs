//! Turns as a test file names them: of the run by their path, of runs below it with the way to them.

use botpipe_kernel::ids::{BranchId, Role, TurnId, VisitId};
use botpipe_kernel::plan::{Children, Code as StepCode, Plan, Step};
use botpipe_lang::reading::{Entry, Problem, Report};
use botpipe_lang::{Code, Compiled};

/// A turn that a test file names.
pub(super) struct Named {
    /// The way to it.
    pub(super) way: String,
    /// The plan of its run; `None`: which it is, a function says when it asks.
    pub(super) plan: Option<Plan>,
}

/// Reads the key of a turn; what cannot be one of the workflow's is told.
pub(super) fn named(entry: &Entry, compiled: &Compiled, report: &mut Report<'_>) -> Option<Named> {
    let (above, last) = match entry.key.rsplit_once(':') {
        Some((above, last)) => (Some(above), last),
        None => (None, entry.key.as_str()),
    };
    let bad = |report: &mut Report<'_>| {
        let message = format!("`{}` is no turn of an agent", entry.key);
        report.push(Problem::new(Code::BadName, entry.key_span, message).help(
            "a turn is `STEP/VISIT/ROLE`, or `STEP[ITEM]/VISIT/ROLE`: `plan/1/producer`; of a run below, \
             `STEP/VISIT/BRANCH:` and its turn: `review/1/lint:fix/1/worker`",
        ));
        None
    };
    let Some(turn) = turn_of(last) else { return bad(report) };
    let mut plan = compiled.plan.clone();
    for part in above.into_iter().flat_map(|above| above.split(':')) {
        let parsed = part.rsplit_once('/').and_then(|(visit, branch)| {
            Some((visit.parse::<VisitId>().ok()?, branch.parse::<BranchId>().ok()?))
        });
        let Some((visit, branch)) = parsed else { return bad(report) };
        let Some(of) = &plan else { continue };
        let step = step_of(of, &visit, entry, report)?;
        plan = below(step, &branch, compiled, entry, report)?;
    }
    if let Some(plan) = &plan {
        has_turn(plan, &turn, entry, report)?;
    }
    let way = match above {
        Some(above) => format!("{above}:{}", turn.path()),
        None => turn.path(),
    };
    Some(Named { way, plan })
}

/// Without its last number a turn is the first attempt.
fn turn_of(written: &str) -> Option<TurnId> {
    let turn = written.parse().or_else(|_| format!("{written}/1").parse::<TurnId>()).ok()?;
    (turn.start == 1).then_some(turn)
}

fn step_of<'p>(
    plan: &'p Plan,
    visit: &VisitId,
    entry: &Entry,
    report: &mut Report<'_>,
) -> Option<&'p Step> {
    let step = plan.step(&visit.step);
    if step.is_none() {
        let message = format!("the workflow has no step `{}`", visit.step);
        let steps = plan.steps.iter().map(|step| step.id.as_str());
        report.push(
            Problem::new(Code::UnknownTarget, entry.key_span, message)
                .suggest(visit.step.as_str(), steps),
        );
    }
    step
}

/// The plan of the run that a step has below itself; `Some(None)`: what a function asks for.
#[expect(clippy::option_option, reason = "none is told; some none is not known")]
fn below(
    step: &Step,
    branch: &BranchId,
    compiled: &Compiled,
    entry: &Entry,
    report: &mut Report<'_>,
) -> Option<Option<Plan>> {
    let plan_of =
        |digest| -> Option<Plan> { serde_json::from_str(compiled.texts.get(digest)?).ok() };
    let is_asked = branch.as_str().starts_with("call-");
    if is_asked && step.codes().any(|code| StepCode::function(code).is_some()) {
        return Some(None);
    }
    let (known, found): (Vec<String>, Option<Plan>) = match step.group().map(|group| &group.of) {
        None => (Vec::new(), None),
        Some(Children::Items { branch, .. }) => (Vec::new(), plan_of(&branch.child.plan)),
        Some(Children::Workflow { child }) => {
            let plan = plan_of(&child.plan);
            let name = plan.as_ref().map(|plan| plan.name.to_string());
            (name.into_iter().collect(), plan.filter(|plan| plan.name.as_str() == branch.as_str()))
        }
        Some(Children::Branches { branches }) => {
            let own = branches.iter().find(|it| it.name == *branch);
            let names = branches.iter().map(|it| it.name.to_string()).collect();
            (names, own.and_then(|it| plan_of(&it.child.plan)))
        }
    };
    if found.is_none() {
        let message = format!("step `{}` has no run `{branch}` below it", step.id);
        report.push(
            Problem::new(Code::UnknownTarget, entry.key_span, message)
                .suggest(branch.as_str(), known.iter().map(String::as_str)),
        );
        return None;
    }
    Some(found)
}

/// Whether a step has a turn of that role; told when it has none.
fn has_turn(plan: &Plan, turn: &TurnId, entry: &Entry, report: &mut Report<'_>) -> Option<()> {
    let step = step_of(plan, &turn.visit, entry, report)?;
    if step.turn(turn.role).is_some() {
        return Some(());
    }
    let roles = [Role::Worker, Role::Producer, Role::Verifier];
    let has = roles.into_iter().filter(|role| step.turn(*role).is_some());
    let has = has.map(Role::as_str).collect::<Vec<_>>().join("` and `");
    let help = if has.is_empty() {
        "it asks no agent, and runs for real".to_owned()
    } else {
        format!("it has `{has}`")
    };
    let message = format!("step `{}` has no {} turn", turn.visit.step, turn.role);
    report.push(Problem::new(Code::WrongKind, entry.key_span, message).help(help));
    None
}
