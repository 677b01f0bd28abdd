//! Cases: functions of the host, and code around the work of steps.

use botpipe::Workflow;
use botpipe::build::{
    Artifact, Call, Code, Route, Schema, Step, Target, Visibility, WorkflowBuilder,
};
use serde_json::json;

use super::Table;

pub(super) fn all() -> Table {
    vec![("calls", calls), ("hooks", hooks)]
}

fn calls() -> WorkflowBuilder {
    let limits =
        json!({ "threshold": "{{ params.threshold }}", "deep": [1, "{{ state.severity + 1 }}"] });
    Workflow::builder("triage")
        .input([("request", Schema::string())])
        .params([("threshold", Schema::integer().default(3))])
        .state([("severity", Schema::integer().default(0))])
        .artifact("report", Artifact::json("report.json").schema(Schema::object()).required())
        .step(
            Step::call("collect", "sources.collect")
                .with("request", "{{ input.request }}")
                .with("limits", limits)
                .writes(["report"])
                .route("done", Route::to("sound").required_writes(["report"]))
                .route(
                    "nothing",
                    Route::to(Target::Finish)
                        .summary("There was nothing to collect.")
                        .no_required_writes(),
                ),
        )
        .step(
            Step::validate(
                "sound",
                Call::new("is_sound"),
                "report",
                ("unsound", Artifact::md("unsound.md")),
            )
            .max_visits(3),
        )
        .step(
            Step::call("rate", "rate").requires(["report"]).route(
                "done",
                Route::to(Target::Finish)
                    .set("state.severity", "outcome.payload.severity")
                    .payload(Schema::object().required(["severity"])),
            ),
        )
}

fn hooks() -> WorkflowBuilder {
    Workflow::builder("hooked")
        .state([("rounds", Schema::integer().default(0))])
        .artifact("change", Artifact::md("change.md").required())
        .step(
            Step::produce("build", "Write {{ artifacts.change }}.")
                .verify("Judge {{ artifacts.change }}.")
                .producer_writes(["change"])
                .before("git fetch --quiet || true")
                .before_producer(Call::new("pick_style").with("round", "{{ state.rounds }}"))
                .after_producer(Code::run("cargo fmt"))
                .before_verifier("wc -l {{ artifacts.change }}")
                .after_verifier(Call::new("second_opinion").with("said", "{{ outcome.payload }}"))
                .after(Call::new("overrule"))
                .route(
                    "accepted",
                    Route::to("publish")
                        .on_taken(Call::new("announce").with("tag", "{{ route.tag }}")),
                )
                .route(
                    "needs_rework",
                    Route::to(Target::SelfStep).set("state.rounds", "state.rounds + 1"),
                )
                .route(
                    "skipped",
                    Route::to("publish").visibility(Visibility::Hidden).no_required_writes(),
                )
                .max_visits(4),
        )
        .step(
            Step::parallel("publish")
                .branch(Step::run("notes", "make notes").before(Call::new("may_publish")))
                .branch(Step::run("site", "make site"))
                .route("done", Target::Finish)
                .route("failed", Route::to(Target::Fail).on_taken("make clean".to_owned())),
        )
}
