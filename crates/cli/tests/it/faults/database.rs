//! A torn, flipped or lost database: every command works or says what is wrong, and changes nothing.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::Duration;

use tempfile::TempDir;

use super::{Running, nothing_is_left, says, wait_for};
use crate::place::{Place, Said, tree};

/// Two steps; each leaves its own note.
const TWO: &str = "\
sop: 1
name: note
input:
  request: { type: string }
steps:
  - id: first
    prompt: \"Begin: {{ input.request }}\"
    routes:
      done: second
  - id: second
    prompt: \"End: {{ input.request }}\"
    routes:
      done: FINISH
";

/// Writes down each turn it is asked for; hangs in the second until it may go on.
const AGENT: &str = r#"cat > /dev/null; echo "$BOTPIPE_TURN" >> turns
    if [ "$BOTPIPE_STEP" = second ] && [ ! -e go ]; then touch here; sleep 600; fi
    echo "$BOTPIPE_STEP" > "$BOTPIPE_STEP.txt"; echo '{"outcome": {"tag": "done"}}'"#;

/// A workspace whose run was cut off in its second step.
struct Cut {
    folder: TempDir,
}

/// How its owner ended.
enum Ended {
    /// Stopped: everything is in the database file.
    Orderly,
    /// Killed: the newest of it is in the log.
    Killed,
}

impl Cut {
    fn new(how: &Ended) -> Self {
        let place = Place::with("note", TWO);
        let mut command = place.command(&["run", "note", "x", "--task", "t1"]);
        command.args(["--provider", "command", "--", "sh", "-c", AGENT]);
        let run = Running::start(&mut command);
        wait_for(&place, "here");
        match how {
            Ended::Orderly => {
                run.signal("-INT");
                run.end().ends(130);
            }
            Ended::Killed => {
                // That the turn has started is written a little later than it is true.
                let events = || place.say(&["logs", "note", "t1", "--events"]).out;
                while events().matches("turn_started").count() < 2 {
                    thread::sleep(Duration::from_millis(5));
                }
                run.signal("-KILL");
                run.end().ends(-1);
            }
        }
        nothing_is_left(&place);
        place.write("go", "");
        let cut = Self { folder: tempfile::tempdir().unwrap() };
        copy(place.path(), cut.folder.path());
        cut
    }

    fn read(&self, file: &str) -> Vec<u8> {
        fs::read(self.folder.path().join(".botpipe").join(file)).unwrap()
    }

    /// A copy of it with one file as given, or without it.
    fn with(&self, file: &str, bytes: Option<&[u8]>) -> Place {
        let place = Place::new();
        copy(self.folder.path(), place.path());
        let path = database(&place).with_file_name(file);
        match bytes {
            Some(bytes) => fs::write(path, bytes).unwrap(),
            None => fs::remove_file(path).unwrap(),
        }
        place
    }
}

fn database(place: &Place) -> PathBuf {
    place.path().join(".botpipe/botpipe.db")
}

/// Copies a folder as a power cut leaves it: without shared memory.
fn copy(from: &Path, to: &Path) {
    let done = Command::new("cp").arg("-a").arg(from.join(".")).arg(to).status().unwrap();
    assert!(done.success());
    let _ = fs::remove_file(to.join(".botpipe/botpipe.db-shm"));
}

/// What the commands that look say of an undamaged run.
struct Truth {
    list: String,
    show: String,
    logs: String,
    events: String,
}

const LOOKS: [&[&str]; 4] = [
    &["runs", "list"],
    &["runs", "show", "note", "t1"],
    &["logs", "note", "t1"],
    &["logs", "note", "t1", "--events"],
];

impl Truth {
    fn of(cut: &Cut) -> Self {
        let place = Place::new();
        copy(cut.folder.path(), place.path());
        let [list, show, logs, events] = LOOKS.map(|args| place.say(args).ends(0).out);
        let folder = place.path().canonicalize().unwrap().display().to_string();
        Self { list, show, logs: logs.replace(&folder, ""), events }
    }

    /// Has every command look at a damaged workspace, then resume it. How many said so.
    #[track_caller]
    fn holds(&self, place: &Place, what: &str) -> usize {
        let before = tree(place.path(), &[".botpipe/botpipe.db-shm"]);
        let folder = place.path().canonicalize().unwrap().display().to_string();
        let whole = [&self.list, &self.show, &self.logs, &self.events];
        let mut seen = 0;
        for (args, whole) in LOOKS.iter().zip(whole) {
            let said = place.say(args);
            if said.code == 0 {
                assert_eq!(said.out.replace(&folder, ""), *whole, "{what}: {args:?}");
            } else {
                seen += 1;
                refused(&said, &format!("{what}: {args:?}"));
            }
        }
        let said = place.say(&["resume", "note", "t1"]);
        let turns = fs::read_to_string(place.path().join("turns")).unwrap();
        if said.code == 0 {
            // What had ended was not asked again.
            assert_eq!(
                turns, "first/1/worker/1\nsecond/1/worker/1\nsecond/1/worker/1~2\n",
                "{what}"
            );
        } else {
            seen += 1;
            refused(&said, &format!("{what}: resume"));
            let after = tree(place.path(), &[".botpipe/botpipe.db-shm"]);
            let names = |tree: &[(String, Vec<u8>)]| {
                tree.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>()
            };
            assert_eq!(names(&before), names(&after), "{what}");
            for ((name, before), (_, after)) in before.iter().zip(&after) {
                // Damage in an index that only a write meets is met after the lease was taken.
                if seen == 1 && name.starts_with(".botpipe/botpipe.db") {
                    continue;
                }
                assert!(before == after, "{what}: {name} was changed");
            }
        }
        seen
    }
}

/// It was told what is damaged, where, and what to do.
#[track_caller]
fn refused(said: &Said, what: &str) {
    assert_eq!(said.code, 1, "{what}: {said:?}");
    says(said, &["botpipe.db`"]);
    let known = ["is damaged", "use the newer botpipe"];
    assert!(known.iter().any(|words| said.err.contains(words)), "{what}: {said:?}");
}

/// The next number of a sequence that is the same each time.
fn next(state: &mut u64) -> usize {
    *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    usize::try_from(*state >> 33).unwrap()
}

/// Places of a file where something is written.
fn places(bytes: &[u8], count: usize, seed: u64) -> Vec<usize> {
    let used: Vec<usize> = (0..bytes.len()).filter(|at| bytes[*at] != 0).collect();
    let mut state = seed;
    (0..count).map(|_| used[next(&mut state) % used.len()]).collect()
}

/// Where the last commit of a log begins: its start of a turn was not waited for, so it may be lost.
///
/// # Source
/// sqlite.org/fileformat2.html, section 4.1: a header of 32 bytes, then frames of 24 bytes and a page;
/// the last frame of a commit has the size of the database at 4.
fn synced(log: &[u8]) -> usize {
    const FRAME: usize = 24 + 4096;
    let starts = (32..log.len().saturating_sub(FRAME - 1)).step_by(FRAME);
    let commits = starts.filter(|at| log[at + 4..at + 8] != [0; 4]).map(|at| at + FRAME);
    let ends: Vec<usize> = commits.collect();
    ends[ends.len() - 2]
}

fn flip(cut: &Cut, file: &str, places: &[usize]) -> usize {
    let truth = Truth::of(cut);
    let bytes = cut.read(file);
    let mut seen = 0;
    for at in places {
        let mut flipped = bytes.clone();
        flipped[*at] ^= 1 << (at % 8);
        let place = cut.with(file, Some(&flipped));
        seen += truth.holds(&place, &format!("bit {} of byte {at} of {file}", at % 8));
    }
    seen
}

#[test]
fn a_flipped_bit_in_the_database() {
    let cut = Cut::new(&Ended::Orderly);
    assert!(!cut.folder.path().join(".botpipe/botpipe.db-wal").exists());
    let bytes = cut.read("botpipe.db");
    let mut at = vec![0, 16, 18, 19, 20, 28, 44, 56, 59, 63, 68, 71, 100, 103, 105, 107, 109];
    at.extend(places(&bytes, 30, 1));
    // The names by which a run is looked up: its task's and its workflow's, one after the other.
    let names = bytes.windows(6).position(|text| text == b"t1note").unwrap();
    at.extend(names..names + 6);
    let seen = flip(&cut, "botpipe.db", &at);
    assert!(seen > 40, "{seen}");
}

#[test]
fn a_flipped_bit_in_the_log() {
    let cut = Cut::new(&Ended::Killed);
    let bytes = cut.read("botpipe.db-wal");
    let mut at = vec![0, 4, 8, 12, 16, 24, 31, 32, 40, 56];
    at.extend(places(&bytes[..synced(&bytes)], 15, 2));
    let seen = flip(&cut, "botpipe.db-wal", &at);
    assert!(seen > 20, "{seen}");
}

#[test]
fn a_torn_database_or_log() {
    let cut = Cut::new(&Ended::Orderly);
    let truth = Truth::of(&cut);
    let bytes = cut.read("botpipe.db");
    for len in [0, 1, 99, 100, 4095, 4096, bytes.len() / 2, bytes.len() - 4096] {
        let place = cut.with("botpipe.db", Some(&bytes[..len]));
        assert_eq!(truth.holds(&place, &format!("botpipe.db of {len} bytes")), 5);
    }
    let place = cut.with("botpipe.db", Some(&bytes[..bytes.len() - 1]));
    truth.holds(&place, "botpipe.db without its last byte");
    let cut = Cut::new(&Ended::Killed);
    let truth = Truth::of(&cut);
    let bytes = cut.read("botpipe.db-wal");
    for len in [1, 31, 32, 4000, bytes.len() / 3, bytes.len() * 2 / 3] {
        let place = cut.with("botpipe.db-wal", Some(&bytes[..len]));
        assert_eq!(truth.holds(&place, &format!("a log of {len} bytes")), 5);
    }
    let place = cut.with("botpipe.db-wal", None);
    assert_eq!(truth.holds(&place, "no log"), 5);
    // What was not waited for may be gone; all before it stands.
    let whole = synced(&bytes);
    let place = cut.with("botpipe.db-wal", Some(&bytes[..whole]));
    let mut shorter = Truth::of(&cut);
    [shorter.list, shorter.show, shorter.logs, shorter.events] =
        LOOKS.map(|args| place.say(args).ends(0).out);
    assert_eq!(shorter.events.lines().count() + 1, truth.events.lines().count());
    shorter.logs = shorter.logs.replace(&place.path().display().to_string(), "");
    for len in [whole + 1, whole + 5000, bytes.len() - 1] {
        let place = cut.with("botpipe.db-wal", Some(&bytes[..len]));
        assert_eq!(shorter.holds(&place, &format!("a log of {len} bytes")), 0);
    }
}

#[test]
fn a_journal_of_a_newer_version() {
    let cut = Cut::new(&Ended::Orderly);
    let truth = Truth::of(&cut);
    // The format is the big-endian number at 60, the way files are written that at 18.
    for (at, value) in [(63, 2), (63, 9), (61, 1)] {
        let mut bytes = cut.read("botpipe.db");
        bytes[at] = value;
        let place = cut.with("botpipe.db", Some(&bytes));
        assert_eq!(truth.holds(&place, "newer"), 5);
        let args = ["run", "note", "x", "--task", "t2", "--provider", "command", "--", "true"];
        let said = place.say(&args).ends(1);
        says(&said, &["botpipe.db` has format ", "formats up to 1", "use the newer botpipe"]);
        assert!(fs::read(database(&place)).unwrap() == bytes);
    }
}

#[test]
fn a_lost_database_is_told_from_none() {
    let cut = Cut::new(&Ended::Orderly);
    let truth = Truth::of(&cut);
    let place = cut.with("botpipe.db", None);
    assert_eq!(truth.holds(&place, "no database"), 5);
}
