//! Cases: the whole of the core, steps that ask no agent, outputs, and how texts are read.

use std::time::Duration;

use botpipe::Workflow;
use botpipe::build::{
    Artifact, Budget, Check, Continuity, Fields, Limits, NetworkMode, OnInterrupt, OnLimit, Output,
    Policy, Provider, Retry, Route, SandboxMode, Schema, Step, Target, Turn, Verdict,
    WorkflowBuilder, Worklist, kind,
};

use super::{Table, shipped};

pub(super) fn all() -> Table {
    vec![
        ("ask_and_wait", ask_and_wait),
        ("both_branches_write", both_branches_write),
        ("default_routes", default_routes),
        ("every_key", every_key),
        ("loop_back", loop_back),
        ("no_indent_lists", no_indent_lists),
        ("one_prompt", one_prompt),
        ("output", output),
        ("output_artifact", output_artifact),
        ("pause", pause),
        ("quoted_words", quoted_words),
        ("ralph_loop", shipped::ralph_loop),
        ("replay", replay),
        ("script_only", script_only),
        ("templates", templates),
        ("unicode", unicode),
        ("validate", validate),
    ]
}

fn ask_and_wait() -> WorkflowBuilder {
    Workflow::builder("ask_and_wait")
        .params([("from", Schema::string().default("2026-12-01T09:00:00Z"))])
        .artifact("notes", Artifact::md("notes.md").required())
        .step(Step::prompt("write", "Write the notes.").writes(["notes"]))
        .step(
            Step::ask("approve", "Publish {{ artifacts.notes }}?")
                .title("May it go out?")
                .choices(["approve", "later", "not at all"])
                .shows(["notes"])
                .timeout(Duration::from_hours(2))
                .route("approve", "when")
                .route("done", Route::to("write").handoff("They said: {{ outcome.payload }}"))
                .route("timed_out", Target::Fail),
        )
        .step(
            Step::ask("when", "prompts/plan_short.txt")
                .answer(Schema::object().required(["hour"]).property("hour", Schema::integer())),
        )
        .step(Step::ask("name", "Who shall be named?"))
        .step(Step::wait_for("pause", Duration::from_mins(30)))
        .step(Step::wait_until("morning", "{{ params.from }}"))
        .step(
            Step::wait_signal("built", "build_done")
                .timeout(Duration::from_secs(90))
                .max_visits(3)
                .route("done", Route::to("reviewed").handoff("{{ outcome.payload }}"))
                .route("timed_out", Target::SelfStep),
        )
        .step(Step::wait_signal("reviewed", "reviewed"))
}

fn both_branches_write() -> WorkflowBuilder {
    let read = || Route::to("read").required_writes(["notes"]);
    Workflow::builder("both_branches_write")
        .artifact("notes", Artifact::md("notes.md"))
        .step(
            Step::prompt("choose", "Long or short?").route("long", "long").route("short", "short"),
        )
        .step(Step::prompt("long", "Write much.").writes(["notes"]).route("done", read()))
        .step(
            Step::run("short", "echo short > {{ artifacts.notes }}")
                .writes(["notes"])
                .route("done", read()),
        )
        .step(Step::prompt("read", "Read them.").requires(["notes"]))
}

fn default_routes() -> WorkflowBuilder {
    Workflow::builder("default_routes")
        .step(Step::run("first", "./prepare.sh"))
        .step(Step::produce("second", "Make it.").verify("Check it."))
        .step(Step::prompt("third", "Say what was done."))
}

fn every_key() -> WorkflowBuilder {
    let deep = Schema::object().property("inner", Schema::integer()).closed();
    let text = Schema::object().required(["text"]).property("text", Schema::string());
    Workflow::builder("every_key")
        .title("All of them")
        .description("Not a useful workflow,\nbut a whole one.\n")
        .aliases(["everything", "all_keys"])
        .input(
            Schema::object()
                .required(["request"])
                .property("request", Schema::string())
                .property("deep", deep),
        )
        .params([
            ("command", Schema::string().default("")),
            ("level", Schema::integer().default(3)),
        ])
        .artifact(
            "work",
            Artifact::json("work.json").schema(Schema::file("schemas/work.json")).required(),
        )
        .artifact("notes", Artifact::md("{{ run.id }}/notes.md"))
        .artifact("log", Artifact::text("log.txt"))
        .artifact("image", Artifact::raw("image.png"))
        .worklist(
            "ticket",
            Worklist::from_artifact("work")
                .collection("items")
                .id("id")
                .title("title")
                .status("status"),
        )
        .limits(Limits::new().max_steps(50))
        .provider(Provider::command(["codex", "exec", "-"]))
        .policy(
            Policy::new()
                .sandbox_mode(SandboxMode::WorkspaceWrite)
                .network(NetworkMode::Full)
                .allow_write([".", "/srv/cache", "../shared"]),
        )
        .budget(Budget::new().usd(2.5).tokens(2_000_000).turns(40).wall(Duration::from_hours(2)))
        .entry("start")
        .step(
            Step::prompt("start", Turn::new("prompts/plan_short.txt").session(Continuity::Run))
                .title("Begin")
                .reads(["notes"])
                .writes(["work", "log"])
                .on_interrupt(OnInterrupt::Restart)
                .on_limit(OnLimit::Pause)
                .policy(
                    Policy::new().sandbox_mode(SandboxMode::ReadOnly).network(NetworkMode::None),
                )
                .retry(Retry::new().max_attempts(2))
                .timeout(Duration::from_hours(1))
                .idle_timeout(Duration::from_secs(30))
                .route(
                    "planned",
                    Route::to("each")
                        .summary("The work is planned.")
                        .payload(Schema::object().property("items", Schema::integer()))
                        .handoff("{{ outcome.payload.items }} items: {{ route.tag }}"),
                )
                .route("unclear", Route::to(Target::AwaitInput).answer(text).no_required_writes()),
        )
        .step(each())
        .step(
            Step::run("finish", "echo \"{{ input.deep.inner }}\" > {{ workflow.folder }}/done\n")
                .writes(["notes"])
                .on_interrupt(OnInterrupt::Resume),
        )
}

fn each() -> Step<kind::Produce> {
    Step::produce(
        "each",
        Turn::new("Do {{ item.id }} ({{ ticket.title }}), {{ worklist.remaining }} to go.")
            .session(Continuity::WorkItem),
    )
    .verify("Check {{ item.id }}: {{ checks.tests.output }}")
    .scope("ticket")
    .requires(["work"])
    .verifier_session(Continuity::Fresh)
    .verifier_requires(["image"])
    .producer_writes(["image"])
    .verifier_writes([("verdict", Artifact::md("{{ item.dir_key }}/verdict.md").required())])
    .check(
        "tests",
        Check::run("{{ params.command }}")
            .when("params.command and params.level > 2")
            .timeout(Duration::from_millis(500)),
    )
    .on_interrupt(OnInterrupt::Ask)
    .max_visits(3)
    .route(
        "accepted",
        Route::complete_and_advance(Target::SelfStep, "finish")
            .required_writes(["verdict"])
            .required_checks(["tests"]),
    )
    .route("hopeless", Route::to(Target::Fail).verdict(Verdict::Rejected))
    .route("needs_rework", Target::SelfStep)
}

fn loop_back() -> WorkflowBuilder {
    Workflow::builder("loop_back")
        .artifact("notes", Artifact::md("notes.md").required())
        .step(Step::prompt("write", "Write notes.").writes(["notes"]))
        .step(
            Step::prompt("judge", "Judge {{ artifacts.notes }}.")
                .requires(["notes"])
                .route("good", Target::Finish)
                .route("bad", Target::Step("write".to_owned()))
                .route("hopeless", Target::Fail),
        )
}

fn no_indent_lists() -> WorkflowBuilder {
    Workflow::builder("no_indent_lists").step(
        Step::produce("go", "Make it.")
            .verify("Check it.")
            .check("build", Check::run("make"))
            .route("accepted", Route::to("FINISH").required_checks(["build"]))
            .route("needs_rework", "SELF"),
    )
}

fn one_prompt() -> WorkflowBuilder {
    Workflow::builder("one_prompt")
        .step(Step::prompt("go", "Do what the message says. {{ message }}"))
}

fn output() -> WorkflowBuilder {
    let risk = Schema::string().one_of(["low", "high"]);
    let values = [
        ("rounds", "state.rounds"),
        ("level", "params.level * 2"),
        ("by", "route.tag"),
        ("why", "outcome.payload"),
        ("ok", "true"),
    ];
    let schema = Fields::new()
        .field("rounds", Schema::integer())
        .field("level", Schema::number())
        .field("by", Schema::string())
        .field("why", Schema::any())
        .field("ok", Schema::boolean());
    Workflow::builder("output")
        .params([("level", Schema::integer().default(1))])
        .state([("rounds", Schema::integer().default(0))])
        .output(Output::values(values).schema(schema))
        .step(
            Step::prompt("go", "Go.")
                .route("done", Route::to(Target::Finish).route_fields([("risk", risk)]))
                .route(
                    "ask",
                    Route::to(Target::AwaitInput)
                        .route_fields([("why", Schema::string().default(""))]),
                ),
        )
}

fn output_artifact() -> WorkflowBuilder {
    Workflow::builder("output_artifact")
        .artifact("report", Artifact::json("report.json").required())
        .output(Output::artifact("report").schema(Schema::object().required(["words"])))
        .step(
            Step::prompt("go", "Go.")
                .writes(["report"])
                .route("done", Target::Finish)
                .route("more", "look"),
        )
        .step(Step::prompt("look", "Look."))
}

fn pause() -> WorkflowBuilder {
    let prompt = "
        Ask the person when something is unclear.
        {% if message %}They said: {{ message }}{% endif %}
";
    Workflow::builder("pause").step(
        Step::prompt("ask", prompt)
            .route("question", Route::to(Target::AwaitInput).answer(Schema::object()))
            .route("done", Target::Finish),
    )
}

fn quoted_words() -> WorkflowBuilder {
    Workflow::builder("quoted_words").title("2024").description("yes").step(
        Step::prompt("go", "on")
            .route("yes", Target::Finish)
            .route("no", Target::Fail)
            .route("on", Target::SelfStep),
    )
}

fn replay() -> WorkflowBuilder {
    Workflow::builder("replay")
        .provider(Provider::replay_loosely("recorded.jsonl"))
        .step(Step::prompt("go", "Go on."))
}

fn script_only() -> WorkflowBuilder {
    Workflow::builder("script_only").title("No agent at all").step(
        Step::run("build", "cargo build")
            .timeout(Duration::from_mins(20))
            .route("done", Target::Finish)
            .route("failed", Target::Fail),
    )
}

fn templates() -> WorkflowBuilder {
    let prompt = r#"{% set greeting = "Hello" %}
{% for name in input.names %}{{ loop.index }}. {{ greeting }} {{ name | upper }}
{% endfor %}{{ range(3) | list }} {{ step.id }} {{ step.visit }} {{ task.id }} {{ workflow.name }}
{% raw %}{{ not.a.variable }}{% endraw %}
"#;
    let names = Schema::json(serde_json::json!({ "type": "array", "default": [] }));
    Workflow::builder("templates").input([("names", names)]).step(Step::prompt("go", prompt))
}

fn unicode() -> WorkflowBuilder {
    Workflow::builder("unicode")
        .title("Überprüfung — 検査 🎯")
        .step(Step::prompt("go", "Prüfe 変更: {{ message }}"))
}

fn validate() -> WorkflowBuilder {
    let print = "test -s \"{{ artifacts.plan }}\" || echo '{\"empty\": true}'\n";
    let verdict = Artifact::json("verdict.json").schema(Schema::object()).required();
    Workflow::builder("validate")
        .artifact("plan", Artifact::json("plan.json").required())
        .artifact("problems", Artifact::md("problems.md"))
        .step(
            Step::prompt("plan", "Write the plan.")
                .reads(["problems"])
                .writes(["plan"])
                .route("done", "by_default"),
        )
        .step(Step::validate(
            "by_default",
            "sh scripts/check.sh {{ artifacts.plan }}",
            "plan",
            "problems",
        ))
        .step(
            Step::validate("once_more", print, "plan", ("verdict", verdict))
                .timeout(Duration::from_mins(1))
                .max_visits(3)
                .route("invalid", Route::to("plan").handoff("Read {{ artifacts.verdict }}."))
                .route("valid", Route::to(Target::Finish).verdict(Verdict::None)),
        )
}
