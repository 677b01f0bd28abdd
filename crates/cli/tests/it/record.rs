//! Recordings: a run of a real program is recorded, and played back to the same events and files.

use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::thread;
use std::time::Duration;

use botpipe_testkit::programs;
use serde_json::Value;

use crate::place::{Place, Said, said, tree};

/// Kinds of event that say how a turn was carried out, and not what came of it.
const HOW: [&str; 4] = ["turn_started", "turn_interrupted", "run_stopped", "run_resumed"];
/// What differs from one run to the next, wherever it stands.
const VOLATILE: [&str; 13] = [
    "workspace",
    "run",
    "provider",
    "prompt",
    "policy",
    "activity",
    "took_ms",
    "baseline",
    "tree",
    "stamp",
    "inode",
    "source",
    "answer",
];

/// The events of task `t`, without what may differ.
fn events(place: &Place, reference: &str) -> Vec<Value> {
    let said = place.say(&["logs", reference, "t", "--events"]).ends(0).out;
    let lines = said.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let mut events: Vec<Value> = lines.map(|line| line["event"].clone()).collect();
    events.retain(|event| !HOW.contains(&event["kind"].as_str().unwrap()));
    events.iter_mut().for_each(plain);
    events
}

fn plain(value: &mut Value) {
    match value {
        Value::Object(map) => {
            map.retain(|key, _| !VOLATILE.contains(&key.as_str()));
            map.values_mut().for_each(plain);
        }
        Value::Array(items) => items.iter_mut().for_each(plain),
        _ => {}
    }
}

fn replay(place: &Place, reference: &str, message: &str, cassette: &Path) -> Said {
    let cassette = cassette.to_str().unwrap();
    let run = ["run", reference, message, "--task", "t", "--provider", "replay", "--cassette"];
    place.say(&[&run[..], &[cassette]].concat())
}

fn turn<'v>(cassette: &'v Value, path: &str) -> &'v Value {
    let turn = &cassette["turns"][path];
    assert!(turn.is_object(), "no turn `{path}` in {cassette}");
    turn
}

#[test]
fn a_recorded_run_is_played_back_to_the_same_events_and_files() {
    let (first, second, outside) = (Place::new(), Place::new(), tempfile::tempdir().unwrap());
    for place in [&first, &second] {
        place.write("README.md", "# Greeting\n");
    }
    let testkit = Path::new(env!("CARGO_MANIFEST_DIR")).with_file_name("testkit");
    let cassette = outside.path().join("greet.cassette.json");
    let mut run = first.command(&["run", "ralph_loop", "Greet by name", "--task", "t", "--record"]);
    run.arg(&cassette).args(["--provider", "command", "--"]);
    run.arg(programs::find("fake-agent").unwrap());
    run.arg("--script").arg(testkit.join("scripts/ralph_loop.json"));
    run.arg("--ledger").arg(outside.path().join("ledger.jsonl"));
    said(&run.output().unwrap()).ends(0);

    replay(&second, "ralph_loop", "Greet by name", &cassette).ends(0);
    assert_eq!(events(&second, "ralph_loop"), events(&first, "ralph_loop"));
    let files = |place: &Place| tree(place.path(), &[".botpipe"]);
    assert_eq!(files(&second), files(&first));
    assert!(files(&second).iter().any(|(path, _)| path == "src/greet.sh"));

    // What is printed on demand is what was written, and artifacts stand by their names.
    let printed = first.say(&["record", "ralph_loop", "t"]).ends(0).out;
    assert_eq!(printed, fs::read_to_string(&cassette).unwrap());
    let cassette: Value = serde_json::from_str(&printed).unwrap();
    assert!(turn(&cassette, "plan/1/producer/1")["artifacts"]["work"]["text"].is_array());
    let review = turn(&cassette, "implement[item-1]/1/verifier/1");
    assert!(review["artifacts"]["implementation_review"]["text"][2].is_string(), "{review}");
}

/// A workflow of one turn.
const ONE: &str = "\
sop: 1
name: one
input: { request: { type: string } }
steps:
  - { id: go, prompt: \"{{ input.request }}\", routes: { done: FINISH } }
";

/// Runs an agent that is a shell script, recorded.
fn record(place: &Place, message: &str, script: &str, cassette: &Path) -> std::process::Command {
    let mut run = place.command(&["run", "one", message, "--task", "t", "--record"]);
    run.arg(cassette).args(["--provider", "command", "--", "sh", "-c", script]);
    run
}

const DONE: &str = r#"echo '{"outcome": {"tag": "done"}}'"#;

#[test]
fn a_turn_that_failed_fails_again_and_what_is_no_text_is_kept() {
    let (first, second) = (Place::with("one", ONE), Place::with("one", ONE));
    let outside = tempfile::tempdir().unwrap();
    let cassette = outside.path().join("c.json");
    let script = format!(
        "cat > /dev/null; if ! test -e tried; then touch tried; exit 3; fi
         printf '\\377\\000' > data.bin; echo '#!/bin/sh' > go.sh; chmod +x go.sh; rm tried; {DONE}"
    );
    said(&record(&first, "do it", &script, &cassette).output().unwrap()).ends(0);
    replay(&second, "one", "do it", &cassette).ends(0);
    assert_eq!(events(&second, "one"), events(&first, "one"));
    assert_eq!(fs::read(second.path().join("data.bin")).unwrap(), [255, 0]);
    assert!(!second.path().join("tried").exists());
    let go = second.path().join("go.sh").metadata().unwrap().permissions();
    assert_eq!(std::os::unix::fs::PermissionsExt::mode(&go) & 0o111, 0o111);
    let read: Value = serde_json::from_str(&fs::read_to_string(&cassette).unwrap()).unwrap();
    assert_eq!(turn(&read, "go/1/worker/1")["failed"]["class"], "crashed");
    assert_eq!(turn(&read, "go/1/worker/2")["patch"]["tried"], Value::Null);
}

#[test]
fn a_turn_that_was_cut_off_is_recorded_from_its_first_start_on() {
    let place = Place::with("one", ONE);
    let outside = tempfile::tempdir().unwrap();
    let cassette = outside.path().join("c.json");
    let script = format!(
        "cat > /dev/null; if ! test -e a.txt; then echo a > a.txt; sleep 600; fi; echo b > b.txt; {DONE}"
    );
    let mut run = record(&place, "do it", &script, &cassette);
    let mut run = run.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    while !place.path().join("a.txt").exists() {
        assert!(run.try_wait().unwrap().is_none(), "it ended without a turn");
        thread::sleep(Duration::from_millis(10));
    }
    let pid = rustix::process::Pid::from_child(&run);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    assert_eq!(run.wait().unwrap().code(), Some(143));
    assert!(!cassette.exists());
    place.say(&["resume", "one", "t"]).ends(0);
    let read: Value = serde_json::from_str(&fs::read_to_string(&cassette).unwrap()).unwrap();
    let patch = &turn(&read, "go/1/worker/1")["patch"];
    assert_eq!(patch["a.txt"]["text"][0], "a");
    assert_eq!(patch["b.txt"]["text"][0], "b");
    let second = Place::with("one", ONE);
    replay(&second, "one", "do it", &cassette).ends(0);
}

#[test]
fn secrets_do_not_reach_a_recording() {
    let place = Place::with("one", ONE);
    let cassette = place.path().join("c.json");
    let secret = "a-word-nobody-may-read";
    let script = format!("cat > /dev/null; echo $SOME_API_KEY | tee leak.txt; {DONE}");
    let run = ["run", "one", secret, "--record", "c.json", "--pass-env", "SOME_API_KEY"];
    let agent = ["--provider", "command", "--", "sh", "-c", &script];
    let mut run = place.command(&[&run[..], &agent].concat());
    said(&run.env("SOME_API_KEY", secret).output().unwrap()).ends(0);
    let text = fs::read_to_string(&cassette).unwrap();
    assert!(!text.contains(secret) && text.contains("[redacted:SOME_API_KEY]"), "{text}");
}

#[test]
fn a_recording_that_cannot_be_is_told_before_anything_runs() {
    let place = Place::with("one", ONE);
    let nowhere = place.path().join("no/such/folder.json");
    let refused = said(&record(&place, "do it", "exit 9", &nowhere).output().unwrap()).ends(2);
    assert!(refused.err.contains("cannot be written to"), "{}", refused.err);
    assert!(!place.path().join(".botpipe").exists());
    place.run("one", &format!("cat > /dev/null; {DONE}"), &[]).ends(0);
    let missed = place.say(&["record", "one", "t1"]).ends(3);
    assert!(missed.err.contains("--record FILE"), "{}", missed.err);
}
