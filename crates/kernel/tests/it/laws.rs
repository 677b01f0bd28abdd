//! Laws that hold for any plan, any answers, and a crash at any point.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use botpipe_kernel::ids::{BranchId, Role, RouteTag, RunId, TurnId, VisitId};
use botpipe_kernel::plan::{Isolation, Join, Plan, Visibility};
use botpipe_kernel::run::{
    ChildPhase, Control, Effect, Event, Input, InterruptCause, Judged, Lifecycle, Raise, Run,
    Signal, SnapshotId, TurnCause, Verdict, outstanding,
};
use proptest::prelude::*;

use crate::any_plan::any_plan;
use crate::leaves::Leaves;
use crate::obligations::Obligations;
use crate::plans::ralph;
use crate::world::{Draw, World, answer, nudge, text};

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_run_keeps_the_laws(seed in proptest::collection::vec(any::<u8>(), 0..900)) {
        let mut draw = Draw(&seed);
        let plan = if draw.one_in(3) { ralph() } else { Arc::new(any_plan(&mut draw)) };
        live(plan, &mut draw);
    }
}

/// Lives a run to its end, or for as long as it may last, and checks every law on the way.
fn live(plan: Arc<Plan>, draw: &mut Draw<'_>) {
    let mut world = World::start(plan, draw.one_in(4));
    let mut laws = Laws::default();
    laws.check(&world);
    for _ in 0..400 {
        if world.run.lifecycle.is_ended() {
            break;
        }
        step_once(&mut world, &mut laws, draw);
        laws.check(&world);
    }
}

fn step_once(world: &mut World, laws: &mut Laws, draw: &mut Draw<'_>) {
    match draw.below(31) {
        // Signals come when they like, also twice.
        30 => {
            let (id, name) = (format!("g{}", draw.below(40)), "ready".parse().unwrap());
            let signal = Signal { id, name, payload: text("1") };
            drop(world.tell(Input::Signal { signal }));
        }
        29 => drop(world.tell(Input::Cancel)),
        // The owner dies: all that is left is what was stored, and a new owner says so.
        27 | 28 => {
            world.run = world.fold();
            let edited = if draw.one_in(4) { vec!["a.txt".to_owned()] } else { Vec::new() };
            let tree = any_tree(draw);
            drop(world.tell(Input::Resume { raise: Raise::default(), tree, edited }));
        }
        26 => {
            let tree = any_tree(draw);
            drop(world.tell(Input::Stop { cause: InterruptCause::Signal(2), tree }));
        }
        25 => {
            let workspace = if draw.one_in(4) { "/there" } else { "/here" }.to_owned();
            world.tell(Input::Found { workspace, of: None, version: None }).unwrap();
        }
        _ => match world.owed(draw) {
            Some(effect) => {
                for input in answer(&world.run, &effect, draw) {
                    laws.heard(&input);
                    world.tell(input.clone()).unwrap();
                    // Twice: the second changes nothing that matters.
                    let before = world.run.clone();
                    if !matches!(input, Input::Stuck { .. } | Input::SessionKnown { .. }) {
                        world.tell(input).unwrap();
                        assert_eq!(before, world.run, "a duplicate answer changed the run");
                    }
                }
            }
            None => {
                if let Some(input) = nudge(&world.run, draw) {
                    drop(world.tell(input));
                }
            }
        },
    }
}

/// A tree as it was found, or none that could be recorded.
fn any_tree(draw: &mut Draw<'_>) -> Option<SnapshotId> {
    draw.one_in(2).then(|| SnapshotId("t4".to_owned()))
}

#[derive(Default)]
struct Laws {
    seen: usize,
    owed: BTreeMap<String, u32>,
    open: BTreeSet<TurnId>,
    started: BTreeSet<TurnId>,
    ended: BTreeSet<TurnId>,
    visits: BTreeMap<String, u32>,
    planned: BTreeMap<(VisitId, BranchId), RunId>,
    children_owed: BTreeSet<RunId>,
    children_ended: BTreeSet<RunId>,
    /// The visits whose merge is written.
    merged: BTreeSet<VisitId>,
    came: BTreeSet<String>,
    taken: BTreeSet<String>,
    /// The routes whose `when` the last outcome made true.
    truths: Vec<RouteTag>,
    obligations: Obligations,
    leaves: Leaves,
    /// The way out that hooks hold up.
    picked: Option<RouteTag>,
    /// Of the last turn that was interrupted: how it is to be told.
    fate: Fate,
}

/// What came after a turn was interrupted.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Fate {
    #[default]
    Open,
    /// A person answered what to do about it.
    Answered,
    /// The tree was put back.
    PutBack,
}

impl Laws {
    /// Notes what the world says of conditions.
    fn heard(&mut self, input: &Input) {
        self.obligations.heard(input);
        match input {
            Input::HandoffRendered { exit, .. } => self.truths.clone_from(&exit.whens),
            Input::Judged { judged: Judged::Outcome(outcome), .. } => {
                self.truths.clone_from(&outcome.exit.whens);
            }
            Input::Judged { judged: Judged::Returned(returned), .. } => {
                if let Control::Outcome(outcome) = &returned.control {
                    self.truths.clone_from(&outcome.exit.whens);
                }
            }
            _ => {}
        }
    }

    fn check(&mut self, world: &World) {
        let run = &world.run;
        assert_eq!(&world.fold(), run, "folding the stored events gives the live state");
        let text = serde_json::to_string(run).unwrap();
        let back: Run = serde_json::from_str(&text).unwrap();
        assert_eq!(&back, run, "a run can be stored and read back");
        let effects = outstanding(run);
        assert!(run.offered().iter().all(|route| route.when.is_none()), "a condition was offered");
        let asked = run.offered().iter().any(|it| it.visibility == Visibility::InteractiveOnly);
        let script = run.current_step().is_some_and(|step| !step.asks_agent());
        assert!(!(asked && run.full_auto) || script, "nobody is there to be asked");
        match &run.lifecycle {
            Lifecycle::Running => assert!(!effects.is_empty(), "a running run owes something"),
            Lifecycle::Waiting(_)
            | Lifecycle::Held(_)
            | Lifecycle::Awaiting(_)
            | Lifecycle::Stopped(_) => {
                assert!(!effects.iter().any(Effect::is_process));
            }
            Lifecycle::Finished(_) | Lifecycle::Cancelled => {
                assert!(effects.is_empty(), "an ended run owes nothing");
                assert!(run.status_owed.is_empty(), "it finished with a status unwritten");
            }
            Lifecycle::Unstarted => panic!("the run was started"),
        }
        assert!(run.steps_taken <= run.max_steps);
        children_are_bounded(run);
        for event in &world.events[self.seen..] {
            self.event(run, event);
            self.obligations.event(run, event);
            self.leaves.event(event, |turn| self.open.contains(turn));
        }
        self.obligations.check(run, &effects);
        self.leaves.check(run);
        self.seen = world.events.len();
        for effect in &effects {
            if let Effect::Prepare { cause: TurnCause::Restarted { .. }, session, .. } = effect {
                assert_eq!(
                    self.fate,
                    Fate::PutBack,
                    "told that files were put back, and none were"
                );
                let goes_on =
                    session.as_ref().is_some_and(|it| it.token.is_some() && it.from.is_none());
                assert!(!goes_on, "a conversation recalls what was put back");
            }
            if let Effect::Restore { expected: None, .. } = effect {
                assert_eq!(
                    self.fate,
                    Fate::Answered,
                    "the tree would be put back unseen and unasked"
                );
            }
            if let Effect::RunChild { which, .. } = effect {
                assert!(!self.children_ended.contains(&which.run), "{which:?} would run again");
                assert!(self.children_owed.contains(&which.run), "{which:?} is not owed");
            }
            if let Effect::ApplyMerge { visit, merge } = effect {
                assert!(!self.merged.contains(visit), "{visit} is merged and would be again");
                let run = run.visit.as_ref().and_then(|it| it.children.as_ref());
                assert_eq!(run.and_then(|it| it.merge.as_ref()), Some(merge), "not recorded");
            }
            if let Effect::RunTurn { turn, .. } = effect {
                assert!(!self.ended.contains(turn), "{turn} has an end and would start again");
                assert!(self.open.contains(turn), "{turn} would start before it is owed");
            }
        }
    }

    /// Of functions and hooks.
    fn of_code(&mut self, run: &Run, event: &Event) {
        if let Event::CallbackOwed { turn, child: Some(child), .. } = event {
            let key = (turn.visit.clone(), child.branch.clone());
            assert!(self.planned.insert(key, child.run.clone()).is_none());
        }
        match event {
            Event::CallbackOwed { turn, .. } | Event::CallbackAnswered { turn, .. } => {
                assert!(self.open.contains(turn), "{turn} asked for something and is not open");
            }
            Event::ExitPicked { visit, tag, hook, .. } => {
                let step = run.plan.step(&visit.step).unwrap();
                let route = step.route(tag).expect("the route is the step's");
                assert!(hook.is_hook());
                assert!(route.when.is_none() || self.truths.contains(tag), "`{tag}` is not true");
                self.picked = Some(tag.clone());
            }
            Event::HookEnded { turn } => {
                let step = run.plan.step(&turn.visit.step).unwrap();
                let of_route = turn.role == Role::OnTaken;
                assert!(of_route || step.hooks.of(turn.role).is_some(), "{turn} is no hook");
                assert!(self.ended.contains(turn), "{turn} has its say before its end");
            }
            _ => {}
        }
    }

    fn event(&mut self, run: &Run, event: &Event) {
        self.of_code(run, event);
        match event {
            Event::ChildOwed { visit, branch, .. } => {
                let planned = self.planned.get(&(visit.clone(), branch.clone()));
                self.children_owed.insert(planned.expect("a child that was planned").clone());
            }
            Event::ChildrenPlanned { visit, children } => {
                for child in children {
                    let key = (visit.clone(), child.branch.clone());
                    assert!(self.planned.insert(key, child.run.clone()).is_none());
                }
            }
            Event::ChildEnded { visit, branch, .. } | Event::ChildSkipped { visit, branch } => {
                let run = self.planned[&(visit.clone(), branch.clone())].clone();
                assert!(self.children_ended.insert(run), "a child ends once");
            }
            Event::MergeApplied { visit, .. } => {
                assert!(self.merged.insert(visit.clone()), "{visit} is merged once");
            }
            Event::ChildrenJoined { visit, tag } => {
                let step = run.plan.step(&visit.step).unwrap();
                let children = run.visit.as_ref().and_then(|it| it.children.as_ref()).unwrap();
                let apart = step.group().unwrap().isolation == Isolation::Worktree;
                let merged = self.merged.contains(visit);
                assert_eq!(merged, apart && !children.plans.is_empty());
                let all = step.group().unwrap().join == Join::AllDone;
                let conflict =
                    children.plans.iter().any(|it| !children.conflicts(&it.branch).is_empty());
                let done = tag.as_ref().is_some_and(|tag| tag.as_str() == "done");
                assert!(!(all && conflict && done), "a conflict was passed over");
            }
            Event::TurnOwed { turn, .. } => {
                let starts = self.owed.entry(turn.path()).or_default();
                *starts += 1;
                assert_eq!(turn.start, *starts, "each start follows an interruption");
                assert!(self.open.is_empty(), "one turn at a time");
                self.open.insert(turn.clone());
            }
            Event::TurnStarted { turn, .. } => {
                self.started.insert(turn.clone());
            }
            // What was owed to another conversation, and never started, is asked as another turn.
            Event::WorkspaceMoved { .. } => {
                assert!(self.open.is_disjoint(&self.started), "a running turn was given up");
                // Code has no conversation.
                self.open.retain(|turn| turn.role.is_code());
            }
            Event::TurnEnded { turn, .. } => {
                assert!(self.open.remove(turn), "{turn} ended without being owed");
                assert!(self.ended.insert(turn.clone()));
            }
            Event::TurnInterrupted { turn, .. } => {
                assert!(self.open.remove(turn), "{turn} was interrupted without being owed");
                self.fate = Fate::Open;
            }
            Event::VisitEntered { visit, .. } => {
                self.picked = None;
                let step = run.plan.step(&visit.step).unwrap();
                assert_eq!(visit.item.is_some(), step.scope.is_some());
                let place = visit.to_string();
                let place = place.rsplit_once('/').unwrap().0.to_owned();
                let count = self.visits.entry(place).or_default();
                *count += 1;
                assert_eq!(*count, visit.n);
                assert!(visit.n <= run.max_visits(step));
            }
            Event::RouteTaken { visit, tag, to, .. } => {
                let step = run.plan.step(&visit.step).unwrap();
                let route = step.route(tag).expect("the route is the step's");
                // It was true when it was picked, before hooks had their say.
                let picked = self.picked.take().as_ref() == Some(tag);
                assert!(
                    route.when.is_none() || picked || self.truths.contains(tag),
                    "`{tag}` was taken and is not true"
                );
                self.truths.clear();
                assert!(route.action.targets().any(|target| target == to));
            }
            Event::SignalReceived { signal } => {
                assert!(self.came.insert(signal.id.clone()), "{} came twice", signal.id);
            }
            Event::WaitEnded { signal: Some(id), .. } => {
                assert!(self.came.contains(id), "{id} was taken and never came");
                assert!(self.taken.insert(id.clone()), "{id} was taken twice");
            }
            Event::RunFinished { verdict } => {
                assert!(!run.output_owed, "it finished without what it gives back");
                let dropped = run.worklists.values().any(|list| list.dropped.contains(&true));
                assert!(!dropped || *verdict == Verdict::Rejected, "an item was dropped");
            }
            Event::AnswerAccepted { .. } => self.fate = Fate::Answered,
            Event::TreeRestored { .. } => self.fate = Fate::PutBack,
            _ => {}
        }
    }
}

/// What children were granted is never more than there is, and no more run than may.
fn children_are_bounded(run: &Run) {
    let Some(visit) = &run.visit else { return };
    let Some(children) = visit.moving_children() else { return };
    let group = run.current_step().and_then(|step| step.group());
    let concurrency = group.filter(|_| visit.calling.is_none()).map_or(1, |it| it.concurrency);
    let running = children.iter().filter(|(_, it)| matches!(it.phase, ChildPhase::Owed { .. }));
    let (mut count, mut granted) = (0, run.steps_taken);
    for (_, child) in running {
        count += 1;
        granted += child.grant.max_steps - child.steps;
    }
    assert!(count <= concurrency);
    assert!(granted <= run.max_steps, "{granted} granted of {}", run.max_steps);
}
