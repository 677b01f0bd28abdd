//! Plans drawn at random: every kind of step, hooks, and routes that lead anywhere.

use botpipe_kernel::plan::{
    Action, Children, Code, Continuity, Isolation, ItemSource, Join, OnInterrupt, Over, Plan,
    Settle, Step, Target, TurnProvider, Visibility, WaitFor, Work,
};

use crate::plans::{
    ask, branches, call, child, classify, digest, function, group, output, plan, produce_verify,
    prompt, route, script, step, target_of, turn, validate,
};
use crate::world::Draw;

pub(crate) fn any_plan(draw: &mut Draw<'_>) -> Plan {
    let names = ["a", "b", "c"];
    let n = 1 + draw.below(3);
    let steps = (0..n).map(|at| any_step(names[at], &names[..n], draw)).collect();
    let mut plan = plan(steps);
    plan.output = draw.one_in(2).then(|| output("n"));
    let from = match draw.below(6) {
        0 => ItemSource::Param("list".to_owned()),
        1 => ItemSource::State("list".to_owned()),
        2 => ItemSource::Script(digest(2)),
        _ => ItemSource::Artifact("work".parse().unwrap()),
    };
    plan.worklists.values_mut().for_each(|list| list.from = from.clone());
    if draw.one_in(4) {
        plan.budget.turns = Some(2 + u32::try_from(draw.below(9)).unwrap());
        plan.budget.tokens = draw.one_in(2).then_some(700);
    }
    plan.limits.max_steps = 5 + u32::try_from(draw.below(30)).unwrap();
    plan
}

fn any_step(name: &str, all: &[&str], draw: &mut Draw<'_>) -> Step {
    let timeout = draw.one_in(2).then_some(5);
    let work = match draw.below(13) {
        12 => call(),
        10 | 11 => any_group(draw),
        0 => prompt(&["notes"]),
        1 => produce_verify(&["work"], &["tests"], &["review"]),
        2 => script(),
        3 => validate("work", "notes"),
        4 => ask(&["again", "never mind"], &["work", "notes"], timeout),
        5 => ask(&[], &[], timeout),
        6 => classify(&["again", "never mind"]),
        7 => Work::Llm { turn: turn(&[]) },
        8 => Work::Wait { until: WaitFor::Span { ms: 5 } },
        _ => {
            let name = "ready".parse().unwrap();
            Work::Wait { until: WaitFor::Signal { name, timeout_ms: timeout } }
        }
    };
    let scoped = draw.one_in(3);
    let asked = match &work {
        Work::Group { group } => group.fan_in.is_some(),
        _ => true,
    };
    let mut routes = vec![
        route("done", any_action(all, scoped, draw)),
        route("again", any_action(all, scoped, draw)),
    ];
    if !asked {
        routes.push(route("failed", any_action(all, scoped, draw)));
    }
    if draw.one_in(2) {
        routes[0].required_checks = vec!["tests".parse().unwrap()];
    }
    if draw.one_in(2) {
        routes[1].required_writes = Some(Vec::new());
    }
    if draw.one_in(8) {
        routes[1].tag = "timed_out".parse().unwrap();
    } else {
        routes.push(route("timed_out", any_action(all, scoped, draw)));
    }
    if draw.one_in(2) {
        let mut enough = route("enough", any_action(all, scoped, draw));
        enough.when = Some(digest(7));
        routes.push(enough);
    }
    for (tag, target, visibility) in HELPERS {
        if draw.one_in(2) {
            let mut helper = route(tag, Action::To(target_of(target)));
            (helper.inherited, helper.required_writes) = (true, Some(Vec::new()));
            helper.visibility = visibility;
            routes.push(helper);
        }
    }
    if asked && draw.one_in(3) {
        let visibility = [Visibility::Hidden, Visibility::InteractiveOnly][draw.below(2)];
        routes[1].visibility = visibility;
    }
    let mut step = step(name, work, routes);
    if draw.one_in(2) {
        match &mut step.work {
            Work::Prompt { turn } => turn.session = Continuity::Run,
            Work::ProduceVerify { producer, verifier, .. } => {
                (producer.session, verifier.session) = (Continuity::Run, Continuity::Run);
            }
            _ => {}
        }
    }
    hook(&mut step, draw);
    step.scope = scoped.then(|| "item".parse().unwrap());
    step.max_visits = 1 + u32::try_from(draw.below(5)).unwrap();
    if draw.one_in(4) {
        let (name, model) = ("claude".to_owned(), None);
        step.provider = Some(Box::new(TurnProvider::Harness { name, model }));
    }
    if draw.one_in(3) {
        step.budget.turns = Some(1 + u32::try_from(draw.below(6)).unwrap());
    }
    step.on_interrupt =
        [OnInterrupt::Resume, OnInterrupt::Restart, OnInterrupt::Ask][draw.below(3)];
    step
}

/// Hooks at some of the places where there may be any.
fn hook(step: &mut Step, draw: &mut Draw<'_>) {
    let mut any = || match draw.below(6) {
        4 => Some(Box::new(Code::Command(digest(2)))),
        5 => Some(Box::new(function())),
        _ => None,
    };
    step.hooks.before = any();
    step.hooks.after = any();
    if matches!(step.work, Work::ProduceVerify { .. }) {
        step.hooks.before_producer = any();
        step.hooks.after_producer = any();
        step.hooks.before_verifier = any();
        step.hooks.after_verifier = any();
    }
    for route in &mut step.routes {
        route.on_taken = any();
    }
}

/// What a step inherits.
const HELPERS: [(&str, &str, Visibility); 3] = [
    ("question", "AWAIT_INPUT", Visibility::InteractiveOnly),
    ("blocked", "FAIL", Visibility::Provider),
    ("given_up", "FAIL", Visibility::Hidden),
];

fn any_group(draw: &mut Draw<'_>) -> Work {
    let of = match draw.below(3) {
        0 => Children::Workflow { child: child() },
        1 => branches(&["x", "y", "z"]),
        _ => Children::Items {
            over: Over::Expression(digest(7)),
            branch: match branches(&["x"]) {
                Children::Branches { mut branches } => branches.remove(0),
                _ => unreachable!(),
            },
        },
    };
    let mut group = group(of);
    group.concurrency = 1 + u32::try_from(draw.below(3)).unwrap();
    group.settle = [Settle::All, Settle::FailFast][draw.below(2)];
    group.join = [Join::AllDone, Join::AllSettled, Join::AnyDone][draw.below(3)];
    group.isolation = [Isolation::Shared, Isolation::Worktree][draw.below(2)];
    group.fan_in = draw.one_in(2).then(|| turn(&["notes"]));
    Work::Group { group: Box::new(group) }
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
