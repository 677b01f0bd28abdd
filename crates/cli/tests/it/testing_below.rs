//! `botpipe test` of workflows with functions and runs below them: an example, and what fails in which words.

use std::fs;
use std::path::Path;

use crate::place::{Place, Said, tree};

fn example() -> Place {
    let place = Place::new();
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/tested");
    for (path, bytes) in tree(&own, &[]) {
        place.write(&format!("workflows/{path}"), &String::from_utf8(bytes).unwrap());
    }
    place
}

#[test]
fn an_example_with_branches_another_workflow_and_functions_passes_without_a_model() {
    let said = example().say(&["test"]).ends(0);
    let cases = said.json()["cases"].as_array().unwrap().clone();
    assert_eq!(cases.len(), 3, "{}", said.err);
    assert!(cases.iter().any(|case| case["turns"] == 5), "{}", said.err);
}

/// A function with a question, a validator and a hook.
const FLOW: &str = "\
sop: 1
name: flow
artifacts:
  notes: { md: notes.md, required: true }
  why: { md: why.md }
steps:
  - id: rate
    call: rate
    with: { words: [good, '{{ message }}'] }
    writes: [notes]
    before: { call: prepare }
    routes: { done: look, poor: FAIL, failed: FAIL }
  - id: look
    validate: { call: is_good }
    validates: notes
    feedback: why
    routes: { valid: FINISH, invalid: rate }
";

/// The workflow, with one case that has these functions and more.
fn flow(case: &str) -> Place {
    let place = Place::with("flow", FLOW);
    let case = case.lines().map(|line| ["    ", line, "\n"].concat()).collect::<String>();
    let text =
        format!("test: 1\ncases:\n  - name: one\n    message: hello\n    turns: {{}}\n{case}");
    place.write("workflows/flow.test.yaml", &text);
    place
}

const GOOD: &str = "\
functions:
  prepare: null
  rate:
    - { with: { words: [good, hello] }, writes: { notes: \"One.\\n\" }, returns: { request_input: How? } }
    - { writes: { notes: \"Two.\\n\" }, returns: done }
    - asks: [{ artifact/read: { artifact: notes } }]
      writes: { notes: \"Three.\\n\" }
      returns: { event: { tag: done, payload: 3 } }
  is_good: [{ event: { tag: invalid, payload: Too short. } }, valid]
answers: [well]
";

#[track_caller]
fn problems(said: &Said) -> Vec<String> {
    let said_json = said.json();
    let problems = said_json["cases"][0]["problems"].as_array();
    let problems = problems.unwrap_or_else(|| panic!("{said:?}"));
    problems.iter().map(|it| it.as_str().unwrap().to_owned()).collect()
}

#[test]
fn functions_return_what_the_case_says_call_by_call() {
    let expect = "\
expect:
  exit: 0
  calls: { rate: 3, is_good: 2, prepare: 2 }
  question: How?
  routes:
    - rate: done
    - look: invalid
    - rate: done
    - look: valid
  artifacts: { notes: { equals: \"Three.\\n\" }, why: { contains: Too short. } }
";
    flow(&format!("{GOOD}{expect}")).say(&["test"]).ends(0);
    // A file may say for all its cases what a function returns; a case says it anew.
    let place = flow("functions: { rate: { writes: { notes: x }, returns: done } }\n");
    let path = place.path().join("workflows/flow.test.yaml");
    let text = fs::read_to_string(&path).unwrap();
    let shared =
        "test: 1\nfunctions: { prepare: null, rate: { fail: Too poor. }, is_good: null }\n";
    fs::write(&path, text.replace("test: 1\n", shared)).unwrap();
    place.say(&["test"]).ends(0);
    fs::write(
        &path,
        text.replace("test: 1\n", shared)
            .replace("rate: { writes: { notes: x }, returns: done }", "prepare: null"),
    )
    .unwrap();
    let said = place.say(&["test"]).ends(1);
    assert_eq!(problems(&said), ["the run did not end well: rejected"]);
}

#[test]
fn a_call_that_is_not_scripted_fails_the_case_and_is_named() {
    let of_good = [
        (
            "  prepare: null\n",
            "",
            "function `prepare` was called (`rate/1/before/1`), and is not among the `functions` of the case",
        ),
        (
            "prepare: null",
            "prepare: [null]",
            "call 2 of function `prepare` (`rate/2/before/1`): the case has 1",
        ),
        ("valid]", "valid, valid]", "function `is_good`: 1 of its 3 calls never came"),
        (
            "[good, hello]",
            "[good, day]",
            "call 1 of function `rate` (`rate/1/script/1`): called with something else: `/words/1`: \
             expected \"day\", found \"hello\"",
        ),
        (
            "answers: [well]",
            "answers: [well]\nexpect: { calls: { rate: 4 } }",
            "calls of function `rate`: expected 4, found 3",
        ),
        (
            "- { writes: { notes: \"Two.\\n\" }, returns: done }",
            "- { writes: { why: no }, returns: done }",
            "the run did not end well: rejected",
        ),
    ];
    for (was, is, problem) in of_good {
        assert!(GOOD.contains(was), "{was}");
        let said = flow(&GOOD.replace(was, is)).say(&["test"]).ends(1);
        let found = problems(&said);
        assert!(found.iter().any(|it| it == problem), "{problem}\n{found:?}");
    }
    let raises = flow("functions: { prepare: { raises: no luck }, rate: done, is_good: null }\n");
    let said = raises.say(&["test"]).ends(1);
    let found = problems(&said);
    assert!(found[0].contains("`prepare`") && found[0].contains("failed: no luck"), "{found:?}");
}

#[test]
fn what_no_function_can_do_is_told_with_its_place() {
    let cases = [
        ("functions: { nobody: done }", "the workflow calls no function `nobody`"),
        ("functions: { rate: { evnt: done } }", "the return has no key `evnt`"),
        ("functions: { rate: [3] }", "a return is null, a tag or an object, not 3"),
        (
            "functions: { rate: { returns: done, raises: x } }",
            "a call either `returns` or `raises`",
        ),
        (
            "functions: { rate: { writes: { nothing: x } } }",
            "the workflow has no artifact `nothing`",
        ),
        ("functions: { rate: { asks: [{ lm: {} }] } }", "a function cannot ask for `lm`"),
        ("functions: { rate: { asks: [{ llm: {}, classify: {} }] } }", "one thing at a time"),
        ("expect: { calls: { nobody: 1 } }", "the workflow calls no function `nobody`"),
    ];
    for (case, message) in cases {
        let said = flow(case).say(&["test"]).ends(1).json();
        let found = said["unreadable"][0]["diagnostics"].clone();
        let told = found.as_array().into_iter().flatten().any(|it| {
            it["message"].as_str().unwrap_or_default().contains(message)
                && it["labels"][0]["line"].is_u64()
        });
        assert!(told, "{case}: {found}");
    }
    let place = example();
    let path = place.path().join("workflows/review.test.yaml");
    let text = fs::read_to_string(&path).unwrap();
    for (was, is, message) in [
        ("sides/1/style:style/1/worker", "sides/1/stile:style/1/worker", "no run `stile` below it"),
        ("sides/1/style:style/1/worker", "sdes/1/style:style/1/worker", "no step `sdes`"),
        ("sides/1/style:style/1/worker", "sides/1/style:tests/1/worker", "no step `tests`"),
        ("sides/1/style:style/1/worker", "sides/style:style/1/worker", "is no turn of an agent"),
        ("mend/1/fix:fix/1/producer", "mend/1/fix:fix/1/worker", "step `fix` has no worker turn"),
    ] {
        assert!(text.contains(was), "{was}");
        fs::write(&path, text.replace(was, is)).unwrap();
        let said = place.say(&["test"]).ends(1);
        assert!(said.err.contains(message), "{message} is not in {}", said.err);
    }
}
