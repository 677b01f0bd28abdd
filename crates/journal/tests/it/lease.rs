//! One writer: who is refused, who takes over, and what the one who lost is told.

use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use botpipe_journal::{Error, Journal, Liveness, NewRun, Options, Owner, RunFilter};
use botpipe_kernel::run::Event;
use rusqlite::Connection;

use crate::scratch::{OtherOwner, Scratch, append, id, me, new_run, run, said, sayings};

/// A journal with run `r1` that has one event and no owner.
fn with_a_run(scratch: &Scratch) -> Journal {
    let journal = Journal::open(&scratch.root()).unwrap();
    let lease = journal.create_run(new_run("r1"), &me()).unwrap();
    append(&journal, &lease, "begun").unwrap();
    journal
}

#[test]
fn of_many_processes_exactly_one_gets_the_lease() {
    let scratch = Scratch::new();
    with_a_run(&scratch);
    let mut others: Vec<_> = (0..6).map(|_| OtherOwner::start(&scratch.root(), "r1")).collect();
    others.iter_mut().for_each(OtherOwner::tell);
    let words: Vec<_> = others.iter_mut().map(OtherOwner::hear).collect();
    assert_eq!(words.iter().filter(|word| *word == "held").count(), 1, "{words:?}");
    assert_eq!(words.iter().filter(|word| *word == "busy").count(), 5, "{words:?}");
}

#[test]
fn a_live_owner_is_named_and_a_killed_one_is_succeeded() {
    let scratch = Scratch::new();
    let journal = with_a_run(&scratch);
    let mut other = OtherOwner::start(&scratch.root(), "r1");
    other.tell();
    assert_eq!(other.hear(), "held");
    other.tell();
    assert_eq!(other.hear(), "2");
    match journal.acquire(&run("r1"), &me()) {
        Err(Error::Busy { run, task, workflow, owner }) => {
            assert_eq!((run, task, workflow), (id("r1"), id("t"), id("w")));
            assert_eq!((owner.pid, owner.command.as_str()), (other.pid(), "journal-test-program"));
        }
        other => panic!("{other:?}"),
    }
    let alive = |journal: &Journal| journal.runs(&RunFilter::default()).unwrap()[0].owner_alive;
    assert_eq!(alive(&journal), Some(true));
    other.kill();
    assert_eq!(alive(&journal), Some(false));
    let lease = journal.acquire(&run("r1"), &me()).unwrap();
    assert_eq!(append(&journal, &lease, "on").unwrap(), 3);
    lease.release().unwrap();
    assert_eq!(alive(&journal), None);
}

#[test]
fn a_reused_pid_or_another_boot_is_a_dead_owner() {
    let ours = me();
    assert_eq!(ours.liveness(), Liveness::Alive);
    // Our own pid, as a container restarted as process 1 would find it in the lease.
    let reused = Owner { start_ticks: ours.start_ticks - 1, ..ours.clone() };
    let rebooted = Owner { boot_id: "another".to_owned(), ..ours.clone() };
    let gone = Owner { pid: 4_194_304, ..ours };
    for owner in [reused, rebooted, gone] {
        assert_eq!(owner.liveness(), Liveness::Dead, "{owner:?}");
        let scratch = Scratch::new();
        let journal = with_a_run(&scratch);
        let lost = journal.acquire(&run("r1"), &owner).unwrap();
        let lease = journal.acquire(&run("r1"), &me()).unwrap();
        append(&journal, &lease, "taken over").unwrap();
        // The one who was thought dead finds out, and has written nothing.
        journal.append_soon(&lost, 1, &[said("late")]).unwrap();
        assert!(matches!(append(&journal, &lost, "late"), Err(Error::LeaseLost { .. })));
        drop(lost);
        append(&journal, &lease, "still ours").unwrap();
        assert_eq!(sayings(&journal, "r1"), ["begun", "taken over", "still ours"]);
    }
}

#[test]
fn an_owner_in_another_namespace_lives_while_its_heart_beats() {
    let stranger = Owner { pid_namespace: "pid:[1]".to_owned(), ..me() };
    assert_eq!(stranger.liveness(), Liveness::Unknown);
    let scratch = Scratch::new();
    with_a_run(&scratch);

    let beating = Options { beat: Duration::from_millis(5), ..Options::default() };
    let theirs = Journal::open_with(&scratch.root(), beating).unwrap();
    let lease = theirs.acquire(&run("r1"), &stranger).unwrap();
    let ours = Journal::open(&scratch.root()).unwrap();
    assert!(matches!(ours.acquire(&run("r1"), &me()), Err(Error::Busy { .. })));
    drop(lease);

    let silent = Options { beat: Duration::from_hours(1), ..Options::default() };
    let theirs = Journal::open_with(&scratch.root(), silent).unwrap();
    let lost = theirs.acquire(&run("r1"), &stranger).unwrap();
    let hasty = Options { patience: Duration::from_millis(50), ..Options::default() };
    let ours = Journal::open_with(&scratch.root(), hasty).unwrap();
    let _lease = ours.acquire(&run("r1"), &me()).unwrap();
    assert!(matches!(append(&theirs, &lost, "late"), Err(Error::LeaseLost { .. })));
}

#[test]
fn the_last_owner_who_moved_a_run_tells_when_it_was_last_heard_of() {
    let scratch = Scratch::new();
    drop(with_a_run(&scratch));
    let options = Options { beat: Duration::from_millis(5), ..Options::default() };
    let journal = Journal::open_with(&scratch.root(), options).unwrap();
    let gone_by = || journal.runs(&RunFilter::default()).unwrap()[0].gone_by;
    let beats = || {
        let before = beat(&scratch);
        wait_until(|| beat(&scratch) != before);
    };
    // It was appended to in 1970, and its owner let go.
    assert!(gone_by() < 10_000);
    // Somebody takes it over: the heart beats, but of the one before nothing more is known.
    let lease = journal.acquire(&run("r1"), &me()).unwrap();
    beats();
    assert!(gone_by() < 10_000);
    // It moves the run, and lives.
    let now = millis_since_1970();
    append(&journal, &lease, "on").unwrap();
    beats();
    let heard = gone_by();
    assert!(heard > now + 2_000, "{heard} {now}");
    assert!(heard <= millis_since_1970() + 2_500);
    beats();
    assert!(gone_by() > heard);
    // What a clock said that was set back says nothing.
    lease.release().unwrap();
    let lease = journal.acquire(&run("r1"), &me()).unwrap();
    journal.append(&lease, 7_258_118_400_000, &[said("in 2200")], None).unwrap();
    lease.release().unwrap();
    assert!(gone_by() <= millis_since_1970() + 2_500);
}

/// The heartbeat of the only run.
fn beat(scratch: &Scratch) -> i64 {
    let conn = Connection::open(scratch.root().join("botpipe.db")).unwrap();
    conn.query_row("SELECT beat FROM runs", [], |row| row.get(0)).unwrap()
}

fn millis_since_1970() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    since.as_millis().try_into().unwrap()
}

#[track_caller]
fn wait_until(is_so: impl Fn() -> bool) {
    let since = Instant::now();
    while !is_so() {
        assert!(since.elapsed() < Duration::from_mins(1), "it never came");
        thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn a_second_run_of_the_folder_is_refused_while_one_is_held() {
    let scratch = Scratch::new();
    let journal = with_a_run(&scratch);
    let other = NewRun { task: id("t2"), ..new_run("r2") };
    let lease = journal.create_run(other, &me()).unwrap();
    append(&journal, &lease, "begun").unwrap();
    let third = NewRun { task: id("t3"), ..new_run("r3") };
    assert!(
        matches!(journal.create_run(third, &me()), Err(Error::Busy { run, .. }) if run == id("r2"))
    );
    assert!(
        matches!(journal.acquire(&run("r1"), &me()), Err(Error::Busy { run, .. }) if run == id("r2"))
    );
    drop(lease);
    journal.acquire(&run("r1"), &me()).unwrap();
}

#[test]
fn a_task_has_one_unfinished_run_of_a_workflow() {
    let scratch = Scratch::new();
    let journal = with_a_run(&scratch);
    let lease = journal.acquire(&run("r1"), &me()).unwrap();
    journal.append(&lease, 1, &[said("a")], Some("waiting")).unwrap();
    lease.release().unwrap();
    match journal.create_run(new_run("r2"), &me()) {
        Err(Error::Unfinished { run, state, .. }) => {
            assert_eq!((run, state.as_str()), (id("r1"), "waiting"));
        }
        other => panic!("{other:?}"),
    }
    assert!(matches!(
        journal.create_run(NewRun { task: id("t2"), ..new_run("r1") }, &me()),
        Err(Error::RunExists { .. })
    ));
    let lease = journal.acquire(&run("r1"), &me()).unwrap();
    journal.append(&lease, 1, &[Event::RunCancelled], Some("cancelled")).unwrap();
    lease.release().unwrap();
    journal.create_run(new_run("r2"), &me()).unwrap();
}

#[test]
fn a_family_of_runs_is_moved_by_one_process_and_found_by_its_root() {
    let scratch = Scratch::new();
    let journal = with_a_run(&scratch);
    let parent = journal.acquire(&run("r1"), &me()).unwrap();
    let children = ["r1.1-0", "r1.1-1"].map(|name| {
        let lease = journal.create_run(new_run(name), &me()).unwrap();
        append(&journal, &lease, "begun").unwrap();
        lease
    });
    // Held twice by nobody, and by no other process.
    let busy = |claimed: Result<_, Error>| matches!(claimed, Err(Error::Busy { .. }));
    assert!(busy(journal.acquire(&run("r1.1-0"), &me())));
    let other = Owner { start_ticks: me().start_ticks + 1, ..me() };
    assert!(busy(journal.create_run(new_run("r1.1-2"), &other)));
    assert!(busy(journal.create_run(NewRun { task: id("t2"), ..new_run("r2") }, &me())));
    drop((parent, children));
    // Lists show roots; an unfinished child keeps no new run of its task away once the root is over.
    let listed = |children| {
        let filter = RunFilter { children, ..RunFilter::default() };
        let runs = journal.runs(&filter).unwrap();
        runs.into_iter().map(|row| row.run.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(listed(false), ["r1"]);
    assert_eq!(listed(true), ["r1.1-1", "r1.1-0", "r1"]);
    assert_eq!(journal.latest_run(&id("w"), None).unwrap().unwrap().run, run("r1"));
    let lease = journal.acquire(&run("r1"), &me()).unwrap();
    journal.append(&lease, 1, &[Event::RunCancelled], None).unwrap();
    drop(lease);
    journal.create_run(new_run("r3"), &me()).unwrap();
}

#[test]
fn a_run_without_its_first_event_never_was() {
    let scratch = Scratch::new();
    let journal = Journal::open(&scratch.root()).unwrap();
    journal.create_run(new_run("r1"), &me()).unwrap();
    assert_eq!(journal.runs(&RunFilter::default()).unwrap(), []);
    let lease = journal.create_run(new_run("r2"), &me()).unwrap();
    append(&journal, &lease, "begun").unwrap();
    assert_eq!(journal.runs(&RunFilter::default()).unwrap().len(), 1);
}
