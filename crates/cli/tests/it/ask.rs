//! An `ask` step: a person's answer picks the route, and binds to what was shown.

use std::fs;
use std::thread;
use std::time::Duration;

use serde_json::json;

use crate::place::{Place, answers};

const RELEASE: &str = r#"
sop: 1
name: release
artifacts:
  notes: { md: notes.md, required: true }
steps:
  - id: write
    prompt: Write the notes.
    writes: [notes]
    routes: { done: approve }
  - id: approve
    ask: "Publish {{ artifacts.notes }} for task {{ task.id }}?"
    choices: [publish, later, "not at all"]
    shows: [notes]
    routes:
      publish: { to: publish, handoff: "The person said {{ outcome.payload }}." }
      later: FAIL
      done: FINISH
  - id: publish
    prompt: Publish.
"#;

/// Writes the notes, and keeps the prompt of the step that publishes.
fn agent() -> String {
    "cat > prompt; echo '# Notes' > .botpipe/tasks/t1/wf_release/notes.md; ".to_owned()
        + &answers("done")
}

fn answer(place: &Place, words: &str, code: i32) -> crate::place::Said {
    place.say(&["answer", "release", "t1", "--answer", words]).ends(code)
}

#[test]
fn a_choice_takes_the_route_of_its_name() {
    let place = Place::with("release", RELEASE);
    let end = place.run("release", &agent(), &[]).ends(5);
    let view = end.json();
    assert_eq!(view["state"], "waiting");
    let question = &view["question"];
    assert_eq!(question["text"], "Publish .botpipe/tasks/t1/wf_release/notes.md for task t1?");
    assert_eq!(question["choices"], json!(["publish", "later", "not at all"]));
    assert_eq!(question["shows"][0]["artifact"], "notes");
    assert!(end.err.contains("  shows: .botpipe/tasks/t1/wf_release/notes.md ("), "{}", end.err);
    place.say(&["resume", "release", "t1"]).ends(5);
    answer(&place, "perhaps", 2);
    answer(&place, "", 2);
    answer(&place, "publish", 0);
    let prompt = fs::read_to_string(place.path().join("prompt")).unwrap();
    assert!(prompt.contains("> The person said publish."), "{prompt}");
    let show = place.say(&["runs", "show", "release", "t1"]).ends(0).json();
    assert_eq!(show["steps"][1]["routes"], json!(["publish"]));
}

#[test]
fn a_choice_without_a_route_takes_done_and_one_may_reject() {
    for (words, code) in [("not at all", 0), ("later", 4)] {
        let place = Place::with("release", RELEASE);
        place.run("release", &agent(), &[]).ends(5);
        answer(&place, words, code);
    }
}

#[test]
fn an_approval_of_something_else_does_not_count() {
    let place = Place::with("release", RELEASE);
    place.run("release", &agent(), &[]).ends(5);
    let notes = place.path().join(".botpipe/tasks/t1/wf_release/notes.md");
    fs::write(&notes, "# Other notes").unwrap();
    let asked = answer(&place, "publish", 5);
    assert!(asked.err.contains("the answer does not count, notes changed"), "{}", asked.err);
    let text = asked.json()["question"]["text"].as_str().unwrap().to_owned();
    assert!(text.starts_with("(Asked again: `.botpipe/tasks/t1/wf_release/notes.md` changed"));
    let refused = place.say(&["logs", "release", "t1", "--events"]).ends(0).out;
    assert_eq!(refused.matches("\"answer_refused\"").count(), 1);
    // Written again with the same bytes, it is what was shown.
    fs::write(&notes, "# Other notes").unwrap();
    answer(&place, "publish", 0);
}

#[test]
fn what_was_shown_may_be_gone() {
    let place = Place::with("release", RELEASE);
    place.run("release", &agent(), &[]).ends(5);
    let notes = place.path().join(".botpipe/tasks/t1/wf_release/notes.md");
    fs::remove_file(&notes).unwrap();
    let end = answer(&place, "publish", 1);
    assert!(end.err.contains("required artifact `notes`"), "{}", end.err);
    fs::write(&notes, "# Notes again").unwrap();
    place.say(&["resume", "release", "t1"]).ends(5);
    answer(&place, "publish", 0);
}

const TYPED: &str = r#"
sop: 1
name: release
steps:
  - id: many
    ask: How many?
    answer: { type: integer, minimum: 1 }
    routes: { done: { to: tell, handoff: "{{ outcome.payload + 1 }}" } }
  - id: tell
    run: "echo {{ step.id }} > told"
"#;

#[test]
fn an_answer_has_the_type_of_its_schema() {
    let place = Place::with("release", TYPED);
    place.say(&["run", "release", "--task", "t1"]).ends(5);
    answer(&place, "many", 2);
    answer(&place, "0", 2);
    answer(&place, "41", 0);
    let events = place.say(&["logs", "release", "t1", "--events"]).ends(0).out;
    assert!(events.contains(r#""handoff":{"inline":"42"}"#), "{events}");
}

const TIMED: &str = r"
sop: 1
name: release
steps:
  - id: approve
    ask: Go on?
    timeout: 1s
    routes: { done: FINISH, timed_out: FAIL }
";

#[test]
fn a_question_that_nobody_answers_in_time_times_out_for_whoever_looks_next() {
    let place = Place::with("release", TIMED);
    let end = place.say(&["run", "release", "--task", "t1"]).ends(5);
    let until = end.json()["question"]["until"].as_u64().unwrap();
    let list = place.say(&["runs", "list"]).ends(0).json();
    assert_eq!(list["runs"][0]["until"], until);
    wait_until(until);
    let end = answer(&place, "yes", 4);
    assert!(end.err.contains("the time of step approve has come"), "{}", end.err);

    let place = Place::with("release", TIMED);
    let end = place.say(&["run", "release", "--task", "t1"]).ends(5);
    wait_until(end.json()["question"]["until"].as_u64().unwrap());
    place.say(&["resume", "release", "t1"]).ends(4);

    let place = Place::with("release", &TIMED.replace("1s", "1h"));
    place.say(&["run", "release", "--task", "t1"]).ends(5);
    place.say(&["resume", "release", "t1"]).ends(5);
    answer(&place, "yes", 0);
}

/// Until the machine's clock shows this time, in milliseconds since the epoch.
pub(crate) fn wait_until(time: u64) {
    while now() <= time {
        thread::sleep(Duration::from_millis(20));
    }
}

/// The machine's clock, in milliseconds since the epoch.
pub(crate) fn now() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    u64::try_from(since.as_millis()).unwrap()
}
