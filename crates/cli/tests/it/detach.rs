//! `--detach`: a Botpipe in the background owns the run, or the one at the terminal says why not.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use crate::place::{HELLO, Place, answers, at_terminal, terminal, until};

/// Says that it began, and waits for `go`; then it does the rest.
const WAITS: &str = "echo working; touch begun; until [ -e go ]; do sleep 0.02; done; ";

/// `run --detach` with this agent.
fn detached(place: &Place, agent: &str) -> Value {
    let args = ["run", "hello", "x", "--task", "t1", "--detach", "--provider", "command"];
    place.say(&[&args[..], &["--", "sh", "-c", agent]].concat()).ends(0).json()
}

/// A field of `/proc/PID/stat`, counted as proc(5) does; `None` when there is no such process.
fn stat(pid: &str, field: usize) -> Option<String> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let rest = stat.rsplit_once(") ")?.1;
    rest.split(' ').nth(field - 3).map(str::to_owned)
}

fn gone(pid: &str) -> bool {
    stat(pid, 3).is_none_or(|state| state == "Z" || state == "X")
}

fn begun(place: &Place) {
    until("the turn", || place.path().join("begun").exists());
}

#[test]
fn a_run_goes_on_in_the_background_and_is_watched_told_and_followed() {
    let place = Place::with("hello", HELLO);
    let word = detached(&place, &format!("{WAITS}cat > prompt; {}", answers("done")));
    let pid = word["pid"].to_string();
    begun(&place);
    assert_eq!(word["task"], "t1");
    assert_eq!(word["next"], "botpipe logs hello t1 --workspace . -f");
    // Its own session, no terminal, nothing of whoever started it.
    assert_eq!(stat(&pid, 6), Some(pid.clone()), "the session");
    assert_eq!(stat(&pid, 7), Some("0".to_owned()), "the terminal");
    let stream = |n: u32| fs::read_link(format!("/proc/{pid}/fd/{n}")).unwrap();
    let log = PathBuf::from(word["log"].as_str().unwrap());
    let null = PathBuf::from("/dev/null");
    assert_eq!([stream(0), stream(1), stream(2)], [null, log.clone(), log.clone()]);

    let why = place.say(&["why", "hello", "t1"]).ends(0).json();
    assert_eq!(why["owner"]["pid"].to_string(), pid);
    let list = place.say(&["runs", "list", "--status", "running"]).ends(0).json();
    assert_eq!(list["runs"][0]["run"], word["run"]);
    place.say(&["say", "hello", "t1", "mind the gap"]).ends(0);
    // A second owner is refused here and now.
    let said = place.say(&["resume", "hello", "t1", "--detach", "--json"]).ends(1);
    assert!(said.err.contains("is held by"), "{}", said.err);
    assert_eq!(said.json()["exit_code"], 1);

    place.write("go", "");
    let said = place.say(&["logs", "hello", "t1", "-f"]).ends(0);
    assert!(said.err.contains("finished after 1 step"), "{}", said.err);
    until("its end", || gone(&pid));
    let log = fs::read_to_string(&log).unwrap();
    for words in ["owns run", "step greet", "| working", "finished after 1 step"] {
        assert!(log.contains(words), "{words}: {log}");
    }
}

#[test]
fn what_is_refused_is_refused_at_the_terminal() {
    let place = Place::with("hello", HELLO);
    let agent = ["--provider", "command", "--", "sh", "-c"];
    let run = |more: &[&str], code: i32| {
        let said = place.say(&[&["run", "hello", "--detach"], more].concat()).ends(code);
        assert_eq!(said.json()["exit_code"], code, "one document: {}", said.out);
        assert!(said.err.starts_with("error"), "{}", said.err);
    };
    run(&["x", "--provider", "codex", "--program", "no-such-codex"], 2);
    place.write("workflows/hello.sop.yaml", &HELLO.replace("done: FINISH", "done: FINSH"));
    run(&["x", "--provider", "command", "--", "true"], 2);
    place.write("workflows/hello.sop.yaml", HELLO);
    place.say(&["run", "other", "x", "--detach"]).ends(3);
    place.say(&["run", "hello", "x", "--detach", "--dry-run"]).ends(2);
    assert!(!place.path().join(".botpipe").exists());

    place
        .write("workflows/hello.sop.yaml", &format!("{HELLO}policy: {{ permission_mode: ask }}\n"));
    run(&["x", "--provider", "command", "--", "true"], 7);
    place.write("workflows/hello.sop.yaml", HELLO);
    run(&["x"], 2);
    run(&["--provider", "command", "--", "true"], 2);
    let again = answers("again");
    let args = ["x", "--task", "t1", "--max-steps", "1"];
    place.say(&[&["run", "hello"], &args[..], &agent, &[&again]].concat()).ends(6);
    place.say(&["resume", "hello", "t1", "--detach"]).ends(6);
    place.say(&["answer", "hello", "t1", "--answer", "x", "--detach"]).ends(2);
    run(&["x", "--task", "t1", "--provider", "command", "--", "true"], 1);
    place.say(&["cancel", "hello", "t1"]).ends(0);
    // Over is over: as without `--detach`, that is told and nothing goes on.
    let said = place.say(&["resume", "hello", "t1", "--detach"]).ends(130);
    assert_eq!(said.json()["state"], "cancelled");
    place.say(&["run", "hello", "--background", "--detach", "x"]).ends(2);
}

#[test]
fn answers_and_resumes_go_on_in_the_background_as_well() {
    let place = Place::with("hello", HELLO);
    let agent = r#"cat > /dev/null; tag=ask; if [ -e asked ]; then touch begun
        until [ -e go ]; do sleep 0.02; done; tag=done; fi; touch asked
        echo "{\"outcome\": {\"tag\": \"$tag\", \"route_fields\": {\"question\": \"Which?\",
        \"choices\": [\"one\", \"two\"]}}}""#;
    let word = detached(&place, agent);
    place.say(&["logs", "hello", "t1", "-f"]).ends(5);
    place.say(&["resume", "hello", "t1", "--detach"]).ends(5);
    place.say(&["answer", "hello", "t1", "--answer", "three", "--detach"]).ends(2);
    let args = ["answer", "hello", "t1", "--answer", "two", "--detach", "--quiet"];
    let second = place.say(&args).ends(0).json();
    assert_eq!(second["run"], word["run"]);
    assert_ne!(second["pid"], word["pid"]);
    begun(&place);

    // A signal stops it, and it says so where its words go.
    let pid = second["pid"].to_string();
    assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
    until("its end", || gone(&pid));
    let log = fs::read_to_string(second["log"].as_str().unwrap()).unwrap();
    assert!(log.contains("reason: signal 15"), "{log}");
    let root = place.path().canonicalize().unwrap();
    let next = format!("  next: botpipe resume hello t1 --workspace {}\n", root.display());
    assert!(log.contains(&next), "{log}");

    let third = place.say(&["resume", "hello", "t1", "--detach"]).ends(0).json();
    place.say(&["cancel", "hello", "t1"]).ends(0);
    until("its end", || gone(&third["pid"].to_string()));
    assert_eq!(place.say(&["why", "hello", "t1"]).json()["cause"]["kind"], "cancelled");
}

#[test]
fn it_survives_the_end_of_its_terminal_and_has_the_environment_it_was_started_in() {
    let place = Place::with("hello", HELLO);
    let agent = format!("pwd > cwd; env > env; cat > /dev/null; {WAITS}{}", answers("done"));
    let mut run = place.command(&["run", "hello", "x", "--task", "t1", "--detach"]);
    run.args(["--pass-env", "MINE", "--provider", "command", "--", "sh", "-c", &agent]);
    run.env("MINE", "kept").env("OTHERS", "kept away");
    let (ours, theirs) = terminal();
    let mut command = at_terminal(&run, &theirs);
    let mut child = command.spawn().unwrap();
    drop(command);
    assert_eq!(child.wait().unwrap().code(), Some(0));
    begun(&place);
    drop(ours);
    place.write("go", "");
    place.say(&["logs", "hello", "t1", "-f"]).ends(0);
    let read = |name: &str| fs::read_to_string(place.path().join(name)).unwrap();
    assert_eq!(read("cwd").trim_end(), place.path().canonicalize().unwrap().to_str().unwrap());
    assert!(
        read("env").contains("MINE=kept\n") && !read("env").contains("OTHERS"),
        "{}",
        read("env")
    );
}

/// A run that is to go into the background, held up in front of the run by a harness that does not tell
/// its version yet; and the process in the background.
fn on_its_way(place: &Place) -> (Child, String) {
    let text = format!(
        "#!/bin/sh\ncd {}\n\
         case $1$2 in app-server--help) echo 'Usage: codex app-server'; exit;; esac\n\
         touch asked; until [ -e told ]; do sleep 0.02; done; echo codex-cli 0.169.0\n",
        place.path().display()
    );
    let program = place.write("codex", &text);
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    let program = program.to_str().unwrap();
    let args =
        ["run", "hello", "x", "--task", "t1", "--detach", "--provider", "codex", "--program"];
    let mut run = place.command(&[&args[..], &[program]].concat());
    let front = run.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    until("the harness", || place.path().join("asked").exists());
    let parent = front.id().to_string();
    let pids = fs::read_dir("/proc").unwrap().flatten().map(|it| it.file_name());
    let mut pids = pids.filter_map(|it| it.into_string().ok());
    let behind = pids.find(|pid| stat(pid, 4).as_ref() == Some(&parent)).unwrap();
    (front, behind)
}

#[test]
fn one_that_dies_on_its_way_is_told_at_the_terminal() {
    let place = Place::with("hello", HELLO);
    let (front, behind) = on_its_way(&place);
    assert!(Command::new("kill").args(["-KILL", &behind]).status().unwrap().success());
    let said = crate::place::said(&front.wait_with_output().unwrap()).ends(1);
    let why = "its process was ended by signal 9 before it owned the run";
    assert!(said.err.contains(why), "{}", said.err);
    assert!(!place.path().join(".botpipe").exists());
}

#[test]
fn one_that_nobody_waits_for_any_more_begins_nothing() {
    let place = Place::with("hello", HELLO);
    let (mut front, behind) = on_its_way(&place);
    front.kill().unwrap();
    front.wait().unwrap();
    place.write("told", "");
    until("its end", || gone(&behind));
    place.say(&["runs", "show", "hello", "t1"]).ends(3);
}

#[test]
fn a_log_that_cannot_be_written_is_said_and_stops_nothing() {
    let place = Place::with("hello", HELLO);
    place
        .run(
            "hello",
            "[ -e go ] || exit 1; cat > /dev/null; echo '{\"outcome\": {\"tag\": \"done\"}}'",
            &[],
        )
        .ends(1);
    let shown = place.say(&["runs", "show", "hello", "t1"]).ends(0).json();
    let run = shown["run"].as_str().unwrap();
    let log = format!(".botpipe/tasks/t1/wf_hello/runs/{run}/background.log");
    fs::create_dir(place.path().join(log)).unwrap();
    place.write("go", "");
    let word = place.say(&["resume", "hello", "t1", "--detach"]).ends(0).json();
    assert!(word["log"].is_null(), "{word}");
    assert!(word["note"].as_str().unwrap().contains("background.log"), "{word}");
    place.say(&["logs", "hello", "t1", "-f"]).ends(0);
}
