//! What moves a run on from where it stands: the next command, as data.

use std::collections::BTreeMap;

use botpipe_kernel::ids::SignalName;
use botpipe_kernel::plan::{Budget, Spending};
use botpipe_kernel::run::{Lifecycle, Raise, Run, Stop, Wait};

/// What a person can do next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    /// Answer its question: with one of the choices, where there are any.
    Answer { choices: Vec<String> },
    /// Send it the signal that it waits for.
    Signal { name: SignalName },
    /// Take it up, with these bounds raised.
    Resume { raise: Raise },
    /// Look on.
    Follow,
}

/// What moves the run on; `owned`: somebody moves it now. Nothing for a run that is over.
pub fn next(run: &Run, owned: bool) -> Option<Next> {
    match &run.lifecycle {
        Lifecycle::Waiting(question) => Some(Next::Answer { choices: question.choices.clone() }),
        Lifecycle::Awaiting(Wait { signal: Some(name), .. }) => {
            Some(Next::Signal { name: name.clone() })
        }
        Lifecycle::Stopped(stop) => Some(Next::Resume { raise: raise(stop, run) }),
        Lifecycle::Unstarted | Lifecycle::Running | Lifecycle::Held(_) | Lifecycle::Awaiting(_) => {
            Some(if owned { Next::Follow } else { Next::Resume { raise: Raise::default() } })
        }
        Lifecycle::Finished(_) | Lifecycle::Cancelled => None,
    }
}

/// What gets a run over the limit it stands at: twice what it was.
fn raise(stop: &Stop, run: &Run) -> Raise {
    match stop {
        Stop::MaxSteps { limit } => {
            let limit = limit.max(&run.steps_taken).saturating_mul(2).max(1);
            Raise { max_steps: Some(limit), ..Raise::default() }
        }
        Stop::MaxVisits { step, limit } => {
            let limit = limit.saturating_mul(2).max(1);
            Raise { max_visits: BTreeMap::from([(step.clone(), limit)]), ..Raise::default() }
        }
        Stop::Budget { of, limit, spent } => {
            let more = limit.max(spent).saturating_mul(2).max(1);
            Raise { budget: budget(*of, more), ..Raise::default() }
        }
        Stop::StepBudget { step, of, limit, spent } => {
            let more = budget(*of, limit.max(spent).saturating_mul(2).max(1));
            Raise { step_budgets: BTreeMap::from([(step.clone(), more)]), ..Raise::default() }
        }
        Stop::Policy { .. } | Stop::Signal { .. } | Stop::Provider { .. } | Stop::Error { .. } => {
            Raise::default()
        }
    }
}

fn budget(of: Spending, amount: u64) -> Budget {
    let mut budget = Budget::default();
    match of {
        Spending::Cost => budget.cost = Some(amount),
        Spending::Tokens => budget.tokens = Some(amount),
        Spending::Turns => budget.turns = Some(u32::try_from(amount).unwrap_or(u32::MAX)),
        Spending::Wall => budget.wall_ms = Some(amount),
    }
    budget
}
