//! `botpipe sandbox` as a person's command in a shell: pipes, signals, and nothing left of it.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use botpipe_testkit::kills::processes;

use crate::place::{Place, at_terminal, terminal, until};

fn start(place: &Place, words: &[&str]) -> Child {
    let words = [&["sandbox"], words].concat();
    let mut command = place.command(&words);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

/// The first line that it prints.
fn line(child: &mut Child) -> String {
    let mut line = String::new();
    BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
    line.trim_end().to_owned()
}

fn left(place: &Place) -> Vec<String> {
    let found = processes::left(place.path(), Duration::from_secs(10));
    found.into_iter().map(|it| it.line).collect()
}

#[test]
fn a_reader_that_goes_ends_the_command_as_in_any_pipeline() {
    let place = Place::new();
    let mut child = start(&place, &["--", "yes"]);
    assert_eq!(line(&mut child), "y");
    drop(child.stdout.take());
    assert_eq!(child.wait().unwrap().code(), Some(128 + 13));
}

#[test]
fn nothing_is_left_of_a_command_that_was_not_started() {
    let place = Place::new();
    place.write("policy.yaml", "network: sometimes\n");
    let mut child = start(&place, &["--policy", "policy.yaml", "--", "true"]);
    assert_eq!(child.wait().unwrap().code(), Some(125));
    assert_eq!(left(&place), [""; 0]);
}

#[test]
fn nothing_is_left_of_a_command_whose_botpipe_was_killed() {
    let place = Place::new();
    let mut child = start(&place, &["--", "sh", "-c", "echo begun; sleep 600 & sleep 600"]);
    assert_eq!(line(&mut child), "begun");
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(left(&place), [""; 0]);
}

#[test]
fn a_network_of_the_hosts_is_the_hosts_though_another_was_ready() {
    let place = Place::new();
    place.write("policy.yaml", "network: full\n");
    let names = |words: &[&str]| {
        let output = Command::new(words[0]).args(&words[1..]).output().unwrap();
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    };
    let own = names(&["readlink", "/proc/self/ns/net"]);
    let seen =
        place.say(&["sandbox", "--policy", "policy.yaml", "--", "readlink", "/proc/self/ns/net"]);
    assert_eq!(seen.ends(0).out.trim(), own);
    let other = place.say(&["sandbox", "--", "readlink", "/proc/self/ns/net"]);
    assert_ne!(other.ends(0).out.trim(), own);
}

/// Who judges looks through an overlay, which takes such a folder for one that shows nothing of what lies below.
#[test]
fn a_folder_that_hides_what_is_in_it_is_shown_to_nobody_who_judges() {
    let place = Place::new();
    place.write("checks/FORBIDDEN", "");
    place.write("policy.yaml", "sandbox_mode: read_only\n");
    let look = ["sandbox", "--policy", "policy.yaml", "--", "test", "-e", "checks/FORBIDDEN"];
    place.say(&look).ends(0);
    let checks = place.path().join("checks");
    let (name, flags) = ("user.overlay.opaque", rustix::fs::XattrFlags::empty());
    rustix::fs::setxattr(&checks, name, b"x", flags).unwrap();
    let said = place.say(&look).ends(125);
    assert!(said.err.contains("`setfattr -x user.overlay.opaque '"), "{said:?}");
    rustix::fs::removexattr(&checks, name).unwrap();
    place.say(&look).ends(0);
}

/// A command of a shell at a terminal, in the background with `&`.
fn in_the_background(place: &Place, script: &str, then: &str) -> (Child, std::fs::File) {
    let own = env!("CARGO_BIN_EXE_botpipe");
    let line = format!("set -m; {own} sandbox -- sh -c '{script}' & {then}");
    let mut shell = Command::new("bash");
    shell.args(["-c", &line]).current_dir(place.path());
    let (ours, theirs) = terminal();
    (at_terminal(&shell, &theirs).spawn().unwrap(), ours.into())
}

#[test]
fn a_command_in_the_background_that_reads_nothing_goes_on() {
    let place = Place::new();
    let (mut shell, ours) = in_the_background(&place, "sleep 1; echo x > made", "sleep 30");
    until("the command is done", || place.path().join("made").exists());
    shell.kill().unwrap();
    shell.wait().unwrap();
    drop(ours);
}

#[test]
fn a_command_that_comes_to_the_front_is_given_what_is_typed() {
    use std::io::Write as _;
    let place = Place::new();
    let script = "echo x > begun; read line; echo $line > heard";
    let (mut shell, mut ours) = in_the_background(&place, script, "sleep 2; fg");
    until("the command has begun", || place.path().join("begun").exists());
    std::thread::sleep(Duration::from_secs(3));
    ours.write_all(b"hello\n").unwrap();
    until("the command has heard", || {
        std::fs::read_to_string(place.path().join("heard")).is_ok_and(|it| it == "hello\n")
    });
    drop(ours);
    shell.wait().unwrap();
}

/// A name with a line break in it would say another sentence in Botpipe's name.
#[test]
fn what_is_told_of_a_name_is_one_line() {
    let place = Place::new();
    let script = "n=$(printf 'x\\033[31m\\nbotpipe sandbox: all is well'); mkdir \"$n\"; cd \"$n\"; \
                  git init -q .; printf '[core]\\n\\tfsmonitor = x\\n' >> .git/config";
    let said = place.say(&["sandbox", "--", "sh", "-c", script]).ends(0);
    let told: Vec<&str> = said.err.lines().collect();
    assert!(told.len() == 1 && told[0].contains("x\\u{1b}[31m\\nbotpipe sandbox"), "{said:?}");
}

/// Whoever gets in by a key of theirs, and what a login runs first, is no agent's to say.
#[test]
fn in_a_home_that_is_the_workspace_no_key_and_no_program_comes_to_be() {
    let place = Place::new();
    place.write(".profile", "");
    place.write(".cargo/bin/tool", "x\n");
    place.write(".local/state/botpipe/limits/x", "hush\n");
    let script = "mkdir -p .ssh bin .config/gh .config/direnv
                  for name in .ssh/authorized_keys bin/ls .config/gh/hosts.yml .config/direnv/direnvrc .gdbinit .netrc; do
                      echo x > $name
                  done
                  for name in .cargo/bin/tool .local/state/botpipe/homes; do echo x >> $name && exit 1; done
                  cat .local/state/botpipe/limits/x && exit 1
                  echo x > ordinary";
    let mut command = place.command(&["sandbox", "--", "sh", "-c", script]);
    command.env("HOME", place.path());
    command.env_remove("XDG_STATE_HOME").env_remove("BOTPIPE_ALLOW_WRITE");
    let output = command.output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{told}");
    let at = |name: &str| place.path().join(name).symlink_metadata().is_ok();
    for name in [".ssh", "bin", ".config/gh", ".config/direnv", ".gdbinit", ".netrc"] {
        assert!(!at(name), "{name}\n{told}");
    }
    assert!(at("ordinary") && !at(".local/state/botpipe/homes"), "{told}");
    assert_eq!(std::fs::read_to_string(place.path().join(".cargo/bin/tool")).unwrap(), "x\n");
}

/// Of a person's settings of git the ordinary ones hold inside, and none tells a key.
#[test]
fn settings_of_git_hold_inside_and_tell_no_key() {
    let place = Place::new();
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path().canonicalize().unwrap();
    std::fs::create_dir_all(home.join(".secrets")).unwrap();
    let settings = "[user]\n\tname = Ann\n[alias]\n\tst = status\n\
                    [url \"ssh://git@own.test/\"]\n\tinsteadOf = https://own.test/\n\
                    [http]\n\textraHeader = AUTHORIZATION: basic HUSH\n\
                    [url \"https://oauth2:HUSH@x.test/\"]\n\tinsteadOf = https://x.test/\n\
                    [include]\n\tpath = ~/.secrets/tok.inc\n";
    std::fs::write(home.join(".gitconfig"), settings).unwrap();
    let included = "[github]\n\ttoken = HUSH\n[init]\n\tdefaultBranch = trunk\n";
    std::fs::write(home.join(".secrets/tok.inc"), included).unwrap();
    let script = "git config --list --includes --global; cat ~/.gitconfig ~/.secrets/tok.inc";
    let mut command = place.command(&["sandbox", "--", "sh", "-c", script]);
    command.env("HOME", &home).env_remove("BOTPIPE_ALLOW_WRITE");
    let output = command.output().unwrap();
    let out = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success() && !out.contains("HUSH"), "{out}{output:?}");
    for kept in [
        "user.name=Ann",
        "alias.st=status",
        "url.ssh://git@own.test/.insteadof=https://own.test/",
        "init.defaultbranch=trunk",
    ] {
        assert!(out.contains(kept), "{kept}\n{out}");
    }
}

/// What agents of other makers, lazygit and shells of other people take from a workspace.
#[test]
fn what_others_run_something_by_does_not_come_to_be() {
    let place = Place::new();
    let git = Command::new("git").args(["init", "-q"]).current_dir(place.path()).status().unwrap();
    assert!(git.success());
    let names = [
        ".lazygit.yml",
        ".git/lazygit.yml",
        ".git/safe",
        ".sl/sharedpath",
        ".clinerules/hooks",
        ".codebuddy",
        ".iflow",
        "codebuff.json",
    ];
    let script = "mkdir .sl .clinerules; for name; do echo x > $name || exit; done; echo x > bin";
    let words = [&["sandbox", "--", "sh", "-c", script, "sh"], &names[..]].concat();
    let said = place.say(&words).ends(0);
    for name in names {
        assert!(place.path().join(name).symlink_metadata().is_err(), "{name}\n{}", said.err);
    }
    assert!(place.path().join("bin").is_file());
}
