//! `botpipe sandbox` as its first users meet it: signals are the command's own, and what cannot be is refused in words.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::place::{Place, Said, said, until};

fn sandbox(place: &Place, words: &[&str]) -> Said {
    let words = [&["sandbox"], words].concat();
    said(&place.command(&words).env_remove("BOTPIPE_ALLOW_WRITE").output().unwrap())
}

/// A command that has begun: it prints `begun` as its first line.
fn begun(place: &Place, script: &str) -> (Child, BufReader<std::process::ChildStdout>) {
    let mut command = place.command(&["sandbox", "--", "sh", "-c", script]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut out = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    out.read_line(&mut line).unwrap();
    assert_eq!(line, "begun\n");
    (child, out)
}

fn send(child: &Child, signal: &str) {
    let sent = Command::new("kill").args([signal, &child.id().to_string()]).status().unwrap();
    assert!(sent.success());
}

#[test]
fn a_signal_reaches_the_command_as_itself() {
    let place = Place::new();
    for (name, number) in [("HUP", 1), ("INT", 2), ("TERM", 15)] {
        let (mut child, _out) = begun(&place, "echo begun; exec sleep 600");
        send(&child, &format!("-{name}"));
        assert_eq!(child.wait().unwrap().code(), Some(128 + number), "{name}");
        let trapped = format!("trap 'exit 7' {name}; echo begun; while :; do sleep 0.05; done");
        let (mut child, _out) = begun(&place, &trapped);
        send(&child, &format!("-{name}"));
        assert_eq!(child.wait().unwrap().code(), Some(7), "{name}");
    }
}

#[test]
fn a_second_interrupt_ends_what_ignores_the_first_and_leaves_nothing_behind() {
    let place = Place::new();
    let git = Command::new("git").args(["init", "-q"]).current_dir(place.path()).status().unwrap();
    assert!(git.success());
    let stubborn = "trap 'touch told' INT; echo begun; while :; do sleep 0.05; done";
    let (mut child, _out) = begun(&place, stubborn);
    let stand_ins = [".botpipe", ".git/commondir"].map(|name| place.path().join(name));
    assert!(stand_ins.iter().all(|path| path.exists()));
    send(&child, "-INT");
    until("the first interrupt is told", || place.path().join("told").exists());
    assert!(child.try_wait().unwrap().is_none());
    send(&child, "-INT");
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert!(!stand_ins.iter().any(|path| path.exists()));
}

#[test]
fn the_command_stands_still_and_goes_on_with_botpipe() {
    let place = Place::new();
    let beat = place.path().join("beat");
    let (mut child, _out) =
        begun(&place, "echo begun; while :; do echo x >> beat; sleep 0.05; done");
    let size = || beat.metadata().map_or(0, |it| it.len());
    until("the command beats", || size() > 0);
    send(&child, "-TSTP");
    until("the command stands still", || {
        let before = size();
        std::thread::sleep(Duration::from_millis(400));
        size() == before
    });
    let before = size();
    send(&child, "-CONT");
    until("the command goes on", || size() > before);
    send(&child, "-TERM");
    assert_eq!(child.wait().unwrap().code(), Some(143));
}

#[test]
fn a_policy_that_says_nothing_is_the_empty_one() {
    let place = Place::new();
    for text in ["", "# nothing yet\n", "---\n", "null\n", "{}\n"] {
        place.write("policy.yaml", text);
        let said = sandbox(&place, &["--policy", "policy.yaml", "--", "true"]).ends(0);
        assert_eq!(said.err, "", "{text:?}");
    }
}

#[test]
fn what_a_policy_asks_for_and_nobody_keeps_is_refused_with_a_way_out() {
    let place = Place::new();
    for (policy, what) in [
        (
            "strict: true\nlimits: { cpu: 10s }\n",
            "`limits.cpu: 10s`, and that is only kept in part",
        ),
        ("permission_mode: full_auto_unsandboxed\n", "`sandbox_mode: danger_full_access`"),
        ("network: full\ndeny_network_domains: [a.example]\n", "`network: limited`"),
    ] {
        place.write("policy.yaml", policy);
        let said = sandbox(&place, &["--policy", "policy.yaml", "--", "true"]).ends(125);
        assert!(said.err.contains(what), "{policy}: {}", said.err);
        // Where its author lets it pass, it is said.
        place.write("policy.yaml", &format!("{policy}validation: warn\n"));
        let said = sandbox(&place, &["--policy", "policy.yaml", "--", "true"]).ends(0);
        assert!(said.err.starts_with("botpipe sandbox: "), "{policy}: {}", said.err);
    }
}

/// No line of another file would permit it.
#[test]
fn a_policy_that_a_command_cannot_have_is_named_by_its_file() {
    let place = Place::new();
    place.write("botpipe.yaml", "policy: { permission_mode: ask }\n");
    place.write("policy.yaml", "permission_mode: full_auto_sandboxed\n");
    let said = sandbox(&place, &["--policy", "policy.yaml", "--", "true"]).ends(125);
    let named = "`botpipe.yaml` asks for `permission_mode: ask`, and";
    assert!(said.err.contains(named) && said.err.contains("in there permits it"), "{}", said.err);
}

/// What `run` refuses for an agent that is a plain program is refused here, in the same words.
#[test]
fn a_policy_is_refused_to_a_command_as_to_a_step() {
    const WORK: &str =
        "sop: 1\nname: work\npolicy: { POLICY }\nsteps:\n  - { id: do, prompt: Do it. }\n";
    for (policy, why) in [
        ("sandbox_mode: danger_full_access, allow_write: [src]", "`allow_write: [src]` without a"),
        ("sandbox_mode: danger_full_access, allow_read: [src]", "`allow_read: [src]` without a"),
        ("permission_mode: ask", "`permission_mode: ask`, and"),
        ("deny_permissions: [Bash(rm *)]", "only Claude Code has rules"),
        ("permission_mode: full_auto_unsandboxed", "and there is a sandbox around"),
        ("strict: true, deny_read: [.env]", "`deny_read: [.env]` is only watched"),
    ] {
        let place = Place::with("work", &WORK.replace("POLICY", policy));
        place.write("src/kept", "");
        let policy_file = place.write("policy.yaml", &format!("{{ {policy} }}\n"));
        let policy_file = policy_file.to_str().unwrap();
        for said in [
            sandbox(&place, &["--policy", policy_file, "--", "touch", "ran"]).ends(125),
            place.run("work", "touch ran", &[]).ends(7),
        ] {
            assert!(said.err.contains(why) && said.err.contains("permits"), "{policy}: {said:?}");
        }
        assert!(!place.path().join("ran").exists(), "{policy}");
    }
}

/// A mode that leaves no sandbox, in the layer that leaves the sandbox where it is, is refused to scripts as well;
/// where another layer has the sandbox, the mode is for the agents beside them.
#[test]
fn a_mode_without_a_sandbox_in_one_is_refused_to_scripts_as_to_commands() {
    const WORK: &str =
        "sop: 1\nname: work\npolicy: { POLICY }\nsteps:\n  - { id: do, run: touch ran, REST }\n";
    let run = |policy: &str, rest: &str| {
        let place = Place::with("work", &WORK.replace("POLICY", policy).replace("REST", rest));
        place.say(&["run", "work", "--task", "t1"])
    };
    let said = run("permission_mode: full_auto_unsandboxed", "").ends(7);
    assert!(said.err.contains("sandbox_mode: danger_full_access"), "{said:?}");
    let both = "permission_mode: full_auto_unsandboxed, sandbox_mode: danger_full_access";
    run(both, "policy: { sandbox_mode: workspace_write }").ends(0);
}

#[test]
fn what_cannot_be_run_is_told_in_words() {
    let place = Place::new();
    let said = sandbox(&place, &["--", ""]).ends(127);
    assert!(said.err.contains("the command is empty"), "{said:?}");
    let own = env!("CARGO_BIN_EXE_botpipe");
    let mut command = place.command(&["sandbox", "--", own, "sandbox", "--", "true"]);
    command.env("BOTPIPE_ALLOW_READ", own);
    let said = crate::place::said(&command.output().unwrap()).ends(125);
    assert!(said.err.contains("in a sandbox of Botpipe's already"), "{said:?}");
    let apart = tempfile::tempdir_in("/dev/shm").unwrap();
    let path = apart.path().to_str().unwrap();
    let said = sandbox(&place, &["--workspace", path, "--", "true"]).ends(125);
    assert!(said.err.contains("lies in `/dev`"), "{said:?}");
}

#[test]
fn a_grant_that_would_grant_nothing_is_an_error() {
    let place = Place::new();
    for (name, value) in [
        ("BOTPIPE_ALLOW_READ", "rel"),
        ("BOTPIPE_ALLOW_READ", "~/x"),
        ("BOTPIPE_ALLOW_WRITE", "/no/such/folder"),
        ("BOTPIPE_ALLOW_CONNECT", ":::"),
    ] {
        let mut command = place.command(&["sandbox", "--", "true"]);
        command.env_remove("BOTPIPE_ALLOW_WRITE").env(name, value);
        let said = said(&command.output().unwrap());
        assert_ne!(said.code, 0, "{name}={value}");
        assert!(said.err.contains(name) && said.err.contains(value), "{said:?}");
    }
}

/// What is said when a run begins holds to its end.
#[test]
fn a_run_that_begins_with_a_warning_goes_on() {
    let workflow = "sop: 1\nname: work\npolicy: { POLICY, validation: warn }\nsteps:\n  - { id: do, prompt: Do it. }\n";
    for policy in [
        "network: full, deny_network_domains: [a.example]",
        "sandbox_mode: danger_full_access, network: full, deny_read: [.env]",
        "permission_mode: full_auto_unsandboxed",
    ] {
        let place = Place::with("work", &workflow.replace("POLICY", policy));
        let agent = "cat > /dev/null; echo '{\"outcome\": {\"tag\": \"done\"}}'";
        let said = place.run("work", agent, &[]).ends(0);
        assert!(said.err.contains("which is not enforced"), "{policy}: {}", said.err);
    }
}
