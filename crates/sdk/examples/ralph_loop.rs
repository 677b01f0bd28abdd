//! The shipped workflow `ralph_loop`, built in Rust. Alone it prints the text of the file it stands for;
//! `ralph_loop WORKSPACE MESSAGE PROGRAM [ARGS…]` runs it and follows its events.

#![expect(clippy::print_stdout, reason = "a program that talks to a person")]

use std::error::Error;
use std::time::Duration;

use botpipe::build::{
    Artifact, Check, Continuity, Route, Schema, Step, Target, WorkflowBuilder, Worklist,
};
use botpipe::{Client, Event, Provider, Start, Workflow};

/// Its prompts and its schema are part of this program.
fn ralph_loop() -> WorkflowBuilder {
    let work = Artifact::json("work.json").schema(Schema::file("schemas/work.json")).required();
    let items = Worklist::from_artifact("work")
        .collection("items")
        .id("id")
        .title("title")
        .status("status");
    Workflow::builder("ralph_loop")
        .title("Plan a change, then implement it item by item")
        .file("prompts/plan.md", include_str!("../../../workflows/ralph_loop/prompts/plan.md"))
        .file(
            "prompts/plan_review.md",
            include_str!("../../../workflows/ralph_loop/prompts/plan_review.md"),
        )
        .file(
            "prompts/implement.md",
            include_str!("../../../workflows/ralph_loop/prompts/implement.md"),
        )
        .file(
            "prompts/implement_review.md",
            include_str!("../../../workflows/ralph_loop/prompts/implement_review.md"),
        )
        .file("schemas/work.json", include_str!("../../../workflows/ralph_loop/schemas/work.json"))
        .input([("request", Schema::string())])
        .params([("test_command", Schema::string().default(""))])
        .artifact("work", work)
        .worklist("item", items)
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
                .check(
                    "tests",
                    // An empty command is no check.
                    Check::run("{{ params.test_command }}")
                        .when("params.test_command")
                        .timeout(Duration::from_mins(20)),
                )
                .verifier_writes([(
                    "implementation_review",
                    Artifact::md("items/{{ item.dir_key }}/implementation_review.md").required(),
                )])
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

fn main() -> Result<(), Box<dyn Error>> {
    botpipe::enter();
    let words: Vec<String> = std::env::args().skip(1).collect();
    let (workspace, message, program, args) = match &words[..] {
        [] => {
            print!("{}", ralph_loop().to_text());
            return Ok(());
        }
        [workspace, message, program, args @ ..] => (workspace, message, program, args),
        _ => return Err("give a workspace, a message and an agent's program".into()),
    };
    let client = Client::open(workspace)?;
    let start = Start {
        message: Some(message.clone()),
        provider: Some(Provider::Command { program: program.clone(), args: args.to_vec() }),
        ..Start::default()
    };
    let running = client.begin(&ralph_loop().build()?, start)?;
    println!("task {}", running.which().task);
    for event in running.events()? {
        match event? {
            (_, Event::VisitEntered { visit, .. }) => println!("{visit}"),
            (_, Event::RouteTaken { visit, tag, .. }) => println!("{visit}: {tag}"),
            _ => {}
        }
    }
    println!("{:?}", running.end()?.lifecycle());
    Ok(())
}
