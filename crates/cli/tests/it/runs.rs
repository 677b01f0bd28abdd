//! Runs of a tiny workflow with a shell script as the agent: every way a run can stand.

use serde_json::json;

use crate::place::{HELLO, Place, answers};

#[test]
fn a_run_finishes_and_can_be_looked_at() {
    let place = Place::with("hello", HELLO);
    let said = place.run("hi", &answers("done"), &[]).ends(0);
    let end = said.json();
    assert_eq!(end["task"], "t1");
    assert_eq!(end["workflow"], "hello");
    assert_eq!(end["state"], "finished");
    assert!(said.err.contains("step greet"), "{}", said.err);
    assert!(said.err.contains("finished after 1 step\n"), "{}", said.err);

    let list = place.say(&["runs", "list"]).ends(0).json();
    assert_eq!(list["runs"][0]["run"], end["run"]);
    assert_eq!(list["runs"][0]["state"], "finished");
    let none = place.say(&["runs", "list", "--status", "waiting"]).ends(0).json();
    assert_eq!(none["runs"], json!([]));

    let show = place.say(&["runs", "show", "hello", "t1"]).ends(0).json();
    let step = json!({ "step": "greet", "item": null, "visits": 1, "routes": ["done"] });
    assert_eq!(show["steps"], json!([step]));
    let run = end["run"].as_str().unwrap();
    place.say(&["runs", "show", "hello", "t1", "--run-id", run]).ends(0);
    place.say(&["runs", "show", "hello", "t1", "--run-id", "r0"]).ends(3);

    let log = place.say(&["logs", "hello", "t1", "-f"]).ends(0).out;
    assert!(log.contains("step greet\n"), "{log}");
    let log = place.say(&["logs", "hello", "t1", "--events"]).ends(0).out;
    let first: serde_json::Value = serde_json::from_str(log.lines().next().unwrap()).unwrap();
    assert_eq!(first["seq"], 1);
    assert_eq!(first["event"]["kind"], "run_created");
}

#[test]
fn quiet_says_nothing_but_the_result() {
    let place = Place::with("hello", HELLO);
    let said = place.run("hello", &answers("done"), &["-q"]).ends(0);
    assert_eq!(said.err, "");
    assert_eq!(said.json()["exit_code"], 0);
}

#[test]
fn a_failed_run_is_rejected() {
    let place = Place::with("hello", HELLO);
    let said = place.run("hello", &answers("refused"), &[]).ends(4);
    assert_eq!(said.json()["state"], "finished (rejected)");
}

#[test]
fn a_limit_stops_the_run_and_the_next_command_raises_it() {
    let place = Place::with("hello", HELLO);
    let agent = "cat > /dev/null; n=$(cat n 2>/dev/null || echo 0); echo $((n + 1)) > n
        tag=again; if [ $n -ge 2 ]; then tag=done; fi
        echo \"{\\\"outcome\\\": {\\\"tag\\\": \\\"$tag\\\"}}\"";
    let said = place.run("hello", agent, &["--max-steps", "2"]).ends(6);
    let next = "botpipe resume hello t1 --workspace . --max-steps 4";
    assert_eq!(said.json()["next"], next);
    assert!(said.err.contains(&format!("  next: {next}\n")), "{}", said.err);
    place.say(&["resume", "hello", "t1"]).ends(6);
    let args: Vec<&str> = next.split(' ').skip(1).collect();
    place.say(&args).ends(0);
}

#[test]
fn files_of_a_run_that_say_what_they_should_are_not_written_again() {
    use std::os::unix::fs::MetadataExt as _;
    let place = Place::with("hello", HELLO);
    place.run("hello", &answers("again"), &["--max-steps", "1"]).ends(6);
    // A file that is written is another one.
    let file = |relative: &str| {
        let path = place.path().join(".botpipe/tasks/t1").join(relative);
        let file = std::fs::metadata(&path);
        let file = file.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        (file.ino(), file.ctime(), file.ctime_nsec())
    };
    let run = place.say(&["runs", "list"]).ends(0).json()["runs"][0]["run"].clone();
    let run = format!("wf_hello/runs/{}/run.json", run.as_str().unwrap());
    let before = (file("request.md"), file(&run));
    place.say(&["resume", "hello", "t1", "--max-steps", "2"]).ends(6);
    assert_eq!(file("request.md"), before.0);
    assert_ne!(file(&run), before.1);
}

#[test]
fn a_run_is_resumed_although_its_file_is_gone() {
    let place = Place::with("hello", HELLO);
    place.run("hello", &answers("again"), &["--max-steps", "1"]).ends(6);
    std::fs::remove_file(place.path().join("workflows/hello.sop.yaml")).unwrap();
    place.say(&["resume", "hello", "t1", "--max-steps", "2"]).ends(6);
}

#[test]
fn a_question_waits_for_an_answer() {
    let text =
        HELLO.replace("ask: AWAIT_INPUT", "ask: { to: AWAIT_INPUT, answer: { type: integer } }");
    let place = Place::with("hello", &text);
    let agent = r#"cat > /dev/null; tag=done; if [ ! -e asked ]; then tag=ask; fi; touch asked
        echo "{\"outcome\": {\"tag\": \"$tag\", \"route_fields\": {\"question\": \"How many?\"}}}""#;
    let said = place.run("hello", agent, &[]).ends(5);
    assert_eq!(said.json()["state"], "waiting");
    assert!(
        said.err.contains("  next: botpipe answer hello t1 --workspace . --answer "),
        "{}",
        said.err
    );
    place.say(&["resume", "hello", "t1"]).ends(5);
    place.say(&["answer", "hello", "t1", "--answer", "many"]).ends(2);
    let list = place.say(&["runs", "list", "--status", "waiting"]).ends(0).json();
    assert_eq!(list["runs"].as_array().unwrap().len(), 1);
    place.say(&["answer", "hello", "t1", "--answer", "42"]).ends(0);
    place.say(&["answer", "hello", "t1", "--answer", "42"]).ends(2);
}

#[test]
fn a_run_that_fails_can_be_resumed_or_cancelled() {
    let place = Place::with("hello", HELLO);
    let said = place.run("hello", "exit 3", &[]).ends(1);
    assert_eq!(said.json()["next"], "botpipe resume hello t1 --workspace .");
    place.say(&["cancel", "hello", "t1"]).ends(0);
    place.say(&["resume", "hello", "t1"]).ends(130);
    place.say(&["cancel", "hello", "t1"]).ends(2);
}

#[test]
fn a_recording_that_does_not_fit_is_a_mismatch() {
    let place = Place::with("hello", HELLO);
    let cassette =
        place.write("empty.json", r#"{"cassette": 1, "workflow": "ralph_loop", "turns": {}}"#);
    let cassette = cassette.to_str().unwrap();
    let args = ["run", "hello", "hello", "--provider", "replay", "--cassette", cassette];
    place.say(&args).ends(9);
}

#[test]
fn bad_requests_are_usage_errors() {
    let place = Place::with("hello", HELLO);
    place.say(&["run", "hello"]).ends(2);
    place.say(&["run", "hello", "x"]).ends(2);
    place.say(&["run", "hello", "x", "--provider", "command"]).ends(2);
    place.say(&["run", "hello", "x", "--provider", "replay"]).ends(2);
    place.say(&["run", "hello", "x", "--", "true"]).ends(2);
    place.say(&["run", "hello", "--input", "{", "--provider", "command", "--", "true"]).ends(2);
    place
        .say(&["run", "hello", "x", "-wf", "no", "1", "--provider", "command", "--", "true"])
        .ends(2);
    place.say(&["resume", "hello", "t1", "--max-visits", "greet"]).ends(2);
}
