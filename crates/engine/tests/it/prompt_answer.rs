//! What is made of an agent's answer, and of a person's.

#![expect(clippy::format_push_string, reason = "a line of text reads best as one format")]

use botpipe_engine::prompt::{Envelope, Validators, check_answer, question, read, script_outcome};
use botpipe_kernel::run::{Question, QuestionKind};
use insta::assert_snapshot;
use proptest::prelude::*;
use serde_json::{Value, json};

fn said(text: &str) -> String {
    match read(text) {
        Ok(Envelope { tag, payload, fields }) => {
            format!("{tag} {payload} {}", Value::Object(fields))
        }
        Err(why) => format!("error: {why}"),
    }
}

#[test]
fn an_outcome_is_found_wherever_it_stands() {
    let found = [
        r#"{"outcome": {"tag": "ok", "payload": 1, "route_fields": {"a": 2}}}"#,
        "\u{feff}{\"outcome\":\r\n {\"tag\": \"ok\"}}\r\n",
        r#"{"tag": "ok"}"#,
        r#"{"thoughts": "…", "outcome": {"tag": "ok"}, "more": [1]}"#,
        "Done.\n\n```json\n{\"outcome\": {\"tag\": \"ok\"}}\n```\nBye.",
        "```\n{\"tag\": \"ok\"}\n```",
        "~~~json\r\n{\"outcome\": {\"tag\": \"ok\"}}\r\n~~~\r\n",
        "```json\n{\"outcome\": {\"tag\": \"old\"}}\n```\n```json\n{\"outcome\": {\"tag\": \"ok\"}}\n```\n```rust\nfn main() {}\n```",
        "```json\n{\"outcome\": {\"tag\": \"ok\"}}",
        "```json\n{\"outcome\": {\"tag\": \"ok\"}} and so on\n```",
        "   ```json {\"outcome\": {\"tag\": \"ok\"}}```",
        r#"I chose { and "quotes" {"outcome": {"tag": "ok", "payload": "}{\"outcome\": {"}} thanks"#,
        r#"first {"outcome": {"tag": "old"}} then {"outcome": {"tag": "ok"}}"#,
        r#"so {"tag": "ok"} it is"#,
        r#"{"outcome": {"tag": "ok", "payload": {"outcome": {"tag": "inner"}}}}  ."#,
    ];
    for text in found {
        assert!(said(text).starts_with("ok "), "{text}\n{}", said(text));
    }
}

#[test]
fn an_outcome_that_cannot_be_used_is_answered_with_the_exact_error() {
    let broken = [
        "",
        "All done!",
        r#"{"result": "ok"}"#,
        r#"{"outcome": "ok"}"#,
        r#"{"outcome": {}}"#,
        r#"{"outcome": {"tag": " "}}"#,
        r#"{"outcome": {"tag": 5}}"#,
        r#"{"outcome": {"tag": "ok", "paylod": 1}}"#,
        r#"{"outcome": {"tag": "ok", "route_fields": [1]}}"#,
        "{\"outcome\": {\"tag\": “ok”}}",
        "```json\n{\"outcome\": {\"tag\": \"ok\"}}\n```\n```json\n{\"outcome\": {\"tag\": \"no\",}}\n```",
    ];
    let mut told = String::new();
    for text in broken {
        told += &format!("{text:?}\n    {}\n", said(text));
    }
    assert_snapshot!(told, @r#"
    ""
        error: the answer is empty; end the answer with one JSON object in a fenced json block: {"outcome": {"tag": "…", "payload": …, "route_fields": {…}}}
    "All done!"
        error: no outcome was found; end the answer with one JSON object in a fenced json block: {"outcome": {"tag": "…", "payload": …, "route_fields": {…}}}
    "{\"result\": \"ok\"}"
        error: no outcome was found; end the answer with one JSON object in a fenced json block: {"outcome": {"tag": "…", "payload": …, "route_fields": {…}}}
    "{\"outcome\": \"ok\"}"
        error: `outcome` must be an object; end the answer with one JSON object in a fenced json block: {"outcome": {"tag": "…", "payload": …, "route_fields": {…}}}
    "{\"outcome\": {}}"
        error: `outcome.tag` is missing
    "{\"outcome\": {\"tag\": \" \"}}"
        error: `outcome.tag` is empty
    "{\"outcome\": {\"tag\": 5}}"
        error: `outcome.tag` must be a string, not 5
    "{\"outcome\": {\"tag\": \"ok\", \"paylod\": 1}}"
        error: `outcome` has no key `paylod`; did you mean `payload`?
    "{\"outcome\": {\"tag\": \"ok\", \"route_fields\": [1]}}"
        error: `outcome.route_fields` must be an object, not [1]
    "{\"outcome\": {\"tag\": “ok”}}"
        error: the outcome is no valid JSON: expected value at line 1 column 9; end the answer with one JSON object in a fenced json block: {"outcome": {"tag": "…", "payload": …, "route_fields": {…}}}
    "```json\n{\"outcome\": {\"tag\": \"ok\"}}\n```\n```json\n{\"outcome\": {\"tag\": \"no\",}}\n```"
        error: the outcome is no valid JSON: trailing comma at line 1 column 14; end the answer with one JSON object in a fenced json block: {"outcome": {"tag": "…", "payload": …, "route_fields": {…}}}
    "#);
}

#[test]
fn a_script_speaks_with_its_exit_code_or_with_an_envelope() {
    let tag = |stdout: &str, exit| script_outcome(stdout, exit).map(|envelope| envelope.tag);
    assert_eq!(tag("whatever", 0).unwrap(), "done");
    assert_eq!(tag("{\"outcome\": {\"tag\": \"x\"}}", 3).unwrap(), "failed");
    assert_eq!(tag("log\n {\"outcome\": {\"tag\": \"x\"}}\r\nbye\n", 0).unwrap(), "x");
    let broken = tag("{\"outcome\": {\"tag\": \"x\"}\n", 0).unwrap_err();
    assert!(broken.contains("is no JSON"), "{broken}");
    assert!(tag("{\"outcome\": {\"tag\": \"\"}}", 0).is_err());
}

#[test]
fn a_payload_is_held_to_its_schema() {
    let validators = Validators::default();
    let schema = r#"{"type": "object", "properties": {"n": {"type": "integer"}, "s": {"type": "string"}}, "required": ["n", "s"]}"#;
    assert_eq!(validators.validate(schema, &json!({"n": 1, "s": ""})), Ok(()));
    let broken = validators.validate(schema, &json!({"n": "1"})).unwrap_err();
    assert_snapshot!(broken, @r#""s" is a required property; at `/n`: "1" is not of type "integer""#);
    assert!(validators.validate("{", &json!(1)).is_err());
    assert!(validators.validate(r#"{"$ref": "http://127.0.0.1/x.json"}"#, &json!(1)).is_err());
}

#[test]
fn a_question_is_checked_before_it_is_asked() {
    let ask = |fields: Value, schema: Option<&str>| {
        question(fields.as_object().unwrap(), schema).map_err(|why| format!("error: {why}"))
    };
    let asked = ask(json!({"question": " Commas? ", "choices": ["yes", "no"]}), None).unwrap();
    assert_eq!((asked.text.as_str(), asked.choices.len(), asked.schema), ("Commas?", 2, None));
    let typed = ask(json!({"question": "How many?"}), Some(r#"{"type": "integer"}"#)).unwrap();
    assert_eq!(typed.schema.as_deref(), Some(r#"{"type": "integer"}"#));
    let mut told = String::new();
    for fields in [
        json!({}),
        json!({"question": ""}),
        json!({"question": 1}),
        json!({"question": "q", "choices": ["a", "a"]}),
        json!({"question": "q", "choices": "a"}),
        json!({"question": "q", "answer_schema": "integer"}),
        json!({"question": "q", "answer_schema": {"type": "nonsense"}}),
        json!({"question": "q", "answer_schema": {"type": "integer"}, "choices": ["1", "two"]}),
    ] {
        told += &format!("{fields}\n    {}\n", ask(fields.clone(), None).unwrap_err());
    }
    assert_snapshot!(told, @r#"
    {}
        error: this route asks a person: `route_fields.question` is missing
    {"question":""}
        error: `route_fields.question` is empty
    {"question":1}
        error: `route_fields.question` must be a string, not 1
    {"choices":["a","a"],"question":"q"}
        error: `route_fields.choices` must be a list of different, non-empty strings
    {"choices":"a","question":"q"}
        error: `route_fields.choices` must be a list of different, non-empty strings
    {"answer_schema":"integer","question":"q"}
        error: `route_fields.answer_schema` must be an object, not "integer"
    {"answer_schema":{"type":"nonsense"},"question":"q"}
        error: `route_fields.answer_schema`: the schema is not usable: "nonsense" is not valid under any of the schemas listed in the 'anyOf' keyword
    {"answer_schema":{"type":"integer"},"choices":["1","two"],"question":"q"}
        error: the choice `two` breaks the schema of the answer: "two" is not of type "integer"
    "#);
}

#[test]
fn an_answer_counts_when_it_fits_the_question() {
    let asked = |choices: &[&str]| Question {
        kind: QuestionKind::Route { visit: "plan/1".parse().unwrap() },
        text: "?".to_owned(),
        choices: choices.iter().map(|&choice| choice.to_owned()).collect(),
        schema: None,
        shown: Vec::new(),
        until: None,
    };
    let open = asked(&[]);
    assert_eq!(check_answer(&open, None, " 5 "), Ok(json!("5")));
    assert_eq!(check_answer(&open, Some(&json!({"type": "integer"})), "5"), Ok(json!(5)));
    assert_eq!(check_answer(&open, Some(&json!({"type": "string"})), "5"), Ok(json!("5")));
    assert_eq!(check_answer(&open, Some(&json!({"enum": ["a", 1]})), "a"), Ok(json!("a")));
    assert_eq!(check_answer(&asked(&["yes", "no"]), None, "yes"), Ok(json!("yes")));
    let mut told = String::new();
    for (question, schema, text) in [
        (&open, None, "  "),
        (&asked(&["yes", "no"]), None, "maybe"),
        (&open, Some(json!({"type": "integer", "minimum": 3})), "2"),
        (&open, Some(json!({"type": "object", "required": ["a"]})), "{}"),
    ] {
        told += &format!("{}\n", check_answer(question, schema.as_ref(), text).unwrap_err());
    }
    assert_snapshot!(told, @r#"
    the answer is empty
    the answer must be one of `yes`, `no`
    2 is less than the minimum of 3
    "a" is a required property
    "#);
}

/// Prose without an envelope of its own.
fn prose() -> impl Strategy<Value = String> {
    prop_oneof![
        "[ -~\n]{0,200}",
        "(\\{|\\}|\"|'|`|\\\\|\n|[a-z ]|ä|:|\\[){0,200}",
        Just("```rust\nfn main() { println!(\"{}\", 1); }\n```\n".to_owned()),
        Just("{\"a\": {\"b\": \"".to_owned()),
    ]
    .prop_filter("holds an envelope of its own", |text| {
        !text.contains("\"outcome\"") && !text.contains("\"tag\"")
    })
}

proptest! {
    #[test]
    fn reading_never_panics(text in "(\"outcome\"|\"tag\"|:|\\{|\\}|\"|```|~~~|\n|\\\\|[a-z ]|ä|\u{feff}|1|,){0,80}") {
        let _ = read(&text);
        let _ = script_outcome(&text, 0);
    }

    #[test]
    fn an_envelope_is_found_in_any_prose(
        before in prose(),
        after in prose(),
        tag in "[a-z_]{1,20}",
        note in "\\PC{0,40}",
        fenced: bool,
    ) {
        let envelope = json!({"outcome": {"tag": tag, "payload": {"note": note}}});
        let text = if fenced {
            format!("{before}\n\n```json\n{envelope:#}\n```\n\n{after}")
        } else {
            format!("{before}\n{envelope}\n{after}")
        };
        let found = read(&text).unwrap();
        prop_assert_eq!(found.tag, tag);
        prop_assert_eq!(found.payload, json!({"note": note}));
    }
}

#[test]
fn a_hostile_answer_costs_no_more_than_its_length() {
    let began = std::time::Instant::now();
    for piece in [
        "{\"outcome\": {\"tag\": \"",
        "{\"outcome\":{",
        "{\"tag\" ",
        "```\n{",
        "\"outcome\":{\"a\":[",
    ] {
        assert!(read(&piece.repeat(200_000)).is_err());
    }
    assert!(began.elapsed().as_secs() < 60, "{:?}", began.elapsed());
}
