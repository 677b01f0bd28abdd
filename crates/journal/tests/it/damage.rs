//! Damage is always seen, and never answered with a different past.

use std::fs;
use std::path::{Path, PathBuf};

use botpipe_journal::{Error, Journal, Owner, Request, RunFilter, Stored};
use rusqlite::Connection;

use crate::scratch::{Scratch, append, copy_cold, me, new_run, run, said, sayings};

const EVENTS: u64 = 12;

/// A folder as a power cut leaves it after twelve events: all of them in the log.
fn in_the_log(scratch: &Scratch) -> PathBuf {
    let journal = Journal::open(&scratch.root()).unwrap();
    let dead = Owner { start_ticks: 1, ..me() };
    let lease = journal.create_run(new_run("r1"), &dead).unwrap();
    for n in 1..=EVENTS {
        append(&journal, &lease, &format!("event {n} {}", "x".repeat(120))).unwrap();
    }
    let copy = scratch.at("cut");
    copy_cold(&scratch.root(), &copy);
    copy
}

/// The same with all of them in the database file and no log.
fn in_the_file(scratch: &Scratch) -> PathBuf {
    let copy = in_the_log(scratch);
    let journal = Journal::open(&copy).unwrap();
    journal.request(&run("r1"), Request::Cancel).unwrap();
    drop(journal);
    assert!(!copy.join("botpipe.db-wal").exists());
    copy
}

/// What somebody learns who opens the folder and reads the run.
fn look(root: &Path) -> Result<Vec<Stored>, Error> {
    let journal = Journal::open(root)?;
    journal.runs(&RunFilter::default())?;
    journal.read(&run("r1"))
}

/// Changes the database behind the journal's back.
fn alter(root: &Path, sql: &str) {
    Connection::open(root.join("botpipe.db")).unwrap().execute_batch(sql).unwrap();
}

/// Flips one bit in every `stride`th byte of a file, each in a copy of its own, and looks.
fn flip_through(folder: &Path, file: &str, stride: usize, scratch: &Scratch) -> (usize, usize) {
    let whole = look_at_copy(folder, scratch).unwrap();
    let bytes = fs::read(folder.join(file)).unwrap();
    let (mut seen, mut harmless) = (0, 0);
    for at in (0..bytes.len()).step_by(stride) {
        let mut flipped = bytes.clone();
        flipped[at] ^= 1 << (at % 8);
        fs::write(folder.join(file), flipped).unwrap();
        match look_at_copy(folder, scratch) {
            Ok(events) => {
                assert_eq!(events, whole, "byte {at} of {file} gave another past");
                harmless += 1;
            }
            Err(Error::Damaged { .. } | Error::NewerFormat { .. } | Error::NewerEvent { .. }) => {
                seen += 1;
            }
            Err(other) => panic!("byte {at} of {file}: {other} ({other:?})"),
        }
    }
    (seen, harmless)
}

fn look_at_copy(folder: &Path, scratch: &Scratch) -> Result<Vec<Stored>, Error> {
    let copy = scratch.at("copy");
    let _ = fs::remove_dir_all(&copy);
    copy_cold(folder, &copy);
    look(&copy)
}

#[test]
fn a_flipped_byte_in_the_database_never_gives_another_past() {
    let scratch = Scratch::new();
    let folder = in_the_file(&scratch);
    let (seen, harmless) = flip_through(&folder, "botpipe.db", 53, &scratch);
    assert!(seen > 40, "{seen} seen, {harmless} harmless");
}

#[test]
fn a_flipped_byte_in_the_log_never_gives_another_past() {
    let scratch = Scratch::new();
    let folder = in_the_log(&scratch);
    let (seen, harmless) = flip_through(&folder, "botpipe.db-wal", 997, &scratch);
    assert!(seen > 40, "{seen} seen, {harmless} harmless");
}

#[test]
fn a_log_that_lost_its_tail_is_told_from_a_shorter_run() {
    let scratch = Scratch::new();
    let folder = in_the_log(&scratch);
    let log = folder.join("botpipe.db-wal");
    let bytes = fs::read(&log).unwrap();
    fs::write(&log, &bytes[..bytes.len() * 2 / 3]).unwrap();
    let Err(error) = look(&folder) else { panic!("the loss was not seen") };
    let Error::Damaged { seq: Some(seq), .. } = &error else { panic!("{error}") };
    assert!(*seq < EVENTS);
    let text = error.to_string();
    assert!(text.contains(&format!("the journal ends at event {seq}, but event 12")), "{text}");
    let journal = Journal::open(&folder).unwrap();
    assert!(matches!(journal.acquire(&run("r1"), &me()), Err(Error::Damaged { .. })));
    // Told to, it goes on from what is left.
    fs::remove_file(folder.join("heads/r1")).unwrap();
    let lease = journal.acquire(&run("r1"), &me()).unwrap();
    assert_eq!(append(&journal, &lease, "on").unwrap(), seq + 1);
}

#[test]
fn a_lost_run_is_told_from_no_run() {
    let scratch = Scratch::new();
    let folder = in_the_file(&scratch);
    alter(&folder, "DELETE FROM runs; DELETE FROM events");
    let journal = Journal::open(&folder).unwrap();
    assert!(matches!(journal.runs(&RunFilter::default()), Err(Error::Damaged { .. })));
    assert!(matches!(journal.read(&run("r1")), Err(Error::Damaged { .. })));
    assert!(matches!(journal.acquire(&run("r1"), &me()), Err(Error::Damaged { .. })));
}

#[test]
fn a_lost_journal_is_told_from_a_new_one() {
    let scratch = Scratch::new();
    // The log held all there was, its tables too.
    let folder = in_the_log(&scratch);
    let log = folder.join("botpipe.db-wal");
    let lost = |folder: &Path| {
        for opened in [Journal::open(folder).map(Some), Journal::open_existing(folder)] {
            let Err(error @ Error::Damaged { .. }) = opened else { panic!("{opened:?}") };
            let text = error.to_string();
            assert!(text.contains("event 12 of run `r1` was recorded"), "{text}");
        }
    };
    fs::remove_file(&log).unwrap();
    lost(&folder);
    fs::remove_file(folder.join("botpipe.db")).unwrap();
    lost(&folder);
    assert!(!folder.join("botpipe.db").exists());
    // Told to, it begins anew.
    fs::remove_dir_all(folder.join("heads")).unwrap();
    assert!(Journal::open_existing(&folder).unwrap().is_none());
    Journal::open(&folder).unwrap().create_run(new_run("r1"), &me()).unwrap();
}

#[test]
fn looking_at_a_damaged_log_leaves_it_whole() {
    let scratch = Scratch::new();
    let folder = in_the_log(&scratch);
    let log = folder.join("botpipe.db-wal");
    let mut bytes = fs::read(&log).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&log, &bytes).unwrap();
    let database = fs::read(folder.join("botpipe.db")).unwrap();
    for _ in 0..2 {
        assert!(matches!(look(&folder), Err(Error::Damaged { .. })));
        let journal = Journal::open(&folder).unwrap();
        assert!(matches!(journal.runs(&RunFilter::default()), Err(Error::Damaged { .. })));
        assert!(matches!(journal.acquire(&run("r1"), &me()), Err(Error::Damaged { .. })));
        drop(journal);
        assert!(fs::read(&log).unwrap() == bytes, "the log was changed");
        assert!(fs::read(folder.join("botpipe.db")).unwrap() == database, "the file was changed");
    }
}

#[test]
fn a_truncated_database_is_damaged() {
    let scratch = Scratch::new();
    let folder = in_the_file(&scratch);
    let file = folder.join("botpipe.db");
    let bytes = fs::read(&file).unwrap();
    for len in [50, 100, 4096, bytes.len() / 2, bytes.len() - 4096] {
        fs::write(&file, &bytes[..len]).unwrap();
        let result = look_at_copy(&folder, &scratch);
        assert!(matches!(result, Err(Error::Damaged { .. })), "{len}: {result:?}");
    }
}

#[test]
fn an_altered_row_is_named() {
    let cases = [
        ("UPDATE events SET body = replace(body, 'event 5', 'event 6') WHERE place % 65536 = 5", 5),
        ("UPDATE events SET at = at + 1 WHERE place % 65536 = 7", 7),
        ("UPDATE events SET hash = zeroblob(32) WHERE place % 65536 = 7", 7),
        ("DELETE FROM events WHERE place % 65536 = 3", 3),
        ("DELETE FROM events WHERE place % 65536 = 12", 11),
        ("DELETE FROM events WHERE place % 65536 > 9; UPDATE runs SET last_seq = 9", 9),
    ];
    for (sql, at) in cases {
        let scratch = Scratch::new();
        let folder = in_the_file(&scratch);
        alter(&folder, sql);
        match look(&folder) {
            Err(Error::Damaged { run: Some(_), seq, .. }) => assert_eq!(seq, Some(at), "{sql}"),
            other => panic!("{sql}: {other:?}"),
        }
    }
}

#[test]
fn an_altered_row_in_the_middle_of_an_append_is_seen_at_its_end() {
    let scratch = Scratch::new();
    let journal = Journal::open(&scratch.root()).unwrap();
    let lease = journal.create_run(new_run("r1"), &me()).unwrap();
    journal.append(&lease, 1, &["one", "two", "three"].map(said), None).unwrap();
    drop((lease, journal));
    alter(&scratch.root(), "UPDATE events SET body = replace(body, 'two', 'six')");
    match look(&scratch.root()) {
        Err(Error::Damaged { seq, .. }) => assert_eq!(seq, Some(3)),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_newer_event_and_a_newer_database_are_refused() {
    let scratch = Scratch::new();
    let folder = in_the_file(&scratch);
    alter(&folder, "PRAGMA user_version = 7");
    match Journal::open(&folder) {
        Err(Error::NewerFormat { found, supported, .. }) => assert_eq!((found, supported), (7, 1)),
        other => panic!("{other:?}"),
    }
    assert!(matches!(Journal::open_existing(&folder), Err(Error::NewerFormat { .. })));
    let foreign = scratch.at("foreign");
    fs::create_dir(&foreign).unwrap();
    alter(&foreign, "CREATE TABLE t (a); PRAGMA user_version = 1");
    assert!(matches!(Journal::open(&foreign), Err(Error::Damaged { .. })));
}

#[test]
fn a_torn_mark_is_evidence_of_nothing() {
    let scratch = Scratch::new();
    let folder = in_the_log(&scratch);
    for torn in ["", "000000000", &"\0".repeat(99), "00000000000000000099 zz 1\n"] {
        fs::write(folder.join("heads/r1"), torn).unwrap();
        let journal = Journal::open(&folder).unwrap();
        assert_eq!(sayings(&journal, "r1").len() as u64, EVENTS);
    }
}

#[test]
fn a_database_or_log_taken_away_under_its_writer_is_told() {
    for name in ["botpipe.db", "botpipe.db-wal", ""] {
        let scratch = Scratch::new();
        let journal = Journal::open(&scratch.root()).unwrap();
        let lease = journal.create_run(new_run("r1"), &me()).unwrap();
        append(&journal, &lease, "first").unwrap();
        if name.is_empty() {
            fs::remove_dir_all(scratch.root()).unwrap();
        } else {
            fs::remove_file(scratch.root().join(name)).unwrap();
        }
        for _ in 0..2 {
            let result = append(&journal, &lease, "second");
            assert!(matches!(result, Err(Error::Gone { .. })), "{name}: {result:?}");
        }
        // Another one in its place is not ours.
        fs::create_dir_all(scratch.root()).unwrap();
        if name != "botpipe.db-wal" {
            let _ = fs::remove_file(scratch.root().join("botpipe.db-wal"));
            fs::write(scratch.root().join("botpipe.db"), "").unwrap();
            let result = append(&journal, &lease, "third");
            assert!(matches!(result, Err(Error::Gone { .. })), "{name}: {result:?}");
        }
    }
}

#[test]
fn an_altered_list_of_runs_is_told() {
    for set in [
        "state = 'finished'",
        "updated_at = updated_at + 1",
        "created_at = created_at + 1",
        "ended = 1",
        "task = 't2'",
        "workflow = 'w2'",
        "owner = replace(owner, '\"pid\":', '\"pid\":1')",
        "fence = fence + 1",
    ] {
        let scratch = Scratch::new();
        let folder = in_the_file(&scratch);
        alter(&folder, &format!("UPDATE runs SET {set}"));
        let journal = Journal::open(&folder).unwrap();
        let listed = journal.runs(&RunFilter::default());
        assert!(matches!(listed, Err(Error::Damaged { .. })), "{set}: {listed:?}");
        let claimed = journal.acquire(&run("r1"), &me());
        assert!(matches!(claimed, Err(Error::Damaged { .. })), "{set}: {claimed:?}");
    }
}
