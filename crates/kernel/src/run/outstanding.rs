//! State to effects owed: read off, never remembered.

use super::children::{ChildPhase, ChildRun};
use super::effect::Effect;
use super::outside::Wait;
use super::state::{Lifecycle, Phase, Run, Visit};
use crate::ids::TurnId;
use crate::plan::{ItemSource, OnLimit};

/// The work that is owed now. Empty when the run ended, stands still, or waits for a person.
pub fn outstanding(run: &Run) -> Vec<Effect> {
    let running = matches!(run.lifecycle, Lifecycle::Running);
    let waiting = matches!(
        run.lifecycle,
        Lifecycle::Waiting(_) | Lifecycle::Held(_) | Lifecycle::Awaiting(_)
    );
    if !running && !waiting {
        return Vec::new();
    }
    if let Some((worklist, item, status)) = run.status_owed.front() {
        return vec![Effect::WriteStatus {
            worklist: worklist.clone(),
            item: item.clone(),
            status: *status,
        }];
    }
    if let Lifecycle::Held(hold) = &run.lifecycle {
        let stays = hold.on_limit != OnLimit::Pause;
        return stays.then_some(Effect::AwaitTime { until: hold.until }).into_iter().collect();
    }
    // For a signal nobody has to stay.
    if let Lifecycle::Awaiting(Wait { visit, until: Some(until), signal: None }) = &run.lifecycle {
        return vec![Effect::AwaitDue { visit: visit.clone(), until: *until }];
    }
    if !running {
        return Vec::new();
    }
    match &run.visit {
        Some(visit) if visit.phase == Phase::Children => of_children(visit),
        Some(visit) => of_visit(run, visit).into_iter().collect(),
        None => run
            .to_read()
            .map(|worklist| Effect::ReadItems {
                worklist: worklist.clone(),
                script: run
                    .plan
                    .worklists
                    .get(worklist)
                    .is_some_and(|list| matches!(list.from, ItemSource::Script(_))),
            })
            .or_else(|| run.owes_output().then_some(Effect::Output))
            .into_iter()
            .collect(),
    }
}

fn of_visit(run: &Run, visit: &Visit) -> Option<Effect> {
    let id = visit.id.clone();
    match &visit.phase {
        Phase::Entering => Some(Effect::Enter { visit: id }),
        Phase::Preparing { turn, cause } => {
            let session =
                run.plan.step(&id.step).and_then(|step| run.session_of(step, &id, turn.role));
            let told = visit.told_again(session.as_ref());
            let said = told.iter().chain(&run.said).filter(|_| !turn.role.is_code());
            Some(Effect::Prepare {
                turn: turn.clone(),
                cause: cause.clone(),
                feedback: visit.feedback.clone(),
                offered: offered(run, turn),
                said: said.cloned().collect(),
                session,
            })
        }
        Phase::Turning { turn, prompt, session, .. } => Some(Effect::RunTurn {
            turn: turn.clone(),
            prompt: prompt.clone(),
            session: session.clone(),
        }),
        Phase::Checking => Some(Effect::RunChecks {
            visit: id,
            checks: run
                .current_step()
                .map(|step| step.checks().iter().map(|check| check.name.clone()).collect())
                .unwrap_or_default(),
        }),
        Phase::Sealing => Some(Effect::Seal { visit: id }),
        Phase::Posing { changed, .. } => Some(Effect::Pose { visit: id, changed: changed.clone() }),
        Phase::Arming => Some(Effect::Arm { visit: id }),
        Phase::Judging { turn, text, exit, tag } => Some(Effect::Judge {
            turn: turn.clone(),
            offered: offered(run, turn),
            text: text.clone(),
            exit: *exit,
            tag: tag.clone(),
        }),
        Phase::Handing { tag } => Some(Effect::Hand { visit: id, tag: tag.clone() }),
        Phase::Restoring { turn, to, expected, .. } => {
            Some(Effect::Restore { turn: turn.clone(), to: to.clone(), expected: expected.clone() })
        }
        Phase::Planning => Some(Effect::PlanChildren { visit: id }),
        Phase::Answering => {
            let calling = visit.calling.as_ref()?;
            let n = calling.callbacks.len().checked_sub(1)?;
            let ask = calling.callbacks.get(n)?.ask.clone();
            Some(Effect::Answer { turn: calling.turn.clone(), n: u32::try_from(n).ok()?, ask })
        }
        Phase::Asking { .. } | Phase::Children => None,
    }
}

/// The children that are to run or run.
fn of_children(visit: &Visit) -> Vec<Effect> {
    let Some(children) = visit.moving_children() else { return Vec::new() };
    let owed = children.iter().filter_map(|(plan, state)| {
        let ChildPhase::Owed { answer } = &state.phase else { return None };
        Some(Effect::RunChild {
            which: ChildRun {
                visit: visit.id.clone(),
                branch: plan.branch.clone(),
                run: plan.run.clone(),
                start: state.start,
            },
            grant: state.grant.clone(),
            answer: answer.clone(),
            raise: Box::new(children.raise.clone()),
            cancel: children.failed_fast,
        })
    });
    owed.collect()
}

/// The routes a turn may pick; none when its role picks none.
fn offered(run: &Run, turn: &TurnId) -> Vec<crate::ids::RouteTag> {
    if turn.role.is_hook() {
        return run.of_code().into_iter().map(|route| route.tag.clone()).collect();
    }
    let decides = run.current_step().is_some_and(|step| step.deciding_role() == turn.role);
    if decides {
        run.offered().into_iter().map(|route| route.tag.clone()).collect()
    } else {
        Vec::new()
    }
}
