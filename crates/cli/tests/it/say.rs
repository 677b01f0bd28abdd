//! `botpipe say`: what a person tells a run reaches the running turn, or the next.

use std::path::Path;
use std::process::Stdio;

use crate::harness::program;
use crate::place::{HELLO, Place, Said, answers, said, wait_for};

#[test]
fn a_running_codex_turn_is_told_at_once() {
    let place = Place::with("hello", HELLO);
    let harness = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/harness/codex");
    let part = |name: &str| format!("play {}\n", harness.join(name).display());
    // It says that it is done only once it has heard what the person said.
    let heard = "run touch begun\nhear mind the ä\nrun touch heard\n";
    let lines = part("_opening.txt") + heard + &part("_answer.txt") + &part("_end.txt");
    let script = place.write("script.txt", &lines).display().to_string();
    let program = program(place.path(), "codex", "0.169.0").display().to_string();
    let args = ["run", "hello", "x", "--task", "t", "--provider", "codex", "--program", &program];
    let mut run = place.command(&[&args[..], &["--", "--script", &script]].concat());
    run.env("HOME", place.path().join("home")).env_remove("XDG_STATE_HOME");
    let mut run = run.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    wait_for("the turn", &place.path().join("begun"), &mut run);

    let told = place.say(&["say", "hello", "t", "mind the ä", "--json"]).ends(0).json();
    assert_eq!(told["said"], "delivered", "{told}");
    assert_eq!(told["turn"], "greet/1/worker/1");
    assert!(run.wait().unwrap().success());
    assert!(place.path().join("heard").exists());
    let events = place.say(&["logs", "hello", "t", "--events"]).ends(0).out;
    assert_eq!(events.matches("\"said_delivered\"").count(), 1);
    place.say(&["say", "hello", "t", "too late"]).ends(2);
}

#[test]
fn an_agent_that_cannot_be_told_hears_it_in_its_next_turn() {
    let place = Place::with("hello", HELLO);
    let agent = "cat > prompt.$(ls prompt.* 2>/dev/null | wc -l); touch begun; \
                 while [ ! -e go ]; do sleep 0.05; done; \
                 if [ -e prompt.1 ]; then T=done; else T=again; fi; \
                 printf '{\"outcome\": {\"tag\": \"%s\", \"payload\": {}, \"route_fields\": {}}}' $T";
    let args = ["run", "hello", "x", "--task", "t", "--provider", "command", "--", "sh", "-c"];
    let mut run = place.command(&[&args[..], &[agent]].concat());
    let mut run = run.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    wait_for("the turn", &place.path().join("begun"), &mut run);
    let told = place.say(&["say", "hello", "t", "mind the gap", "--json"]).ends(0).json();
    assert!(told["turn"].is_null(), "{told}");
    place.write("go", "");
    assert!(run.wait().unwrap().success());
    let prompt =
        |n: u32| std::fs::read_to_string(place.path().join(format!("prompt.{n}"))).unwrap();
    assert!(!prompt(0).contains("mind the gap"));
    assert!(prompt(1).contains("Said by the person meanwhile"), "{}", prompt(1));
    assert!(prompt(1).contains("mind the gap"));
}

#[test]
fn a_run_that_rests_keeps_it_for_when_it_goes_on() {
    let place = Place::with("hello", HELLO);
    place.run("hello", "cat > prompt; exit 1", &[]).ends(1);
    let told = place.say(&["say", "hello", "t1", "it was the disk", "--json"]).ends(0).json();
    assert_eq!(told["said"], "for_next_turn", "{told}");
    place.say(&["say", "hello", "t1", "  "]).ends(2);
    place.say(&["say", "hello", "t2", "x"]).ends(3);
    place.say(&["resume", "hello", "t1"]).ends(1);
    let prompt = std::fs::read_to_string(place.path().join("prompt")).unwrap();
    assert!(prompt.contains("it was the disk"), "{prompt}");
    assert_eq!(prompt.matches("it was the disk").count(), 1);
}

#[test]
fn what_was_said_to_an_owner_that_was_killed_is_not_lost() {
    let place = Place::with("hello", HELLO);
    let agent = "cat > prompt; touch begun; [ -e go ] || sleep 600; ".to_owned() + &answers("done");
    let args = ["run", "hello", "x", "--task", "t", "--provider", "command", "--", "sh", "-c"];
    let mut run = place.command(&[&args[..], &[&agent]].concat());
    let mut run = run.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    wait_for("the turn", &place.path().join("begun"), &mut run);
    let told: Said = said(&place.command(&["say", "hello", "t", "remember me"]).output().unwrap());
    told.ends(0);
    run.kill().unwrap();
    run.wait().unwrap();
    place.write("go", "");
    place.say(&["resume", "hello", "t"]).ends(0);
    let prompt = std::fs::read_to_string(place.path().join("prompt")).unwrap();
    assert_eq!(prompt.matches("remember me").count(), 1, "{prompt}");
}
