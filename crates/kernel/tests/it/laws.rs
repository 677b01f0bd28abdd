//! Laws that hold for any plan, any answers, and a crash at any point.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use botpipe_kernel::ids::{Role, RouteTag, TurnId};
use botpipe_kernel::plan::{Action, Continuity, OnInterrupt, Plan, Step, Target, Visibility, Work};
use botpipe_kernel::run::{
    Effect, Event, Input, InterruptCause, Judged, Lifecycle, Raise, Run, SnapshotId, TurnCause,
    Verdict, outstanding,
};
use proptest::prelude::*;

use crate::plans::{
    digest, output, plan, produce_verify, prompt, ralph, route, script, step, target_of,
};
use crate::world::{Draw, World, answer, nudge};

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
    match draw.below(30) {
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
            world.tell(Input::Found { workspace, version: None }).unwrap();
        }
        _ => match world.owed() {
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
    /// The routes whose `when` the last outcome made true.
    truths: Vec<RouteTag>,
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
        match input {
            Input::HandoffRendered { exit, .. } => self.truths.clone_from(&exit.whens),
            Input::Judged { judged: Judged::Outcome(outcome), .. } => {
                self.truths.clone_from(&outcome.exit.whens);
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
        let script = run.current_step().is_some_and(|step| step.deciding_role() == Role::Script);
        assert!(!(asked && run.full_auto) || script, "nobody is there to be asked");
        match &run.lifecycle {
            Lifecycle::Running => assert!(!effects.is_empty(), "a running run owes something"),
            Lifecycle::Waiting(_) | Lifecycle::Held(_) | Lifecycle::Stopped(_) => {
                assert!(!effects.iter().any(Effect::is_process));
            }
            Lifecycle::Finished(_) | Lifecycle::Cancelled => {
                assert!(effects.is_empty(), "an ended run owes nothing");
                assert!(run.status_owed.is_none(), "it finished with a status unwritten");
            }
            Lifecycle::Unstarted => panic!("the run was started"),
        }
        assert!(run.steps_taken <= run.max_steps);
        for event in &world.events[self.seen..] {
            self.event(run, event);
        }
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
            if let Effect::RunTurn { turn, .. } = effect {
                assert!(!self.ended.contains(turn), "{turn} has an end and would start again");
                assert!(self.open.contains(turn), "{turn} would start before it is owed");
            }
        }
    }

    fn event(&mut self, run: &Run, event: &Event) {
        match event {
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
                self.open.clear();
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
                assert!(
                    route.when.is_none() || self.truths.contains(tag),
                    "`{tag}` was taken and is not true"
                );
                self.truths.clear();
                assert!(route.action.targets().any(|target| target == to));
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

fn any_plan(draw: &mut Draw<'_>) -> Plan {
    let names = ["a", "b", "c"];
    let n = 1 + draw.below(3);
    let steps = (0..n).map(|at| any_step(names[at], &names[..n], draw)).collect();
    let mut plan = plan(steps);
    plan.output = draw.one_in(2).then(|| output("n"));
    plan.limits.max_steps = 5 + u32::try_from(draw.below(30)).unwrap();
    plan
}

fn any_step(name: &str, all: &[&str], draw: &mut Draw<'_>) -> Step {
    let work = match draw.below(3) {
        0 => prompt(&["notes"]),
        1 => produce_verify(&["work"], &["tests"], &["review"]),
        _ => script(),
    };
    let scoped = draw.one_in(3);
    let mut routes = vec![
        route("done", any_action(all, scoped, draw)),
        route("again", any_action(all, scoped, draw)),
    ];
    if draw.one_in(2) {
        routes[0].required_checks = vec!["tests".parse().unwrap()];
    }
    if draw.one_in(2) {
        routes[1].required_writes = Some(Vec::new());
    }
    if draw.one_in(2) {
        let mut enough = route("enough", any_action(all, scoped, draw));
        enough.when = Some(digest(7));
        routes.push(enough);
    }
    if draw.one_in(2) {
        let mut question = route("question", Action::To(target_of("AWAIT_INPUT")));
        (question.inherited, question.required_writes) = (true, Some(Vec::new()));
        question.visibility = Visibility::InteractiveOnly;
        routes.push(question);
    }
    let mut step = step(name, work, routes);
    if draw.one_in(2) {
        match &mut step.work {
            Work::Prompt { turn } => turn.session = Continuity::Run,
            Work::ProduceVerify { producer, verifier, .. } => {
                (producer.session, verifier.session) = (Continuity::Run, Continuity::Run);
            }
            Work::Run { .. } => {}
        }
    }
    step.scope = scoped.then(|| "item".parse().unwrap());
    step.max_visits = 1 + u32::try_from(draw.below(5)).unwrap();
    step.on_interrupt =
        [OnInterrupt::Resume, OnInterrupt::Restart, OnInterrupt::Ask][draw.below(3)];
    step
}

fn any_action(all: &[&str], scoped: bool, draw: &mut Draw<'_>) -> Action {
    if scoped && draw.one_in(2) {
        let (next, exhausted) = (any_target(all, draw), any_target(all, draw));
        return match draw.below(6) {
            0 => Action::Advance { next, exhausted },
            1 => Action::CompleteCurrent { next },
            2 => Action::Refresh { next, exhausted },
            3 => Action::Reset { next },
            _ => Action::CompleteAndAdvance { next, exhausted },
        };
    }
    Action::To(any_target(all, draw))
}

fn any_target(all: &[&str], draw: &mut Draw<'_>) -> Target {
    match draw.below(7) {
        0 => target_of("FINISH"),
        1 => target_of("FAIL"),
        2 => target_of("AWAIT_INPUT"),
        3 => target_of("SELF"),
        n => target_of(all[n % all.len()]),
    }
}
