//! Cases: runs below a step.

use botpipe::Workflow;
use botpipe::build::{
    Artifact, Branch, Continuity, FanIn, Isolation, Join, OnInterrupt, Over, Route, Schema, Settle,
    Step, Target, WorkflowBuilder, Worklist,
};

use super::{Table, greet};

pub(super) fn all() -> Table {
    vec![
        ("branches_of_an_item", branches_of_an_item),
        ("fan_out", fan_out),
        ("parallel", parallel),
        ("parallel_done", parallel_done),
        ("workflow", workflow),
        ("worktrees", worktrees),
    ]
}

fn branches_of_an_item() -> WorkflowBuilder {
    let what = "What of {{ item.title }}, {{ job.payload.size }}?";
    Workflow::builder("branches_of_an_item")
        .artifact("work", Artifact::json("work.json").required())
        .artifact("opinion", Artifact::md("{{ item.dir_key }}/{{ branch.key }}.md"))
        .worklist("job", Worklist::from_artifact("work").collection("tasks").id("id"))
        .step(Step::prompt("plan", "Plan.").writes(["work"]))
        .step(
            Step::parallel("opinions")
                .scope("job")
                .branch(Step::prompt("first", what).writes(["opinion"]))
                .branch(Step::prompt("second", "And of {{ job.id }}?").writes(["opinion"]))
                .route("done", Route::complete_and_advance(Target::SelfStep, Target::Finish))
                .route("failed", Target::Fail),
        )
}

fn fan_out() -> WorkflowBuilder {
    let look = "Look at {{ branch.item }}, file {{ branch.index }} of {{ branch.count }}.";
    Workflow::builder("fan_out")
        .input([("files", Schema::array(Schema::string()))])
        .artifact("plan", Artifact::json("plan.json").required())
        .artifact("report", Artifact::md("reports/{{ branch.key }}.md").required())
        .step(
            Step::fan_out(
                "each_file",
                "{{ input.files }}",
                Step::prompt("each_file", look).writes(["report"]),
            )
            .join(Join::AllSettled),
        )
        .step(Step::prompt("plan", "Plan.").writes(["plan"]))
        .step(
            Step::fan_out(
                "each_item",
                Over::collection("plan", "items"),
                Step::run("do_item", "echo {{ branch.item.id }}"),
            )
            .concurrency(8)
            .route("done", Target::Finish)
            .route("failed", Target::Fail),
        )
}

fn worktrees() -> WorkflowBuilder {
    let greet = greet().build().unwrap();
    let each = |id: &str, isolation, then: Target| {
        Step::fan_out(id, "{{ input.files }}", Step::run(id, "echo {{ branch.item }}"))
            .isolation(isolation)
            .route("done", then)
            .route("failed", Target::Fail)
    };
    Workflow::builder("worktrees")
        .input([("files", Schema::array(Schema::string()))])
        .step(
            Step::parallel("sides")
                .isolation(Isolation::Worktree)
                .branch(Step::prompt("left", "Do the left.").on_interrupt(OnInterrupt::Restart))
                .branch(Step::workflow("right", &greet).with("who", "me"))
                .route("done", "each")
                .route("partial", "each")
                .route("failed", Target::Fail),
        )
        .step(each("each", Isolation::Shared, "again".into()))
        .step(each("again", Isolation::Worktree, Target::Finish))
}

fn parallel() -> WorkflowBuilder {
    let results = "{% for it in fan_in.results %}{{ it.branch }}: {{ it.status }} {% endfor %}";
    let style = Step::prompt(
        "style",
        "Review the style, as branch {{ branch.index }} of {{ branch.count }}.",
    )
    .requires(["notes"])
    .writes([("style_review", Artifact::md("style.md").required())])
    .route("good", Target::Finish)
    .route("bad", Target::Finish)
    .route("again", Target::SelfStep);
    let greet = greet().build().unwrap();
    Workflow::builder("parallel")
        .artifact("notes", Artifact::md("notes.md").required())
        .artifact("verdict", Artifact::json("verdict.json"))
        .step(Step::prompt("look", "Look around.").writes(["notes"]))
        .step(
            Step::parallel("reviews")
                .concurrency(2)
                .settle(Settle::FailFast)
                .join(Join::AnyDone)
                .branch(Branch::new(style).success_routes(["good"]))
                .branch(
                    Step::run("tests", "make test")
                        .route("done", Target::Finish)
                        .route("failed", Target::Fail),
                )
                .branch(Step::produce("fix", "Fix it.").verify("Is it fixed?").max_visits(3))
                .branch(Step::workflow("below", &greet).with("who", "branch {{ branch.key }}"))
                .fan_in(FanIn::new(results).writes(["verdict"]).session(Continuity::Run))
                .route("fine", Target::Finish)
                .route("poor", "look"),
        )
}

fn parallel_done() -> WorkflowBuilder {
    Workflow::builder("parallel_done")
        .step(
            Step::parallel("both")
                .branch(
                    Step::prompt("left", "Left.")
                        .writes([("left_notes", Artifact::md("notes.md").required())]),
                )
                .branch(Step::run("right", "echo right"))
                .route("done", "use")
                .route("partial", "both")
                .route("failed", Target::Fail),
        )
        .step(Step::prompt("use", "Use {{ artifacts.left_notes.path }}.").requires(["left_notes"]))
}

fn workflow() -> WorkflowBuilder {
    let greet = greet().build().unwrap();
    Workflow::builder("workflow")
        .input([("name", Schema::string()), ("loud", Schema::boolean().default(true))])
        .step(
            Step::workflow("by_message", &greet)
                .message("{{ input.name }}")
                .param("loud", "{{ input.loud }}")
                .route("done", Route::to("by_input").handoff("It said {{ outcome.payload }}."))
                .route("failed", Target::Fail),
        )
        .step(Step::workflow("by_input", &greet).with("who", "{{ input.name }} and friends"))
}
