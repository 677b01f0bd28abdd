//! Stored rows of every kind of event, as each version wrote them: they are read for ever.
//!
//! A golden row is never edited. `BOTPIPE_WRITE_GOLDEN=1` writes the rows of kinds that have none.

use std::fs;
use std::path::Path;

use botpipe_journal::{Error, Journal, decode, encode};
use botpipe_kernel::ids::{Digest, RunId};
use botpipe_kernel::run::Event;
use serde::{Deserialize, Serialize};

use crate::samples::{KINDS, place, samples};
use crate::scratch::{Scratch, id, me, new_run};

/// A row as the database holds it, with its run; the first of its chain.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Row {
    run: RunId,
    seq: u64,
    version: u32,
    at: u64,
    body: String,
    hash: Digest,
}

/// Stores an event as the first of run `golden` and reports the row.
fn stored(event: &Event) -> Row {
    let scratch = Scratch::new();
    let journal = Journal::open(&scratch.root()).unwrap();
    let mut new = new_run("golden");
    (new.task, new.workflow) = (id("csv-export_1.2"), id("ralph_loop"));
    let lease = journal.create_run(new, &me()).unwrap();
    journal.append(&lease, 1_700_000_000_000, std::slice::from_ref(event), None).unwrap();
    let stored = journal.read(&id("golden")).unwrap().remove(0);
    let (version, body) = encode(event).unwrap();
    assert_eq!(stored.event, *event);
    let hash = Digest::from_bytes(stored.hash);
    Row { run: id("golden"), seq: stored.seq, version, at: stored.at, body, hash }
}

#[test]
fn every_kind_of_event_has_a_golden_row_that_still_holds() {
    let samples = samples();
    let mut places: Vec<_> = samples.iter().map(place).collect();
    places.sort_unstable();
    assert_eq!(places, (0..KINDS).collect::<Vec<_>>(), "each kind has one sample");
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/v2");
    for event in samples {
        let path = folder.join(format!("{}.json", event.kind()));
        let row = stored(&event);
        if std::env::var_os("BOTPIPE_WRITE_GOLDEN").is_some() && !path.exists() {
            fs::write(&path, serde_json::to_string_pretty(&row).unwrap() + "\n").unwrap();
        }
        let text = fs::read_to_string(&path).unwrap_or_else(|error| {
            panic!("{}: {error}; a new kind of event needs a golden row", path.display())
        });
        let golden: Row = serde_json::from_str(&text).unwrap();
        let decoded = decode(&golden.run, golden.seq, golden.version, &golden.body).unwrap();
        assert_eq!(decoded, event, "{}", event.kind());
        assert_eq!(encode(&decoded).unwrap(), (golden.version, golden.body.clone()));
        assert_eq!(row, golden, "the stored form or the hash of `{}` changed", event.kind());
    }
    assert_eq!(fs::read_dir(folder).unwrap().count(), KINDS, "a golden row belongs to no kind");
}

/// Version 2 only adds fields and kinds, so what version 1 wrote reads as what it says.
#[test]
fn the_rows_of_the_first_version_are_still_read() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/v1");
    let rows = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut kinds = 0;
    for path in rows {
        let row: Row = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
        assert_eq!(row.version, 1, "{}", path.display());
        let event = decode(&row.run, row.seq, row.version, &row.body).unwrap();
        assert_eq!(encode(&event).unwrap().1, row.body, "{}", path.display());
        kinds += 1;
    }
    assert_eq!(kinds, 27);
}

#[test]
fn an_event_of_a_newer_version_is_refused_by_name() {
    match decode(&id("r1"), 4, 3, r#"{"kind":"run_dreamt"}"#) {
        Err(Error::NewerEvent { run, seq, version, supported }) => {
            assert_eq!((run, seq, version, supported), (id("r1"), 4, 3, 2));
        }
        other => panic!("{other:?}"),
    }
    for text in ["", "{", "[]", "{}", r#"{"kind":"run_dreamt"}"#, "\u{0}"] {
        assert!(matches!(decode(&id("r1"), 4, 1, text), Err(Error::Damaged { .. })), "{text:?}");
    }
}

#[test]
fn any_text_comes_back_as_it_was() {
    let nasty =
        ["", "\u{0}", "\"\\/", "\u{7f}\u{80}\u{2028}\u{2029}\u{feff}", "😀", "\r\n\t", "'; --"];
    for text in nasty {
        let event = Event::ItemsRejected { worklist: id("items"), why: text.repeat(3000) };
        let (version, body) = encode(&event).unwrap();
        assert_eq!(decode(&id("r1"), 1, version, &body).unwrap(), event);
        assert_eq!(stored(&event).body, body);
    }
}
