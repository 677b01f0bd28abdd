//! The shipped workflows, in Rust.

use std::time::Duration;

use botpipe::Workflow;
use botpipe::build::{
    Artifact, Check, Continuity, Route, Schema, Step, Target, WorkflowBuilder, Worklist,
};

use super::Table;

pub(super) fn all() -> Table {
    vec![("ralph_loop", ralph_loop), ("devloop", devloop)]
}

fn tests() -> Check {
    Check::run("{{ params.test_command }}")
        .when("params.test_command")
        .timeout(Duration::from_mins(20))
}

pub(super) fn ralph_loop() -> WorkflowBuilder {
    let review = Artifact::md("items/{{ item.dir_key }}/implementation_review.md").required();
    Workflow::builder("ralph_loop")
        .title("Plan a change, then implement it item by item")
        .input([("request", Schema::string())])
        .params([("test_command", Schema::string().default(""))])
        .artifact(
            "work",
            Artifact::json("work.json").schema(Schema::file("schemas/work.json")).required(),
        )
        .worklist(
            "item",
            Worklist::from_artifact("work")
                .collection("items")
                .id("id")
                .title("title")
                .status("status"),
        )
        .step(
            Step::produce("plan", "prompts/plan.md")
                .verify("prompts/plan_review.md")
                .producer_writes(["work"])
                .verifier_writes([("plan_review", Artifact::md("plan_review.md").required())])
                .route("accepted", Route::to("implement").required_writes(["work", "plan_review"]))
                .route("needs_rework", Route::to(Target::SelfStep).required_writes(["plan_review"]))
                .max_visits(5),
        )
        .step(
            Step::produce("implement", "prompts/implement.md")
                .verify("prompts/implement_review.md")
                .scope("item")
                .requires(["work"])
                .verifier_requires(["work"])
                .session(Continuity::WorkItem)
                .check("tests", tests())
                .verifier_writes([("implementation_review", review)])
                .route(
                    "accepted",
                    Route::complete_and_advance(Target::SelfStep, Target::Finish)
                        .required_writes(["implementation_review"])
                        .required_checks(["tests"]),
                )
                .route("needs_rework", Target::SelfStep)
                .max_visits(6),
        )
}

fn devloop() -> WorkflowBuilder {
    let reviewed = |route: Route| route.required_writes(["review"]);
    let accepted = reviewed(Route::to(Target::Finish)).required_checks(["tests"]);
    Workflow::builder("devloop")
        .title("Plan a change, implement it, review it, fix it until it is accepted")
        .description(
            "One change, from request to accepted review. The reviewer is another conversation than the one that\n\
             wrote the code, and works from a list of findings that the next turn has to settle one by one.\n",
        )
        .aliases(["dev_loop"])
        .input([("request", Schema::string())])
        .params([("test_command", Schema::string().default(""))])
        .artifact(
            "plan",
            Artifact::json("plan.json").schema(Schema::file("schemas/plan.json")).required(),
        )
        .artifact(
            "review",
            Artifact::json("review.json").schema(Schema::file("schemas/review.json")).required(),
        )
        .step(
            Step::produce("plan", "prompts/plan.md")
                .verify("prompts/plan_review.md")
                .title("Find out what has to be done")
                .reads(["review"])
                .producer_writes(["plan"])
                .verifier_writes([("plan_review", Artifact::md("plan_review.md").required())])
                .route("accepted", Route::to("implement").required_writes(["plan", "plan_review"]))
                .route(
                    "needs_rework",
                    Route::to(Target::SelfStep).required_writes(["plan_review"]),
                )
                .route(
                    "unclear",
                    Route::to(Target::AwaitInput)
                        .summary(
                            "Only a person can say what is wanted; ask the one question that decides it.",
                        )
                        .no_required_writes(),
                )
                .max_visits(4),
        )
        .step(
            Step::produce("implement", "prompts/implement.md")
                .verify("prompts/review.md")
                .title("Make the change")
                .requires(["plan"])
                .reads(["review"])
                .verifier_requires(["plan"])
                .session(Continuity::Run)
                .check("tests", tests())
                .verifier_writes(["review"])
                .route("accepted", accepted.clone())
                .route("needs_fixing", reviewed(Route::to("fix")))
                .route(
                    "wrong_plan",
                    reviewed(Route::to("plan"))
                        .summary("The plan itself is wrong; say in the review what it must be."),
                )
                .max_visits(2),
        )
        .step(
            Step::produce("fix", "prompts/fix.md")
                .verify("prompts/review.md")
                .title("Settle the findings of the review")
                .requires(["plan", "review"])
                .verifier_requires(["plan"])
                .session(Continuity::Run)
                .check("tests", tests())
                .verifier_writes(["review"])
                .route("accepted", accepted)
                .route("needs_fixing", reviewed(Route::to(Target::SelfStep)))
                .max_visits(5),
        )
}
