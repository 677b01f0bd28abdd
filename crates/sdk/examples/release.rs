//! A script, a question to a person and a typed output: `release WORKSPACE`. The answer is read from
//! standard input; killed meanwhile, the run is there to be answered with `botpipe answer`.

#![expect(clippy::print_stdout, reason = "a program that talks to a person")]

use std::error::Error;
use std::io::{self, BufRead as _};

use botpipe::build::{Artifact, Output, Schema, Step, Target};
use botpipe::{Client, Lifecycle, Silent, Start, StopSwitch, Workflow};
use serde::Deserialize;

/// What a run gives back.
#[derive(Debug, Deserialize)]
struct Release {
    version: String,
    publish: bool,
}

fn release() -> Result<Workflow, botpipe::NotRunnable> {
    let write = "printf 'Notes of %s\\n' '{{ params.version }}' > {{ artifacts.notes }}";
    Workflow::builder("release")
        .params([("version", Schema::string().default("1.0"))])
        .state([("answer", Schema::string())])
        .artifact("notes", Artifact::md("notes.md").required())
        .output(
            Output::values([
                ("version", "params.version"),
                ("publish", "state.answer == 'publish'"),
            ])
            .schema([("version", Schema::string()), ("publish", Schema::boolean())]),
        )
        .step(Step::run("write", write).writes(["notes"]))
        .step(
            Step::ask("approve", "Publish {{ artifacts.notes }}?")
                .choices(["publish", "later"])
                .shows(["notes"])
                .into("state.answer")
                .route("done", Target::Finish),
        )
        .build()
}

fn main() -> Result<(), Box<dyn Error>> {
    botpipe::enter();
    let workspace = std::env::args().nth(1).ok_or("give a workspace")?;
    let client = Client::open(workspace)?;
    let start =
        Start { params: vec![("version".to_owned(), "2.0".to_owned())], ..Start::default() };
    let mut end = client.run(&release()?, start)?;
    while let Lifecycle::Waiting(question) = end.lifecycle() {
        println!("? {} {:?}", question.text, question.choices);
        let Some(answer) = io::stdin().lock().lines().next().transpose()? else { break };
        match client.answer(&end.which(), &answer, &Silent, &StopSwitch::new()) {
            Ok(next) => end = next,
            // No such choice: it still waits.
            Err(error) => println!("{error}"),
        }
    }
    let release: Release = client.value_of(end)?;
    println!("version {}: {}", release.version, if release.publish { "out" } else { "not yet" });
    Ok(())
}
