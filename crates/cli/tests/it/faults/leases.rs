//! Two who want the same run, tree or task: one works, the other is told who does.

use std::fs;

use super::{
    NOTE, Running, nothing_is_left, processes_in, resume_finishes, says, until_go, wait_for,
    wait_until,
};
use crate::place::Place;

/// Says that it is at work, and works on when it may.
const WAITS: &str = "touch here; until [ -e go ]; do sleep 0.02; done; exit 3";

/// How many turns were asked of the agent, by its own count.
fn turns(place: &Place) -> usize {
    fs::read_to_string(place.path().join("turns")).map_or(0, |text| text.lines().count())
}

#[test]
fn of_two_resumes_one_works_and_the_other_is_told_who() {
    let place = Place::with("note", NOTE);
    let agent = "echo turn >> turns; [ -e first ] || { touch first; kill -TERM $$; }
        until [ -e go ]; do sleep 0.02; done; ";
    let agent = format!("{agent}{}", super::GOOD);
    let run = Running::of(&place, &agent);
    wait_until("the second turn", || turns(&place) == 2);
    run.signal("-INT");
    run.end().ends(130);
    let resume = || Running::start(&mut place.command(&["resume", "note", "t1"]));
    let mut two = vec![resume(), resume()];
    wait_until("one who gives up", || two.iter_mut().any(Running::has_ended));
    let loser = two.iter_mut().position(Running::has_ended).unwrap();
    let said = two.remove(loser).end().ends(1);
    let winner = two.remove(0);
    let owner = format!("is held by `botpipe resume` (process {} on ", winner.child.id());
    says(&said, &["of task `t1` (workflow `note`)", &owner, "  hint: "]);
    assert_eq!(said.json()["exit_code"], 1);
    wait_until("the third turn", || turns(&place) == 3);
    place.write("go", "");
    winner.end().ends(0);
    assert_eq!(turns(&place), 3);
}

#[test]
fn a_second_run_of_a_tree_or_a_task_is_refused_while_the_first_lives() {
    let place = Place::with("note", NOTE);
    let run = Running::of(&place, &until_go(WAITS));
    wait_for(&place, "here");
    let owner = format!("is held by `botpipe run` (process {} on ", run.child.id());
    for task in ["t1", "t2"] {
        let args = ["run", "note", "x", "--task", task, "--provider", "command", "--", "true"];
        let said = place.say(&args).ends(1);
        says(&said, &["of task `t1` (workflow `note`)", &owner, "another worktree"]);
    }
    let list = place.say(&["runs", "list"]).ends(0).json();
    assert_eq!(list["runs"].as_array().unwrap().len(), 1, "{list}");
    run.signal("-INT");
    run.end().ends(130);
    // Nobody moves it, but it is not over: this task's next run would be another past.
    let args = ["run", "note", "x", "--task", "t1", "--provider", "command", "--", "true"];
    let said = place.say(&args).ends(1);
    says(&said, &["task `t1` has an unfinished run", "workflow `note`", "botpipe resume"]);
    // Another task may go on in this tree.
    let agent = super::GOOD;
    let args =
        ["run", "note", "x", "--task", "t2", "--provider", "command", "--", "sh", "-c", agent];
    place.say(&args).ends(0);
    resume_finishes(&place);
}

#[test]
fn a_killed_owner_bars_nobody() {
    let place = Place::with("note", NOTE);
    let run = Running::of(&place, &until_go(WAITS));
    wait_for(&place, "here");
    run.signal("-KILL");
    run.end().ends(-1);
    nothing_is_left(&place);
    let other = place.say(&[
        "run",
        "note",
        "x",
        "--task",
        "t2",
        "--provider",
        "command",
        "--",
        "sh",
        "-c",
        super::GOOD,
    ]);
    other.ends(0);
    let said = resume_finishes(&place);
    says(&said, &["agent, start 2 done"]);
    assert!(processes_in(place.path()).is_empty());
}

#[test]
fn an_owner_that_only_stands_still_keeps_its_run() {
    let place = Place::with("note", NOTE);
    let run = Running::of(&place, &until_go(WAITS));
    wait_for(&place, "here");
    run.signal("-STOP");
    let said = place.say(&["resume", "note", "t1"]).ends(1);
    says(&said, &["is held by `botpipe run`"]);
    run.signal("-CONT");
    run.signal("-INT");
    run.end().ends(130);
    resume_finishes(&place);
}
