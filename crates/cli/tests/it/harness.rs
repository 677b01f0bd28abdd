//! Harnesses that break: each file in `tests/harness/` is played to `botpipe run`, and says what must
//! come of it.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::place::{HELLO, Place, said, without_settings};
use crate::scenario::{self, Scenario};
use botpipe_testkit::kills::processes;
use botpipe_testkit::programs;

/// Plays a scenario with a fake harness; what is not as expected.
fn play(scenario: &Scenario, kind: &str, program: &Path, flags: &[&str]) -> Result<(), String> {
    let place = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let work = place.path().join("work");
    fs::create_dir(&work).unwrap();
    fs::write(work.join("greet.sop.yaml"), scenario.workflow("Greet.")).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_botpipe"));
    without_settings(&mut command);
    command.args(["run", "./greet.sop.yaml", "--task", "t", "--json", "--provider", kind]);
    if kind == "acp" {
        command.arg("--").arg(program);
    } else {
        command.arg("--program").arg(program).args(flags).arg("--");
    }
    command.arg("--script").arg(scenario.path());
    command.current_dir(&work).env("HOME", place.path()).env("NO_COLOR", "1");
    for gone in ["XDG_STATE_HOME", "CODEX_HOME", "CLAUDE_CONFIG_DIR"] {
        command.env_remove(gone);
    }
    let said = said(&command.stdin(Stdio::null()).output().unwrap());
    let left = processes::left(place.path(), Duration::from_secs(5));
    if !left.is_empty() {
        return Err(format!("left behind: {left:?}"));
    }
    scenario.judge(&said, &scenario::events(&work), |_, _| None)
}

/// The fake harness under the name of a harness and its version.
pub(crate) fn program(folder: &Path, kind: &str, version: &str) -> PathBuf {
    let program = folder.join(format!("{kind}.{version}"));
    symlink(programs::find("fake-harness").unwrap(), &program).unwrap();
    program
}

/// `run hello` of task `t1` with the fake Codex, which plays a script.
pub(crate) fn fake_codex(place: &Place, script: &Path, more: &[&str]) -> Command {
    let codex = place.path().join("codex.0.169.0");
    if !codex.exists() {
        program(place.path(), "codex", "0.169.0");
    }
    let mut run = place.command(&["run", "hello", "x", "--task", "t1", "--provider", "codex"]);
    run.arg("--program").arg(codex).args(more).args(["--", "--script"]).arg(script);
    at_home(&mut run, place);
    run.stdout(Stdio::null()).stderr(Stdio::null());
    run
}

/// With a home of the place's own, for a harness's.
pub(crate) fn at_home(command: &mut Command, place: &Place) {
    command.env("HOME", place.path().join("home"));
    for gone in ["XDG_STATE_HOME", "CODEX_HOME", "CLAUDE_CONFIG_DIR"] {
        command.env_remove(gone);
    }
}

/// Plays all scenarios of a folder, a few at a time.
fn play_all(folder: &str, kind: &str, version: &str, flags: &[&str], least: usize) {
    let programs = tempfile::tempdir().unwrap();
    let program = program(programs.path(), kind, version);
    let folder = format!("harness/{folder}");
    scenario::play_all(&folder, least, 4, |scenario| play(scenario, kind, &program, flags));
}

#[test]
fn codex_as_it_was_captured_and_broken() {
    play_all("codex", "codex", "0.169.0", &[], 40);
}

#[test]
fn codex_exec_as_it_was_captured_and_broken() {
    play_all("codex_exec", "codex", "0.169.0", &["--codex-interface", "exec"], 35);
}

#[test]
fn claude_as_it_was_captured_and_broken() {
    play_all("claude", "claude", "2.1.330", &[], 80);
}

/// One whose app server is gone is driven by exec: said, and recorded; not so where the app server was
/// asked for.
#[test]
fn codex_without_an_app_server_is_driven_by_exec_and_never_silently() {
    let place = Place::with("hello", HELLO);
    let programs = tempfile::tempdir().unwrap();
    let program = program(programs.path(), "codex_without_app_server", "0.169.0");
    let program = program.to_str().unwrap();
    let script =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/harness/codex_exec/an_answer.txt");
    let run = |flags: &[&str]| {
        let mut args = vec!["run", "hello", "x", "--task", "t", "--provider", "codex", "--program"];
        args.push(program);
        args.extend(flags);
        args.extend(["--", "--script", script.to_str().unwrap()]);
        let mut run = place.command(&args);
        run.env("HOME", programs.path()).env_remove("XDG_STATE_HOME").env_remove("CODEX_HOME");
        said(&run.output().unwrap())
    };
    let refused = run(&["--codex-interface", "app_server"]).ends(2);
    assert!(refused.err.contains("app-server --help` knows no such command"), "{}", refused.err);
    assert!(refused.err.contains("leave the choice of its interface out"), "{}", refused.err);
    assert!(!place.path().join(".botpipe").exists());

    let done = run(&[]).ends(0);
    let why = "app-server --help` knows no such command, so Codex is driven by `codex exec --json`";
    assert!(done.err.contains(why), "{}", done.err);
    let shown = place.say(&["runs", "show", "hello", "t"]).ends(0).json();
    assert_eq!(shown["provider"]["codex"]["interface"], "exec");
    let events = place.say(&["logs", "hello", "t", "--events"]).ends(0).out;
    assert!(events.contains(r#""interface":"exec","interface_because":"`"#), "{events}");
}

#[test]
fn an_interface_of_codex_is_nothing_for_others() {
    let place = Place::with("hello", HELLO);
    for (provider, says) in [
        ("claude", "`--codex-interface` belongs to `--provider codex`"),
        ("command", "`--codex-interface` belongs to a harness"),
    ] {
        let args = ["run", "hello", "x", "--provider", provider, "--codex-interface", "exec"];
        let said = place.say(&args).ends(2);
        assert!(said.err.contains(says), "{}", said.err);
    }
}

/// A harness is interrupted before it is asked to end, as Ctrl-C would; a plain program is only asked.
#[test]
fn a_silent_harness_gets_sigint_then_sigterm_and_a_silent_program_sigterm() {
    let step = "    prompt: Greet.\n    idle_timeout: 1s\n    retry: { max_attempts: 1 }\n";
    let open = "policy: { sandbox_mode: danger_full_access }\n";
    let hello = format!("sop: 1\nname: hello\n{open}steps:\n  - id: hello\n{step}");
    let place = Place::with("hello", &hello);
    let notes = "trap 'echo INT >> noted' INT; trap 'echo TERM >> noted; exit 0' TERM; \
                 while :; do sleep 0.05; done";
    let program = place.write(
        "codex",
        &format!(
            "#!/bin/sh\ncase $1$2 in --version) echo codex-cli 0.169.0; exit;; \
             app-server--help) echo 'Usage: codex app-server'; exit;; esac\n{notes}\n"
        ),
    );
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    let program = program.to_str().unwrap();
    let noted = || fs::read_to_string(place.path().join("noted")).unwrap();
    let args = ["run", "hello", "x", "--task", "t", "--provider", "codex", "--program", program];
    let home = place.path().join("home");
    let mut run = place.command(&args);
    run.env("HOME", home).env_remove("XDG_STATE_HOME").env_remove("CODEX_HOME");
    said(&run.output().unwrap()).ends(1);
    assert_eq!(noted(), "INT\nTERM\n");
    fs::remove_file(place.path().join("noted")).unwrap();
    place.run("hello", notes, &[]).ends(1);
    assert_eq!(noted(), "TERM\n");
}

#[test]
fn an_acp_agent_as_it_was_captured_and_broken() {
    play_all("acp", "acp", "0.0.0", &[], 40);
}

/// A program of this name in a folder, for `PATH`.
fn in_path(folder: &Path, name: &str, lines: &str) -> String {
    let path = folder.join(name);
    fs::write(&path, format!("#!/bin/sh\n{lines}\n")).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    format!("{}:{}", folder.display(), std::env::var("PATH").unwrap())
}

#[test]
fn at_a_limit_the_run_goes_on_with_the_harness_it_was_told_to_fall_back_to() {
    let place = Place::with("hello", HELLO);
    let answer = r#"{"type":"result","subtype":"success","is_error":false,"session_id":"s","result":"{\"outcome\": {\"tag\": \"done\", \"payload\": {}, \"route_fields\": {}}}","terminal_reason":"completed"}"#;
    let claude = format!(
        "case $1 in --version) echo '2.1.330 (Claude Code)';; \
         *) touch claude_was_asked; printf '%s\\n' '{answer}';; esac"
    );
    // Where no agent writes.
    let installed = tempfile::tempdir().unwrap();
    let path = in_path(installed.path(), "claude", &claude);
    let program = program(place.path(), "codex", "0.169.0").display().to_string();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/harness/codex/usage_limit.txt");
    let run = |more: &[&str]| {
        let mut command =
            place.command(&["run", "hello", "x", "--task", "t", "--provider", "codex"]);
        command.args(["--program", &program]).args(more).args(["--", "--script"]).arg(&script);
        command.env("HOME", place.path().join("home")).env_remove("XDG_STATE_HOME");
        command.env_remove("BOTPIPE_ALLOW_WRITE");
        command.env("BOTPIPE_ALLOW_READ", env!("CARGO_MANIFEST_DIR"));
        said(&command.env("PATH", &path).output().unwrap())
    };
    run(&["--fallback", "claude"]).ends(2);
    run(&["--on-limit", "fallback"]).ends(2);
    run(&["--on-limit", "fallback", "--fallback", "gemini"]).ends(2);
    let said = run(&["--on-limit", "fallback", "--fallback", "claude:opus"]).ends(0);
    assert!(said.err.contains("falls back to claude 2.1.330, model opus"), "{}", said.err);
    assert!(place.path().join("claude_was_asked").exists());
    let events = place.say(&["logs", "hello", "t", "--events"]).ends(0).out;
    assert_eq!(events.matches("\"fell_back\"").count(), 1, "{events}");
}

#[test]
fn a_limit_holds_every_run_on_the_login_until_it_is_over() {
    let place = Place::with("hello", HELLO);
    let program = program(place.path(), "codex", "0.169.0").display().to_string();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/harness/codex");
    let run = |task: &str, script: &str, more: &[&str]| {
        let mut command =
            place.command(&["run", "hello", "x", "--task", task, "--provider", "codex"]);
        command.args(["--program", &program]).args(more).args(["--", "--script"]);
        command.arg(folder.join(script)).env("HOME", place.path().join("home"));
        said(&command.env_remove("XDG_STATE_HOME").output().unwrap())
    };
    let said = run("t", "usage_limit.txt", &["--on-limit", "pause", "--json"]).ends(5);
    let end = said.json();
    assert_eq!(end["state"], "waiting", "{end}");
    assert_eq!(end["hold"]["class"], "usage_limit");
    assert_eq!(end["hold"]["until"].as_u64().unwrap(), 4_102_444_800_000);
    assert!(said.err.contains("waits until 2100-01-01 00:00:00 UTC"), "{}", said.err);
    let list = place.say(&["runs", "list"]).ends(0).json();
    assert_eq!(list["runs"][0]["state"], "waiting");
    assert_eq!(list["runs"][0]["until"].as_u64().unwrap(), 4_102_444_800_000);

    // Another run on the same login is not even started.
    let other = run("u", "an_answer.txt", &["--on-limit", "fail", "--json"]).ends(1).json();
    assert_eq!(other["stop"]["provider"]["class"], "usage_limit", "{other}");
    let events = place.say(&["logs", "hello", "u", "--events"]).ends(0).out;
    assert!(!events.contains("turn_started"), "{events}");

    // Another login is free.
    run("v", "an_answer.txt", &["--base-url", "http://127.0.0.1:1/v1"]).ends(0);
}
