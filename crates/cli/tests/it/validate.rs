//! A `validate` step: a script judges an artifact, and what it prints is what the maker hears.

use std::fs;

use serde_json::json;

use crate::place::Place;

const JUDGED: &str = r#"
sop: 1
name: judged
artifacts:
  plan: { json: plan.json, required: true }
  problems: { md: problems.md }
steps:
  - id: plan
    prompt: Write the plan.
    writes: [plan]
  - id: judge
    validate: { run: "grep -q good {{ artifacts.plan }} || { echo out; echo 'line 1: not good' >&2; exit 3; }" }
    validates: plan
    feedback: problems
"#;

/// Writes a plan that is good the second time, and keeps its prompts.
const PLANNER: &str = r#"n=$(ls prompt.* 2>/dev/null | wc -l); cat > prompt.$n
    if [ $n = 0 ]; then W=bad; else W=good; fi
    echo "{\"is\": \"$W\"}" > .botpipe/tasks/t1/wf_judged/plan.json
    echo '{"outcome": {"tag": "done"}}'"#;

#[test]
fn what_it_prints_goes_back_to_the_step_that_made_the_artifact() {
    let place = Place::with("judged", JUDGED);
    let end = place.run("judged", PLANNER, &[]).ends(0);
    assert_eq!(end.json()["state"], "finished (accepted)", "a validator judges");
    let folder = place.path().join(".botpipe/tasks/t1/wf_judged");
    let feedback = fs::read_to_string(folder.join("problems.md")).unwrap();
    assert_eq!(feedback, "out\nline 1: not good\n");
    let second = fs::read_to_string(place.path().join("prompt.1")).unwrap();
    assert!(second.contains("## From the previous step"), "{second}");
    assert!(second.contains("was found invalid by step `judge`"), "{second}");
    assert!(second.contains("> line 1: not good"), "{second}");
    assert!(second.contains("problems.md` (problems)."), "{second}");
    assert!(!place.path().join("prompt.2").exists());
    let show = place.say(&["runs", "show", "judged", "t1"]).ends(0).json();
    assert_eq!(show["steps"][1]["routes"], json!(["invalid", "valid"]));
}

#[test]
fn an_artifact_that_is_never_valid_stops_at_the_bound_of_visits() {
    let bounded = JUDGED.replace("feedback: problems", "feedback: problems\n    max_visits: 2");
    let place = Place::with("judged", &bounded);
    let agent = PLANNER.replace("W=good", "W=bad");
    let end = place.run("judged", &agent, &[]).ends(6);
    assert!(end.err.contains("step `judge` reached its max_visits of 2"), "{}", end.err);
}

#[test]
fn a_validator_that_says_nothing_leaves_words_all_the_same() {
    let text = JUDGED.replace("{ echo out; echo 'line 1: not good' >&2; exit 3; }", "exit 7");
    let place = Place::with("judged", &text);
    place.run("judged", PLANNER, &[]).ends(0);
    let second = fs::read_to_string(place.path().join("prompt.1")).unwrap();
    assert!(second.contains("ended with exit code 7 and printed nothing"), "{second}");
}

#[test]
fn feedback_in_json_is_what_the_script_prints_and_nothing_else() {
    let text = JUDGED
        .replace("{ md: problems.md }", "{ json: problems.json, schema: { type: object } }")
        .replace("echo out", r#"echo '{\"line\": 1}'"#);
    let place = Place::with("judged", &text);
    place.run("judged", PLANNER, &[]).ends(0);
    let feedback = place.path().join(".botpipe/tasks/t1/wf_judged/problems.json");
    assert_eq!(fs::read_to_string(feedback).unwrap(), "{\"line\": 1}\n");

    let place = Place::with("judged", &text.replace(r#"'{\"line\": 1}'"#, "[1]"));
    let end = place.run("judged", PLANNER, &[]).ends(1);
    assert!(end.err.contains("the feedback `problems`"), "{}", end.err);
    assert!(end.err.contains("is not valid"), "{}", end.err);
}

#[test]
fn it_is_known_before_a_token_is_spent_that_nobody_makes_the_artifact() {
    let place = Place::with("judged", &JUDGED.replace("    writes: [plan]\n", ""));
    let checked = place.say(&["check", "judged"]).ends(8);
    assert!(checked.out.contains("BP0407"), "{}", checked.out);
}
