//! `botpipe test`: what passes, what fails and in which words, what is no test, and how recordings are renewed.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::place::{Place, Said, tree};

/// A workflow with a question, a way round, a script and an artifact.
const NOTE: &str = "\
sop: 1
name: note
input: { request: { type: string } }
artifacts:
  note: { json: note.json, required: true }
steps:
  - id: write
    prompt: 'Write down: {{ input.request }}'
    writes: [note]
    routes: { done: look, again: SELF, ask: { to: AWAIT_INPUT, required_writes: [] } }
  - id: look
    run: 'echo seen > seen.txt'
    routes: { done: FINISH }
";

/// The workflow, and a test with one case, indented by four.
fn place(case: &str) -> Place {
    let place = Place::with("note", NOTE);
    let case = case.lines().map(|line| ["    ", line, "\n"].concat()).collect::<String>();
    let text = format!("test: 1\ncases:\n  - name: one\n    message: hello\n{case}");
    place.write("workflows/note.test.yaml", &text);
    place
}

const GOOD: &str = "\
turns:
  write/1/worker: { outcome: { tag: ask, route_fields: { question: 'Who?' } } }
  write/2/worker:
    writes: { note: { text: hello, to: [Ada] }, docs/a.md: '# A' }
    outcome: done
answers: [Ada]
";

/// The problems of the one case.
#[track_caller]
fn problems(said: &Said) -> Vec<String> {
    let cases = said.json()["cases"].clone();
    let problems = cases[0]["problems"].as_array().unwrap_or_else(|| panic!("{said:?}")).clone();
    problems.iter().map(|it| it.as_str().unwrap().to_owned()).collect()
}

#[test]
fn every_shipped_workflow_has_tests_that_pass() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../workflows");
    let place = Place::new();
    let mut count = 0;
    for entry in fs::read_dir(root).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let said = place.say(&["test", &name]).ends(0).json();
        assert!(said["passed"].as_u64().unwrap() >= 2, "{name}: {said}");
        count += 1;
    }
    assert!(count > 0);
    // Nothing is left of it where it was run.
    assert!(tree(place.path(), &[]).is_empty());
}

#[test]
fn what_holds_passes() {
    let place = place(&format!(
        "{GOOD}\
expect:
  state: finished
  exit: 0
  turns: 2
  question: Who
  routes:
    - write: ask
    - write: done
    - look: done
  artifacts: {{ note: {{ json: {{ to: [Ada] }}, contains: hello, lacks: [Bob] }} }}
  files: {{ docs/a.md: {{ equals: '# A' }}, gone.txt: {{ exists: false }} }}
  changed: [seen.txt, docs/a.md]
"
    ));
    let said = place.say(&["test"]).ends(0);
    assert!(said.err.contains("1 passed, 0 failed"), "{}", said.err);
    assert_eq!(said.json()["cases"][0]["turns"], 2);
    assert!(!place.path().join(".botpipe").exists());
}

#[test]
fn what_does_not_hold_is_told_in_words() {
    let of_good = [
        ("state: rejected", "state: expected rejected, found finished"),
        ("exit: 4", "exit code: expected 4, found 0"),
        ("turns: 3", "turns: expected 3, found 2"),
        ("question: When", "question: expected `When` in it, found `Who?`"),
        ("reason: limit", "reason: expected `limit` in it, found nothing"),
        ("routes:\n    - write: done", "route 1: expected `write: done`, found `write: ask`"),
        (
            "routes:\n    - write: ask\n    - write: done",
            "route 3: expected nothing more, found `look: done`",
        ),
        (
            "artifacts: { note: { exists: false } }",
            "artifact `note`: it is there, and should not be",
        ),
        ("artifacts: { note: { contains: Bob } }", "artifact `note`: `Bob` is not in it"),
        ("artifacts: { note: { lacks: Ada } }", "artifact `note`: `Ada` is in it"),
        (
            "artifacts: { note: { json: { to: [Bob] } } }",
            "artifact `note`: `/to/0`: expected \"Bob\", found \"Ada\"",
        ),
        (
            "files: { docs/a.md: { equals: '# B' } }",
            "file `docs/a.md`: line 1: expected `# B`, found `# A`",
        ),
        ("files: { gone.txt: { exists: true } }", "file `gone.txt`: it is not there (gone.txt)"),
        (
            "files: { docs/a.md: { json: {} } }",
            "file `docs/a.md`: it is no JSON: expected value at line 1 column 1",
        ),
        ("changed: [seen.txt]", "changed files: expected seen.txt, found docs/a.md, seen.txt"),
    ];
    for (expect, problem) in of_good {
        let said = place(&format!("{GOOD}expect:\n  {expect}\n")).say(&["test"]).ends(1);
        assert_eq!(problems(&said), [problem], "{expect}");
        let line = format!("  - {problem}");
        assert!(said.err.contains(&line), "{line} is not in {}", said.err);
    }
    let of_turns = [
        (
            "turns: {}",
            "the run did not end well: stopped: provider: the cassette has no turn `write/1/worker/1`",
        ),
        (
            "turns:\n  write/1/worker: { writes: { note: {} }, outcome: done }\n  write/2/worker: {}",
            "turn `write/2/worker/1` was never asked",
        ),
        (
            "turns:\n  write/1/worker: { writes: { note: {} }, outcome: done }\nanswers: [yes]",
            "answers: the last 1 were not asked for",
        ),
        (
            "turns:\n  write/1/worker: { fails: auth }",
            "the run did not end well: stopped: provider: a scripted auth",
        ),
        (
            "turns:\n  write/1/worker: { outcome: again, writes: { note: {} } }\nmax_steps: 1",
            "the run did not end well: stopped: limit: max_steps of 1 reached",
        ),
    ];
    for (turns, problem) in of_turns {
        let said = place(turns).say(&["test"]).ends(1);
        assert_eq!(problems(&said), [problem], "{turns}");
    }
}

#[test]
fn a_case_ends_when_its_time_is_over_and_its_folder_may_be_kept() {
    let place = Place::with("slow", "sop: 1\nname: slow\nsteps: [{ id: go, run: 'sleep 600' }]\n");
    let text = "test: 1\ncases: [{ name: one, turns: {}, timeout: 200ms }]\n";
    place.write("workflows/slow.test.yaml", text);
    let said = place.say(&["test", "slow", "--keep"]).ends(1);
    assert_eq!(problems(&said), ["it took longer than its `timeout` of 200ms"]);
    let kept = said.json()["cases"][0]["kept"].as_str().unwrap().to_owned();
    assert!(Path::new(&kept).join("workspace/.botpipe").is_dir(), "{kept}");
    fs::remove_dir_all(kept).unwrap();
}

/// Texts that are no test, with the code and a part of the words that say so.
const NO_TESTS: [(&str, &str, &str); 27] = [
    ("", "BP0107", "this test file is empty"),
    ("test: 2\ncases: []\n", "BP0205", "expected `test: 1`, found the number 2"),
    ("test: 1\n", "BP0203", "a test file needs `cases`"),
    ("test: 1\ncases: []\n", "BP0214", "there is no case in it"),
    ("test: 1\nworkflow: nosuch\ncases: []\n", "BP0501", "there is no workflow `nosuch`"),
    ("test: 1\nworkflow: ../note.sop.yaml\ncases: []\n", "BP0501", "there is no workflow file"),
    ("test: 1\ncases: [{ name: a }]\n", "BP0203", "a case needs `cassette` or `turns`"),
    ("test: 1\ncases: [{ turns: {} }]\n", "BP0203", "a case needs a `name`"),
    ("test: 1\ncases: [{ name: a, turn: {} }]\n", "BP0201", "a case has no key `turn`"),
    (
        "test: 1\ncases: [{ name: a, turns: {}, cassette: b.json }]\n",
        "BP0211",
        "either a `cassette` or `turns`",
    ),
    (
        "test: 1\ncases: [{ name: a, cassette: b.json }]\n",
        "BP0514",
        "there is no recording `b.json`",
    ),
    (
        "test: 1\ncases: [{ name: a, cassette: note.sop.yaml }]\n",
        "BP0514",
        "cannot be read: line 1",
    ),
    (
        "test: 1\ncases: [{ name: a, turns: { write: {} } }]\n",
        "BP0208",
        "`write` is no turn of an agent",
    ),
    ("test: 1\ncases: [{ name: a, turns: { wirte/1/worker: {} } }]\n", "BP0304", "no step `wirte`"),
    (
        "test: 1\ncases: [{ name: a, turns: { write/1/producer: {} } }]\n",
        "BP0211",
        "step `write` has no producer turn",
    ),
    (
        "test: 1\ncases: [{ name: a, turns: { look/1/script: {} } }]\n",
        "BP0211",
        "step `look` has no script turn",
    ),
    (
        "test: 1\ncases: [{ name: a, turns: { write/1/worker: { writes: { nots: x } } } }]\n",
        "BP0301",
        "`nots` is no artifact",
    ),
    (
        "test: 1\ncases: [{ name: a, turns: { write/1/worker: { writes: { ../x: x } } } }]\n",
        "BP0510",
        "`../x` is no path",
    ),
    (
        "test: 1\ncases: [{ name: a, turns: { write/1/worker: { outcome: { payload: 1 } } } }]\n",
        "BP0203",
        "an outcome needs a `tag`",
    ),
    (
        "test: 1\ncases: [{ name: a, turns: { write/1/worker: { fails: never } } }]\n",
        "BP0204",
        "`never` is no class of failure",
    ),
    (
        "test: 1\ncases: [{ name: a, turns: {}, expect: { state: good } }]\n",
        "BP0204",
        "`good` is no choice",
    ),
    (
        "test: 1\ncases: [{ name: a, turns: {}, expect: { routes: [{ write: don }] } }]\n",
        "BP0304",
        "no route `don`",
    ),
    (
        "test: 1\ncases: [{ name: a, turns: {}, expect: { routes: [{ writ: done }] } }]\n",
        "BP0304",
        "no step `writ`",
    ),
    (
        "test: 1\ncases: [{ name: a, turns: {}, expect: { artifacts: { nots: {} } } }]\n",
        "BP0301",
        "no artifact `nots`",
    ),
    (
        "test: 1\ncases: [{ name: a, turns: {}, expect: { exit: 256 } }]\n",
        "BP0213",
        "an exit code is a number from 0 to 255",
    ),
    (
        "test: 1\ncases: [{ name: a, turns: {}, files: { /etc/x: y } }]\n",
        "BP0510",
        "`/etc/x` is no path",
    ),
    (
        "test: 1\ncases: [{ name: a, turns: {}, timeout: soon }]\n",
        "BP0212",
        "`soon` is no duration",
    ),
];

#[test]
fn what_is_no_test_is_told_with_its_place() {
    let mut wrong = Vec::new();
    for (text, code, message) in NO_TESTS {
        let place = Place::with("note", NOTE);
        place.write("workflows/note.test.yaml", text);
        let said = place.say(&["test"]).ends(1);
        let found = said.json()["unreadable"][0]["diagnostics"].clone();
        let told = found.as_array().into_iter().flatten().any(|it| {
            let says = it["message"].as_str().unwrap_or_default();
            it["code"] == code && says.contains(message) && it["labels"][0]["line"].is_u64()
        });
        if !told {
            wrong.push(format!("{text}  {found}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    // One bad file keeps no other from being played.
    let place = place(GOOD);
    place.write("workflows/bad.test.yaml", "test: 1\nworkflow: note\n");
    let said = place.say(&["test", "workflows"]).ends(1);
    assert!(said.err.contains("1 passed, 0 failed, 1 files could not be read"), "{}", said.err);
}

#[test]
fn tests_are_found_by_name_by_folder_and_by_path() {
    let place = place(GOOD);
    place.write("other/note.sop.yaml", NOTE);
    place.write(
        "other/deep/x.test.yaml",
        "test: 1\nworkflow: note\ncases: [{ name: x, turns: {} }]\n",
    );
    let cases = |args: &[&str]| {
        let said = place.say(args).json();
        let cases = said["cases"].as_array().unwrap().clone();
        cases.iter().map(|it| it["file"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let (own, deep) = ("workflows/note.test.yaml", "other/deep/x.test.yaml");
    assert_eq!(cases(&["test"]), [own]);
    assert_eq!(cases(&["test", "note", "workflows/note.sop.yaml", own]), [own]);
    assert_eq!(cases(&["test", "other", "workflows"]), [deep, own]);
    let missing = place.say(&["test", "other/note.sop.yaml"]).ends(3);
    assert!(missing.err.contains("has no tests"), "{}", missing.err);
    assert!(place.say(&["test", "workflows/note.yaml"]).ends(3).err.contains("note.yaml"));
    Place::new().say(&["test"]).ends(3);
}

#[test]
fn a_changed_prompt_fails_with_the_line_that_differs_until_the_recording_is_renewed() {
    let place = Place::with("note", NOTE);
    let agent = r#"cat > /dev/null; f=$BOTPIPE_WORKFLOW_FOLDER/note.json; mkdir -p ${f%/*}; echo '{}' > $f
                   echo '{"outcome": {"tag": "done"}}'"#;
    place.run("note", agent, &["--record", "workflows/note.cassette.json"]).ends(0);
    let test =
        "test: 1\ncases: [{ name: one, message: say hello, cassette: note.cassette.json }]\n";
    place.write("workflows/note.test.yaml", test);
    place.say(&["test"]).ends(0);

    place.write("workflows/note.sop.yaml", &NOTE.replace("Write down:", "Write up:"));
    let said = place.say(&["test"]).ends(1);
    for line in [
        "turn `write/1/worker/1` was recorded for another request",
        "line 1 of the prompt (- recorded, + asked):",
        "    - Write down: say hello",
        "    + Write up: say hello",
    ] {
        assert!(said.err.contains(line), "{line} is not in {}", said.err);
    }
    let before = fs::read_to_string(place.path().join("workflows/note.cassette.json")).unwrap();
    let said = place.say(&["test", "--update"]).ends(0);
    assert!(said.err.contains("written anew: workflows/note.cassette.json"), "{}", said.err);
    place.say(&["test"]).ends(0);
    let after = fs::read_to_string(place.path().join("workflows/note.cassette.json")).unwrap();
    let read = |text: &str| {
        serde_json::from_str::<Value>(text).unwrap()["turns"]["write/1/worker/1"].clone()
    };
    let (mut was, mut is) = (read(&before), read(&after));
    assert_ne!(was["request"], is["request"]);
    assert!(is["asked"].to_string().contains("Write up: say hello"));
    for turn in [&mut was, &mut is] {
        turn["request"].take();
        turn["asked"].take();
    }
    assert_eq!(was, is);

    // Another way than the recorded one is told as well.
    place.write(
        "workflows/note.sop.yaml",
        &NOTE
            .replace("Write down:", "Write up:")
            .replace("done: look", "done: FINISH")
            .replace("again: SELF", "again: look"),
    );
    let said = place.say(&["test"]).ends(1);
    assert!(said.err.contains("recorded for another request"), "{}", said.err);
}
