//! From what a person typed to the input of a run.

use botpipe_engine::prompt::run_input;
use insta::assert_snapshot;
use serde_json::{Value, json};

fn input_schema() -> Value {
    json!({
        "type": "object",
        "additionalProperties": false,
        "required": ["request", "depth"],
        "properties": {
            "request": {"type": "string"},
            "depth": {"type": "integer", "default": 1, "maximum": 9},
            "strict": {"type": "boolean"},
            "tags": {"type": "array", "items": {"type": "string"}},
            "options": {"type": "object", "properties": {"color": {"default": "red"}}},
        },
    })
}

fn pairs(given: &[(&str, &str)]) -> Vec<(String, String)> {
    given.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect()
}

#[test]
fn an_input_is_built_from_message_json_and_fields() {
    let schema = input_schema();
    let build = |message, json, given: &[(&str, &str)]| {
        run_input(&schema, Some("request"), message, json, &pairs(given)).unwrap().to_string()
    };
    assert_snapshot!(build(Some("Add CSV"), None, &[]), @r#"{"depth":1,"request":"Add CSV"}"#);
    assert_snapshot!(build(Some("Add CSV"), Some(json!({"request": "own"})), &[]), @r#"{"depth":1,"request":"own"}"#);
    assert_snapshot!(
        build(
            None,
            Some(json!({"depth": 2, "options": {}})),
            &[("request", "5"), ("depth", "3"), ("strict", "true"), ("tags", "[\"a\"]")],
        ),
        @r#"{"depth":3,"options":{"color":"red"},"request":"5","strict":true,"tags":["a"]}"#
    );
}

#[test]
fn everything_wrong_with_an_input_is_said_at_once() {
    let schema = input_schema();
    let wrong = |json, given: &[(&str, &str)]| {
        let problems = run_input(&schema, Some("request"), None, json, &pairs(given)).unwrap_err();
        problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
    };
    assert_snapshot!(
        wrong(None, &[("dept", "3"), ("depth", "three"), ("strict", "yes"), ("tags", "a")]),
        @"
    `dept`: no such field; did you mean `depth`?
    `depth`: expected an integer, got `three`
    `strict`: expected `true` or `false`, got `yes`
    `tags`: expected a JSON array, got `a`
    `request`: missing; the run's message fills it
    "
    );
    assert_snapshot!(
        wrong(Some(json!({"reqest": "x", "depth": 10, "tags": ["a", 5]})), &[]),
        @r#"
    `request`: missing; the run's message fills it
    `depth`: 10 is greater than the maximum of 9
    `tags.1`: 5 is not of type "string"
    `reqest`: no such field; did you mean `request`?
    "#
    );
    assert_snapshot!(wrong(Some(json!([1])), &[]), @"the input must be a JSON object, not array");
    assert_snapshot!(wrong(None, &[("request", "a"), ("request", "b")]), @"`request`: given twice");
}
