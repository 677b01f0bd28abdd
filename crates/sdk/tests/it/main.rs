//! The library, used as its users use it.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on ends there")]

mod building;
mod conformance;
mod examples;
mod following;
mod functions;

use std::fs;
use std::io::Write as _;
use std::process::{Command, Stdio};

use botpipe::{Client, Lifecycle, NotRunnable, Start, Stop, Workflow};
use tempfile::TempDir;

use examples::example;

/// A workspace with a workflow that asks a person once.
fn workspace(text: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("workflows")).unwrap();
    fs::write(folder.path().join("workflows/flow.sop.yaml"), text).unwrap();
    folder
}

const ASKS: &str = "sop: 1\nname: flow\ntitle: Ask\nsteps:\n  - id: ask\n    prompt: Ask.\n    \
                    routes: { question: AWAIT_INPUT, done: FINISH }\n";

/// An agent that asks for a colour, and is done once it knows it.
const AGENT: &str = r#"
if grep -q green; then echo '{"outcome": {"tag": "done"}}'
else echo '{"outcome": {"tag": "question", "route_fields": {"question": "Which colour?"}}}'; fi"#;

#[test]
fn a_program_runs_a_workflow_watches_it_and_answers() {
    let place = workspace(ASKS);
    let mut program = Command::new(example("run"))
        .arg(place.path())
        .args(["flow", "paint it", "sh", "-c", AGENT])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    program.stdin.take().unwrap().write_all(b"green\n").unwrap();
    let said = String::from_utf8(program.wait_with_output().unwrap().stdout).unwrap();
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!(lines[..2], ["run_created", "visit_entered"], "{said}");
    for line in ["? Which colour?", "answer_accepted", "run_finished"] {
        assert!(lines.contains(&line), "{line} is not in:\n{said}");
    }
    assert!(said.contains("task paint-it-") && said.contains(": Finished(None)"), "{said}");

    // Another process finds the same run.
    let client = Client::open(place.path()).unwrap();
    let runs = client.runs(None, None).unwrap();
    assert_eq!(runs.len(), 1);
    assert_eq!(runs[0].state.as_str(), "finished");
    let events = client.events_after(&runs[0].run, 0).unwrap();
    assert_eq!(u64::try_from(events.len()).unwrap(), runs[0].events);
    assert_eq!(events.last().unwrap().1.kind(), "run_finished");
    let (last, _) = events.last().unwrap();
    assert!(client.events_after(&runs[0].run, *last).unwrap().is_empty());
}

#[test]
fn a_program_that_did_not_enter_first_is_told() {
    // This test program has no `botpipe::enter` in its main.
    let place = workspace(
        "sop: 1\nname: flow\ntitle: Run\nsteps:\n  - id: go\n    run: \"true\"\n    \
         routes: { done: FINISH, failed: FAIL }\n",
    );
    let client = Client::open(place.path()).unwrap();
    let workflow = Workflow::find(place.path(), "flow").unwrap();
    let end = client.run(&workflow, Start::default()).unwrap();
    let Lifecycle::Stopped(Stop::Error { message }) = end.lifecycle() else {
        panic!("{:?}", end.lifecycle());
    };
    assert!(message.contains("enter"), "{message}");
}

#[test]
fn what_is_no_workflow_says_why() {
    let place = workspace(&ASKS.replace("FINISH", "FINNISH"));
    let wrong = Workflow::find(place.path(), "flow").unwrap_err();
    assert!(matches!(&wrong, NotRunnable::Wrong { diagnostics, .. } if !diagnostics.is_empty()));
    assert!(wrong.to_string().contains("does not check"), "{wrong}");
    assert!(wrong.to_string().contains("FINNISH"), "{wrong}");
    let unknown = Workflow::find(place.path(), "flo").unwrap_err();
    assert!(matches!(unknown, NotRunnable::Unknown(_)), "{unknown}");
}

#[test]
fn settings_are_read_when_they_are_asked_for() {
    let place = workspace(ASKS);
    let settings = place.path().join("botpipe.yaml");
    let client = Client::open(place.path()).unwrap();
    let workflow = Workflow::find(client.workspace(), "flow").unwrap();
    let agent = botpipe::Provider::Command { program: "true".to_owned(), args: Vec::new() };
    let start = || Start { provider: Some(agent.clone()), ..Start::default() };
    fs::write(&settings, "runtime: { max_steps: 1 }\n").unwrap();
    assert_eq!(client.configured(&workflow, start()).unwrap().max_steps, Some(1));
    fs::write(&settings, "runtime: { max_step: 1 }\n").unwrap();
    let error = client.configured(&workflow, start()).unwrap_err().to_string();
    assert!(error.contains("botpipe.yaml:1: `runtime` has no key `max_step`"), "{error}");
}
