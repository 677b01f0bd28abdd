//! Recordings of runs with runs below them: branches, other workflows, and what functions ask for.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::place::{Place, Said, said, tree, until};
use crate::rpc::{asks, has_python};

/// Branches, each with an artifact and a file of its own, then one more workflow.
const OUTER: &str = "\
sop: 1
name: outer
artifacts:
  report: { md: 'reports/{{ branch.key }}.md', required: true }
  summary: { md: summary.md, required: true }
steps:
  - id: each
    ISOLATION
    concurrency: 3
    fan_out: \"[{'id': 'a'}, {'id': 'b'}, {'id': 'c'}]\"
    branch:
      prompt: 'Look at {{ branch.item.id }} of {{ workflow.folder }}.'
      writes: [report]
      routes: { done: FINISH, again: SELF }
    fan_in:
      prompt: '{% for it in fan_in.results %}{{ it.branch }} {{ it.status }} {% endfor %}'
      writes: [summary]
    routes: { done: then }
  - id: then
    workflow: inner
    message: 'And this.'
    routes: { done: FINISH, failed: FAIL }
";

const INNER: &str = "\
sop: 1
name: inner
steps:
  - id: work
    prompt: 'Work: {{ message }}'
    routes: { done: pair }
  - id: pair
    parallel:
      - { id: left, prompt: 'The left one.' }
      - { id: right, run: 'echo right >> both.txt' }
    routes: { done: FINISH, partial: FAIL, failed: FAIL }
";

/// Writes what its turn stands for; a branch says `again` once.
const AGENT: &str = r#"
cat > /dev/null; tag=done; way=$BOTPIPE_TURN; echo "$way" >> "$LEDGER"
case $way in
  each/1/*:each/1/*) tag=again ;;
esac
case $way in
  each/1/*:each/*)
    branch=${way#each/1/}; branch=${branch%%:*}
    echo "$way" >> "$branch.txt"
    mkdir -p "$BOTPIPE_WORKFLOW_FOLDER/reports"; echo "$way" > "$BOTPIPE_WORKFLOW_FOLDER/reports/$branch.md" ;;
  each/*) echo all > "$BOTPIPE_WORKFLOW_FOLDER/summary.md" ;;
  *:work/*) echo work > work.txt ;;
  *:left/*) echo left >> both.txt ;;
esac
echo "$way is done"
echo "{\"outcome\": {\"tag\": \"$tag\"}}"
"#;

/// The turns that the workflow takes with that agent.
const TURNS: [&str; 9] = [
    "each/1/a:each/1/worker/1",
    "each/1/a:each/2/worker/1",
    "each/1/b:each/1/worker/1",
    "each/1/b:each/2/worker/1",
    "each/1/c:each/1/worker/1",
    "each/1/c:each/2/worker/1",
    "each/1/worker/1",
    "then/1/inner:pair/1/left:left/1/worker/1",
    "then/1/inner:work/1/worker/1",
];

fn outer(isolation: &str) -> Place {
    let place =
        Place::with("outer", &OUTER.replace("ISOLATION", &format!("isolation: {isolation}")));
    place.write("workflows/inner.sop.yaml", INNER);
    place.write("README.md", "# Here\n");
    place
}

/// Records a run of an agent that is a shell script; where its ledger and its cassette are.
struct Outside(TempDir);

impl Outside {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn record(&self, place: &Place, name: &str, agent: &str) -> std::process::Command {
        let mut run = place.command(&["run", name, "x", "--task", "t", "--record"]);
        run.arg(self.path("c.json")).args(["--provider", "command", "--pass-env", "LEDGER"]);
        run.args(["--", "sh", "-c", agent]).env("LEDGER", self.path("ledger"));
        run
    }

    fn cassette(&self) -> Value {
        read(&self.path("c.json"))
    }
}

fn read(path: &Path) -> Value {
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

/// Plays the recording in a place, and records that again.
fn replay(place: &Place, name: &str, cassette: &Path, more: &[&str]) -> Said {
    let mut run = place.command(&["run", name, "x", "--task", "t", "--provider", "replay"]);
    run.arg("--cassette").arg(cassette).args(more);
    said(&run.output().unwrap())
}

fn files(place: &Place) -> Vec<(String, Vec<u8>)> {
    tree(place.path(), &[".botpipe"])
}

/// The artifacts of task `t`.
fn artifacts(place: &Place, name: &str) -> Vec<(String, Vec<u8>)> {
    tree(&place.path().join(format!(".botpipe/tasks/t/wf_{name}")), &["runs"])
}

fn turns(cassette: &Value) -> BTreeMap<String, Value> {
    let turns = cassette["turns"].as_object().unwrap_or_else(|| panic!("{cassette}"));
    turns.iter().map(|(way, turn)| (way.clone(), turn.clone())).collect()
}

/// Plays a recording elsewhere: to the same events of all runs, the same turns, files and artifacts.
#[track_caller]
fn plays_the_same(first: &Place, second: &Place, name: &str, outside: &Outside) {
    let again = outside.path("again.json");
    let text = again.to_str().unwrap().to_owned();
    replay(second, name, &outside.path("c.json"), &["--record", &text]).ends(0);
    let (was, is) = (outside.cassette(), read(&again));
    assert_eq!(is["events"], was["events"]);
    assert_eq!(turns(&is), turns(&was));
    assert_eq!(files(second), files(first));
    assert_eq!(artifacts(second, name), artifacts(first, name));
}

#[test]
fn turns_of_runs_below_are_recorded_by_their_way_and_played_to_the_same_events() {
    for isolation in ["shared", "worktree"] {
        let (first, second, outside) = (outer(isolation), outer(isolation), Outside::new());
        let said = said(&outside.record(&first, "outer", AGENT).output().unwrap()).ends(0);
        let fan_out = said.err.split("step then").next().unwrap();
        assert_eq!(fan_out.contains("one after the other"), isolation == "shared", "{}", said.err);
        let cassette = outside.cassette();
        let recorded = turns(&cassette);
        assert_eq!(recorded.keys().collect::<Vec<_>>(), TURNS, "{isolation}");
        for (way, turn) in &recorded {
            assert!(turn["request"].is_string() && turn["asked"].is_array(), "{way}: {turn}");
            assert_eq!(turn["activity"][0], format!("{way} is done"));
            let branch = way.strip_prefix("each/1/").and_then(|rest| rest.split_once(':'));
            let Some((branch, _)) = branch else { continue };
            // What it left, and nothing of what others did meanwhile.
            let patch: Vec<&String> = turn["patch"].as_object().unwrap().keys().collect();
            assert_eq!(patch, [&format!("{branch}.txt")], "{isolation}: {way}");
            assert_eq!(turn["artifacts"]["report"]["text"], json!([way]));
        }
        let events = cassette["events"].to_string();
        let taken = "then/1/inner:pair/1/left: route_taken visit=left/1 tag=done to=finish";
        assert!(events.contains(taken), "{events}");
        plays_the_same(&first, &second, "outer", &outside);
        let folder = format!("{}/worktrees", second.path().join(".botpipe").display());
        assert_eq!(fs::read_dir(folder).map_or(0, Iterator::count), 0, "{isolation}");
    }
}

#[test]
fn a_test_file_plays_a_recording_of_branches() {
    let (place, outside) = (outer("worktree"), Outside::new());
    said(&outside.record(&place, "outer", AGENT).output().unwrap()).ends(0);
    fs::copy(outside.path("c.json"), place.path().join("workflows/c.json")).unwrap();
    let test = "test: 1\nfiles: { README.md: \"# Here\\n\" }\ncases:\n  - name: recorded\n    message: x\n    \
                cassette: c.json\n    expect: { turns: 9, files: { b.txt: { contains: each/2 } } }\n";
    place.write("workflows/outer.test.yaml", test);
    let said = place.say(&["test", "outer"]).ends(0);
    assert_eq!(said.json()["cases"][0]["turns"], 9);
    // Renewed, it is what it was.
    place.say(&["test", "outer", "--update"]).ends(0);
    let renewed = read(&place.path().join("workflows/c.json"));
    assert_eq!(turns(&renewed), turns(&outside.cassette()));
    assert_eq!(renewed["events"], outside.cassette()["events"]);

    // Another prompt of a branch is a miss, told with its way and what differs.
    let text = fs::read_to_string(place.path().join("workflows/outer.sop.yaml")).unwrap();
    place.write("workflows/outer.sop.yaml", &text.replace("Look at", "Look well at"));
    let said = place.say(&["test", "outer"]).ends(1);
    for words in ["turn `each/1/", "- Look at", "+ Look well at"] {
        assert!(said.err.contains(words), "{words} is not in {}", said.err);
    }
}

#[test]
fn a_turn_below_that_was_not_recorded_ends_with_9_and_the_nearest() {
    let (first, second, outside) = (outer("shared"), outer("shared"), Outside::new());
    said(&outside.record(&first, "outer", AGENT).output().unwrap()).ends(0);
    let mut cassette = outside.cassette();
    cassette["turns"].as_object_mut().unwrap().remove("each/1/b:each/2/worker/1").unwrap();
    fs::write(outside.path("c.json"), cassette.to_string()).unwrap();
    let missed = replay(&second, "outer", &outside.path("c.json"), &[]).ends(9);
    for words in ["no turn `each/1/b:each/2/worker/1`", "nearest is `each/1/b:each/1/worker/1`"] {
        assert!(missed.err.contains(words), "{words} is not in {}", missed.err);
    }
}

/// Every branch stops in its first turn until it is begun again.
const STOPS: &str = r#"
cat > /dev/null; branch=${BOTPIPE_TURN#sides/1/}; branch=${branch%%:*}
echo "$BOTPIPE_TURN" >> "$branch.txt"; echo begun >> "$LEDGER"
case $BOTPIPE_TURN in *~2) ;; *) sleep 600 ;; esac
echo '{"outcome": {"tag": "done"}}'
"#;

#[test]
fn a_recording_goes_on_over_an_interruption_in_branches() {
    for isolation in ["shared", "worktree"] {
        let text = format!(
            "sop: 1\nname: sides\nsteps:\n  - id: sides\n    isolation: {isolation}\n    parallel:\n      \
             - {{ id: one, prompt: First. }}\n      - {{ id: two, prompt: Second. }}\n    \
             routes: {{ done: FINISH, partial: FAIL, failed: FAIL }}\n"
        );
        let (first, second, outside) =
            (Place::with("sides", &text), Place::with("sides", &text), Outside::new());
        let mut run = outside.record(&first, "sides", STOPS);
        let mut run = run.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let begun = || fs::read_to_string(outside.path("ledger")).unwrap_or_default().len() / 6;
        // With files of their own both are in a turn at once, when the run is killed.
        let at_once = if isolation == "worktree" { 2 } else { 1 };
        until("the turns", || begun() == at_once);
        run.kill().unwrap();
        run.wait().unwrap();
        let mut resume = first.command(&["resume", "sides", "t"]);
        let resume = resume.env("LEDGER", outside.path("ledger"));
        let mut run = resume.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        if isolation == "shared" {
            until("the other turn", || begun() == 3);
            let pid = rustix::process::Pid::from_child(&run);
            rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
            assert_eq!(run.wait().unwrap().code(), Some(143));
            let mut resume = first.command(&["resume", "sides", "t"]);
            said(&resume.env("LEDGER", outside.path("ledger")).output().unwrap()).ends(0);
        } else {
            assert_eq!(run.wait().unwrap().code(), Some(0));
        }
        let recorded = turns(&outside.cassette());
        let ways = ["sides/1/one:one/1/worker/1", "sides/1/two:two/1/worker/1"];
        assert_eq!(recorded.keys().collect::<Vec<_>>(), ways);
        // From the first start on.
        let wrote = &recorded[ways[1]]["patch"]["two.txt"]["text"];
        assert_eq!(*wrote, json!([ways[1], format!("{}~2", ways[1])]));
        assert!(recorded[ways[1]]["patch"].get("one.txt").is_none(), "{isolation}");
        plays_the_same(&first, &second, "sides", &outside);
    }
}

#[test]
fn where_the_first_failure_ends_the_others_a_recording_plays_the_same() {
    let text = "\
sop: 1
name: fast
steps:
  - id: side
    isolation: worktree
    settle: fail_fast
    parallel:
      - { id: fails, prompt: 'Fail.', routes: { done: FINISH, bad: FAIL } }
      - { id: other, prompt: 'Work.' }
    routes: { done: FINISH, failed: told }
  - { id: told, prompt: 'It failed.' }
";
    let (first, second, outside) =
        (Place::with("fast", text), Place::with("fast", text), Outside::new());
    let agent = "cat > /dev/null; case $BOTPIPE_TURN in *fails*) tag=bad ;; *) tag=done ;; esac; \
                 echo \"{\\\"outcome\\\": {\\\"tag\\\": \\\"$tag\\\"}}\"";
    said(&outside.record(&first, "fast", agent).output().unwrap()).ends(0);
    let recorded = turns(&outside.cassette());
    assert_eq!(
        recorded.keys().collect::<Vec<_>>(),
        ["side/1/fails:fails/1/worker/1", "told/1/worker/1"]
    );
    plays_the_same(&first, &second, "fast", &outside);
}

#[test]
fn what_a_function_asked_of_an_agent_is_recorded_and_played() {
    if !has_python() {
        return;
    }
    let text =
        "sop: 1\nname: asks\nsteps:\n  - { id: rate, call: rate, routes: { done: FINISH } }\n";
    let functions = "def rate(call):\n    one = call.llm('How bad?')\n    two = call.classify('Which?', ['low', \
                     'high'])\n    return {'event': {'tag': 'done', 'payload': [one, two]}}\n";
    let outside = Outside::new();
    let places = [Place::with("asks", text), Place::with("asks", text)];
    let agent = "cat > /dev/null; case $BOTPIPE_TURN in *llm*) tag=done ;; *) tag=high ;; esac; \
                 echo \"{\\\"outcome\\\": {\\\"tag\\\": \\\"$tag\\\", \\\"payload\\\": \\\"quite\\\"}}\"";
    let providers = [
        json!({ "name": "command", "args": ["sh", "-c", agent] }),
        json!({ "name": "replay", "cassette": outside.path("c.json") }),
    ];
    let files = ["c.json", "again.json"];
    for ((place, provider), file) in places.iter().zip(providers).zip(files) {
        place.write("functions.py", functions);
        let start = json!({
            "workflow": "asks", "task": "t", "provider": provider, "record": outside.path(file)
        });
        let said = asks(place, "run/start", &start);
        assert_eq!(said["exit_code"], 0, "{said}");
        assert_eq!(said["output"], json!(null), "{said}");
    }
    let recorded = turns(&outside.cassette());
    let ways = ["rate/1/call-0:llm/1/worker/1", "rate/1/call-1:classify/1/worker/1"];
    assert_eq!(recorded.keys().collect::<Vec<_>>(), ways);
    let again = read(&outside.path("again.json"));
    assert_eq!(again["events"], outside.cassette()["events"]);
    assert_eq!(turns(&again), recorded);
}
