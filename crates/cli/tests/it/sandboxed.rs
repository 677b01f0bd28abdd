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
