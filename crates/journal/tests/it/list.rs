//! Lists, requests, and opening what is there, is not there, or is too new.

use std::fs;
use std::thread;

use botpipe_journal::{Error, Journal, NewRun, Request, RunFilter};
use botpipe_kernel::ids::RunId;

use crate::scratch::{Scratch, append, id, me, new_run, run};

fn names(rows: &[botpipe_journal::RunRow]) -> Vec<&str> {
    rows.iter().map(|row| row.run.as_str()).collect()
}

#[test]
fn runs_are_listed_newest_first_whatever_their_clocks_said() {
    let scratch = Scratch::new();
    let journal = Journal::open(&scratch.root()).unwrap();
    for (n, (task, workflow)) in [("a", "w"), ("b", "w"), ("a", "v")].into_iter().enumerate() {
        let new = NewRun {
            run: id(&format!("r{n}")),
            task: id(task),
            workflow: id(workflow),
            at: 1000 - n as u64,
        };
        let lease = journal.create_run(new, &me()).unwrap();
        append(&journal, &lease, "begun").unwrap();
    }
    let all = journal.runs(&RunFilter::default()).unwrap();
    assert_eq!(names(&all), ["r2", "r1", "r0"]);
    let of_a = RunFilter { task: Some(id("a")), ..RunFilter::default() };
    assert_eq!(names(&journal.runs(&of_a).unwrap()), ["r2", "r0"]);
    let of_both =
        RunFilter { task: Some(id("a")), workflow: Some(id("w")), ..RunFilter::default() };
    assert_eq!(names(&journal.runs(&of_both).unwrap()), ["r0"]);
    let latest = |task: Option<&str>| {
        let task = task.map(id);
        journal.latest_run(&id("w"), task.as_ref()).unwrap().map(|row| row.run)
    };
    assert_eq!(latest(None), Some(run("r1")));
    assert_eq!(latest(Some("a")), Some(run("r0")));
    assert_eq!(latest(Some("c")), None::<RunId>);
}

#[test]
fn a_request_reaches_the_owner_once_and_not_the_next_one() {
    let scratch = Scratch::new();
    let journal = Journal::open(&scratch.root()).unwrap();
    let lease = journal.create_run(new_run("r1"), &me()).unwrap();
    append(&journal, &lease, "begun").unwrap();
    let other = Journal::open_existing(&scratch.root()).unwrap().unwrap();
    other.request(&run("r1"), Request::Cancel).unwrap();
    assert!(matches!(other.request(&run("r9"), Request::Cancel), Err(Error::NoSuchRun { .. })));
    let said = Request::Say { id: "one".to_owned(), text: "mind the ä".to_owned() };
    other.request(&run("r1"), said.clone()).unwrap();
    let asked = journal.requests(&lease).unwrap();
    let requests: Vec<_> = asked.iter().map(|asked| asked.request.clone()).collect();
    assert_eq!(requests, [Request::Cancel, said.clone()]);
    journal.settle_requests(&lease, asked[0].n).unwrap();
    assert_eq!(journal.requests(&lease).unwrap(), asked[1..]);
    other.request(&run("r1"), Request::Cancel).unwrap();
    drop(lease);
    let lease = journal.acquire(&run("r1"), &me()).unwrap();
    let left = journal.requests(&lease).unwrap();
    assert_eq!(left.len(), 1, "what was said stays");
    assert_eq!(left[0].request, said);
}

#[test]
fn reading_creates_nothing() {
    let scratch = Scratch::new();
    assert!(Journal::open_existing(&scratch.root()).unwrap().is_none());
    assert!(!scratch.root().exists());
    // A creation that was cut off before anything stood in the file.
    fs::create_dir(scratch.root()).unwrap();
    fs::write(scratch.root().join("botpipe.db"), "").unwrap();
    assert!(Journal::open_existing(&scratch.root()).unwrap().is_none());
    Journal::open(&scratch.root()).unwrap();
    assert!(Journal::open_existing(&scratch.root()).unwrap().is_some());
}

#[test]
fn openers_of_a_fresh_folder_do_not_disturb_each_other() {
    let scratch = Scratch::new();
    thread::scope(|scope| {
        let all: Vec<_> =
            (0..12).map(|_| scope.spawn(|| Journal::open(&scratch.root()).map(drop))).collect();
        for one in all {
            one.join().unwrap().unwrap();
        }
    });
}
