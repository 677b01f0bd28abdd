//! Signals and terminals that go away in the middle of a turn, with an agent that tries to escape.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::process::Stdio;

use super::{
    NOTE, Running, nothing_is_left, processes_in, resume_finishes, says, started, until_go,
    wait_for, wait_until,
};
use crate::place::{Place, at_terminal, terminal};

/// Leaves its process group, its session and its parent, and stays; then the agent itself hangs.
const ESCAPES: &str = "(setsid sh -c 'touch escaped; sleep 600' &) ; sleep 600";
/// Does not end when it is asked to.
const STAYS: &str = "trap 'touch asked' TERM; touch here; while :; do sleep 0.02; done";

#[test]
fn a_signal_ends_the_turn_with_all_that_tried_to_escape() {
    for (signal, code) in [("-INT", 130), ("-TERM", 143), ("-HUP", 129)] {
        let place = Place::with("note", NOTE);
        let run = Running::of(&place, &until_go(ESCAPES));
        wait_for(&place, "escaped");
        assert!(processes_in(place.path()).len() > 2);
        run.signal(signal);
        let said = run.end().ends(code);
        nothing_is_left(&place);
        says(&said, &["stopped", "  next: botpipe resume note t1 --workspace .\n"]);
        assert_eq!(said.json()["exit_code"], code);
        // It is told that its turn was cut off, and asked again.
        let said = resume_finishes(&place);
        says(&said, &["agent, start 2 done"]);
    }
}

#[test]
fn a_second_interrupt_ends_what_runs_at_once() {
    let place = Place::with("note", NOTE);
    let run = Running::of(&place, &until_go(STAYS));
    wait_for(&place, "here");
    run.signal("-INT");
    wait_for(&place, "asked");
    run.signal("-INT");
    run.end().ends(130);
    nothing_is_left(&place);
    // It was killed, and the run knows that it stopped.
    let list = place.say(&["runs", "list", "--status", "stopped"]).ends(0).json();
    assert_eq!(list["runs"].as_array().unwrap().len(), 1, "{list}");
    resume_finishes(&place);
}

#[test]
fn an_agent_killed_with_its_owner_leaves_nothing() {
    let place = Place::with("note", NOTE);
    let run = Running::of(&place, &until_go(ESCAPES));
    wait_for(&place, "escaped");
    run.signal("-KILL");
    run.end().ends(-1);
    nothing_is_left(&place);
    resume_finishes(&place);
}

#[test]
fn a_terminal_that_closes_stops_the_run() {
    let place = Place::with("note", NOTE);
    let (ours, theirs) = terminal();
    let mut command = at_terminal(&started(&place, &until_go(ESCAPES)), &theirs);
    let mut child = command.spawn().unwrap();
    drop(command);
    wait_for(&place, "escaped");
    drop(ours);
    assert_eq!(child.wait().unwrap().code(), Some(129));
    nothing_is_left(&place);
    let list = place.say(&["runs", "list", "--status", "stopped"]).ends(0).json();
    assert_eq!(list["runs"].as_array().unwrap().len(), 1, "{list}");
    resume_finishes(&place);
}

#[test]
fn a_reader_of_the_progress_who_leaves_in_the_middle_stops_nothing() {
    let place = Place::with("note", NOTE);
    let agent =
        format!("echo first; until [ -e go ]; do sleep 0.02; done; echo more; {}", super::GOOD);
    let mut command = started(&place, &agent);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut err = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    wait_until("the agent's first line", || {
        line.clear();
        assert_ne!(err.read_line(&mut line).unwrap(), 0, "the run ended early");
        line.contains("| first")
    });
    drop(err);
    drop(child.stdout.take());
    place.write("go", "");
    assert_eq!(child.wait().unwrap().code(), Some(0));
    place.say(&["resume", "note", "t1"]).ends(0);
}

#[test]
fn an_agent_may_be_ended_by_a_broken_pipe() {
    // The runtime ignores SIGPIPE for itself; an agent's own pipelines rely on it.
    let place = Place::with("note", NOTE);
    let agent = format!("grep -E 'Sig(Blk|Ign)' /proc/self/status > signals; {}", super::GOOD);
    Running::of(&place, &agent).end().ends(0);
    let found = fs::read_to_string(place.path().join("signals")).unwrap();
    let mask = |name: &str| {
        let line = found.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        u64::from_str_radix(line.trim(), 16).unwrap()
    };
    assert_eq!(mask("SigBlk:"), 0, "{found}");
    assert_eq!(mask("SigIgn:") & (1 << (13 - 1)), 0, "{found}");
}
