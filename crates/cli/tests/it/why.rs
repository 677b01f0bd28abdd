//! `botpipe why`: for every way a run can stand, what holds it, and the command that moves it on.

use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::harness::fake_codex;
use crate::place::{HELLO, Place, answers, until, wait_for};

fn why(place: &Place) -> Value {
    place.say(&["why", "hello", "t1", "--json"]).ends(0).json()
}

/// What `next` says is done, and how that ends.
#[track_caller]
fn follow(place: &Place, why: &Value, code: i32) {
    let next = why["next"].as_str().unwrap();
    let args: Vec<&str> = next.split(' ').skip(1).collect();
    place.say(&args).ends(code);
}

/// A run with the fake Codex, which plays a script.
fn codex(place: &Place, script: &str, more: &[&str]) -> Command {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/harness/codex").join(script);
    fake_codex(place, &script, more)
}

#[test]
fn a_question() {
    let place = Place::with("hello", HELLO);
    let agent = r#"cat > /dev/null; tag=done; [ -e asked ] || tag=ask; touch asked
        echo "{\"outcome\": {\"tag\": \"$tag\", \"route_fields\": {\"question\": \"Which?\",
        \"choices\": [\"one\", \"two\"]}}}""#;
    place.run("hello", agent, &[]).ends(5);
    let it = why(&place);
    assert_eq!(it["cause"]["kind"], "question", "{it}");
    assert_eq!(it["cause"]["question"], "Which?");
    assert_eq!(it["unblocks"], "one of the choices");
    assert_eq!(it["next"], "botpipe answer hello t1 --workspace . --answer one");
    assert!(it["since"].as_u64() <= it["at"].as_u64() && it["owner"].is_null());
    follow(&place, &it, 0);
}

#[test]
fn a_limit_a_failure_and_the_two_ends() {
    let place = Place::with("hello", HELLO);
    place.run("hello", &answers("again"), &["--max-steps", "1"]).ends(6);
    let it = why(&place);
    assert_eq!(it["cause"]["kind"], "limit", "{it}");
    assert_eq!(it["next"], "botpipe resume hello t1 --workspace . --max-steps 2");
    follow(&place, &it, 6);
    place.say(&["cancel", "hello", "t1"]).ends(0);
    let it = why(&place);
    assert_eq!(it["cause"]["kind"], "cancelled");
    assert!(it["next"].is_null() && it["unblocks"].is_null(), "{it}");

    place.run("hello", "cat > /dev/null; exit 3", &[]).ends(1);
    let it = why(&place);
    assert_eq!(it["cause"]["kind"], "provider", "{it}");
    assert_eq!(it["cause"]["stop"]["provider"]["class"], "crashed");
    assert!(it["unblocks"].as_str().unwrap().contains("logs --raw"), "{it}");
    assert_eq!(it["next"], "botpipe resume hello t1 --workspace .");
    place.say(&["cancel", "hello", "t1"]).ends(0);

    place.run("hello", &answers("refused"), &[]).ends(4);
    let it = why(&place);
    assert_eq!(
        (&it["cause"]["kind"], &it["cause"]["verdict"]),
        (&"finished".into(), &"rejected".into())
    );
    assert_eq!(it["cause"]["route"], "refused");
    place.say(&["why", "hello", "t2"]).ends(3);
}

#[test]
fn a_turn_at_work_and_then_its_owner_lost() {
    let clocks =
        HELLO.replace("    routes:", "    timeout: 1h\n    idle_timeout: 30m\n    routes:");
    let place = Place::with("hello", &clocks);
    let agent = "[ -e go ] && { cat > /dev/null; A; exit; }; echo working; touch begun; sleep 600";
    let mut run = place.begin(&agent.replace('A', &answers("done")));
    wait_for("the turn", &place.path().join("begun"), &mut run);
    let mut it = Value::Null;
    until("the turn's process", || {
        it = why(&place);
        it["cause"]["process"]["pid"].is_u64()
    });
    assert_eq!(it["cause"]["kind"], "turn", "{it}");
    assert_eq!(it["cause"]["turn"], "greet/1/worker/1");
    assert_eq!(it["owner"]["pid"], run.id());
    assert_eq!(it["owner"]["alive"], true);
    let clock = |n: usize| it["cause"]["deadlines"][n].clone();
    assert_eq!((&clock(0)["clock"], &clock(1)["clock"]), (&"idle".into(), &"wall".into()));
    let (sign, at) = (it["cause"]["last_sign"].as_u64().unwrap(), clock(0)["at"].as_u64().unwrap());
    assert_eq!(at, sign + 30 * 60 * 1000);
    assert_eq!(it["until"], at);
    assert_eq!(it["next"], "botpipe logs hello t1 --workspace . -f");

    run.kill().unwrap();
    run.wait().unwrap();
    let it = why(&place);
    assert_eq!(it["cause"]["kind"], "owner_lost", "{it}");
    assert_eq!(it["cause"]["turn"], "greet/1/worker/1");
    assert_eq!(it["cause"]["on_interrupt"], "resume");
    assert_eq!(it["owner"]["alive"], false);
    place.write("go", "");
    follow(&place, &it, 0);
}

#[test]
fn a_signal_and_a_run_in_the_way() {
    let place = Place::with("hello", HELLO);
    let mut run = place.begin("touch begun; sleep 600");
    wait_for("the turn", &place.path().join("begun"), &mut run);
    let pid = run.id().to_string();
    assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
    assert_eq!(run.wait().unwrap().code(), Some(143));
    let it = why(&place);
    assert_eq!(it["cause"]["kind"], "signal", "{it}");
    assert_eq!(it["behind"], Value::Null);

    let agent = "touch other; sleep 600";
    let args = ["run", "hello", "x", "--task", "t2", "--provider", "command", "--", "sh", "-c"];
    let mut other = place.command(&[&args[..], &[agent]].concat());
    let mut other = other.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    wait_for("the other turn", &place.path().join("other"), &mut other);
    let it = why(&place);
    assert_eq!(it["behind"]["task"], "t2", "{it}");
    assert_eq!(it["behind"]["pid"], other.id());
    other.kill().unwrap();
    other.wait().unwrap();
    assert_eq!(why(&place)["behind"], Value::Null);
}

#[test]
fn a_limit_of_the_account_with_and_without_somebody_who_waits() {
    let place = Place::with("hello", HELLO);
    let paused = codex(&place, "usage_limit.txt", &["--on-limit", "pause"]).status().unwrap();
    assert_eq!(paused.code(), Some(5));
    let it = why(&place);
    assert_eq!(it["cause"]["kind"], "hold", "{it}");
    assert_eq!(it["cause"]["class"], "usage_limit");
    assert_eq!(it["cause"]["attended"], false);
    assert!(it["cause"]["login"].as_str().unwrap().starts_with("codex with "), "{it}");
    assert_eq!(it["until"], 4_102_444_800_000_u64);
    assert_eq!(it["next"], "botpipe resume hello t1 --workspace .");
    place.say(&["cancel", "hello", "t1"]).ends(0);

    let mut waits = codex(&place, "usage_limit.txt", &[]).spawn().unwrap();
    let mut it = Value::Null;
    until("the wait", || {
        it = place.say(&["why", "hello", "t1", "--json"]).json();
        it["cause"]["kind"] == "hold"
    });
    assert_eq!(it["cause"]["attended"], true, "{it}");
    assert_eq!(it["owner"]["pid"], waits.id());
    assert_eq!(it["next"], "botpipe logs hello t1 --workspace . -f");
    waits.kill().unwrap();
    waits.wait().unwrap();
    assert_eq!(why(&place)["cause"]["attended"], false);
}

#[test]
fn a_login_that_is_not_accepted_says_how_to_log_in() {
    let place = Place::with("hello", HELLO);
    codex(&place, "unauthorized.txt", &[]).status().unwrap();
    let it = why(&place);
    assert_eq!(it["cause"]["stop"]["provider"]["class"], "auth", "{it}");
    assert!(it["unblocks"].as_str().unwrap().contains("`codex login`"), "{it}");
}
