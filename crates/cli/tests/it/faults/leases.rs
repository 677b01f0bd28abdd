//! Two who want the same run, tree or task: one works, the other is told who does.

use std::fs;
use std::process::Command;

use botpipe_journal::{Journal, NewRun, Owner, RunFilter};

use super::{
    NOTE, Running, nothing_is_left, processes_in, resume_finishes, says, started, until_go,
    wait_for, wait_until,
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

/// Runs a script as process 1 of a pid namespace of its own; false, said, where we may not.
#[expect(clippy::print_stderr, reason = "what was not tested must be seen")]
fn own_pids() -> bool {
    let may = Command::new("unshare").args(["--pid", "--fork", "--mount-proc", "true"]).status();
    let may = may.is_ok_and(|status| status.success());
    if !may {
        eprintln!("SKIPPED: this user may not have a pid namespace of its own");
    }
    may
}

#[test]
fn a_reused_pid_bars_nobody() {
    if !own_pids() {
        return;
    }
    let place = Place::with("note", NOTE);
    // The number of the killed owner goes to another process, which lives while we resume.
    let script = r#"
        "$@" > /dev/null 2>&1 & owner=$!
        until [ -e here ]; do sleep 0.02; done
        kill -9 $owner; wait $owner
        while [ -d /proc/$owner ]; do sleep 0.02; done
        echo $((owner - 1)) > /proc/sys/kernel/ns_last_pid || exit 77
        sleep 600 & other=$!
        [ $other = $owner ] || exit 78
        touch go
        "$BOTPIPE" resume note t1"#;
    let run = started(&place, &until_go(WAITS));
    for attempt in 1.. {
        let mut command = Command::new("unshare");
        command.args(["--pid", "--fork", "--mount-proc", "--kill-child", "sh", "-c", script, "sh"]);
        command.arg(run.get_program()).args(run.get_args()).current_dir(place.path());
        let said = crate::place::said(
            &command.env("BOTPIPE", run.get_program()).env("NO_COLOR", "1").output().unwrap(),
        );
        // Somebody took the number before us: once more.
        if said.code == 78 && attempt < 5 {
            for file in ["here", "go"] {
                let _ = fs::remove_file(place.path().join(file));
            }
            fs::remove_dir_all(place.path().join(".botpipe")).unwrap();
            continue;
        }
        says(&said.ends(0), &["agent, start 2 done"]);
        break;
    }
    resume_finishes(&place);
}

#[test]
fn a_container_that_starts_again_as_process_1_goes_on() {
    if !own_pids() {
        return;
    }
    let place = Place::with("note", NOTE);
    let contained = |command: &Command| {
        let mut outer = Command::new("unshare");
        outer.args(["--pid", "--fork", "--mount-proc", "--kill-child"]);
        outer.arg(command.get_program()).args(command.get_args());
        outer.current_dir(place.path()).env("NO_COLOR", "1");
        outer
    };
    let run = Running::start(&mut contained(&started(&place, &until_go(WAITS))));
    wait_for(&place, "here");
    run.signal("-KILL");
    run.end().ends(-1);
    nothing_is_left(&place);
    place.write("go", "");
    let resume = place.command(&["resume", "note", "t1"]);
    let said = Running::start(&mut contained(&resume)).end().ends(0);
    says(&said, &["agent, start 2 done"]);
}

#[test]
fn a_clock_that_was_set_back_bars_nobody() {
    let place = Place::with("note", NOTE);
    Running::of(&place, &until_go("exit 3")).end().ends(1);
    // The same run, recorded in a year to come.
    let records = place.path().join(".botpipe");
    let journal = Journal::open(&records).unwrap();
    let row = journal.runs(&RunFilter::default()).unwrap().remove(0);
    let events = journal.read(&row.run).unwrap();
    drop(journal);
    fs::remove_file(records.join("botpipe.db")).unwrap();
    fs::remove_dir_all(records.join("heads")).unwrap();
    let journal = Journal::open(&records).unwrap();
    let new = NewRun { run: row.run, task: row.task, workflow: row.workflow, at: FUTURE };
    let lease = journal.create_run(new, &Owner::current("the test")).unwrap();
    for stored in events {
        journal.append(&lease, FUTURE, &[stored.event], Some(&row.state)).unwrap();
    }
    lease.release().unwrap();
    drop(journal);
    let shown = |json: serde_json::Value| json["created_at"].as_u64() == Some(FUTURE);
    assert!(shown(place.say(&["runs", "show", "note", "t1"]).ends(0).json()));
    resume_finishes(&place);
    assert!(shown(place.say(&["runs", "show", "note", "t1"]).ends(0).json()));
    let log = place.say(&["logs", "note", "t1"]).ends(0).out;
    assert!(log.starts_with("2200-01-01 "), "{log}");
}

/// The first of January 2200, in milliseconds since the epoch.
const FUTURE: u64 = 7_258_118_400_000;
