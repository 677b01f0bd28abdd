//! Cases of our own: what the corpus of the language does not say.

use botpipe::Workflow;
use botpipe::build::{
    Artifact, Continuity, Control, FanIn, GlobalRoute, Helper, Join, OnLimit, Over, Policy,
    Provider, Route, SandboxMode, Schema, Select, Settle, Step, Target, Verdict, WorkflowBuilder,
    Worklist,
};
use serde_json::{Value, json};

use super::Table;

pub(super) fn all() -> Table {
    vec![
        ("from_to", from_to),
        ("hard_texts", hard_texts),
        ("limits_of_the_account", limits_of_the_account),
        ("plain_joins", plain_joins),
        ("verdicts", verdicts),
    ]
}

fn from_to() -> WorkflowBuilder {
    let letters = Worklist::run(r#"printf '["a", "b", "c"]'"#)
        .select(Select::new().mode("from_to").start("{{ params.first }}").end("c"));
    Workflow::builder("from_to")
        .provider(Provider::replay("turns.json"))
        .params([("first", Schema::string().default("a"))])
        .worklist("letter", letters)
        .step(
            Step::classify(
                "write",
                "Is {{ item.id }} a vowel?",
                vec!["yes".to_owned(), "no".to_owned()],
            )
            .scope("letter")
            .session(Continuity::WorkItem)
            .route("done", Route::complete_and_advance(Target::SelfStep, Target::Finish)),
        )
}

fn hard_texts() -> WorkflowBuilder {
    let deep = Schema::json(json!({ "type": ["array", "null"] }))
        .one_of([json!([1, -2.5, 1.0e300, null, true]), Value::Null])
        .default(Value::Null)
        .description("~");
    Workflow::builder("hard_texts")
        .title("true")
        .description("# 1: no, \"comment\"\n\ttab\\")
        .input([
            ("a b", Schema::string().default("null")),
            ("1", Schema::string().default("- x")),
            ("deep", deep),
        ])
        .step(
            Step::prompt("go", "  {{ message }}\n   indented\n")
                .route("null", Route::to(Target::Finish).summary("{ not: a map }"))
                .route("off", Route::to(Target::SelfStep).handoff("%TAG\n---\n"))
                .max_visits(2),
        )
}

fn limits_of_the_account() -> WorkflowBuilder {
    Workflow::builder("limits_of_the_account")
        .provider(Provider::command(["claude", "-p"]))
        .policy(Policy::new().sandbox_mode(SandboxMode::DangerFullAccess))
        .step(Step::prompt("patient", "Go.").on_limit(OnLimit::Wait))
        .step(Step::prompt("proud", "Go on.").on_limit(OnLimit::Fail))
        .step(
            Step::prompt("flexible", "Go further.")
                .on_limit(OnLimit::Fallback)
                .control_route(Helper::Blocked, Control::Never),
        )
}

fn plain_joins() -> WorkflowBuilder {
    Workflow::builder("plain_joins")
        .artifact("list", Artifact::json("list.json").required())
        .entry("list_it")
        .step(
            Step::parallel("both")
                .branch(
                    Step::prompt("left", "Left.")
                        .writes([("left_notes", Artifact::md("left.md").required())]),
                )
                .branch(Step::llm("right", "Right?"))
                .settle(Settle::All)
                .join(Join::AllDone)
                .fan_in(FanIn::new("Read {{ artifacts.left_notes }}.").requires(["left_notes"]))
                .control_schema(Schema::object())
                .control_route(Helper::Failed, Control::Always)
                .route("done", "whole"),
        )
        .step(
            Step::fan_out(
                "whole",
                Over::artifact("list"),
                Step::run("one", "echo {{ branch.item }}"),
            )
            .requires(["list"]),
        )
        .step(Step::prompt("list_it", "List it.").writes(["list"]).route("done", "both"))
}

fn verdicts() -> WorkflowBuilder {
    let finish = || GlobalRoute::to(Target::Finish);
    Workflow::builder("verdicts")
        .global_route("good", finish().verdict(Verdict::Accepted).payload(Schema::string()))
        .global_route(
            "bad",
            finish().verdict(Verdict::Rejected).route_fields([("why", Schema::string())]),
        )
        .global_route("neither", finish().verdict(Verdict::None))
        .step(
            Step::prompt("judge", "Judge it.")
                .route("fine", Route::to(Target::Finish).verdict(Verdict::Accepted))
                .route("again", Target::SelfStep),
        )
}
