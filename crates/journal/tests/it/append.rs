//! Appending and reading: order, durability as far as a process can see it, fencing.

use std::thread;

use botpipe_journal::{Error, Journal, RunFilter};
use botpipe_kernel::run::Event;

use crate::samples::samples;
use crate::scratch::{Scratch, append, me, new_run, run, said, sayings};

#[test]
fn what_was_appended_is_read_back_in_order() {
    let scratch = Scratch::new();
    let events: Vec<Event> =
        samples().into_iter().filter(|event| event.kind() != "run_created").collect();
    let journal = Journal::open(&scratch.root()).unwrap();
    let lease = journal.create_run(new_run("r1"), &me()).unwrap();
    let first = journal.append(&lease, 5, &events[..3], Some("running")).unwrap();
    assert_eq!((first.first_seq, first.last_seq), (1, 3));
    journal.append(&lease, 4, &events[3..], None).unwrap();

    for journal in [journal.clone(), Journal::open(&scratch.root()).unwrap()] {
        let stored = journal.read(&run("r1")).unwrap();
        assert_eq!(stored.iter().map(|s| s.event.clone()).collect::<Vec<_>>(), events);
        assert!(stored.iter().zip(1..).all(|(stored, seq)| stored.seq == seq));
        // A clock that was set back is written down, and matters to nobody.
        assert_eq!((stored[2].at, stored[3].at), (5, 4));
        assert_eq!(journal.read_after(&run("r1"), 3).unwrap(), stored[3..]);
        assert_eq!(journal.read_after(&run("r1"), stored.len() as u64).unwrap(), []);
    }
}

#[test]
fn appends_of_many_threads_are_each_in_order_and_none_is_lost() {
    let scratch = Scratch::new();
    let journal = Journal::open(&scratch.root()).unwrap();
    let lease = journal.create_run(new_run("r1"), &me()).unwrap();
    thread::scope(|scope| {
        for thread in 0..8 {
            let (journal, lease) = (&journal, &lease);
            scope.spawn(move || {
                for n in 0..40 {
                    let two = [said(&format!("{thread} {n} a")), said(&format!("{thread} {n} b"))];
                    let at = journal.append(lease, 1, &two, None).unwrap();
                    assert_eq!(at.first_seq + 1, at.last_seq);
                }
            });
        }
    });
    let said = sayings(&journal, "r1");
    assert_eq!(said.len(), 8 * 40 * 2);
    for thread in 0..8 {
        let own: Vec<_> = said.iter().filter(|s| s.starts_with(&format!("{thread} "))).collect();
        let expected: Vec<_> =
            (0..40).flat_map(|n| [format!("{thread} {n} a"), format!("{thread} {n} b")]).collect();
        assert_eq!(own, expected.iter().collect::<Vec<_>>());
    }
    assert!(said.chunks(2).all(|two| two[0].trim_end_matches('a') == two[1].trim_end_matches('b')));
}

#[test]
fn what_nobody_waits_for_stands_before_the_next_append() {
    let scratch = Scratch::new();
    let journal = Journal::open(&scratch.root()).unwrap();
    let lease = journal.create_run(new_run("r1"), &me()).unwrap();
    journal.append_soon(&lease, 1, &[said("started")]).unwrap();
    journal.append_soon(&lease, 1, &[said("named")]).unwrap();
    assert_eq!(append(&journal, &lease, "ended").unwrap(), 3);
    assert_eq!(sayings(&journal, "r1"), ["started", "named", "ended"]);
    journal.append_soon(&lease, 1, &[said("last")]).unwrap();
    lease.release().unwrap();
    assert_eq!(sayings(&journal, "r1").last().unwrap(), "last");
}

#[test]
fn the_projection_and_the_end_are_stored_with_the_events() {
    let scratch = Scratch::new();
    let journal = Journal::open(&scratch.root()).unwrap();
    let lease = journal.create_run(new_run("r1"), &me()).unwrap();
    journal.append(&lease, 8, &[said("a")], Some("running")).unwrap();
    journal.append(&lease, 9, &[said("b")], None).unwrap();
    let row = journal.runs(&RunFilter::default()).unwrap().remove(0);
    assert_eq!((row.state.as_str(), row.events, row.updated_at), ("running", 2, 9));
    assert!(!row.ended);
    journal.append(&lease, 10, &[Event::RunCancelled], Some("cancelled")).unwrap();
    let row = journal.runs(&RunFilter::default()).unwrap().remove(0);
    assert_eq!((row.state.as_str(), row.ended), ("cancelled", true));
}

#[test]
fn a_run_nobody_knows_is_no_run() {
    let scratch = Scratch::new();
    let journal = Journal::open(&scratch.root()).unwrap();
    assert!(matches!(journal.read(&run("r9")), Err(Error::NoSuchRun { .. })));
    assert!(matches!(journal.acquire(&run("r9"), &me()), Err(Error::NoSuchRun { .. })));
}

#[test]
fn an_append_is_one_link_and_can_be_read_from_its_middle() {
    let scratch = Scratch::new();
    let journal = Journal::open(&scratch.root()).unwrap();
    let lease = journal.create_run(new_run("r1"), &me()).unwrap();
    for n in 0..3 {
        let three = ["a", "b", "c"].map(|word| said(&format!("{n} {word}")));
        journal.append(&lease, 1, &three, None).unwrap();
    }
    let whole = journal.read(&run("r1")).unwrap();
    for (after, rest) in (0..).zip((0..=9).map(|n| &whole[n..])) {
        assert_eq!(journal.read_after(&run("r1"), after).unwrap(), rest);
    }
}
