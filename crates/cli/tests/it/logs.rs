//! `botpipe logs`: a run followed to its end, and all that is kept of its turns.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};

use serde_json::Value;

use crate::harness::fake_codex;
use crate::place::{HELLO, Place, answers, said, until, wait_for};

fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/harness/codex").join(name)
}

/// `logs -f` of it, as far as a line that holds this text.
fn follow(place: &Place, as_far_as: &str) -> (Child, BufReader<std::process::ChildStdout>) {
    let mut logs = place.command(&["logs", "hello", "t1", "-f"]);
    let mut logs = logs.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut out = BufReader::new(logs.stdout.take().unwrap());
    let mut line = String::new();
    while !line.contains(as_far_as) {
        line.clear();
        assert_ne!(out.read_line(&mut line).unwrap(), 0, "`{as_far_as}` never came");
    }
    (logs, out)
}

/// What it says from there on, on both streams, and how it ends.
#[track_caller]
fn ends(logs: (Child, BufReader<std::process::ChildStdout>), code: i32) -> (String, String) {
    let (mut logs, mut out) = logs;
    let (mut rest, mut err) = (String::new(), String::new());
    out.read_to_string(&mut rest).unwrap();
    logs.stderr.take().unwrap().read_to_string(&mut err).unwrap();
    assert_eq!(logs.wait().unwrap().code(), Some(code), "{rest}\n{err}");
    (rest, err)
}

const WAITS: &str = "echo working; touch begun; until [ -e go ]; do sleep 0.02; done; ";

#[test]
fn a_run_is_followed_with_what_its_agent_says_and_ends_with_its_exit_code() {
    let place = Place::with("hello", HELLO);
    let mut run = place.begin(&format!("{WAITS}echo more; {}", answers("refused")));
    wait_for("the turn", &place.path().join("begun"), &mut run);
    let logs = follow(&place, "| working");
    place.write("go", "");
    let (rest, err) = ends(logs, 4);
    assert!(rest.contains("| more\n"), "{rest}");
    assert!(rest.trim_end().ends_with("finished: rejected"), "{rest}");
    assert!(err.contains("finished: rejected after 1 step\n"), "{err}");
    run.wait().unwrap();
    // Afterwards the same is told, but not what was said meanwhile.
    let later = place.say(&["logs", "hello", "t1", "-f"]).ends(4);
    assert!(!later.out.contains("| more"), "{}", later.out);
    place.say(&["logs", "hello", "t1"]).ends(0);
}

#[test]
fn whoever_follows_is_told_what_a_run_waits_for() {
    let place = Place::with("hello", HELLO);
    let asks = r#"echo '{"outcome": {"tag": "ask", "route_fields": {"question": "Which?"}}}'"#;
    let mut run = place.begin(&format!("{WAITS}{asks}"));
    wait_for("the turn", &place.path().join("begun"), &mut run);
    let logs = follow(&place, "| working");
    place.write("go", "");
    let (_, err) = ends(logs, 5);
    assert!(err.contains("waits for an answer\n"), "{err}");
    assert!(err.contains("  next: botpipe answer hello t1 --workspace . --answer "), "{err}");
    // The owner has let go: what comes next is not refused.
    place.say(&["cancel", "hello", "t1"]).ends(0);
    run.wait().unwrap();
}

#[test]
fn a_run_whose_owner_dies_is_followed_no_further() {
    let place = Place::with("hello", HELLO);
    let mut run = place.begin(WAITS);
    wait_for("the turn", &place.path().join("begun"), &mut run);
    let logs = follow(&place, "| working");
    run.kill().unwrap();
    run.wait().unwrap();
    let (_, err) = ends(logs, 1);
    assert!(err.contains("is running (owner lost)\n"), "{err}");
    assert!(err.contains("  next: botpipe resume hello t1 --workspace .\n"), "{err}");
}

#[test]
fn a_run_that_waits_for_a_time_with_its_owner_is_followed_on() {
    let place = Place::with("hello", HELLO);
    // The first turn fails in a way that passes, and sees to it that the second does not.
    let part = |name: &str| format!("play {}\n", script(name).display());
    let opening = fs::read_to_string(script("_opening.txt")).unwrap();
    let goes_on = opening.replace("thread/start\"", "thread/resume\"");
    place.write("good.txt", &(goes_on + &part("_answer.txt") + &part("_end.txt")));
    let failing = fs::read_to_string(script("server_error.txt")).unwrap();
    let failing = failing.lines().last().unwrap();
    let lines = part("_opening.txt") + "run mv good.txt script.txt\nrun touch begun\n" + failing;
    let script = place.write("script.txt", &lines);
    let mut run = fake_codex(&place, &script, &[]).spawn().unwrap();
    wait_for("the turn", &place.path().join("begun"), &mut run);
    let (rest, _) = ends(follow(&place, "waits until"), 0);
    assert!(rest.contains("the time has come, on it goes"), "{rest}");
    // In words, not as the harness puts it.
    assert!(rest.contains("| The greeting is written. {\"outcome\""), "{rest}");
    assert!(rest.trim_end().ends_with("finished"), "{rest}");
    run.wait().unwrap();
}

/// A run whose agent prints a secret of the environment; and the agent's words for it.
fn with_a_secret() -> (Place, &'static str) {
    const SECRET: &str = "cafebabe-0123456789-secret";
    let place = Place::with("hello", HELLO);
    let agent = format!("echo the key is $SERVICE_TOKEN; echo oops >&2; {}", answers("done"));
    let args = ["run", "hello", "x", "--task", "t1", "--pass-env", "SERVICE_TOKEN"];
    let mut run = place.command(&args);
    run.args(["--provider", "command", "--", "sh", "-c", &agent]).env("SERVICE_TOKEN", SECRET);
    said(&run.output().unwrap()).ends(0);
    (place, SECRET)
}

#[test]
fn what_a_turn_printed_comes_as_it_came_without_secrets() {
    let (place, secret) = with_a_secret();
    let said = place.say(&["logs", "hello", "t1", "--raw"]).ends(0);
    let out = "the key is [redacted:SERVICE_TOKEN]\n{\"outcome\": {\"tag\": \"done\"}}\n";
    assert_eq!(said.out, out);
    assert_eq!(said.err, "turn greet/1/worker/1\noops\n");
    for more in [&["--trace"][..], &["--trace", "--json"], &["--events"], &[]] {
        let said = place.say(&[&["logs", "hello", "t1"], more].concat()).ends(0);
        assert!(!said.out.contains(secret), "{more:?}: {}", said.out);
    }
    let one = ["logs", "hello", "t1", "--raw", "--turn"];
    assert_eq!(place.say(&[&one[..], &["greet/1/worker/1"]].concat()).ends(0).out, out);
    let said = place.say(&[&one[..], &["greet/2/worker/1"]].concat()).ends(3);
    assert!(said.err.contains("it has `greet/1/worker/1`"), "{}", said.err);
    place.say(&[&one[..], &["greet"]].concat()).ends(2);
    place.say(&["logs", "hello", "t1", "--raw", "--events"]).ends(2);
}

#[test]
fn a_side_file_that_somebody_changed_is_told() {
    let (place, _) = with_a_secret();
    let shown = place.say(&["logs", "hello", "t1", "--trace", "--json"]).ends(0).json();
    assert_eq!(shown["output"]["intact"], true);
    let path = shown["output"]["path"].as_str().unwrap();
    let text = fs::read_to_string(path).unwrap();
    fs::write(path, text.replace("oops", "fine")).unwrap();
    let said = place.say(&["logs", "hello", "t1", "--raw"]).ends(0);
    assert!(said.err.contains("is not what was recorded"), "{}", said.err);
    fs::remove_file(path).unwrap();
    let said = place.say(&["logs", "hello", "t1", "--raw"]).ends(0);
    assert!(said.err.contains("what turn greet/1/worker/1 said is gone"), "{}", said.err);
    let text = place.say(&["logs", "hello", "t1", "--trace"]).ends(0).out;
    assert!(text.contains("  output: gone; its digest was "), "{text}");
}

#[test]
fn a_trace_has_all_that_is_kept_of_a_harness_turn() {
    let place = Place::with("hello", HELLO);
    // The harness keeps its own record where it says: in its home, and nowhere else.
    let mut dry = fake_codex(&place, &script("_answer.txt"), &["--dry-run", "--json"]);
    let dry = said(&dry.stdout(Stdio::piped()).output().unwrap()).ends(0).json();
    let home = PathBuf::from(dry["provider"]["codex"]["home"].as_str().unwrap());
    fs::create_dir_all(&home).unwrap();
    let record = home.join("rollout.jsonl");
    fs::write(&record, "{\"its\": \"own record\"}\n").unwrap();
    let opening = fs::read_to_string(script("_opening.txt")).unwrap();
    let at = opening.find("\"path\":\"").unwrap() + 8;
    let was = &opening[at..at + opening[at..].find('"').unwrap()];
    let opening = opening.replace(was, record.to_str().unwrap());
    let part = |name: &str| format!("play {}\n", script(name).display());
    let lines = opening.clone() + &["_command.txt", "_answer.txt", "_end.txt"].map(part).concat();
    let script = place.write("script.txt", &lines);
    assert!(fake_codex(&place, &script, &[]).status().unwrap().success());

    let it = place.say(&["logs", "hello", "t1", "--trace", "--json"]).ends(0).json();
    assert_eq!(it["turn"], "greet/1/worker/1");
    assert_eq!(it["prompt"], "Greet as asked: x");
    assert!(it["contract"].as_str().unwrap().starts_with("# Step contract\n"), "{it}");
    assert_eq!(it["agent"]["codex"]["version"], "0.169.0");
    assert_eq!(it["policy"]["sandbox_mode"], "workspace_write", "{it}");
    assert_eq!(it["named"], "01a20b27-8116-71b1-996d-a8d90d60094e");
    assert_eq!(it["usage"]["input"], 200);
    assert_eq!(it["output"]["intact"], true);
    assert_eq!(it["request"].as_str().unwrap().len(), 64);
    assert!(it["answer"].as_str().unwrap().starts_with("The greeting is written."));
    let kinds: Vec<&str> = it["events"].as_array().unwrap().iter().map(kind).collect();
    assert_eq!(kinds, ["turn_owed", "turn_started", "session_known", "turn_ended"]);

    let digest = it["transcript"].as_str().unwrap();
    let object = |name: &str| place.say(&["logs", "hello", "t1", "--object", name]);
    assert_eq!(object(digest).ends(0).out, "{\"its\": \"own record\"}\n");
    let short = object(&digest[..8]).ends(0);
    assert_eq!(short.out, "{\"its\": \"own record\"}\n");
    assert!(short.err.contains(digest), "{}", short.err);
    object("abc").ends(2);
    object("xyz012").ends(2);
    object(&"0".repeat(64)).ends(3);

    // Everything the harness said that does not come again is in the raw stream, a line each.
    let raw = place.say(&["logs", "hello", "t1", "--raw"]).ends(0).out;
    let said: Vec<&str> = opening.lines().filter_map(|line| line.strip_prefix("say ")).collect();
    assert!(said.len() >= 6 && said.iter().all(|line| raw.lines().any(|it| it == *line)), "{raw}");
    let text = place.say(&["logs", "hello", "t1", "--trace"]).ends(0).out;
    for line in ["turn greet/1/worker/1\n", "  result: completed\n", "    | # Step contract\n"] {
        assert!(text.contains(line), "{line}: {text}");
    }
}

fn kind(event: &Value) -> &str {
    event["event"]["kind"].as_str().unwrap()
}

#[test]
fn a_turn_that_runs_is_heard_raw() {
    let place = Place::with("hello", HELLO);
    let mut run = place.begin(&format!("{WAITS}{}", answers("done")));
    wait_for("the turn", &place.path().join("begun"), &mut run);
    until("its first line", || {
        place.say(&["logs", "hello", "t1", "--raw"]).ends(0).out == "working\n"
    });
    let mut logs = place.command(&["logs", "hello", "t1", "--raw", "-f"]);
    let logs = logs.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    place.write("go", "");
    let said = said(&logs.wait_with_output().unwrap()).ends(0);
    assert_eq!(said.out, "working\n{\"outcome\": {\"tag\": \"done\"}}\n");
    run.wait().unwrap();
}
