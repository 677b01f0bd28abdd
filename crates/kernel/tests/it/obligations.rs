//! Laws of routes, state and bounds, kept by a model of its own: what was heard and recorded, not what the run says.

use std::collections::{BTreeMap, BTreeSet};

use botpipe_kernel::ids::{ArtifactName, BranchId, CheckName, ItemId, Role, StepId, VisitId};
use botpipe_kernel::plan::{
    Action, Budget, Route, Spending, StateScope, Step, Target, TurnProvider, Visibility, Work,
};
use botpipe_kernel::run::{
    CheckStatus, Control, Effect, Event, Finding, FindingState, Input, Judged, Ref, Run,
    SessionKey, Spent, Usage, WorklistChange,
};

/// What is known of the visit in progress, and of all values that were set.
#[derive(Default)]
pub(crate) struct Obligations {
    /// Each artifact as it was last looked at in this visit.
    files: BTreeMap<ArtifactName, bool>,
    checks: BTreeMap<CheckName, bool>,
    /// What comes with the outcome that was heard last.
    judged: Vec<Finding>,
    values: BTreeMap<Key, Ref>,
    completed: BTreeSet<ItemId>,
    /// It was code that came to it, which may pick what is hidden.
    by_code: bool,
    /// The last route moved on in the items, to the next one.
    moved_on: bool,
    /// What turns and children of each step and item spent, by kind, and what may be at most.
    spent: BTreeMap<(StepId, Option<ItemId>), Amounts>,
    children: BTreeMap<(VisitId, BranchId), Amounts>,
    raised: BTreeMap<StepId, Budget>,
    /// Whose each conversation is; nobody's name: the run's provider.
    held: BTreeMap<SessionKey, Option<String>>,
}

/// An amount of each kind of spending.
type Amounts = [u64; 4];

/// A place of the state: its scope, key, and whose it is.
type Key = (&'static str, String, Option<StepId>, Option<ItemId>);

impl Obligations {
    /// Notes what the world says of files.
    pub(crate) fn heard(&mut self, input: &Input) {
        let Input::Judged { judged, .. } = input else { return };
        let outcome = match judged {
            Judged::Outcome(outcome) => Some(outcome),
            Judged::Returned(returned) => match &returned.control {
                Control::Outcome(outcome) => Some(outcome),
                _ => None,
            },
            _ => None,
        };
        if let Some(outcome) = outcome {
            self.judged.clone_from(&outcome.findings);
            self.by_code = matches!(judged, Judged::Returned(_));
        }
    }

    /// Holds an event against what is known.
    pub(crate) fn event(&mut self, run: &Run, event: &Event) {
        match event {
            Event::VisitEntered { visit, .. } => {
                self.files.clear();
                self.checks.clear();
                let again = visit.item.as_ref().filter(|item| self.completed.contains(item));
                assert!(
                    !(self.moved_on && again.is_some()),
                    "{visit} is done, and was come to again"
                );
                self.moved_on = false;
            }
            Event::ChecksEnded { checks, findings, .. } => {
                self.see(findings);
                let passed = |status: &CheckStatus| !matches!(status, CheckStatus::Failed { .. });
                self.checks =
                    checks.iter().map(|it| (it.name.clone(), passed(&it.status))).collect();
            }
            Event::OutcomeAccepted { .. } => {
                let judged = std::mem::take(&mut self.judged);
                self.see(&judged);
            }
            Event::StateSet { visit, changes } => {
                for change in changes {
                    self.values.insert(
                        key(visit, change.place.scope, &change.place.key),
                        change.value.clone(),
                    );
                }
            }
            Event::ItemsRead { .. } => self.completed.clear(),
            Event::WorklistChanged { change: WorklistChange::Complete { item }, .. } => {
                self.completed.insert(item.clone());
            }
            Event::WorklistChanged { change: WorklistChange::Reset { item }, .. } => {
                self.completed.remove(item);
            }
            Event::TurnEnded { turn, usage, took_ms, .. } if !turn.role.is_code() => {
                let of = |amount: fn(&Usage) -> u64| usage.as_ref().map_or(0, amount);
                let cost = of(|it| it.cost.unwrap_or(0));
                self.spend(&turn.visit, [cost, of(|it| it.input + it.output), 1, *took_ms]);
            }
            // Cut off, it goes on as the same turn.
            Event::TurnInterrupted { turn, usage, took_ms, .. } if !turn.role.is_code() => {
                let of = |amount: fn(&Usage) -> u64| usage.as_ref().map_or(0, amount);
                let cost = of(|it| it.cost.unwrap_or(0));
                self.spend(&turn.visit, [cost, of(|it| it.input + it.output), 0, *took_ms]);
            }
            Event::TurnOwed { turn, session: Some(session), .. } => {
                let step = run.plan.step(&turn.visit.step).expect("a step of the plan");
                let whose = step.provider_of(turn.role).map(TurnProvider::name);
                let before = self.held.insert(session.key.clone(), whose.clone());
                assert!(before.is_none_or(|it| it == whose), "{}: {whose:?}", session.key.0);
            }
            Event::ChildOwed { visit, branch, grant } => {
                let step = run.plan.step(&visit.step).expect("a step of the plan");
                let before = self.children.get(&(visit.clone(), branch.clone()));
                let before = before.copied().unwrap_or_default();
                // One that is told to end is granted nothing new: it keeps what it was granted under the
                // bounds of then.
                let ends =
                    |run: &Run| run.visit.as_ref()?.moving_children().map(|it| it.failed_fast);
                let bounds = self.limits(step, visit.item.as_ref());
                for ((of, limit), spent) in bounds.into_iter().filter(|_| ends(run) != Some(true)) {
                    let granted = grant.budget.of(of).expect("a bound of its step's kind");
                    let more = granted.saturating_sub(before[of as usize]);
                    let fits = more <= limit.saturating_sub(spent);
                    assert!(fits, "{visit}: {more} granted, with {spent} of {limit} spent");
                }
            }
            Event::ChildRested { visit, branch, spent, .. } => self.child(visit, branch, spent),
            Event::ChildEnded { visit, branch, end } => self.child(visit, branch, &end.spent),
            Event::RunResumed { raise, .. } => {
                for (step, budget) in &raise.step_budgets {
                    let raised = self.raised.entry(step.clone()).or_default();
                    *raised = budget.clone().or(raised);
                }
            }
            Event::Redirected { .. } => self.moved_on = false,
            Event::RouteTaken { visit, tag, to, completed, reset, .. } => {
                let step = run.plan.step(&visit.step).expect("a step of the plan");
                let route = step.route(tag).expect("a route of the step");
                self.obliged(run, step, route);
                self.moved(visit, route, to, completed.as_ref(), reset.as_ref());
            }
            _ => {}
        }
    }

    fn spend(&mut self, visit: &VisitId, amounts: Amounts) {
        let spent = self.spent.entry((visit.step.clone(), visit.item.clone())).or_default();
        for (sum, amount) in spent.iter_mut().zip(amounts) {
            *sum += amount;
        }
    }

    /// A child tells all that it spent so far.
    fn child(&mut self, visit: &VisitId, branch: &BranchId, spent: &Spent) {
        let now = Spending::ALL.map(|of| spent.of(of));
        let before = self.children.insert((visit.clone(), branch.clone()), now).unwrap_or_default();
        let more = [0, 1, 2, 3].map(|n| now[n].saturating_sub(before[n]));
        self.spend(visit, more);
    }

    /// The bounds of a step's own budget, each with what was spent of it.
    fn limits(&self, step: &Step, item: Option<&ItemId>) -> Vec<((Spending, u64), u64)> {
        let raised = self.raised.get(&step.id).cloned().unwrap_or_default();
        let spent = self.spent.get(&(step.id.clone(), item.cloned())).copied().unwrap_or_default();
        let budget = raised.or(&step.budget);
        budget.bounds().map(|(of, limit)| ((of, limit), spent[of as usize])).collect()
    }

    fn see(&mut self, findings: &[Finding]) {
        for Finding { artifact, state, .. } in findings {
            let good = matches!(state, FindingState::Good { .. });
            self.files.insert(artifact.clone(), good);
        }
    }

    /// What a route requires is there, and it was offered to whoever picked it.
    fn obliged(&self, run: &Run, step: &Step, route: &Route) {
        let at = format!("route `{}` of step `{}`", route.tag, step.id);
        let says = step.asks_agent() || matches!(step.work, Work::Run { .. });
        let required =
            |name: &&ArtifactName| run.plan.artifacts.get(*name).is_some_and(|it| it.required);
        let names: Vec<&ArtifactName> = match &route.required_writes {
            Some(names) => names.iter().collect(),
            None => step.writes().filter(required).collect(),
        };
        for name in names.into_iter().filter(|_| says) {
            assert_eq!(self.files.get(name), Some(&true), "{at} was taken without `{name}`");
        }
        for check in &route.required_checks {
            let has = step.checks().iter().any(|it| it.name == *check);
            assert!(
                !has || self.checks.get(check) == Some(&true),
                "{at} was taken, `{check}` failed"
            );
        }
        if step.asks_agent() && route.when.is_none() && !self.by_code {
            let shown = match route.visibility {
                Visibility::Provider => true,
                Visibility::Hidden => false,
                Visibility::InteractiveOnly => !run.full_auto,
            };
            assert!(shown, "{at} was never offered");
        }
    }

    /// Items are completed, opened, and gone on from as the route says.
    fn moved(
        &mut self,
        visit: &VisitId,
        route: &Route,
        to: &Target,
        completed: Option<&ItemId>,
        reset: Option<&ItemId>,
    ) {
        let completes = matches!(
            route.action,
            Action::CompleteAndAdvance { .. } | Action::CompleteCurrent { .. }
        );
        assert_eq!(
            completed,
            visit.item.as_ref().filter(|_| completes),
            "what `{}` completes",
            route.tag
        );
        self.completed.extend(completed.cloned());
        if let Some(item) = reset {
            self.completed.remove(item);
        }
        self.moved_on = match &route.action {
            Action::CompleteAndAdvance { next, .. } | Action::Advance { next, .. } => {
                next == to && matches!(to, Target::SelfStep)
            }
            _ => false,
        };
    }

    /// Holds what the run has now against what was set and what is bounded.
    pub(crate) fn check(&self, run: &Run, effects: &[Effect]) {
        for ((scope, key, step, item), value) in &self.values {
            let scope = StateScope::ALL.iter().find(|(word, _)| word == scope).expect("a scope").1;
            let values = run.values.of(scope, step.as_ref(), item.as_ref());
            let found = values.and_then(|values| values.get(key));
            // A place of an item is of no use where there is none.
            let reachable = scope != StateScope::Item || item.is_some();
            assert!(!reachable || found == Some(value), "`{key}` holds {found:?}, not {value:?}");
        }
        if let (Some(visit), Some(step)) = (&run.visit, run.current_step()) {
            assert!(visit.attempts <= step.max_attempts, "{} attempts", visit.attempts);
        }
        let starts = effects.iter().any(|effect| match effect {
            Effect::RunTurn { turn, .. } => {
                matches!(turn.role, Role::Worker | Role::Producer | Role::Verifier)
            }
            _ => false,
        });
        if let (Some(visit), Some(step)) = (&run.visit, run.current_step()) {
            for ((_, limit), spent) in self.limits(step, visit.id.item.as_ref()) {
                assert!(!starts || spent < limit, "{}: {spent} of {limit} spent", visit.id);
            }
        }
        for (of, limit) in run.budget.bounds() {
            let spent = run.spent.of(of);
            assert!(!starts || spent < limit, "a turn would start with {spent} of {limit} spent");
        }
    }
}

fn key(visit: &VisitId, scope: StateScope, key: &str) -> Key {
    let (step, item) = match scope {
        StateScope::Run => (None, None),
        StateScope::Step => (Some(visit.step.clone()), None),
        StateScope::Item => (Some(visit.step.clone()), visit.item.clone()),
    };
    let word = StateScope::ALL.iter().find(|(_, it)| *it == scope).expect("a scope").0;
    (word, key.to_owned(), step, item)
}
