//! Signals and a second owner: the run stops, says so, and goes on later.

use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Child, Command, Stdio};

use crate::place::{HELLO, Place, answers};

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
