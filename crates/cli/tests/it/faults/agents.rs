//! Agents that misbehave: the run says what they did, does not hang, and goes on once they behave.

use std::fs;
use std::os::unix::fs::symlink;

use super::{GOOD, NOTE, Running, nothing_is_left, open, resume_finishes, says, until_go};
use crate::place::{Place, Said};

/// A run with an agent that does this until `go`, and stops with these words; then it goes on.
#[track_caller]
fn stops(bad: &str, words: &[&str]) -> Said {
    let place = Place::with("note", NOTE);
    let said = Running::of(&place, &until_go(bad)).end().ends(1);
    says(&said, words);
    says(&said, &["\n  next: botpipe resume note t1 --workspace .\n"]);
    assert_eq!(said.json()["state"], "stopped");
    nothing_is_left(&place);
    resume_finishes(&place);
    said
}

/// A run with such an agent that finishes all the same.
#[track_caller]
fn finishes(agent: &str) -> (Place, Said) {
    let place = Place::with("note", NOTE);
    let said = Running::of(&place, agent).end().ends(0);
    says(&said, &[]);
    nothing_is_left(&place);
    (place, said)
}

const NOTED: &str = r#"cat > /dev/null; echo a note > "$BOTPIPE_WORKFLOW_FOLDER/note.md""#;

#[test]
fn it_says_nothing_or_nothing_that_counts() {
    stops(NOTED, &["the answer is empty; end the answer with", "(after 2 attempts)"]);
    stops(&format!(r"{NOTED}; printf '\377\376 no\n'"), &["no outcome was found"]);
    let unknown = format!(r#"{NOTED}; echo '{{"outcome": {{"tag": "nope"}}}}'"#);
    stops(&unknown, &["`nope` is no route here; pick one of `done`, `again`"]);
    let no_tag = format!(r#"{NOTED}; echo '{{"outcome": {{}}}}'"#);
    stops(&no_tag, &["the outcome cannot be used: `outcome.tag` is missing"]);
}

#[test]
fn it_mends_a_malformed_outcome_when_it_is_told() {
    let agent = r#"prompt=$(cat); echo a note > "$BOTPIPE_WORKFLOW_FOLDER/note.md"
        case $prompt in
        *"the outcome is no valid JSON"*) echo '{"outcome": {"tag": "done"}}' ;;
        *) echo '{"outcome": {"tag": "done"' ;;
        esac"#;
    let (_, said) = finishes(agent);
    says(&said, &["has to try again", "agent, turn 2 done"]);
}

#[test]
fn it_fails_or_is_killed() {
    stops("cat > /dev/null; echo oops >&2; exit 1", &["`sh` ended with exit code 1: oops"]);
    stops("cat > /dev/null; kill -9 $$", &["`sh` was ended by signal 9"]);
    let place = Place::with("note", NOTE);
    let args = ["run", "note", "x", "--task", "t1", "--provider", "command", "--", "/no/program"];
    says(&place.say(&args).ends(1), &["/no/program", "botpipe resume note t1"]);
}

#[test]
fn it_speaks_without_end() {
    let agent = format!("head -c 50000000 /dev/zero | tr '\\0' x; echo; {GOOD}");
    let (place, _) = finishes(&agent);
    // What was kept of it is bounded.
    let size: u64 = crate::place::tree(&place.path().join(".botpipe/objects"), &[])
        .iter()
        .map(|(_, bytes)| bytes.len() as u64)
        .sum();
    assert!(size < 20 << 20, "{size}");
}

#[test]
fn it_speaks_no_utf8_beside_its_outcome() {
    let (place, _) = finishes(&format!(r"printf '\377\376\n'; {GOOD}"));
    place.say(&["logs", "note", "t1", "--events"]).ends(0);
}

#[test]
fn it_does_not_listen() {
    // The prompt is larger than a pipe holds, so that somebody writes when the other end closes.
    let place = Place::with("note", NOTE);
    let agent = format!("exec <&-; {}", GOOD.replace("cat > /dev/null; ", ""));
    let message = "x".repeat(100_000);
    let args = ["run", "note", &message, "--task", "t1", "--provider", "command"];
    let mut command = place.command(&args);
    command.args(["--", "sh", "-c", &agent]);
    let said = Running::start(&mut command).end().ends(0);
    says(&said, &[]);
}

#[test]
fn it_leaves_a_process_that_holds_its_output_open() {
    let (_, said) = finishes(&format!("(setsid sleep 600 &); {GOOD}"));
    says(&said, &["1 processes it left behind were ended"]);
}

#[test]
fn it_removes_the_folder_of_its_artifacts() {
    let gone = r#"cat > /dev/null; rm -rf "$BOTPIPE_WORKFLOW_FOLDER""#;
    let said = r#"echo '{"outcome": {"tag": "done"}}'"#;
    stops(&format!("{gone}; {said}"), &["artifact `note` (", "note.md) does not exist"]);
    // Told so, it mends it.
    let place = Place::with("note", NOTE);
    let agent = format!(
        "if [ -e removed ]; then {GOOD}\nelse touch removed; echo first; {gone}; {said}\nfi"
    );
    let said = Running::of(&place, &agent).end().ends(0);
    says(&said, &["has to try again: note is missing"]);
}

#[test]
fn it_puts_a_file_where_the_folder_of_its_artifacts_was() {
    let bad = r#"cat > /dev/null; rm -rf "$BOTPIPE_WORKFLOW_FOLDER"
        echo x > "$BOTPIPE_WORKFLOW_FOLDER"; echo '{"outcome": {"tag": "done"}}'"#;
    // In its sandbox it cannot.
    stops(bad, &["artifact `note` (", "note.md) does not exist"]);
    let place = Place::with("note", &open(NOTE));
    let said = Running::of(&place, &until_go(bad)).end().ends(1);
    says(&said, &["tasks/t1/wf_note/", "Not a directory", "botpipe resume note t1"]);
    // Still so: the same again, and no turn was asked.
    let said = place.say(&["resume", "note", "t1"]).ends(1);
    says(&said, &["tasks/t1/wf_note"]);
    fs::remove_file(place.path().join(".botpipe/tasks/t1/wf_note")).unwrap();
    resume_finishes(&place);
}

#[test]
fn it_writes_a_link_where_an_artifact_should_be() {
    let link = |to: &str| {
        format!(
            r#"cat > /dev/null; echo inside > real; ln -sf {to} "$BOTPIPE_WORKFLOW_FOLDER/note.md"
            echo '{{"outcome": {{"tag": "done"}}}}'"#
        )
    };
    let place = Place::with("note", NOTE);
    let said = Running::of(&place, &until_go(&link("\"$PWD/real\""))).end().ends(1);
    says(&said, &["note.md) is not valid: is a symbolic link"]);
    let place = Place::with("note", NOTE);
    let outside = tempfile::NamedTempFile::new().unwrap();
    let agent = until_go(&link(outside.path().to_str().unwrap()));
    let said = Running::of(&place, &agent).end().ends(1);
    says(&said, &["note.md` is a symbolic link that leads out of the workspace: remove it"]);
    fs::remove_file(place.path().join(".botpipe/tasks/t1/wf_note/note.md")).unwrap();
    resume_finishes(&place);
    assert_eq!(fs::read(outside.path()).unwrap(), b"");
}

#[test]
fn it_removes_all_of_our_records() {
    let bad = "cat > /dev/null; rm -rf .botpipe; echo '{\"outcome\": {\"tag\": \"done\"}}'";
    // In its sandbox it cannot.
    stops(bad, &["artifact `note` (", "note.md) does not exist"]);
    let place = Place::with("note", &open(NOTE));
    let said = Running::of(&place, &until_go(bad)).end().ends(1);
    says(&said, &[".botpipe/botpipe.db` was removed or replaced while it was used", "begin anew"]);
    // Nothing is claimed that is not so: there is no run to resume, and it can begin anew.
    assert!(!said.err.contains("botpipe resume"), "{}", said.err);
    nothing_is_left(&place);
    place.say(&["resume", "note", "t1"]).ends(3);
    place.write("go", "");
    Running::of(&place, &until_go(bad)).end().ends(0);
}

#[test]
fn it_puts_a_link_to_nowhere_for_our_folder() {
    let place = Place::with("note", NOTE);
    symlink("/nowhere/at/all", place.path().join(".botpipe")).unwrap();
    let said = Running::of(&place, GOOD).end().ends(2);
    says(&said, &[".botpipe` is not a folder: move it away"]);
}
