//! Cases: turns of agents, their conversations, and the routes they inherit.

use std::time::Duration;

use botpipe::Workflow;
use botpipe::build::{
    Artifact, Budget, Call, Continuity, Control, FanIn, GlobalRoute, Helper, NetworkMode, OnLimit,
    Policy, Retry, Route, SandboxMode, Schema, Step, Target, Turn, Visibility, WorkflowBuilder,
    Worklist,
};

use super::Table;

pub(super) fn all() -> Table {
    vec![
        ("budgets_of_steps", budgets_of_steps),
        ("helper_routes", helper_routes),
        ("into", into),
        ("llm_and_classify", llm_and_classify),
        ("policies_by_step", policies_by_step),
        ("protect", protect),
        ("sessions", sessions),
    ]
}

fn budgets_of_steps() -> WorkflowBuilder {
    Workflow::builder("budgets_of_steps")
        .budget(Budget::new().usd(20.0))
        .params([("all", Schema::array(Schema::string()).default(serde_json::json!(["a", "b"])))])
        .worklist("item", Worklist::from_params("all"))
        .step(
            Step::prompt("plan", "Plan it.")
                .budget(Budget::new().usd(2.5).tokens(200_000))
                .route("done", "each"),
        )
        .step(
            Step::produce("each", "Make it.")
                .verify("Judge it.")
                .scope("item")
                .budget(Budget::new().turns(8).wall(Duration::from_mins(40)))
                .route("accepted", Route::complete_and_advance(Target::SelfStep, "sides"))
                .route("needs_rework", Target::SelfStep),
        )
        .step(
            Step::parallel("sides")
                .branch(Step::prompt("one", "One.").budget(Budget::new().turns(2)))
                .branch(Step::llm("two", "Two."))
                .budget(Budget::new().usd(4.0)),
        )
        .step(Step::call("ask_around", "ask_around").budget(Budget::new().turns(5)))
        .step(
            Step::run("publish", "make publish")
                .after(Call::new("look_on"))
                .budget(Budget::new().turns(1)),
        )
}

fn helper_routes() -> WorkflowBuilder {
    Workflow::builder("helper_routes")
        .global_route("failed", GlobalRoute::to("tidy").summary("It cannot be done; tidy up."))
        .global_route(
            "escalate",
            GlobalRoute::to(Target::AwaitInput)
                .visibility(Visibility::InteractiveOnly)
                .answer(Schema::string()),
        )
        .disable(Helper::Blocked)
        .step(
            Step::prompt("first", "Go.")
                .control_route(Helper::Question, Control::Always)
                .control_route(Helper::Failed, Control::Auto)
                .route("done", "second")
                .disable("escalate"),
        )
        .step(
            Step::prompt("second", "Go on.")
                .control_route(Helper::Question, Control::Never)
                .route("done", Target::Finish)
                .route("failed", Target::SelfStep)
                .route(
                    "seen",
                    Route::to(Target::Finish)
                        .visibility(Visibility::InteractiveOnly)
                        .summary("A person has seen it."),
                )
                .route(
                    "counted",
                    Route::to(Target::Finish).visibility(Visibility::Hidden).when("step.visit > 2"),
                ),
        )
        .step(
            Step::produce("third", "Make it.")
                .verify("Judge it.")
                .route("accepted", Target::Finish)
                .route("question", Route::to(Target::AwaitInput).visibility(Visibility::Provider)),
        )
        .step(
            Step::run("tidy", "true")
                .route("done", "third")
                .route("failed", Target::Fail)
                .disable("escalate"),
        )
}

fn into() -> WorkflowBuilder {
    Workflow::builder("into")
        .state([
            ("kind", Schema::string()),
            ("size", Schema::object().default(serde_json::json!({}))),
            ("hour", Schema::number().default(9)),
            ("asked", Schema::integer().default(0)),
        ])
        .global_route("too_big", Target::Fail)
        .step(
            Step::classify("sort", "What is it?", ["bug", "idea"])
                .into("state.kind")
                .route("bug", Route::to("size").set("state.asked", 1))
                .route("rare", Route::to(Target::Finish).when("state.asked > 3"))
                .route("done", "size"),
        )
        .step(
            Step::llm("size", "How big is the {{ state.kind }}?")
                .returns([("hours", Schema::integer())])
                .into("state.size"),
        )
        .step(
            Step::ask("when", "{{ state.size.hours }} hours, is that right?")
                .answer(Schema::integer())
                .into("state.hour")
                .timeout(Duration::from_hours(1))
                .route("done", Target::Finish)
                .route("timed_out", Route::to(Target::Fail).set("state.hour", 0)),
        )
}

fn llm_and_classify() -> WorkflowBuilder {
    let kinds = [
        ("bug", "Something does not do what it should."),
        ("idea", "Something new is wanted."),
        ("nothing of both", "Anything else."),
    ];
    Workflow::builder("llm_and_classify")
        .input([("request", Schema::string())])
        .step(
            Step::classify("sort", "What is this? {{ input.request }}", kinds)
                .route("bug", Route::to("size").handoff("It is a {{ outcome.payload }}."))
                .route("done", Target::Finish),
        )
        .step(
            Step::llm("size", Turn::new("prompts/plan_short.txt").session(Continuity::Run))
                .returns([("hours", Schema::integer()), ("why", Schema::string().default(""))])
                .retry(Retry::new().max_attempts(2))
                .policy(Policy::new().sandbox_mode(SandboxMode::ReadOnly))
                .route("done", Route::to("title").handoff("{{ outcome.payload.hours }} hours")),
        )
        .step(Step::llm("title", "A title, please."))
        .step(Step::classify("mood", "How is the mood?", ["good", "bad"]).session(Continuity::Run))
}

fn policies_by_step() -> WorkflowBuilder {
    let policy = Policy::new;
    Workflow::builder("policies_by_step")
        .policy(policy().sandbox_mode(SandboxMode::ReadOnly).network(NetworkMode::None))
        .step(Step::prompt("look", "Look around.").on_limit(OnLimit::Wait))
        .step(
            Step::produce("change", "Change it.")
                .verify(Turn::new("Judge it.").policy(
                    policy().sandbox_mode(SandboxMode::ReadOnly).network(NetworkMode::Full),
                ))
                .policy(policy().sandbox_mode(SandboxMode::WorkspaceWrite).allow_write(["."]))
                .on_limit(OnLimit::Fail)
                .route("accepted", "sides")
                .route("needs_rework", Target::SelfStep),
        )
        .step(
            Step::parallel("sides")
                .branch(Step::prompt("one", "One.").policy(policy().network(NetworkMode::Full)))
                .branch(
                    Step::llm("two", "Two.")
                        .policy(policy().sandbox_mode(SandboxMode::DangerFullAccess)),
                )
                .branch(Step::classify(
                    "three",
                    Turn::new("Three?").policy(policy().allow_write(Vec::<String>::new())),
                    ["yes", "no"],
                ))
                .fan_in(
                    FanIn::new("{{ fan_in.results }}")
                        .policy(policy().sandbox_mode(SandboxMode::WorkspaceWrite)),
                )
                .route("done", Target::Finish),
        )
}

fn protect() -> WorkflowBuilder {
    Workflow::builder("protect")
        .artifact("spec", Artifact::md("spec.md"))
        .artifact("log", Artifact::text("log.txt"))
        .step(
            Step::produce("make", "Make it.")
                .verify("Judge it.")
                .reads(["spec"])
                .verifier_reads(["log"])
                .protect(["tests", "./Cargo.toml", "docs/spec/"])
                .control_schema(Schema::object().property("why", Schema::string()))
                .route("accepted", Target::Finish)
                .route("needs_rework", Route::to(Target::SelfStep).payload(Schema::string())),
        )
}

fn sessions() -> WorkflowBuilder {
    Workflow::builder("sessions")
        .params([("who", Schema::string().default("ann"))])
        .session("author", Continuity::Task)
        .session("reader", Continuity::Key("{{ params.who }}-{{ step.id }}".to_owned()))
        .step(
            Step::produce("write", Turn::new("Write.").session("author"))
                .verify("Read.")
                .verifier_session("reader")
                .route("accepted", "read")
                .route("needs_rework", Target::SelfStep),
        )
        .step(Step::prompt("read", "Read.").session(Continuity::Key("{{ run.id }}".to_owned())))
}
