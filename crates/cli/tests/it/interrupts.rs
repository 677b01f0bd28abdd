//! `on_interrupt` as a person meets it: botpipe is killed inside a turn, and `resume` does what the step says.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use botpipe_testkit::agent::{Entry, Ledger};
use botpipe_testkit::kills::processes;
use botpipe_testkit::programs;
use serde_json::json;
use tempfile::TempDir;

use crate::place::{Place, Said};

/// One step; what is done about an interruption is filled in.
const WORKFLOW: &str = "\
sop: 1
name: work
title: Do the work
input:
  request: { type: string }
steps:
  - id: write
    prompt: \"Write: {{ input.request }}\"
    on_interrupt: ON_INTERRUPT
    routes:
      done: FINISH
";

/// The tree before the run: tracked, ignored by a rule, and of nobody's repository yet.
const BEFORE: [(&str, &str); 5] = [
    (".gitignore", "*.log\n"),
    ("doomed.txt", "tracked, and deleted by the agent\n"),
    ("mine.txt", "untracked\n"),
    ("own.log", "ignored\n"),
    ("tracked.txt", "tracked\n"),
];

/// What the agent has done of its turn when it is cut off.
const HALF: &str = "echo half > tracked.txt; rm doomed.txt; echo half > mine.txt
    mkdir src; echo half > src/new.txt; echo half > own.log; echo half > build.log";
/// What the tree holds then.
const HALF_DONE: [(&str, &str); 6] = [
    (".gitignore", "*.log\n"),
    ("build.log", "half\n"),
    ("mine.txt", "half\n"),
    ("own.log", "half\n"),
    ("src/new.txt", "half\n"),
    ("tracked.txt", "half\n"),
];
/// What it holds once that is put back: ignored files are left as they are.
const PUT_BACK: [(&str, &str); 6] = [
    (".gitignore", "*.log\n"),
    ("build.log", "half\n"),
    ("doomed.txt", "tracked, and deleted by the agent\n"),
    ("mine.txt", "untracked\n"),
    ("own.log", "half\n"),
    ("tracked.txt", "tracked\n"),
];

/// A run that was killed inside its first turn.
struct Cut {
    place: Place,
    /// Beside the workspace: the agent's ledger and the prompts it was given.
    beside: TempDir,
}

impl Cut {
    /// Starts the run and kills it when the turn is half done.
    fn off(on_interrupt: &str) -> Self {
        let place = Place::with("work", &WORKFLOW.replace("ON_INTERRUPT", on_interrupt));
        for (path, text) in BEFORE {
            place.write(path, text);
        }
        place.git(&["init", "-q", "-b", "main"]);
        place.git(&["add", ".gitignore", "doomed.txt", "tracked.txt", "workflows"]);
        place.git(&["commit", "-q", "-m", "One"]);
        let cut = Self { place, beside: tempfile::tempdir().unwrap() };
        let half_done = cut.beside.path().join("half-done");
        let script = json!([
            { "name": "cut off", "when": ["turn `write/1/worker/1`"],
              "run": [HALF, format!("touch {}; sleep 600", half_done.display())], "say": "never" },
            { "name": "finish", "when": ["turn `write/1/worker/1~2`"],
              "run": ["echo finished > result.txt"],
              "say": r#"{"outcome": {"tag": "done"}}"# },
        ]);
        fs::write(cut.beside.path().join("script.json"), script.to_string()).unwrap();
        let mut run = cut.run().spawn().unwrap();
        until("the turn", || !cut.ledger().is_empty());
        until("its first half", || half_done.exists());
        assert!(run.try_wait().unwrap().is_none(), "the run has ended");
        run.kill().unwrap();
        run.wait().unwrap();
        let left = processes::left(cut.place.path(), Duration::from_secs(20));
        assert!(left.is_empty(), "{left:?}");
        until("the note of its end", || cut.note().exists());
        // Files are stamped by a clock that ticks every few milliseconds.
        let probe = cut.beside.path().join("probe");
        let modified = |path: &Path| fs::metadata(path).unwrap().modified().unwrap();
        until("a later tick", || {
            fs::write(&probe, "").unwrap();
            modified(&probe) > modified(&cut.note()) + Duration::from_millis(1)
        });
        cut.holds(&HALF_DONE);
        cut
    }

    /// The file that tells when the turn had ended after its owner.
    fn note(&self) -> PathBuf {
        let runs = self.place.path().join(".botpipe/tasks/t1/wf_work/runs");
        let run = fs::read_dir(runs).unwrap().next().unwrap().unwrap().path();
        run.join("turns/write.1.worker.1.cut")
    }

    fn run(&self) -> Command {
        // Every prompt is kept, counted from 1, on its way to the agent.
        const KEEP: &str = r#"n=$(ls "$0" | grep -c prompt); tee "$0/prompt-$((n + 1)).md" | "$@""#;
        let beside = self.beside.path();
        let mut run = self.place.command(&["run", "work", "x", "--task", "t1"]);
        run.args(["--provider", "command", "--", "sh", "-c", KEEP]).arg(beside);
        run.arg(programs::find("fake-agent").unwrap());
        run.arg("--script").arg(beside.join("script.json"));
        run.arg("--ledger").arg(beside.join("ledger.jsonl"));
        run
    }

    fn resume(&self) -> Said {
        self.place.say(&["resume", "work", "t1"])
    }

    fn answer(&self, answer: &str) -> Said {
        self.place.say(&["answer", "work", "t1", "--answer", answer])
    }

    /// What the agent was asked to do: turn, rule.
    fn ledger(&self) -> Vec<(String, String)> {
        let entries = Ledger::at(&self.beside.path().join("ledger.jsonl")).entries().unwrap();
        let began = |entry| match entry {
            Entry::Began { turn, rule } => Some((turn, rule)),
            Entry::Tried { .. } | Entry::Ended { .. } => None,
        };
        entries.into_iter().filter_map(began).collect()
    }

    /// The n-th prompt's part on the interruption; nothing when it has none.
    fn told(&self, n: u32) -> String {
        let prompt = self.beside.path().join(format!("prompt-{n}.md"));
        let prompt = fs::read_to_string(prompt).unwrap();
        let Some((_, told)) = prompt.split_once("## Interruption\n") else { return String::new() };
        told.split("\n## ").next().unwrap().trim().to_owned()
    }

    /// The workspace holds just these files, but for what the second start makes.
    #[track_caller]
    fn holds(&self, files: &[(&str, &str)]) {
        let found = crate::place::tree(self.place.path(), &[".git", ".botpipe", "workflows"]);
        let text = |(path, bytes): (String, Vec<u8>)| (path, String::from_utf8(bytes).unwrap());
        let found: Vec<_> =
            found.into_iter().map(text).filter(|(path, _)| path != "result.txt").collect();
        let wanted: Vec<_> =
            files.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned())).collect();
        assert_eq!(found, wanted);
    }

    /// The turn was started again, once, and its work is done.
    #[track_caller]
    fn is_finished(&self) {
        let asked = |turn: &str, rule: &str| (turn.to_owned(), rule.to_owned());
        let whole = [asked("write/1/worker/1", "cut off"), asked("write/1/worker/1~2", "finish")];
        assert_eq!(self.ledger(), whole);
        let result = fs::read_to_string(self.place.path().join("result.txt")).unwrap();
        assert_eq!(result, "finished\n");
    }

    /// Nothing was asked of the agent but the turn that was cut off.
    #[track_caller]
    fn still_waits(&self) {
        assert_eq!(self.ledger().len(), 1, "{:?}", self.ledger());
    }

    /// A file in the snapshot of which the command said that it keeps what was there.
    #[track_caller]
    fn kept(&self, said: &Said, path: &str) -> String {
        let (_, rest) = said.err.split_once("kept as snapshot ").unwrap_or_else(|| {
            panic!("no word of a kept snapshot in:\n{}", said.err);
        });
        let name = rest.split_whitespace().next().unwrap();
        self.place.git(&["--git-dir", ".botpipe/snapshots.git", "show", &format!("{name}:{path}")])
    }
}

impl Place {
    /// Runs a command line.
    #[track_caller]
    fn sh(&self, line: &str) {
        let sh = Command::new("sh").args(["-ec", line]).current_dir(self.path()).status();
        assert!(sh.unwrap().success(), "{line}");
    }

    /// What a git command prints.
    #[track_caller]
    fn git(&self, words: &[&str]) -> String {
        let mut git = Command::new("git");
        git.args(["-c", "user.name=S", "-c", "user.email=s@example.com"]).args(words);
        let output = git.current_dir(self.path()).output().unwrap();
        assert!(output.status.success(), "{words:?}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    }
}

/// Waits for what can be seen.
#[track_caller]
fn until(what: &str, is_so: impl Fn() -> bool) {
    let since = Instant::now();
    while !is_so() {
        assert!(since.elapsed() < Duration::from_mins(1), "{what} never came");
        thread::sleep(Duration::from_millis(5));
    }
}

#[track_caller]
fn names(said: &Said, words: &[&str]) {
    for word in words {
        assert!(said.err.contains(word), "no `{word}` in:\n{}", said.err);
    }
}

#[test]
fn resume_tells_the_agent_what_happened_and_leaves_the_tree() {
    let cut = Cut::off("resume");
    cut.resume().ends(0);
    cut.is_finished();
    cut.holds(&HALF_DONE);
    assert_eq!(cut.told(1), "");
    assert_eq!(
        cut.told(2),
        "\
An earlier start of this turn was cut off: the process that ran it died. Files are as they were \
left: look at what is done, keep what is right, and finish the work.
This is a new conversation; what was said before is gone.
What is recorded of it:

> - `write/1/worker/1` was cut off before its end

Files that differ from the start of this visit:

- `doomed.txt`
- `mine.txt`
- `src/new.txt`
- `tracked.txt`

Look at what is there before doing anything twice."
    );
}

#[test]
fn resume_takes_what_somebody_edited_since_as_it_is() {
    let cut = Cut::off("resume");
    cut.place.write("tracked.txt", "edited\n");
    cut.resume().ends(0);
    cut.is_finished();
    assert!(cut.told(2).contains("- `tracked.txt`\n"));
    let tracked = fs::read_to_string(cut.place.path().join("tracked.txt")).unwrap();
    assert_eq!(tracked, "edited\n");
}

#[test]
fn restart_puts_half_done_work_back_and_says_where_it_is_kept() {
    let cut = Cut::off("restart");
    let said = cut.resume().ends(0);
    cut.is_finished();
    cut.holds(&PUT_BACK);
    for (path, text) in HALF_DONE {
        if Path::new(path).extension().is_none_or(|it| it != "log") {
            assert_eq!(cut.kept(&said, path), text);
        }
    }
    assert_eq!(
        cut.told(2),
        "\
An earlier start of this turn was cut off: the process that ran it died. Files were put back to \
where the turn began; start over.
This is a new conversation; what was said before is gone.
What is recorded of it:

> - `write/1/worker/1` was cut off before its end

Look at what is there before doing anything twice."
    );
    // The owner's branch and index are as they were.
    assert_eq!(cut.place.git(&["log", "--format=%s"]), "One\n");
    assert_eq!(cut.place.git(&["diff", "--cached", "--name-only"]), "");
}

/// What somebody may do to the tree between the kill and `resume`, and the file that is named then.
const EDITS: [(&str, &str); 6] = [
    ("echo edited > tracked.txt", "tracked.txt"),
    ("echo edited > mine.txt", "mine.txt"),
    ("echo edited > .gitignore", ".gitignore"),
    ("echo edited > theirs.txt", "theirs.txt"),
    ("rm mine.txt", "mine.txt"),
    // Neither its size nor its times tell.
    ("echo HALF > new; touch -r tracked.txt new; mv new tracked.txt", "tracked.txt"),
];

#[test]
fn restart_asks_before_it_puts_back_what_somebody_edited_since() {
    thread::scope(|scope| {
        for (edit, file) in EDITS {
            scope.spawn(move || {
                let cut = Cut::off("restart");
                cut.place.sh(edit);
                let tree = || crate::place::tree(cut.place.path(), &[".git", ".botpipe"]);
                let before = tree();
                let said = cut.resume().ends(5);
                names(&said, &[&format!("`{file}`"), "`keep`", "`restore`"]);
                assert_eq!(tree(), before, "{edit}");
                cut.still_waits();
            });
        }
    });
}

#[test]
fn where_nobody_was_left_to_note_the_end_the_heartbeat_has_to_do() {
    // What was written last may well be the agent's.
    let cut = Cut::off("restart");
    fs::remove_file(cut.note()).unwrap();
    cut.resume().ends(0);
    cut.holds(&PUT_BACK);
    // A beat later it is not.
    let cut = Cut::off("restart");
    fs::remove_file(cut.note()).unwrap();
    thread::sleep(Duration::from_secs(3));
    cut.place.write("tracked.txt", "edited\n");
    names(&cut.resume().ends(5), &["`tracked.txt`", "`keep`", "`restore`"]);
}

#[test]
fn the_person_who_edited_may_keep_it() {
    let cut = Cut::off("restart");
    cut.place.write("tracked.txt", "edited\n");
    cut.resume().ends(5);
    names(&cut.answer("restart").ends(2), &["keep", "restore"]);
    cut.still_waits();
    cut.answer("keep").ends(0);
    cut.is_finished();
    let edited =
        HALF_DONE.map(|(path, text)| (path, if path == "tracked.txt" { "edited\n" } else { text }));
    cut.holds(&edited);
    assert!(cut.told(2).contains("Files are as they were left"), "{}", cut.told(2));
}

#[test]
fn the_person_who_edited_may_have_it_put_back() {
    let cut = Cut::off("restart");
    cut.place.write("tracked.txt", "edited\n");
    cut.resume().ends(5);
    let said = cut.answer("restore").ends(0);
    cut.is_finished();
    cut.holds(&PUT_BACK);
    assert_eq!(cut.kept(&said, "tracked.txt"), "edited\n");
    assert_eq!(cut.kept(&said, "src/new.txt"), "half\n");
}

#[test]
fn ask_waits_for_one_of_its_choices() {
    let cut = Cut::off("ask");
    for said in [cut.resume(), cut.resume()] {
        let said = said.ends(5);
        names(&said, &["write/1/worker/1", "`resume`", "`restart`"]);
        assert_eq!(said.json()["exit_code"], 5);
    }
    for wrong in ["keep", "", "Restart!"] {
        names(&cut.answer(wrong).ends(2), &["resume", "restart"]);
    }
    cut.resume().ends(5);
    cut.still_waits();
    cut.holds(&HALF_DONE);
}

#[test]
fn ask_answered_with_resume_goes_on_with_the_tree_as_it_is() {
    let cut = Cut::off("ask");
    cut.resume().ends(5);
    cut.answer("resume").ends(0);
    cut.is_finished();
    cut.holds(&HALF_DONE);
    assert!(cut.told(2).contains("Files are as they were left"), "{}", cut.told(2));
    assert!(cut.told(2).contains("- `doomed.txt`\n"), "{}", cut.told(2));
}

#[test]
fn ask_answered_with_restart_puts_the_tree_back() {
    let cut = Cut::off("ask");
    cut.resume().ends(5);
    let said = cut.answer("restart").ends(0);
    cut.is_finished();
    cut.holds(&PUT_BACK);
    assert_eq!(cut.kept(&said, "mine.txt"), "half\n");
    assert!(cut.told(2).contains("Files were put back"), "{}", cut.told(2));
}

#[test]
fn restart_does_nothing_while_it_cannot_record_the_tree() {
    let cut = Cut::off("restart");
    // A file where each folder of snapshots would be.
    let objects = &cut.place.path().join(".botpipe/snapshots.git/objects");
    let aside = &cut.place.path().join(".botpipe/aside");
    fs::rename(objects, aside).unwrap();
    fs::create_dir(objects).unwrap();
    for n in 0..=u8::MAX {
        fs::write(objects.join(format!("{n:02x}")), "").unwrap();
    }
    for said in [cut.resume(), cut.resume()] {
        names(&said.ends(1), &["snapshots.git", "botpipe resume work t1"]);
    }
    cut.holds(&HALF_DONE);
    cut.still_waits();
    cut.place.write("tracked.txt", "edited\n");
    fs::remove_dir_all(objects).unwrap();
    fs::rename(aside, objects).unwrap();
    // What was edited meanwhile is not lost on the next.
    names(&cut.resume().ends(5), &["`tracked.txt`", "`keep`", "`restore`"]);
    cut.answer("keep").ends(0);
    cut.is_finished();
}
