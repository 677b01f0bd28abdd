//! `botpipe init workflow` and `botpipe completions`: what they write can be used as it is.

use std::fs;
use std::path::Path;

use botpipe_testkit::programs;

use crate::place::{Place, tree};

#[test]
fn a_new_workflow_checks_and_runs() {
    let place = Place::new();
    let said = place.say(&["init", "workflow", "notes"]).ends(0);
    let files = said.json()["files"].clone();
    assert_eq!(files[0], "workflows/notes/sop.yaml");
    // The first line names the schema for editors, which lies where it says.
    let text = fs::read_to_string(place.path().join("workflows/notes/sop.yaml")).unwrap();
    let named = text.lines().next().unwrap().rsplit_once("$schema=").unwrap().1;
    let schema = fs::read_to_string(place.path().join("workflows/notes").join(named)).unwrap();
    assert_eq!(schema, place.say(&["schema", "workflow"]).ends(0).out);
    let checked = place.say(&["check", "notes"]).ends(0);
    assert_eq!(checked.json()["files"][0]["diagnostics"].as_array().unwrap().len(), 0);

    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scripts/new_workflow.json");
    let outside = tempfile::tempdir().unwrap();
    let ledger = outside.path().join("ledger.jsonl");
    let mut run = place.command(&["run", "notes", "Write a greeting", "--task", "t1"]);
    run.args(["-wf", "test_command", "test -s hello.txt", "--provider", "command", "--"]);
    run.arg(programs::find("fake-agent").unwrap());
    run.arg("--script").arg(script).arg("--ledger").arg(ledger);
    let end = crate::place::said(&run.output().unwrap()).ends(0);
    assert_eq!(end.json()["state"], "finished (accepted)");
    assert_eq!(fs::read_to_string(place.path().join("hello.txt")).unwrap(), "Hello, Ada\n");
}

#[test]
fn what_is_there_is_not_overwritten() {
    for taken in ["workflows/notes/prompts/mine.md", "workflows/notes.sop.yaml"] {
        let place = Place::new();
        place.write(taken, "mine");
        let before = tree(place.path(), &[]);
        let said = place.say(&["init", "workflow", "notes"]).ends(2);
        assert!(said.err.contains("is there already, and is left as it is"), "{}", said.err);
        assert_eq!(tree(place.path(), &[]), before);
    }
    let place = Place::new();
    let said = place.say(&["init", "workflow", "../notes"]).ends(2);
    assert!(said.err.contains("`../notes` is no workflow name"), "{}", said.err);
    assert!(tree(place.path(), &[]).is_empty());
}

#[test]
fn completions_know_every_command_in_every_shell() {
    let place = Place::new();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let said = place.say(&["completions", shell]).ends(0);
        for word in ["resume", "doctor", "workflows", "model-effort", "origin"] {
            assert!(said.out.contains(word), "{shell} does not know `{word}`");
        }
    }
    place.say(&["completions", "tcsh"]).ends(2);
}
