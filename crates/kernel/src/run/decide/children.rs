//! The children of a visit: who may begin, what each may spend, and what their ends come to.

use super::{Batch, command, onward};
use crate::ids::{BranchId, StepId, VisitId};
use crate::plan::{Budget, Children as Planned, Group, Isolation, Join};
use crate::run::children::{
    ChildEnd, ChildPhase, ChildPlan, ChildRun, ChildState, Children, Grant, Rest,
};
use crate::run::event::Event;
use crate::run::facts::{Question, QuestionKind, SnapshotId, Stop};
use crate::run::hold::Spent;
use crate::run::input::ChildWanted;
use crate::run::merge::Merge;
use crate::run::state::{Lifecycle, Phase, Run};

/// The children were read off the step: each gets its name, and the first begin.
pub(super) fn planned(batch: &mut Batch, visit: VisitId, wanted: Vec<ChildWanted>) {
    if batch.phase_of(&visit) != Some(&Phase::Planning) {
        return;
    }
    let (Some(group), Some(id)) = (group_of(&batch.run), batch.run.id.clone()) else { return };
    let ordinal = batch.run.visit.as_ref().map_or(0, |visit| visit.ordinal);
    let mut plans: Vec<ChildPlan> = Vec::with_capacity(wanted.len());
    for (index, child) in (0..).zip(wanted) {
        let ChildWanted { branch, message, input, params, context } = child;
        let planned = group.child(&branch).map(|(child, _)| child.plan.clone());
        let (Some(plan), Some(run)) = (planned, id.child(ordinal, index)) else {
            let message = format!(
                "step `{}` starts runs below runs, deeper than their names can tell; does a workflow \
                 start itself?",
                visit.step
            );
            return command::stand(batch, Stop::Error { message });
        };
        plans.push(ChildPlan { branch, run, plan, message, input, params, context });
    }
    batch.push(Event::ChildrenPlanned { visit, children: plans });
    go_on(batch);
}

/// A child stands still: others go on meanwhile.
pub(super) fn rested(batch: &mut Batch, which: ChildRun, rest: Rest, spent: Spent, steps: u32) {
    if is_owed(batch, &which) {
        let ChildRun { visit, branch, .. } = which;
        batch.push(Event::ChildRested { visit, branch, rest, spent, steps });
        onward::go_on(batch);
    }
}

/// A child is over.
pub(super) fn ended(batch: &mut Batch, which: ChildRun, end: ChildEnd) {
    if is_owed(batch, &which) {
        let ChildRun { visit, branch, .. } = which;
        batch.push(Event::ChildEnded { visit, branch, end });
        onward::go_on(batch);
    }
}

/// What the branches changed was brought together.
pub(super) fn merged(batch: &mut Batch, visit: VisitId, merge: Merge) {
    if batch.phase_of(&visit) == Some(&Phase::Merging) {
        batch.push(Event::BranchesMerged { visit, merge });
    }
}

/// What the branches changed is in the files.
pub(super) fn applied(batch: &mut Batch, visit: VisitId, tree: SnapshotId, kept: SnapshotId) {
    if batch.phase_of(&visit) != Some(&Phase::Applying) {
        return;
    }
    let Some(group) = group_of(&batch.run) else { return };
    batch.push(Event::MergeApplied { visit, tree, kept });
    join(batch, &group);
}

fn is_owed(batch: &Batch, which: &ChildRun) -> bool {
    batch.phase_of(&which.visit) == Some(&Phase::Children)
        && children_of(&batch.run).is_some_and(|children| {
            let state = children.position(&which.branch).map(|at| &children.states[at]);
            state.is_some_and(|it| {
                matches!(it.phase, ChildPhase::Owed { .. }) && it.start == which.start
            })
        })
}

/// Lets children begin while there is room; when none runs, says what the visit waits for, or that
/// all are over.
pub(super) fn go_on(batch: &mut Batch) {
    if batch.run.lifecycle != Lifecycle::Running {
        return;
    }
    let calling = batch.run.visit.as_ref().is_some_and(|visit| visit.calling.is_some());
    let group = group_of(&batch.run).filter(|_| !calling);
    let concurrency = group.as_ref().map_or(1, |group| group.concurrency as usize);
    let mut at_limit = None;
    loop {
        let (Some(children), Some(visit)) = (children_of(&batch.run), batch.run.visit.as_ref())
        else {
            return;
        };
        let visit = visit.id.clone();
        let Some(next) = next_to_begin(children) else { break };
        let state = &children.states[next];
        let branch = children.plans[next].branch.clone();
        if children.failed_fast && state.phase == ChildPhase::Planned {
            batch.push(Event::ChildSkipped { visit, branch });
            continue;
        }
        if children.running() >= concurrency {
            break;
        }
        if children.failed_fast {
            // It is told to end.
            let grant = Grant { max_steps: state.steps, budget: state.grant.budget.clone() };
            batch.push(Event::ChildOwed { visit, branch, grant });
            continue;
        }
        match grant(&batch.run, children, next, concurrency) {
            Ok(grant) => batch.push(Event::ChildOwed { visit, branch, grant }),
            Err(stop) => {
                at_limit = Some(stop);
                break;
            }
        }
    }
    let Some(children) = children_of(&batch.run) else { return };
    if children.running() > 0 {
        return;
    }
    if let Some(event) = resting(&batch.run, children) {
        return batch.push(event);
    }
    match (at_limit, group) {
        (Some(stop), _) => batch.push(Event::RunStopped { stop }),
        (None, Some(group))
            if group.isolation == Isolation::Worktree && !children.plans.is_empty() =>
        {
            if let Some(visit) = batch.run.visit.as_ref().map(|visit| visit.id.clone()) {
                batch.push(Event::MergeOwed { visit });
            }
        }
        (None, Some(group)) => join(batch, &group),
        (None, None) => super::calls::child_answered(batch),
    }
}

/// The first that is to run as soon as there is room; and where one has failed and
/// the others are to end, any that stands still.
fn next_to_begin(children: &Children) -> Option<usize> {
    let ends =
        |child: &ChildState| children.failed_fast && matches!(child.phase, ChildPhase::Rests(_));
    children.states.iter().position(|child| child.may_begin() || ends(child))
}

/// What the visit waits for, when some child waits or stands still and none runs.
fn resting(run: &Run, children: &Children) -> Option<Event> {
    let visit = run.visit.as_ref()?.id.clone();
    let resting = children.iter().filter_map(|(plan, state)| match &state.phase {
        ChildPhase::Rests(rest) if !state.is_short() => Some((plan, &**rest)),
        _ => None,
    });
    let resting: Vec<_> = resting.collect();
    let question = resting.iter().find_map(|(plan, rest)| match rest {
        Rest::Waiting(question) => Some((plan.branch.clone(), question.clone())),
        Rest::Held(_) | Rest::Stopped(_) => None,
    });
    if let Some((branch, asked)) = question {
        let kind = QuestionKind::Child { visit, branch };
        return Some(Event::QuestionAsked { question: Question { kind, ..asked } });
    }
    resting.into_iter().find_map(|(plan, rest)| match rest {
        Rest::Stopped(stop) => {
            Some(Event::RunStopped { stop: in_branch(&plan.branch, stop.clone()) })
        }
        Rest::Held(hold) => Some(Event::RunHeld { hold: hold.clone() }),
        Rest::Waiting(_) => None,
    })
}

/// Why a child stopped, as its parent says it: steps of branches are named like their parent's.
fn in_branch(branch: &BranchId, mut stop: Stop) -> Stop {
    match &mut stop {
        Stop::Policy { message } | Stop::Provider { message, .. } | Stop::Error { message } => {
            message.insert_str(0, &format!("in `{branch}`: "));
        }
        Stop::MaxSteps { .. }
        | Stop::MaxVisits { .. }
        | Stop::Budget { .. }
        | Stop::StepBudget { .. }
        | Stop::Signal { .. } => {}
    }
    stop
}

/// All are over: a turn is asked about them, or their ends pick the route.
fn join(batch: &mut Batch, group: &Group) {
    let (Some(step), Some(visit)) = (batch.run.current_step(), batch.run.visit.as_ref()) else {
        return;
    };
    let visit = visit.id.clone();
    if group.fan_in.is_some() {
        return batch.push(Event::ChildrenJoined { visit, tag: None });
    }
    let tag = |word: &str| step.routes.iter().map(|it| &it.tag).find(|tag| tag.as_str() == word);
    let word = match outcome(&batch.run, group) {
        "partial" | "failed" if tag(Group::QUESTION).is_some() && asks(&batch.run, group) => {
            Group::QUESTION
        }
        word => word,
    };
    // A step that does not tell some from none takes some for a failure.
    let found = tag(word).or_else(|| (word == "partial").then(|| tag("failed")).flatten()).cloned();
    if found.is_some() {
        batch.push(Event::ChildrenJoined { visit, tag: found });
    } else {
        let message = format!("step `{}` came to `{word}` and has no such route", step.id);
        command::stand(batch, Stop::Error { message });
    }
}

/// What the ends of the children come to, as the tag of a route.
pub(super) fn outcome(run: &Run, group: &Group) -> &'static str {
    let Some(children) = children_of(run) else { return "failed" };
    let good = children.iter().filter(|(plan, state)| match &state.phase {
        ChildPhase::Ended(end) => {
            succeeded(group, plan, end) && children.conflicts(&plan.branch).is_empty()
        }
        _ => false,
    });
    let (good, all) = (good.count(), children.plans.len());
    let single = matches!(group.of, Planned::Workflow { .. });
    match group.join {
        _ if good == all => "done",
        Join::AllSettled => "done",
        Join::AnyDone if good > 0 => "done",
        Join::AllDone if good > 0 && !single => "partial",
        Join::AllDone | Join::AnyDone => "failed",
    }
}

/// Whether a branch ended, without success, by its own route `question`.
fn asks(run: &Run, group: &Group) -> bool {
    let branches = !matches!(group.of, Planned::Workflow { .. });
    let asked = |(plan, state): (&ChildPlan, &ChildState)| match &state.phase {
        ChildPhase::Ended(end) => {
            let by_question = end.tag.as_ref().is_some_and(|tag| tag.as_str() == Group::QUESTION);
            by_question && !succeeded(group, plan, end)
        }
        _ => false,
    };
    branches && children_of(run).is_some_and(|children| children.iter().any(asked))
}

fn succeeded(group: &Group, plan: &ChildPlan, end: &ChildEnd) -> bool {
    let routes = group.child(&plan.branch).map(|(_, routes)| routes);
    end.succeeded(routes.unwrap_or_default())
}

/// What a child may spend: an even part of what is left beside what others were granted.
fn grant(run: &Run, children: &Children, at: usize, concurrency: usize) -> Result<Grant, Stop> {
    let child = &children.states[at];
    if let Some(stop) = run.reached() {
        return Err(stop);
    }
    let room = concurrency.saturating_sub(children.running());
    let open = children.states[at..].iter().filter(|it| it.may_begin()).count();
    let slots = room.min(open).max(1) as u64;
    let owed = |of: &dyn Fn(&ChildState) -> u64| -> u64 {
        let running =
            children.states.iter().filter(|it| matches!(it.phase, ChildPhase::Owed { .. }));
        running.map(of).sum()
    };
    let steps_granted = owed(&|it| u64::from(it.grant.max_steps.saturating_sub(it.steps)));
    let left = u64::from(run.max_steps.saturating_sub(run.steps_taken));
    let steps = left.saturating_sub(steps_granted) / slots;
    let steps = if steps == 0 { u64::from(left > steps_granted) } else { steps };
    if steps == 0 {
        return Err(Stop::MaxSteps { limit: run.max_steps });
    }
    let budget = budget(run, child, slots, &owed)?;
    let steps = u32::try_from(steps).unwrap_or(u32::MAX);
    Ok(Grant { budget, max_steps: child.steps.saturating_add(steps) })
}

/// The sum of something over the children that are owed.
type Owed<'a> = dyn Fn(&dyn Fn(&ChildState) -> u64) -> u64 + 'a;

/// The part of each bounded kind, beside what the child has spent already.
fn budget(run: &Run, child: &ChildState, slots: u64, owed: &Owed<'_>) -> Result<Budget, Stop> {
    use crate::plan::Spending::{Cost, Tokens, Turns, Wall};
    let purses = run.purses();
    let part = |kind| -> Result<Option<u64>, Stop> {
        let granted =
            owed(&|it| it.grant.budget.of(kind).unwrap_or(0).saturating_sub(it.spent.of(kind)));
        let left = purses.iter().filter_map(|purse| purse.left(kind, granted));
        let least = left.collect::<Result<Vec<u64>, Stop>>()?.into_iter().min();
        Ok(least.map(|left| child.spent.of(kind).saturating_add((left / slots).max(1))))
    };
    Ok(Budget {
        cost: part(Cost)?,
        tokens: part(Tokens)?,
        turns: part(Turns)?.map(|turns| u32::try_from(turns).unwrap_or(u32::MAX)),
        wall_ms: part(Wall)?,
    })
}

fn children_of(run: &Run) -> Option<&Children> {
    run.visit.as_ref()?.moving_children()
}

fn group_of(run: &Run) -> Option<Group> {
    run.current_step()?.group().cloned()
}

/// The step of a child that has reached a bound of its own: `resume` may raise it.
pub(super) fn step_at_its_limit(run: &Run) -> Option<StepId> {
    children_of(run)?.states.iter().find_map(|child| match &child.phase {
        ChildPhase::Rests(rest) => match &**rest {
            Rest::Stopped(Stop::MaxVisits { step, .. } | Stop::StepBudget { step, .. }) => {
                Some(step.clone())
            }
            _ => None,
        },
        _ => None,
    })
}
