//! Cases: state and worklists.

use std::time::Duration;

use botpipe::Workflow;
use botpipe::build::{Artifact, Route, Schema, Select, Step, Target, WorkflowBuilder, Worklist};
use serde_json::json;

use super::Table;

pub(super) fn all() -> Table {
    vec![("state", state), ("worklists", worklists)]
}

fn state() -> WorkflowBuilder {
    let last = Schema::json(json!({ "type": ["string", "null"], "default": null }));
    let tries = Schema::object()
        .property("tries", Schema::integer().default(0))
        .property("done", Schema::boolean());
    Workflow::builder("state")
        .input([("request", Schema::string())])
        .params([("most", Schema::integer().default(3))])
        .state([
            ("round", Schema::integer().default(0)),
            ("notes", Schema::array(Schema::string()).default(json!([]))),
            ("verdict", Schema::string()),
        ])
        .artifact("work", Artifact::json("work.json").required())
        .worklist("item", Worklist::from_artifact("work"))
        .step(
            Step::prompt(
                "plan",
                "Round {{ state.round }} for {{ input.request }}, after {{ route.tag }}",
            )
            .writes(["work"])
            .step_state([("last", last)])
            .route(
                "again",
                Route::to(Target::SelfStep)
                    .set("state.round", "state.round + 1")
                    .set("step_state.last", "outcome.payload.why")
                    .payload(Schema::object().property("why", Schema::string())),
            )
            .route(
                "enough",
                Route::to("each")
                    .when("state.round >= params.most")
                    .set("state.verdict", "'enough'"),
            )
            .route(
                "planned",
                Route::to("each")
                    .set("state.notes", "state.notes + [outcome.tag]")
                    .set("state.round", 0),
            ),
        )
        .step(
            Step::prompt(
                "each",
                "Do {{ item.id }}, try {{ item_state.tries }}, item {{ current_worklist.completed }}",
            )
            .scope("item")
            .item_state(tries)
            .route(
                "done",
                Route::complete_and_advance(Target::SelfStep, Target::Finish)
                    .set("item_state.done", true),
            )
            .route(
                "retry",
                Route::to(Target::SelfStep).set("item_state.tries", "item_state.tries + 1"),
            ),
        )
}

fn worklists() -> WorkflowBuilder {
    let next = |then: &str| Route::complete_and_advance(Target::SelfStep, then);
    let one_of_work = Select::new()
        .item("{{ params.only }}")
        .end("{{ input.end | default('') }}")
        .mode("{{ 'single' if params.only }}");
    Workflow::builder("worklists")
        .params([
            ("modules", Schema::array(Schema::string()).default(json!([]))),
            ("only", Schema::string().default("")),
        ])
        .state([("found", Schema::json(json!({ "type": "array", "default": [] })))])
        .artifact("work", Artifact::json("work.json").required())
        .worklist("item", Worklist::from_artifact("work").status("status").select(one_of_work))
        .worklist("module", Worklist::from_params("modules").select(Select::new().mode("all")))
        .worklist("finding", Worklist::from_state("found").id("key").title("words"))
        .worklist(
            "file",
            Worklist::run("ls src | jq -R . | jq -s .")
                .collection("files")
                .timeout(Duration::from_secs(30)),
        )
        .input([("end", Schema::string().default(""))])
        .step(Step::prompt("plan", "Plan.").writes(["work"]).route("done", "each"))
        .step(
            Step::prompt("each", "{{ item.id }}")
                .scope("item")
                .route("done", Route::complete_current("judge"))
                .route("skip", Route::advance(Target::SelfStep, "modules"))
                .route("more", Route::refresh(Target::SelfStep, "modules")),
        )
        .step(
            Step::prompt("judge", "{{ item.id }}")
                .scope("item")
                .route("good", Route::advance("each", "modules"))
                .route("bad", Route::reset("each")),
        )
        .step(
            Step::run("modules", "echo {{ item.id }}")
                .scope("module")
                .route("done", next("findings")),
        )
        .step(
            Step::run("findings", "echo {{ finding.title }}")
                .scope("finding")
                .route("done", next("files")),
        )
        .step(Step::run("files", "echo {{ item.id }}").scope("file").route("done", next("FINISH")))
}
