//! Programs that are no harness, or none that works: what a person is told, and that nothing begins.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::Duration;

use botpipe_testkit::kills::processes;

use crate::place::{HELLO, Place};

/// A shell script; its path.
fn write(folder: &Path, name: &str, lines: &str) -> String {
    let path = folder.join(name);
    fs::write(&path, format!("#!/bin/sh\n{lines}\n")).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path.display().to_string()
}

/// A path where nothing is, and one of a text.
fn no_programs(folder: &Path) -> [String; 2] {
    fs::write(folder.join("plain"), "text").unwrap();
    ["none", "plain"].map(|name| folder.join(name).display().to_string())
}

/// What is said of a harness's program before anything is recorded or asked of it.
fn is_told(kind: &str, floor: &str, package: &str) {
    let place = Place::with("hello", HELLO);
    let programs = tempfile::tempdir().unwrap();
    let folder = programs.path();
    let [none, plain] = no_programs(folder);
    let no_such = format!("no-such-{kind}");
    // What is no version must not be asked for more than that.
    let asked = format!("test \"$1\" = --version || touch {}/asked", folder.display());
    let script = |name: &str, lines: &str| write(folder, name, &format!("{asked}\n{lines}"));
    let install = format!("npm install -g {package}");
    for (program, says, next) in [
        (none, "is no program that can be started", install.as_str()),
        (plain, "is no program that can be started", &install),
        (no_such.clone(), &format!("there is no program `{no_such}` in PATH"), &install),
        (
            script("old", "echo agent 0.12.3"),
            &format!("is version 0.12.3, and {floor} is the oldest that works"),
            "update it",
        ),
        (
            script("garbage", "echo hello; echo what >&2"),
            "said \"hello what\"",
            &format!("is it the {kind} CLI?"),
        ),
        (script("bytes", "printf '\\377\\376\\000 9.9'"), "ended with exit code 0", "is it the"),
        (script("flood", "yes 1.2 | head -c 3000000"), "ended with exit code 0", "is it the"),
        (
            script("fails", "echo broken install >&2; exit 4"),
            "ended with exit code 4",
            "broken install",
        ),
        (script("dies", "kill -SEGV $$"), "ended with signal 11", "is it the"),
        (script("silent", "sleep 600"), "did not answer within 10 s", "run it by hand"),
        (script("no_shell", "exec /nonexistent"), "exit code 127", "is it the"),
    ] {
        let args = ["run", "hello", "x", "--task", "t", "--provider", kind, "--program"];
        let said = place.say(&[&args[..], &[&program]].concat()).ends(2);
        assert!(said.err.contains(says) && said.err.contains(next), "{program}: {}", said.err);
        assert!(said.err.contains(&format!("provider `{kind}`")), "{program}: {}", said.err);
        assert!(!place.path().join(".botpipe").exists(), "{program}");
        let left = processes::left(folder, Duration::from_secs(5));
        assert!(left.is_empty(), "{left:?}");
    }
    assert!(!folder.join("asked").exists());
}

#[test]
fn a_program_that_is_no_codex_is_told_before_the_run() {
    is_told("codex", "0.160.0", "@openai/codex");
}

#[test]
fn a_program_that_is_no_claude_code_is_told_before_the_run() {
    is_told("claude", "2.1.197", "@anthropic-ai/claude-code");
}

/// An ACP agent has no version to ask for: whether it is one shows when it is spoken to.
#[test]
fn a_program_that_is_no_acp_agent_is_told() {
    let place = Place::with("hello", HELLO);
    let programs = tempfile::tempdir().unwrap();
    let folder = programs.path();
    let [none, plain] = no_programs(folder);
    let args = ["run", "hello", "x", "--task", "t", "--provider", "acp"];
    for (words, says) in [
        (&[][..], "no agent is named"),
        (&["--", "no-such-agent"], "there is no program `no-such-agent` in PATH"),
        (&["--", &none], "is no program that can be started"),
        (&["--", &plain], "is no program that can be started"),
    ] {
        let said = place.say(&[&args[..], words].concat()).ends(2);
        assert!(said.err.contains(says), "{words:?}: {}", said.err);
        assert!(said.err.contains("--provider acp -- PROGRAM"), "{words:?}: {}", said.err);
        assert!(!place.path().join(".botpipe").exists(), "{words:?}");
    }
    let hello = HELLO.to_owned() + "    retry: { max_attempts: 1 }\n    idle_timeout: 1s\n";
    place.write("workflows/hello.sop.yaml", &hello);
    for (at, (lines, class, says)) in [
        ("echo hello; echo what >&2", "protocol", "is it an agent that speaks ACP"),
        ("exec /nonexistent", "crashed", "exit code 127"),
        ("yes hello | head -c 3000000", "protocol", "is it an agent that speaks ACP"),
        ("exec cat", "protocol", "the agent refused `initialize`"),
        ("exec sleep 600", "idle_timeout", "run it by hand to see what it waits for"),
    ]
    .into_iter()
    .enumerate()
    {
        let agent = write(folder, &format!("agent{at}"), lines);
        let task = format!("t{at}");
        let args =
            ["run", "hello", "x", "--task", &task, "--json", "--provider", "acp", "--", &agent];
        let stop = &place.say(&args).ends(1).json()["stop"]["provider"];
        assert_eq!(stop["class"], class, "{lines}: {stop}");
        assert!(stop["message"].as_str().unwrap().contains(says), "{lines}: {stop}");
        let left = processes::left(folder, Duration::from_secs(5));
        assert!(left.is_empty(), "{left:?}");
    }
}

/// It says its version, and then nothing more.
#[test]
fn a_harness_that_never_answers_its_first_request_is_ended_and_told() {
    let hello = HELLO.to_owned() + "    retry: { max_attempts: 1 }\n    idle_timeout: 1s\n";
    let place = Place::with("hello", &hello);
    let open = "policy: { sandbox_mode: danger_full_access }\n";
    place.write("workflows/hello.sop.yaml", &(hello + open));
    let programs = tempfile::tempdir().unwrap();
    let (folder, home) = (programs.path(), tempfile::tempdir().unwrap());
    for (kind, version) in [("codex", "codex-cli 0.169.0"), ("claude", "2.1.330 (Claude Code)")] {
        let lines = format!(
            "case $1$2 in --version) echo '{version}'; exit;; \
             app-server--help) echo 'Usage: codex app-server'; exit;; esac\nexec sleep 600"
        );
        let program = write(folder, kind, &lines);
        let args = [
            "run",
            "hello",
            "x",
            "--task",
            kind,
            "--json",
            "--provider",
            kind,
            "--program",
            &program,
        ];
        let mut run = place.command(&args);
        run.env("HOME", home.path());
        for gone in ["XDG_STATE_HOME", "CODEX_HOME", "CLAUDE_CONFIG_DIR"] {
            run.env_remove(gone);
        }
        let said = crate::place::said(&run.output().unwrap()).ends(1).json();
        let stop = &said["stop"]["provider"];
        assert_eq!(stop["class"], "idle_timeout", "{stop}");
        let message = stop["message"].as_str().unwrap();
        assert!(message.contains("did not answer within 1s"), "{message}");
        assert!(message.contains("run it by hand to see what it waits for"), "{message}");
        let left = processes::left(folder, Duration::from_secs(5));
        assert!(left.is_empty(), "{left:?}");
    }
}
