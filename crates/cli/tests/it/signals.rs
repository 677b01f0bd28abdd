//! Signals and a second owner: the run stops, says so, and goes on later.

use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Child, Command, Stdio};

use crate::place::{HELLO, Place, answers, has_begun, until};

/// A run whose agent hangs, as far as its first turn.
fn hanging(place: &Place) -> (Child, BufReader<std::process::ChildStderr>) {
    let agent = "if [ -e go ]; then cat > /dev/null; echo '{\"outcome\": {\"tag\": \"done\"}}'
        else echo hanging; sleep 600; fi";
    let mut command =
        place.command(&["run", "hello", "x", "--task", "t1", "--provider", "command"]);
    command.args(["--", "sh", "-c", agent]).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut err = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    while !line.contains("| hanging") {
        line.clear();
        assert_ne!(err.read_line(&mut line).unwrap(), 0, "the run ended early");
    }
    (child, err)
}

fn send(child: &Child, signal: &str) {
    let done = Command::new("kill").args([signal, &child.id().to_string()]).status().unwrap();
    assert!(done.success());
}

#[test]
fn a_signal_stops_the_run_and_resume_finishes_it() {
    for (signal, code) in [("-INT", 130), ("-TERM", 143), ("-HUP", 129)] {
        let place = Place::with("hello", HELLO);
        let (mut child, mut err) = hanging(&place);
        send(&child, signal);
        let mut rest = String::new();
        err.read_to_string(&mut rest).unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(code), "{signal}: {rest}");
        assert!(rest.contains("  next: botpipe resume hello t1 --workspace .\n"), "{rest}");
        place.write("go", "");
        place.say(&["resume", "hello", "t1"]).ends(0);
    }
}

/// Ends at no signal but the last, and tells of an interruption.
const STUBBORN: &str = "trap 'touch told' INT TERM; touch begun; while :; do sleep 0.05; done";

/// The first interruption is told to it; the second one ends it.
fn interrupt_twice(place: &Place, child: &mut Child) -> Option<i32> {
    has_begun(child, &place.path().join("begun"));
    send(child, "-INT");
    until("the first interruption", || place.path().join("told").exists());
    send(child, "-INT");
    child.wait().unwrap().code()
}

#[test]
fn a_second_interruption_of_a_run_kills_its_agent_and_the_run_goes_on_later() {
    let place = Place::with("hello", HELLO);
    let agent = format!("[ -e go ] || {{ {STUBBORN}; }}; {}", answers("done"));
    let mut run = place.begin(&agent);
    assert_eq!(interrupt_twice(&place, &mut run), Some(130));
    let show = place.say(&["runs", "show", "hello", "t1"]).ends(0).json();
    assert_eq!(show["state"], "stopped", "{show}");
    place.write("go", "");
    place.say(&["resume", "hello", "t1"]).ends(0);
}

#[test]
fn a_second_interruption_of_a_command_leaves_nothing_behind() {
    let place = Place::new();
    let git = Command::new("git").args(["init", "-q"]).current_dir(place.path()).status().unwrap();
    assert!(git.success());
    let mut child = place.command(&["sandbox", "--", "sh", "-c", STUBBORN]).spawn().unwrap();
    has_begun(&mut child, &place.path().join("begun"));
    for stands_in in [".botpipe", ".git/commondir"] {
        assert!(place.path().join(stands_in).exists(), "{stands_in}");
    }
    assert_eq!(interrupt_twice(&place, &mut child), Some(130));
    for stands_in in [".botpipe", ".git/commondir"] {
        assert!(!place.path().join(stands_in).exists(), "{stands_in}");
    }
}

#[test]
fn a_killed_owner_is_lost_and_taken_over() {
    let place = Place::with("hello", HELLO);
    let (mut child, _err) = hanging(&place);
    send(&child, "-KILL");
    child.wait().unwrap();
    let list = place.say(&["runs", "list", "--status", "owner-lost"]).ends(0).json();
    assert_eq!(list["runs"].as_array().unwrap().len(), 1);
    let show = place.say(&["runs", "show", "hello", "t1"]).ends(0).json();
    assert_eq!(show["next"], "botpipe resume hello t1 --workspace .");
    place.write("go", "");
    place.say(&["resume", "hello", "t1"]).ends(0);
}

#[test]
fn a_living_owner_is_left_alone_but_can_be_told_to_cancel() {
    let place = Place::with("hello", HELLO);
    let (mut child, _err) = hanging(&place);
    let said = place.say(&["resume", "hello", "t1"]).ends(1);
    assert!(said.err.contains("is held by"), "{}", said.err);
    let said = place.run("hello", &answers("done"), &[]).ends(1);
    assert!(said.err.contains("  hint: "), "{}", said.err);
    place.say(&["cancel", "hello", "t1"]).ends(0);
    assert_eq!(child.wait().unwrap().code(), Some(130));
}

#[test]
fn a_terminal_that_goes_away_stops_nothing_but_the_lines() {
    let place = Place::with("hello", HELLO);
    let mut command =
        place.command(&["run", "hello", "x", "--task", "t1", "--provider", "command"]);
    command.args(["--", "sh", "-c", &answers("done")]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    drop(child.stderr.take());
    assert_eq!(child.wait().unwrap().code(), Some(0));
}
