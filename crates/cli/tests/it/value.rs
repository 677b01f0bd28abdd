//! `classify` and `llm`: one turn of an agent whose answer is a word out of a few, or a value.

use std::fs;

use serde_json::json;

use crate::place::Place;

const SORTED: &str = r#"
sop: 1
name: sorted
steps:
  - id: sort
    classify: What is this?
    choices: { bug: It is broken., idea: Something new., "no idea": Anything else. }
    routes:
      bug: { to: size, handoff: "It is a {{ outcome.payload }}." }
      done: { to: told, handoff: "{{ outcome.tag }}, {{ outcome.payload }}" }
  - id: size
    llm: How many hours?
    returns: { hours: { type: integer, minimum: 1 } }
    routes: { done: { to: told, handoff: "{{ outcome.payload.hours * 60 }} minutes" } }
  - id: told
    run: "true"
"#;

/// Answers with one outcome after the other, and keeps its prompts.
fn agent(outcomes: &[&str]) -> String {
    let cases = outcomes.iter().enumerate();
    let cases = cases.map(|(n, outcome)| format!("{n}) echo '{{\"outcome\": {outcome}}}';;"));
    let cases = cases.collect::<Vec<_>>().join(" ");
    format!("n=$(ls prompt.* 2>/dev/null | wc -l); cat > prompt.$n; case $n in {cases} esac")
}

fn prompt(place: &Place, n: usize) -> String {
    fs::read_to_string(place.path().join(format!("prompt.{n}"))).unwrap()
}

fn handoffs(place: &Place) -> Vec<serde_json::Value> {
    let out = place.say(&["logs", "sorted", "t1", "--events"]).ends(0).out;
    let rows = out.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    let events = rows.map(|row| row["event"].clone());
    events
        .filter(|event| event["kind"] == "route_taken")
        .map(|event| event["handoff"]["inline"].clone())
        .collect()
}

#[test]
fn a_choice_takes_its_route_and_a_value_is_handed_on() {
    let place = Place::with("sorted", SORTED);
    let outcomes = [r#"{"tag": "bug"}"#, r#"{"tag": "done", "payload": {"hours": 3}}"#];
    place.run("sorted", &agent(&outcomes), &[]).ends(0);
    assert_eq!(handoffs(&place)[..2], [json!("It is a bug."), json!("180 minutes")]);
    let asked = prompt(&place, 0);
    assert!(asked.contains("- Role: worker; the answer is one of the choices below\n"), "{asked}");
    assert!(asked.contains("Pick one choice:\n\n- `bug` — It is broken.\n"), "{asked}");
    assert!(asked.contains("- `no idea` — Anything else.\n\nThe last thing"), "{asked}");
    assert!(!asked.contains("route"), "{asked}");
    let asked = prompt(&place, 1);
    assert!(asked.contains("> It is a bug."), "{asked}");
    assert!(asked.contains(r#"{"outcome": {"tag": "done", "payload": …}}"#), "{asked}");
    assert!(asked.contains("`payload` is the value asked for: JSON. It fits schema 1."), "{asked}");
    assert!(asked.contains("\"hours\""), "{asked}");
}

#[test]
fn a_choice_without_a_route_takes_done() {
    let place = Place::with("sorted", SORTED);
    place.run("sorted", &agent(&[r#"{"tag": "no idea"}"#]), &[]).ends(0);
    assert_eq!(handoffs(&place)[0], "done, no idea");
}

#[test]
fn what_is_no_choice_or_no_such_value_is_asked_again_once() {
    let place = Place::with("sorted", SORTED);
    let outcomes = [
        // `done` is a route, and no choice.
        r#"{"tag": "done"}"#,
        r#"{"tag": "bug", "payload": "an aside"}"#,
        r#"{"tag": "done", "payload": {"hours": 0}}"#,
        r#"{"tag": "done", "payload": {"hours": 1}}"#,
    ];
    place.run("sorted", &agent(&outcomes), &[]).ends(0);
    let again = prompt(&place, 1);
    let why = "`done` is no choice here; pick one of `bug`, `idea`, `no idea`";
    assert!(again.contains(why), "{again}");
    let again = prompt(&place, 3);
    assert!(again.contains("0 is less than the minimum of 1"), "{again}");
    assert_eq!(handoffs(&place)[..2], [json!("It is a bug."), json!("60 minutes")]);

    let place = Place::with("sorted", SORTED);
    let wrong = r#"{"tag": "crash"}"#;
    let end = place.run("sorted", &agent(&[wrong, wrong]), &[]).ends(1);
    assert!(end.err.contains("`crash` is no choice here"), "{}", end.err);
}

#[test]
fn without_a_schema_the_value_is_a_text() {
    let text = SORTED
        .replace("    returns: { hours: { type: integer, minimum: 1 } }\n", "")
        .replace("{{ outcome.payload.hours * 60 }} minutes", "{{ outcome.payload }}!");
    let place = Place::with("sorted", &text);
    let outcomes =
        [r#"{"tag": "bug"}"#, r#"{"tag": "done"}"#, r#"{"tag": "done", "payload": "a day"}"#];
    place.run("sorted", &agent(&outcomes), &[]).ends(0);
    assert_eq!(handoffs(&place)[1], "a day!");
}

#[test]
fn they_count_as_turns_before_and_after() {
    let place = Place::with("sorted", SORTED);
    let args = ["run", "sorted", "x", "--dry-run", "--provider", "command", "--", "true"];
    let view = place.say(&args).ends(0).json();
    assert_eq!(view["steps"][0]["kind"], "classify");
    assert_eq!(view["steps"][1]["kind"], "llm");
    assert_eq!(view["worst_case"]["fixed"], 2 * 3 * 10);
    let end = place.run("sorted", &agent(&[r#"{"tag": "bug"}"#]), &["--budget", "turns=1"]).ends(6);
    assert!(end.err.contains("budget of 1 turns reached"), "{}", end.err);
    place.say(&["run", "sorted", "x"]).ends(2);
}

const KEPT: &str = r#"
sop: 1
name: sorted
state:
  kind: { type: string, default: none }
  size: { type: object, default: {} }
steps:
  - id: sort
    classify: What is this?
    choices: [bug, idea]
    into: state.kind
  - id: size
    llm: "How big is the {{ state.kind }}?"
    returns: { hours: { type: integer } }
    into: state.size
  - id: sure
    ask: "{{ state.size.hours }} hours for the {{ state.kind }} ({{ outcome.payload.hours }})?"
    into: state.kind
    timeout: 1h
    routes: { done: told, timed_out: FAIL }
  - id: told
    run: "echo '{{ state.kind }}, {{ state.size.hours }}' > told"
"#;

#[test]
fn what_is_answered_is_kept_in_the_state() {
    let place = Place::with("sorted", KEPT);
    let outcomes = [r#"{"tag": "idea"}"#, r#"{"tag": "done", "payload": {"hours": 3}}"#];
    let end = place.run("sorted", &agent(&outcomes), &[]).ends(5);
    assert!(prompt(&place, 1).starts_with("How big is the idea?"));
    assert_eq!(end.json()["question"]["text"], "3 hours for the idea (3)?");
    place.say(&["answer", "sorted", "t1", "--answer", "a better idea"]).ends(0);
    let told = fs::read_to_string(place.path().join("told")).unwrap();
    assert_eq!(told, "a better idea, 3\n");
}

#[test]
fn a_value_that_does_not_fit_the_state_stops_the_run() {
    let text = KEPT.replace("state.size.hours", "state.size").replace(
        "size: { type: object, default: {} }",
        "size: { type: object, default: {}, maxProperties: 0 }",
    );
    let place = Place::with("sorted", &text);
    let outcomes = [r#"{"tag": "idea"}"#, r#"{"tag": "done", "payload": {"hours": 3}}"#];
    let end = place.run("sorted", &agent(&outcomes), &[]).ends(1);
    assert!(end.err.contains("does not fit the schema of `state`: at `/size`"), "{}", end.err);
}
