//! Odd input: answers, names and worklists that cannot be; refused or sent back, with their place.

use std::fs;

use super::{GOOD, NOTE, Running, says};
use crate::place::{Place, Said, tree};

const ASKS: &str = "\
sop: 1
name: asks
input:
  request: { type: string }
steps:
  - id: ask
    prompt: \"Ask: {{ input.request }}\"
    routes:
      done: FINISH
      number: { to: AWAIT_INPUT, answer: { type: integer, minimum: 1 } }
      pick: AWAIT_INPUT
";

#[test]
fn a_wrong_answer_changes_nothing_and_the_right_one_finishes() {
    let asks = |tag: &str, fields: &str| {
        format!(
            r#"cat > /dev/null; tag={tag}; [ -e asked ] && tag=done; touch asked
            echo "{{\"outcome\": {{\"tag\": \"$tag\", \"route_fields\": {fields}}}}}""#
        )
    };
    let number = asks("number", r#"{\"question\": \"How many?\"}"#);
    let pick = asks("pick", r#"{\"question\": \"Which?\", \"choices\": [\"a\", \"b\"]}"#);
    for (agent, wrong, right) in [
        (number, vec!["many", "", "0", "1.5", "[1]", "\u{0}x", "-3"], "42"),
        (pick, vec!["c", "", "A", "a b", "a\u{0}"], "b"),
    ] {
        let place = Place::with("asks", ASKS);
        let args = ["run", "asks", "x", "--task", "t1", "--provider", "command"];
        place.command(&args).args(["--", "sh", "-c", &agent]).output().unwrap();
        let events = || place.say(&["logs", "asks", "t1", "--events"]).ends(0).out;
        let before = events();
        for answer in wrong {
            // No argument of a program holds a NUL.
            if answer.contains('\0') {
                continue;
            }
            let said = place.say(&["answer", "asks", "t1", "--answer", answer]).ends(2);
            says(&said, &["the run still waits"]);
            assert_eq!(said.json()["exit_code"], 2);
        }
        assert_eq!(events(), before);
        let show = place.say(&["runs", "show", "asks", "t1"]).ends(0).json();
        assert_eq!(show["state"], "waiting");
        place.say(&["resume", "asks", "t1"]).ends(5);
        place.say(&["answer", "asks", "t1", "--answer", right]).ends(0);
        let said = place.say(&["answer", "asks", "t1", "--answer", right]).ends(2);
        says(&said, &["error: "]);
    }
}

#[test]
fn no_name_leads_out_of_its_folder() {
    let place = Place::with("note", NOTE);
    let long = "x".repeat(5000);
    let names = [
        "../../x",
        "..",
        ".",
        "",
        "a/b",
        "/etc",
        "a b",
        "ä",
        "a\nb",
        "-x",
        "~",
        "a\\b",
        "con:",
        "a\u{202e}b",
        ".hidden",
        "*",
        &long,
    ];
    for name in names {
        let task = format!("--task={name}");
        let run = ["run", "note", "x", &task, "--provider", "command", "--", "sh", "-c", GOOD];
        let said = place.say(&run).ends(2);
        says(&said, &["task"]);
        assert!(said.err.len() < 8000, "{}", said.err.len());
        for verb in ["resume", "cancel", "logs"] {
            place.say(&[verb, "note", "--", name]).ends(2);
        }
        for verb in [&["resume"][..], &["logs"], &["runs", "show"]] {
            let mut args = verb.to_vec();
            let run = format!("--run-id={name}");
            args.extend(["note", "t1", &run]);
            let said = place.say(&args).ends(2);
            says(&said, &["run"]);
        }
    }
    assert_eq!(tree(place.path(), &[]).len(), 1, "something was made");
}

const LIST: &str = "\
sop: 1
name: list
input:
  request: { type: string }
artifacts:
  work: { json: work.json, required: true }
worklists:
  item: { from: work, collection: items, id: id }
steps:
  - id: plan
    prompt: \"Plan: {{ input.request }}\"
    writes: [work]
    routes:
      done: each
  - id: each
    scope: item
    prompt: \"Do {{ item.id }}\"
    routes:
      done: { complete_and_advance: SELF, exhausted: FINISH }
";

/// An agent that plans `bad`, until it is told in words that hold `heard`.
fn plans(bad: &str, heard: &str) -> String {
    format!(
        r#"prompt=$(cat); printf '%s' "$prompt" > "last-$BOTPIPE_STEP"
        if [ "$BOTPIPE_STEP" = plan ]; then
            case $prompt in
            *{heard}*) echo '{{"items": [{{"id": "one"}}, {{"id": "two"}}]}}' > "$BOTPIPE_WORKFLOW_FOLDER/work.json" ;;
            *) cat > "$BOTPIPE_WORKFLOW_FOLDER/work.json" < bad.json ;;
            esac
        fi
        echo '{{"outcome": {{"tag": "done"}}}}' {bad}"#
    )
}

fn run_list(place: &Place, agent: &str, more: &[&str]) -> Said {
    let mut command = place.command(&["run", "list", "x", "--task", "t1"]);
    command.args(more).args(["--provider", "command", "--", "sh", "-c", agent]);
    Running::start(&mut command).end()
}

#[test]
fn a_worklist_that_is_none_goes_back_to_who_wrote_it() {
    let long = format!(r#"{{"items": [{{"id": "{}"}}]}}"#, "x".repeat(10_000));
    let many = format!(r#"{{"items": [{}]}}"#, vec![r#"{"id": "a b"}"#; 1000].join(","));
    let cases = [
        (r#"{"items": [{"id": "a/b"}]}"#, "items[0]"),
        (r#"{"items": [{"id": "ok"}, {"id": ".."}]}"#, "items[1]"),
        (r#"{"items": [{"id": "../../x"}]}"#, "items[0]"),
        (r#"{"items": [{"id": "a"}, {"id": "b"}, {"id": "a"}]}"#, "items[2]"),
        (r#"{"items": [{"id": ""}]}"#, "items[0]"),
        (r#"{"items": [{"id": "a\u0000b"}]}"#, "items[0]"),
        (&long, "items[0]"),
        (&many, "and 980 more items like these"),
        (r#"{"items": [{"id": true}]}"#, "items[0]"),
        (r#"{"items": [{"title": "no id"}]}"#, "items[0]"),
        (r#"{"items": ["a"]}"#, "items[0]"),
        (r#"{"items": {"a": 1}}"#, "`items` is an object"),
        (r#"{"work": []}"#, "no key `items`"),
        (r"[1, 2]", "no key `items`"),
    ];
    for (bad, heard) in cases {
        let place = Place::with("list", LIST);
        place.write("bad.json", bad);
        let said = run_list(&place, &plans("", "\"work.json\\`: \""), &[]);
        let asked = fs::read_to_string(place.path().join("last-plan")).unwrap();
        let bad = bad.get(..60).unwrap_or(bad);
        assert_eq!(said.code, 0, "{bad}: {said:?}");
        assert!(asked.contains("tasks/t1/wf_list/work.json`: "), "{bad}: {asked}");
        assert!(asked.contains(heard), "{bad}: {asked}");
        assert!(asked.len() < 8000, "{bad}: the feedback has {} bytes", asked.len());
        assert!(!place.path().join("x").exists() && !place.path().join(".botpipe/x").exists());
    }
}

#[test]
fn a_worklist_that_stays_wrong_stops_the_run() {
    let place = Place::with("list", LIST);
    place.write("bad.json", r#"{"items": [{"id": "a"}, {"id": "a"}]}"#);
    let said = run_list(&place, &plans("", "'never said'"), &["--max-steps", "20"]);
    assert_eq!(said.code, 6, "{said:?}");
    says(&said, &["`plan` reached its max_visits of 10", "next: botpipe resume list t1"]);
    // It was mended by hand.
    place.write("bad.json", r#"{"items": [{"id": "a"}]}"#);
    let next = said.json()["next"].as_str().unwrap().to_owned();
    let args: Vec<&str> = next.split(' ').skip(1).collect();
    place.say(&args).ends(0);
}

#[test]
fn a_worklist_that_is_no_json_goes_back_as_an_artifact() {
    for bad in ["", "{", "items: []", "\u{feff}{}", "nul"] {
        let place = Place::with("list", LIST);
        place.write("bad.json", bad);
        let said = run_list(&place, &plans("", "'is not JSON'*|*'is empty'"), &[]);
        assert_eq!(said.code, 0, "{bad:?}: {said:?}");
        says(&said, &["has to try again: work is invalid: is"]);
    }
}

#[test]
fn an_empty_worklist_is_over_at_once() {
    let place = Place::with("list", LIST);
    place.write("bad.json", r#"{"items": []}"#);
    let said = run_list(&place, &plans("", "'never said'"), &[]);
    says(&said, &["no item left"]);
    assert_eq!(said.code, 0, "{said:?}");
}
