//! A `wait` step and `botpipe signal`: times that outlive their owner, signals that count once.

use std::fs;
use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::ask::{now, wait_until};
use crate::place::{Place, Said};

const PAUSED: &str = r#"
sop: 1
name: paused
params:
  until: { type: string, default: "1" }
steps:
  - id: pause
    wait: { for: 2s }
  - id: moment
    wait: { until: "{{ params.until }}" }
  - id: told
    run: "date +%s%3N > told"
"#;

/// The events of a run of one kind.
fn events(place: &Place, workflow: &str, kind: &str) -> Vec<Value> {
    let out = place.say(&["logs", workflow, "t1", "--events"]).ends(0).out;
    let rows = out.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    rows.map(|row| row["event"].clone()).filter(|event| event["kind"] == kind).collect()
}

/// Polls until something is there.
fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let patience = Instant::now() + Duration::from_mins(1);
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < patience, "{what} never came");
        thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn the_owner_stays_until_the_time_has_come() {
    let place = Place::with("paused", PAUSED);
    place.say(&["run", "paused", "--task", "t1"]).ends(0);
    let due = events(&place, "paused", "wait_begun")[0]["wait"]["until"].as_u64().unwrap();
    let told = fs::read_to_string(place.path().join("told")).unwrap();
    assert!(told.trim().parse::<u64>().unwrap() >= due, "{told} before {due}");
}

#[test]
fn killed_while_it_waits_a_run_waits_only_for_the_rest() {
    let place = Place::with("paused", PAUSED);
    let mut run = place.command(&["run", "paused", "--task", "t1"]);
    let mut run = run.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let due = until("the wait", || {
        let list = place.say(&["runs", "list"]).ends(0).json();
        list["runs"][0]["until"].as_u64()
    });
    run.kill().unwrap();
    run.wait().unwrap();
    assert!(!place.path().join("told").exists());
    let show = place.say(&["runs", "show", "paused", "t1"]).ends(0).json();
    assert_eq!(show["state"], "waiting");
    assert_eq!(show["wait"]["until"], due);
    assert_eq!(show["next"], "botpipe resume paused t1 --workspace .");
    wait_until(due);
    // Long over when it is taken up: nothing is waited for any more, and nothing begins anew.
    place.say(&["resume", "paused", "t1"]).ends(0);
    let waits = events(&place, "paused", "wait_begun");
    assert_eq!(waits[0]["wait"]["until"], due);
    assert_eq!(waits.len(), 2, "one for each step: {waits:?}");
}

#[test]
fn an_owner_told_to_stop_leaves_it_waiting() {
    let place = Place::with("paused", &PAUSED.replace("2s", "1h"));
    let mut run = place.command(&["run", "paused", "--task", "t1"]);
    let run = run.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    until("the wait", || place.say(&["runs", "list"]).ends(0).json()["runs"][0]["until"].as_u64());
    let pid = rustix::process::Pid::from_raw(i32::try_from(run.id()).unwrap()).unwrap();
    // What is said meanwhile is heard meanwhile.
    let said = place.say(&["say", "paused", "t1", "are you there?", "--json"]).ends(0).json();
    assert_eq!(said["said"], "for_next_turn");
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    let end = crate::place::said(&run.wait_with_output().unwrap()).ends(5);
    assert_eq!(end.json()["state"], "waiting");
    place.say(&["cancel", "paused", "t1"]).ends(0);
}

#[test]
fn a_moment_may_be_any_that_can_be_read() {
    let quick = PAUSED.replace("2s", "1ms");
    for until in ["2001-02-03T04:05:06+01:00", "981169506"] {
        let place = Place::with("paused", &quick);
        place.say(&["run", "paused", "--task", "t1", "-wf", "until", until]).ends(0);
    }
    let place = Place::with("paused", &quick);
    let end = place.say(&["run", "paused", "--task", "t1", "-wf", "until", "soon"]).ends(1);
    assert!(end.err.contains("`until` of step `moment`: `soon` is no moment"), "{}", end.err);
    let late = now() + 1500;
    let place = Place::with("paused", &quick);
    let until = (late / 1000 + 1).to_string();
    place.say(&["run", "paused", "--task", "t1", "-wf", "until", &until]).ends(0);
    assert!(now() >= late / 1000 * 1000 + 1000);
}

const BUILT: &str = r#"
sop: 1
name: built
steps:
  - id: begin
    run: "touch begun; while [ -e busy ]; do sleep 0.02; done"
  - id: first
    wait: { signal: build_done }
    routes: { done: { to: second, handoff: "{{ outcome.payload.build }}" } }
  - id: second
    wait: { signal: build_done, timeout: 1h }
    routes: { done: FINISH, timed_out: FAIL }
"#;

fn signal(place: &Place, more: &[&str], code: i32) -> Said {
    place.say(&[&["signal", "built", "t1", "build_done"], more].concat()).ends(code)
}

#[test]
fn a_signal_moves_on_the_run_that_waits_for_it_and_counts_once() {
    let place = Place::with("built", BUILT);
    let end = place.say(&["run", "built", "--task", "t1"]).ends(5);
    assert_eq!(end.json()["reason"], "step `first` waits for signal `build_done`");
    assert_eq!(end.json()["next"], "botpipe signal built t1 --workspace . build_done");
    place.say(&["resume", "built", "t1"]).ends(5);
    place.say(&["answer", "built", "t1", "--answer", "x"]).ends(2);
    let end = signal(&place, &["--payload", r#"{"build": 17}"#, "--id", "b17"], 5).json();
    assert_eq!(end["wait"]["visit"], "second/1");
    assert!(end["wait"]["until"].as_u64().unwrap() > now() + 3_500_000);
    let again = signal(&place, &["--payload", r#"{"build": 17}"#, "--id", "b17"], 0).json();
    assert_eq!(again["sent"], "before");
    assert_eq!(signal(&place, &["--id", "b18"], 0).json()["state"], "finished");
    signal(&place, &[], 2);
    let handed = &events(&place, "built", "route_taken")[1]["handoff"];
    assert_eq!(*handed, json!({ "inline": "17" }));
}

#[test]
fn a_signal_that_comes_early_is_kept_by_the_owner_and_taken_once() {
    let place = Place::with("built", BUILT);
    place.write("busy", "");
    let mut run = place.command(&["run", "built", "--task", "t1"]);
    let run = run.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    until("the script", || place.path().join("begun").exists().then_some(()));
    let early = signal(&place, &["--payload", r#"{"build": 1}"#, "--id", "b1"], 0).json();
    assert_eq!(early["sent"], "kept");
    assert_eq!(signal(&place, &["--id", "b1"], 0).json()["sent"], "before");
    fs::remove_file(place.path().join("busy")).unwrap();
    let end = crate::place::said(&run.wait_with_output().unwrap()).ends(5);
    assert_eq!(end.json()["wait"]["visit"], "second/1");
    let taken = events(&place, "built", "wait_ended");
    assert_eq!(taken.len(), 1);
    assert_eq!(taken[0]["signal"], "b1");
}

#[test]
fn an_early_signal_outlives_the_owner_that_heard_it() {
    let place = Place::with("built", BUILT);
    place.write("busy", "");
    let mut run = place.command(&["run", "built", "--task", "t1"]);
    let mut run = run.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    until("the script", || place.path().join("begun").exists().then_some(()));
    signal(&place, &["--payload", r#"{"build": 1}"#], 0);
    run.kill().unwrap();
    run.wait().unwrap();
    // One more, to a run that nobody owns and that is inside a turn: it is not moved.
    assert_eq!(signal(&place, &["--payload", r#"{"build": 2}"#], 0).json()["sent"], "kept");
    fs::remove_file(place.path().join("busy")).unwrap();
    place.say(&["resume", "built", "t1"]).ends(0);
    let handed = &events(&place, "built", "route_taken")[1]["handoff"];
    assert_eq!(*handed, json!({ "inline": "1" }), "the first that came is taken first");
}

#[test]
fn a_signal_too_late_is_kept_and_the_time_is_over() {
    let place = Place::with("built", &BUILT.replace("timeout: 1h", "timeout: 1s"));
    place.say(&["run", "built", "--task", "t1"]).ends(5);
    let end = signal(&place, &["--payload", r#"{"build": 1}"#], 5).json();
    wait_until(end["wait"]["until"].as_u64().unwrap());
    let end = signal(&place, &[], 4);
    assert!(end.err.contains("the time of step second has come"), "{}", end.err);
    assert_eq!(events(&place, "built", "wait_ended").len(), 2);
}

#[test]
fn a_signal_that_cannot_be_meant_is_refused() {
    let place = Place::with("built", BUILT);
    place.say(&["run", "built", "--task", "t1"]).ends(5);
    let said = place.say(&["signal", "built", "t1", "built_done"]).ends(2);
    assert!(said.err.contains("waits for `build_done`"), "{}", said.err);
    signal(&place, &["--payload", "build 17"], 2);
    signal(&place, &["--id", ""], 2);
    place.say(&["signal", "built", "t2", "build_done"]).ends(3);
    place.say(&["signal", "built", "t1", "no name"]).ends(2);
    assert!(events(&place, "built", "signal_received").is_empty());
}
