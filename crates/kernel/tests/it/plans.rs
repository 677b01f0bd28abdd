//! Plans for tests, built in a few words.

use std::collections::BTreeMap;
use std::sync::Arc;

use botpipe_kernel::ids::Digest;
use botpipe_kernel::plan::{
    Action, Artifact, Ask, Branch, Call, Check, Child, Children, Choice, Clocks, Code, Continuity,
    Format, Group, Hooks, Input, Isolation, ItemSource, Join, Limits, OnInterrupt, Output,
    OutputSource, Plan, Program, Route, Settle, Step, Target, TurnPlan, Visibility, Work, Worklist,
};

pub(crate) fn digest(n: u8) -> Digest {
    Digest::from_bytes([n; 32])
}

pub(crate) fn turn(writes: &[&str]) -> TurnPlan {
    TurnPlan {
        prompt: digest(1),
        writes: writes.iter().map(|name| name.parse().unwrap()).collect(),
        requires: Vec::new(),
        session: Continuity::Fresh,
        slot: None,
        reads: Vec::new(),
        policy: None,
    }
}

pub(crate) fn route(tag: &str, action: Action) -> Route {
    Route {
        tag: tag.parse().unwrap(),
        action,
        summary: None,
        required_writes: None,
        required_checks: Vec::new(),
        payload: None,
        handoff: None,
        answer: None,
        verdict: None,
        when: None,
        set: Vec::new(),
        visibility: Visibility::Provider,
        route_fields: None,
        inherited: false,
        on_taken: None,
    }
}

pub(crate) fn to(tag: &str, target: &str) -> Route {
    route(tag, Action::To(target_of(target)))
}

pub(crate) fn target_of(text: &str) -> Target {
    match text {
        "SELF" => Target::SelfStep,
        "FINISH" => Target::Finish,
        "FAIL" => Target::Fail,
        "AWAIT_INPUT" => Target::AwaitInput,
        step => Target::Step(step.parse().unwrap()),
    }
}

pub(crate) fn step(id: &str, work: Work, routes: Vec<Route>) -> Step {
    Step {
        id: id.parse().unwrap(),
        title: None,
        work,
        scope: None,
        requires: Vec::new(),
        reads: Vec::new(),
        routes,
        budget: botpipe_kernel::plan::Budget::default(),
        max_visits: 5,
        max_attempts: 3,
        on_interrupt: OnInterrupt::Resume,
        on_limit: None,
        policy: None,
        clocks: Clocks::default(),
        state: None,
        item_state: None,
        protect: Vec::new(),
        hooks: Hooks::default(),
    }
}

pub(crate) fn prompt(writes: &[&str]) -> Work {
    Work::Prompt { turn: turn(writes) }
}

pub(crate) fn script() -> Work {
    Work::Run { program: Program { command: Code::Command(digest(2)), writes: Vec::new() } }
}

/// A step that calls a function.
pub(crate) fn call() -> Work {
    Work::Run { program: Program { command: function(), writes: Vec::new() } }
}

pub(crate) fn function() -> Code {
    Code::Call(Call { function: "score".parse().unwrap(), with: None })
}

pub(crate) fn validate(validates: &str, feedback: &str) -> Work {
    let (validates, feedback) = (validates.parse().unwrap(), feedback.parse().unwrap());
    Work::Validate { command: Code::Command(digest(2)), validates, feedback }
}

pub(crate) fn classify(choices: &[&str]) -> Work {
    let choice = |name: &&str| Choice { name: (*name).to_owned(), description: None };
    Work::Classify { turn: turn(&[]), choices: choices.iter().map(choice).collect() }
}

pub(crate) fn ask(choices: &[&str], shows: &[&str], timeout_ms: Option<u64>) -> Work {
    let shows = shows.iter().map(|name| name.parse().unwrap()).collect();
    let choices = choices.iter().map(|&choice| choice.to_owned()).collect();
    Work::Ask { ask: Ask { question: digest(1), choices, answer: None, shows, timeout_ms } }
}

pub(crate) fn produce_verify(produces: &[&str], checks: &[&str], verifies: &[&str]) -> Work {
    Work::ProduceVerify {
        producer: turn(produces),
        checks: checks
            .iter()
            .map(|name| Check {
                name: name.parse().unwrap(),
                command: digest(3),
                when: None,
                timeout_ms: None,
            })
            .collect(),
        verifier: turn(verifies),
    }
}

/// Children of other plans, side by side.
pub(crate) fn group(of: Children) -> Group {
    let concurrency = Group::DEFAULT_CONCURRENCY;
    let (settle, join, isolation) = (Settle::All, Join::AllDone, Isolation::Shared);
    Group { of, concurrency, settle, join, isolation, fan_in: None }
}

pub(crate) fn branches(names: &[&str]) -> Children {
    let branch = |name: &&str| Branch {
        name: name.parse().unwrap(),
        child: child(),
        success_routes: Vec::new(),
    };
    Children::Branches { branches: names.iter().map(branch).collect() }
}

pub(crate) fn child() -> Child {
    Child { plan: digest(8), message: None, input: None, params: None }
}

pub(crate) fn plan(steps: Vec<Step>) -> Plan {
    let artifact = |required| Artifact {
        format: Format::Json,
        path: "x".to_owned(),
        owner: None,
        schema: None,
        required,
    };
    Plan {
        format: Plan::FORMAT,
        name: "w".parse().unwrap(),
        title: None,
        description: None,
        entry: steps[0].id.clone(),
        input: Input { schema: digest(4), message_field: None },
        params: digest(5),
        artifacts: BTreeMap::from([
            ("work".parse().unwrap(), artifact(true)),
            ("review".parse().unwrap(), artifact(true)),
            ("notes".parse().unwrap(), artifact(false)),
        ]),
        worklists: BTreeMap::from([(
            "item".parse().unwrap(),
            Worklist {
                from: ItemSource::Artifact("work".parse().unwrap()),
                collection: "items".to_owned(),
                id: "id".to_owned(),
                title: None,
                status: Some("status".to_owned()),
                select: None,
                timeout_ms: None,
            },
        )]),
        steps,
        limits: Limits { max_steps: 40 },
        provider: None,
        policy: None,
        budget: botpipe_kernel::plan::Budget::default(),
        state: None,
        output: None,
    }
}

/// Plan, then implement item by item: the shape of the shipped workflow.
pub(crate) fn ralph() -> Arc<Plan> {
    let first = step(
        "plan",
        produce_verify(&["work"], &[], &["review"]),
        vec![to("accepted", "implement"), to("needs_rework", "SELF")],
    );
    let mut accepted = route(
        "accepted",
        Action::CompleteAndAdvance { next: Target::SelfStep, exhausted: Target::Finish },
    );
    accepted.required_checks = vec!["tests".parse().unwrap()];
    let mut rework = to("needs_rework", "SELF");
    rework.required_writes = Some(Vec::new());
    let mut second =
        step("implement", produce_verify(&[], &["tests"], &[]), vec![accepted, rework]);
    second.scope = Some("item".parse().unwrap());
    Arc::new(plan(vec![first, second]))
}

/// What a run gives back: a key and its expression.
pub(crate) fn output(key: &str) -> Output {
    let values = BTreeMap::from([(key.to_owned(), digest(11))]);
    Output { from: OutputSource::Values(values), schema: None }
}
