//! A world that answers effects: by a script in scenarios, by drawn bytes in the laws.

use std::sync::Arc;

use botpipe_kernel::ids::{ArtifactName, BranchId, RouteTag, TurnId, VisitId};
use botpipe_kernel::plan::{Budget, Children, OnLimit, Plan, WaitFor, Work};
use botpipe_kernel::run::{
    Baseline, CheckResult, CheckStatus, ChildEnd, ChildRun, ChildWanted, Drift, Effect, Event,
    Evidence, Exit, FailureClass, Finding, FindingState, Grant, Hold, Input, Item, ItemStatus,
    Judged, Lifecycle, Merge, MergedBranch, Outcome, Process, Question, QuestionKind, Raise, Ref,
    Refusal, Rest, Run, Signal, SnapshotId, StateChange, Stop, TurnResult, Usage, Verdict, decide,
    outstanding,
};

use crate::plans::digest;
use crate::said_calls::{self, asked as asks_for};
use crate::said_outside::shown;
use crate::said_permission;

pub(crate) fn text(text: &str) -> Ref {
    Ref::Inline(text.to_owned())
}

/// The beginning of every run in tests.
pub(crate) fn start(max_steps: Option<u32>) -> Input {
    Input::Start {
        run: "r1".parse().unwrap(),
        task: "t1".parse().unwrap(),
        plan: digest(9),
        message: text("do it"),
        input: text("{}"),
        params: text("{}"),
        provider: None,
        providers: std::collections::BTreeMap::new(),
        fallbacks: Vec::new(),
        pass_env: Vec::new(),
        workspace: None,
        max_steps,
        on_limit: None,
        budget: Budget::default(),
        parent: None,
        context: None,
        full_auto: false,
        policies: Vec::new(),
        sources: Vec::new(),
    }
}

/// A run and everything recorded of it.
pub(crate) struct World {
    pub(crate) run: Run,
    pub(crate) events: Vec<Event>,
}

impl World {
    pub(crate) fn start(plan: Arc<Plan>, alone: bool) -> Self {
        let mut world = Self { run: Run::new(plan), events: Vec::new() };
        let mut start = start(None);
        if let Input::Start { workspace, full_auto, .. } = &mut start {
            *workspace = Some("/here".to_owned());
            *full_auto = alone;
        }
        world.tell(start).unwrap();
        world
    }

    pub(crate) fn tell(&mut self, input: Input) -> Result<usize, Refusal> {
        let events = decide(&self.run, input)?;
        for event in &events {
            self.run.evolve(event);
        }
        let n = events.len();
        self.events.extend(events);
        Ok(n)
    }

    /// One of the things that are owed: children come back in any order.
    pub(crate) fn owed(&self, draw: &mut Draw<'_>) -> Option<Effect> {
        let owed = outstanding(&self.run);
        let any = draw.below(owed.len().max(1));
        owed.into_iter().nth(any)
    }

    /// Forgets everything but what was stored, and reads it back.
    pub(crate) fn fold(&self) -> Run {
        let mut run = Run::new(self.run.plan.clone());
        for event in &self.events {
            run.evolve(event);
        }
        run
    }
}

/// Drawn choices; when they run out, the first choice is taken.
pub(crate) struct Draw<'a>(pub(crate) &'a [u8]);

impl Draw<'_> {
    pub(crate) fn below(&mut self, n: usize) -> usize {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        usize::from(*first) % n
    }

    pub(crate) fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == n - 1
    }
}

/// An answer to an effect: mostly good, sometimes anything that can go wrong.
pub(crate) fn answer(run: &Run, effect: &Effect, draw: &mut Draw<'_>) -> Vec<Input> {
    if draw.one_in(40) {
        return vec![Input::Stuck { message: "disk full".to_owned() }];
    }
    match effect.clone() {
        Effect::ReadItems { worklist, .. } if draw.one_in(5) => {
            vec![Input::ItemsRejected { worklist, why: "duplicate id".to_owned() }]
        }
        Effect::ReadItems { worklist, .. } => vec![Input::ItemsRead {
            worklist,
            source: digest(6),
            items: (0..draw.below(4)).map(item).collect(),
        }],
        Effect::Enter { visit } => {
            let tree = (!draw.one_in(4)).then(|| SnapshotId("t0".to_owned()));
            let baseline = Baseline { tree, ..Baseline::default() };
            let state = if draw.one_in(20) { FindingState::Missing } else { stale() };
            let requires = vec![finding(&"work".parse().unwrap(), state)];
            let drift = draw.one_in(9).then(|| Drift {
                worklist: "item".parse().unwrap(),
                source: digest(u8::try_from(draw.below(3)).unwrap()),
                text: "it changed".to_owned(),
            });
            vec![Input::BaselineTaken { visit, baseline, requires, drift }]
        }
        Effect::Prepare { turn, session, said, .. } => vec![Input::TurnPrepared {
            turn,
            prompt: text("prompt"),
            request: None,
            policy: None,
            session,
            said: u32::try_from(said.len()).unwrap(),
        }],
        Effect::RunTurn { turn, .. } if turn.role.is_code() && draw.one_in(3) => {
            vec![asks_for(run, turn, "something", draw.one_in(2))]
        }
        Effect::RunTurn { turn, .. } if !turn.role.is_code() && draw.one_in(4) => {
            said_permission::asks_leave(run, turn, draw)
        }
        Effect::RunTurn { turn, .. } => ran(turn, draw),
        Effect::RunChecks { visit, checks } => vec![Input::ChecksEnded {
            checks: checks
                .into_iter()
                .map(|name| CheckResult {
                    name,
                    status: if draw.one_in(3) {
                        CheckStatus::Failed { why: "exit 1".to_owned() }
                    } else {
                        CheckStatus::Passed
                    },
                    output: None,
                })
                .collect(),
            findings: findings(run, botpipe_kernel::ids::Role::Producer, draw),
            touched: if draw.one_in(9) { vec!["a.txt".to_owned()] } else { Vec::new() },
            visit,
        }],
        Effect::Seal { visit } => {
            vec![Input::Sealed { visit, tree: Some(SnapshotId("t1".to_owned())) }]
        }
        Effect::Judge { turn, offered, tag, .. } => vec![judged(run, turn, &offered, tag, draw)],
        Effect::Hand { visit, .. } => {
            vec![Input::HandoffRendered { visit, exit: exit(run, draw) }]
        }
        Effect::WriteStatus { worklist, item, status } => {
            vec![Input::StatusWritten { worklist, item, status, stamp: None, drift: None }]
        }
        Effect::Output => vec![Input::OutputReady { value: text("{}") }],
        Effect::AwaitTime { .. } => vec![Input::TimeCame],
        Effect::PlanChildren { visit } => {
            vec![Input::ChildrenPlanned { children: wanted(run, draw), visit }]
        }
        Effect::RunChild { which, grant, cancel, .. } => {
            vec![lived(run, which, &grant, cancel, draw)]
        }
        Effect::Pose { visit, .. } => vec![posed(run, visit, draw)],
        Effect::Arm { visit } => vec![Input::Armed { until: timed(run).then_some(5_000), visit }],
        Effect::AwaitDue { visit, .. } => vec![Input::Due { visit }],
        Effect::Merge { visit, branches, .. } => vec![merged(visit, branches, draw)],
        Effect::ApplyMerge { visit, .. } => vec![applied(visit, draw)],
        Effect::Restore { turn, .. } => vec![restored(turn, draw)],
        Effect::Answer { turn, n, .. } => {
            let change = said_calls::changes(draw).pop();
            vec![Input::CallbackAnswered { turn, n, answer: text("5"), change }]
        }
    }
}

/// What is made of what a turn came to.
fn judged(
    run: &Run,
    turn: TurnId,
    offered: &[RouteTag],
    tag: Option<RouteTag>,
    draw: &mut Draw<'_>,
) -> Input {
    let judged = match tag {
        Some(tag) => match draw.below(9) {
            8 => Judged::Malformed { why: "the payload does not fit".to_owned() },
            _ => outcome(tag.as_str(), Vec::new()),
        },
        None if turn.role.is_hook() || (turn.role.is_code() && draw.one_in(3)) => {
            Judged::Returned(Box::new(said_calls::returned(run, &turn, offered, draw)))
        }
        None => match draw.below(8) {
            7 => Judged::Malformed { why: "no JSON".to_owned() },
            6 => Judged::ScriptFailed { why: "exit 3".to_owned() },
            5 => outcome("no_such_route", Vec::new()),
            n => Judged::Outcome(Box::new(Outcome {
                tag: offered
                    .get(n % offered.len().max(1))
                    .map_or("none", RouteTag::as_str)
                    .to_owned(),
                payload: None,
                fields: None,
                findings: findings(run, turn.role, draw),
                exit: exit(run, draw),
            })),
        },
    };
    Input::Judged { turn, judged }
}

fn restored(turn: TurnId, draw: &mut Draw<'_>) -> Input {
    if draw.one_in(3) {
        let (tree, changed) = (SnapshotId("t2".to_owned()), vec!["a.txt".to_owned()]);
        return Input::RestoreRefused { turn, tree, changed };
    }
    Input::TreeRestored { turn, kept: SnapshotId("t3".to_owned()) }
}

/// The branches that go together, and at times one that does not.
fn merged(visit: VisitId, branches: Vec<(BranchId, SnapshotId)>, draw: &mut Draw<'_>) -> Input {
    let branches = branches.into_iter().map(|(branch, _)| {
        let conflicts = if draw.one_in(4) { vec!["a.txt".to_owned()] } else { Vec::new() };
        MergedBranch { branch, changed: 1, conflicts, folder: None }
    });
    let branches = branches.collect();
    let (found, tree) = (SnapshotId("t5".to_owned()), SnapshotId("t6".to_owned()));
    let ours = draw.one_in(3).then(|| SnapshotId("t7".to_owned()));
    Input::Merged { visit, merge: Merge { found, ours, tree, branches } }
}

fn applied(visit: VisitId, draw: &mut Draw<'_>) -> Input {
    let tree = SnapshotId("t6".to_owned());
    if draw.one_in(3) {
        return Input::MergeRefused { visit, tree, changed: vec!["a.txt".to_owned()] };
    }
    Input::MergeApplied { visit, tree, kept: SnapshotId("t5".to_owned()) }
}

/// Whether the wait at hand ends by itself.
fn timed(run: &Run) -> bool {
    match run.current_step().map(|step| &step.work) {
        Some(Work::Wait { until: WaitFor::Signal { timeout_ms, .. } }) => timeout_ms.is_some(),
        _ => true,
    }
}

/// What became of a child that was moved.
fn lived(run: &Run, which: ChildRun, grant: &Grant, cancel: bool, draw: &mut Draw<'_>) -> Input {
    let before = run.visit.iter().filter_map(|visit| visit.moving_children());
    let state = before
        .flat_map(botpipe_kernel::run::Children::iter)
        .find(|(plan, _)| plan.run == which.run);
    let (mut spent, steps) = state.map(|(_, it)| (it.spent.clone(), it.steps)).unwrap();
    let steps = steps + u32::from(steps < grant.max_steps);
    if grant.budget.turns.is_none_or(|turns| spent.turns < turns) {
        spent.turns += 1;
    }
    let rest = match draw.below(9) {
        8 => Rest::Stopped(Stop::MaxSteps { limit: grant.max_steps }),
        7 => Rest::Stopped(Stop::Signal { signal: 2 }),
        6 => Rest::Held(hold(FailureClass::UsageLimit)),
        5 => Rest::Waiting(asked(&which.visit)),
        n => {
            let verdict = [Verdict::Accepted, Verdict::None, Verdict::Rejected][n % 3];
            let verdict = (!cancel).then_some(verdict);
            let tree = Some(SnapshotId(format!("of-{}", which.branch)));
            let end = ChildEnd { verdict, tag: None, output: None, spent, steps, tree };
            return Input::ChildEnded { which, end };
        }
    };
    Input::ChildRested { which, rest, spent, steps }
}

fn wanted(run: &Run, draw: &mut Draw<'_>) -> Vec<ChildWanted> {
    let group = run.current_step().and_then(|step| step.group()).unwrap();
    let names: Vec<String> = match &group.of {
        Children::Workflow { .. } => vec!["child".to_owned()],
        Children::Branches { branches } => branches.iter().map(|it| it.name.to_string()).collect(),
        Children::Items { .. } => (0..draw.below(4)).map(|n| format!("item-{n}")).collect(),
    };
    names.iter().map(|name| wants(name)).collect()
}

pub(crate) fn wants(branch: &str) -> ChildWanted {
    let branch = branch.parse().unwrap();
    ChildWanted { branch, message: None, input: None, params: None, context: None }
}

fn asked(visit: &VisitId) -> Question {
    let kind = QuestionKind::Route { visit: visit.clone() };
    Question {
        kind,
        text: "which?".to_owned(),
        choices: Vec::new(),
        schema: None,
        shown: Vec::new(),
        until: None,
    }
}

fn posed(run: &Run, visit: VisitId, draw: &mut Draw<'_>) -> Input {
    let (mut findings, mut timed) = (Vec::new(), false);
    if let Some(Work::Ask { ask }) = run.current_step().map(|step| &step.work) {
        timed = ask.timeout_ms.is_some();
        for name in &ask.shows {
            let state = if draw.one_in(12) { FindingState::Missing } else { stale() };
            findings.push(finding(name, state));
        }
    }
    Input::Posed { visit, text: "which?".to_owned(), findings, until: timed.then_some(5_000) }
}

pub(crate) fn ran(turn: TurnId, draw: &mut Draw<'_>) -> Vec<Input> {
    let started = Input::TurnStarted {
        turn: turn.clone(),
        process: Process { pid: 7, start_ticks: 8, boot_id: Some("b".to_owned()) },
    };
    let known = Input::SessionKnown { turn: turn.clone(), token: "s".to_owned() };
    let mut pause = None;
    let result = match draw.below(16) {
        15 => return vec![Input::TurnHeld { turn, hold: hold(FailureClass::UsageLimit) }],
        14 => failed(FailureClass::SessionLost),
        13 => {
            pause = Some(hold(FailureClass::UsageLimit));
            failed(FailureClass::UsageLimit)
        }
        12 => {
            pause = Some(hold(FailureClass::Overloaded));
            failed(FailureClass::Overloaded)
        }
        11 => failed(FailureClass::Spawn),
        10 => failed(FailureClass::IdleTimeout),
        9 => failed(FailureClass::Crashed),
        _ => TurnResult::Completed { text: text("done"), exit: None },
    };
    let checkpoint = draw.one_in(2).then(|| "c".to_owned());
    let evidence = Evidence { usage: used_up(draw), checkpoint, ..Evidence::default() };
    vec![started, known, Input::TurnEnded { turn, result, evidence, pause }]
}

pub(crate) fn used_up(draw: &mut Draw<'_>) -> Option<Usage> {
    let cost = draw.one_in(2).then_some(1_000);
    (!draw.one_in(3)).then(|| Usage { input: 100, output: 10, cost, ..Usage::default() })
}

pub(crate) fn hold(class: FailureClass) -> Hold {
    let message = "not now".to_owned();
    Hold { class, message, since: 1_000, until: 9_000, login: None, on_limit: OnLimit::Wait }
}

fn failed(class: FailureClass) -> TurnResult {
    TurnResult::Failed { class, message: "it failed".to_owned() }
}

pub(crate) fn outcome(tag: &str, findings: Vec<Finding>) -> Judged {
    Judged::Outcome(Box::new(Outcome {
        tag: tag.to_owned(),
        payload: None,
        fields: None,
        findings,
        exit: Exit::default(),
    }))
}

/// A way out with some conditions true, and some values set.
pub(crate) fn exit(run: &Run, draw: &mut Draw<'_>) -> Exit {
    let routes = run.current_step().map(|step| step.routes.as_slice()).unwrap_or_default();
    let conditional = routes.iter().filter(|route| route.when.is_some());
    let whens = conditional.filter(|_| draw.one_in(2)).map(|it| it.tag.clone()).collect();
    let places = ["state.a", "state.b", "step_state.a", "item_state.a"];
    let changes = (0..draw.below(3)).map(|n| StateChange {
        place: places[(n + draw.below(4)) % 4].parse().unwrap(),
        value: text("1"),
    });
    Exit { whens, changes: changes.collect(), ..Exit::default() }
}

pub(crate) fn findings(
    run: &Run,
    role: botpipe_kernel::ids::Role,
    draw: &mut Draw<'_>,
) -> Vec<Finding> {
    let Some(step) = run.current_step() else { return Vec::new() };
    // A hook answers for the whole step.
    let names: Vec<_> = if role.is_hook() {
        step.writes().collect()
    } else {
        step.writes_of(role).iter().collect()
    };
    names
        .into_iter()
        .map(|name| {
            let state = match draw.below(6) {
                5 => FindingState::Missing,
                4 => stale(),
                _ => FindingState::Good { digest: digest(7) },
            };
            finding(name, state)
        })
        .collect()
}

fn stale() -> FindingState {
    FindingState::Stale { digest: digest(7) }
}

pub(crate) fn finding(name: &ArtifactName, state: FindingState) -> Finding {
    Finding { artifact: name.clone(), path: format!("{name}.json"), state }
}

pub(crate) fn item(n: usize) -> Item {
    Item {
        id: format!("item-{n}").parse().unwrap(),
        title: None,
        status: ItemStatus::Planned,
        payload: text("{}"),
    }
}

/// What a person may do to a run that rests.
pub(crate) fn nudge(run: &Run, draw: &mut Draw<'_>) -> Option<Input> {
    match &run.lifecycle {
        Lifecycle::Awaiting(wait) => Some(match &wait.signal {
            Some(name) if wait.until.is_none() || !draw.one_in(3) => Input::Signal {
                signal: Signal {
                    id: format!("g{}", draw.below(40)),
                    name: name.clone(),
                    payload: text("7"),
                },
            },
            _ => Input::Due { visit: wait.visit.clone() },
        }),
        Lifecycle::Waiting(question) => {
            if let (Some((visit, _)), true) = (run.due(), draw.one_in(3)) {
                return Some(Input::Due { visit: visit.clone() });
            }
            let findings = shown(run, draw.one_in(4).then_some(9));
            let answer = question.choices.get(draw.below(question.choices.len().max(1)));
            let answer = answer.cloned().unwrap_or_else(|| "yes".to_owned());
            Some(Input::Answer { answer: text(&answer), text: answer, findings })
        }
        Lifecycle::Stopped(_) | Lifecycle::Held(_) => {
            let steps = || run.plan.steps.iter().map(|step| step.id.clone());
            let max_visits = steps().map(|step| (step, 9)).collect();
            let budget = Budget { turns: Some(999), ..Budget::default() };
            let max_steps = Some(run.max_steps + 20);
            let step_budgets = steps().map(|step| (step, budget.clone())).collect();
            let raise = Raise { max_steps, max_visits, budget, step_budgets };
            Some(Input::Resume { raise, tree: None, edited: Vec::new() })
        }
        _ => None,
    }
}
