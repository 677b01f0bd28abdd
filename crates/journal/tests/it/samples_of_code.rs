//! One event of every kind that functions and hooks lead to, and a policy as a run records it.

use botpipe_kernel::ids::Role;
use botpipe_kernel::plan::{NetworkMode, Policy, PolicyLayer, Target};
use botpipe_kernel::run::{AskedQuestion, ChildPlan, Event, StateChange, WorklistChange};

use crate::samples::{digest, text, visit};
use crate::scratch::id;

/// What an operator's file says.
pub(crate) fn ceiling() -> PolicyLayer {
    PolicyLayer {
        from: "/home/me/.config/botpipe/botpipe.yaml".to_owned(),
        ceiling: true,
        policy: Policy { network: Some(NetworkMode::None), ..Policy::default() },
    }
}

pub(crate) fn all() -> Vec<Event> {
    let turn = |text: &str| text.parse().unwrap();
    vec![
        Event::CallbackOwed {
            turn: turn("score/1/script/1"),
            n: 0,
            key: digest('5'),
            ask: text("{\"method\":\"llm\",\"params\":{\"prompt\":\"How many?\"}}"),
            child: Some(Box::new(ChildPlan {
                branch: id("call-0"),
                run: id("r1.1-c0"),
                plan: digest('6'),
                message: Some(text("How many?")),
                input: Some(text("{}")),
                params: Some(text("{}")),
                context: None,
            })),
        },
        Event::CallbackAnswered {
            turn: turn("score/1/script/1"),
            n: 1,
            answer: Some(text("{\"ok\":7}")),
        },
        Event::WorklistChanged {
            worklist: id("item"),
            change: WorklistChange::Complete { item: id("item-2") },
        },
        Event::HookEnded { turn: turn("score/1/before/1") },
        Event::ExitPicked {
            visit: visit(),
            tag: id("accepted"),
            handoff: Some(text("Mind the gap.")),
            question: Some(AskedQuestion {
                text: "Which?".to_owned(),
                choices: vec!["a".to_owned(), "b".to_owned()],
                schema: Some(text("{}")),
            }),
            changes: vec![StateChange { place: "state.n".parse().unwrap(), value: text("2") }],
            hook: Role::After,
        },
        Event::Redirected {
            turn: turn("score/1/on_taken/1"),
            to: Target::Step(id("plan")),
            handoff: Some(text("It went stale.")),
            why: Some("it went stale".to_owned()),
        },
    ]
}
