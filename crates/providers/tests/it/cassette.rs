//! Cassettes: what is one, what is none and why, and which recording answers a turn.

use botpipe_kernel::ids::Digest;
use botpipe_kernel::run::FailureClass;
use botpipe_providers::{Cassette, FilePatch, Mismatch, RecordedEnd, Recording};

const REQUEST: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
const OTHER: &str = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";

/// A cassette with these turns, as text.
fn cassette(turns: &str) -> String {
    format!(r#"{{ "cassette": 1, "workflow": "w", "turns": {{ {turns} }} }}"#)
}

/// A turn with this in it besides its request.
fn turn(path: &str, rest: &str) -> String {
    format!(r#""{path}": {{ "request": "{REQUEST}", {rest} }}"#)
}

fn parse(text: &str) -> Cassette {
    Cassette::parse(text).unwrap()
}

fn digest(text: &str) -> Digest {
    text.parse().unwrap()
}

#[test]
fn a_recording_is_read_whole() {
    let read = parse(&cassette(&turn(
        "plan/1/producer/1",
        r#""activity": ["reads", "writes"], "answer": ["one", "two"],
           "patch": { "{{ workflow.folder }}/work.json": { "text": "{}" },
                      "bin/tool": { "text": ["a", "b"], "executable": true }, "old.txt": null }"#,
    )));
    let recording = read.play("plan/1/producer/1", &digest(REQUEST), "", false).unwrap();
    assert_eq!(recording.activity, ["reads", "writes"]);
    assert_eq!(recording.end, RecordedEnd::Answer("one\ntwo\n".to_owned()));
    let write = |text: &str, executable| FilePatch::Write { bytes: text.into(), executable };
    let patch: Vec<_> = recording.patch.iter().map(|(f, p)| (f.as_str(), p.clone())).collect();
    let expected = [
        ("bin/tool", write("a\nb\n", true)),
        ("old.txt", FilePatch::Delete),
        ("{{ workflow.folder }}/work.json", write("{}", false)),
    ];
    assert_eq!(patch, expected);
}

#[test]
fn what_is_no_cassette_says_where_and_why() {
    let answer = r#""answer": "x""#;
    let twice = format!("{}, {}", turn("a/1/worker/1", answer), turn("a/1/worker/1", answer));
    let file = |patch: &str| cassette(&turn("a/1/worker/1", &format!("{answer}, {patch}")));
    let cases = [
        (String::new(), "line 1, column 0: EOF while parsing a value"),
        ("{".to_owned(), "line 1, column 1: EOF while parsing an object"),
        ("cassette: 1\nturns: {}\n".to_owned(), "line 1, column 1: expected value"),
        ("{ \"cassette\": 1,\n  oops }".to_owned(), "line 2, column 3: key must be a string"),
        (
            r#"{ "cassette": 3, "workflow": "w", "turns": {} }"#.to_owned(),
            "cassette: it has format 3, and this version reads up to format 2",
        ),
        (
            r#"{ "cassette": 1, "workflow": "w" }"#.to_owned(),
            "line 1, column 34: missing field `turns`",
        ),
        (
            r#"{ "cassette": 1, "workflow": "w", "turns": {}, "speed": 2 }"#.to_owned(),
            "line 1, column 54: unknown field `speed`, expected one of `cassette`, `workflow`, \
             `recorded`, `events`, `turns`",
        ),
        (
            cassette(&turn("a/1/worker/1", r#""answer": "x", "mood": "good""#)),
            "line 1, column 163: `a/1/worker/1`: unknown field `mood`, expected one of `request`, \
             `asked`, `activity`, `artifacts`, `patch`, `answer`, `failed`",
        ),
        (
            cassette(&turn("a/1/worker/1", r#""activity": []"#)),
            "turn `a/1/worker/1`, its end: a turn has either an `answer` or a `failed`",
        ),
        (
            cassette(&turn("a/1/worker/1", r#""answer": 7"#)),
            "turn `a/1/worker/1`, answer: it must be a text, or a list of its lines",
        ),
        (
            cassette(&turn("a/1/worker/1", r#""answer": "x", "answer": "y""#)),
            "line 1, column 165: `a/1/worker/1`: duplicate field `answer`",
        ),
        (
            cassette(&twice),
            "line 1, column 173: `a/1/worker/1` is there twice: keep the one that counts",
        ),
        (
            file(r#""patch": { "f": null, "f": { "text": "x" } }"#),
            "line 1, column 182: `a/1/worker/1`: `f` is there twice: keep the one that counts",
        ),
        (
            file(r#""patch": { "f": { "text": "x", "mode": 7 } }"#),
            "line 1, column 194: `a/1/worker/1`: `f`: unknown field `mode`, expected \
             one of `text`, `hex`, `executable`",
        ),
        (
            file(r#""patch": { "/etc/passwd": null }"#),
            "turn `a/1/worker/1`, file `/etc/passwd`: it must be a path inside the workspace",
        ),
        (
            file(r#""patch": { "a/../../b": null }"#),
            "turn `a/1/worker/1`, file `a/../../b`: it must be a path inside the workspace",
        ),
        (
            file(r#""patch": { "": null }"#),
            "turn `a/1/worker/1`, file ``: it must be a path inside the workspace",
        ),
        (
            file(r#""patch": { "{{workflow.folder}}/f": null }"#),
            "turn `a/1/worker/1`, file `{{workflow.folder}}/f`: the workflow's folder is written \
             `{{ workflow.folder }}/`, at the beginning",
        ),
        (
            file(r#""patch": { "a/{{ workflow.folder }}/f": null }"#),
            "turn `a/1/worker/1`, file `a/{{ workflow.folder }}/f`: the workflow's folder is written \
             `{{ workflow.folder }}/`, at the beginning",
        ),
        (
            file(r#""patch": { "f": { "text": 1 } }"#),
            "turn `a/1/worker/1`, file `f`: it must be a text, or a list of its lines",
        ),
        (
            cassette(&turn("a/1/worker/1", answer)).replace(REQUEST, "abc"),
            "turn `a/1/worker/1`, request: it must be a SHA-256 in 64 hex digits",
        ),
    ];
    let mut wrong = Vec::new();
    for (text, expected) in cases {
        let said = Cassette::parse(&text)
            .map_or_else(|error| error.to_string(), |_| "(nothing)".to_owned());
        if said != expected {
            wrong.push(format!("{text}\n  says: {said}\n  not:  {expected}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_turn_is_played_for_its_own_request_only_but_loosely_for_any() {
    let read = parse(&cassette(&turn("a/1/worker/1", r#""answer": "x""#)));
    let (right, wrong) = (digest(REQUEST), digest(OTHER));
    assert!(read.fits("a/1/worker/1", &right) && !read.fits("a/1/worker/1", &wrong));
    assert!(read.play("a/1/worker/1", &right, "", false).is_ok());
    assert!(read.play("a/1/worker/1", &wrong, "", true).is_ok());
    let refused = read.play("a/1/worker/1", &wrong, "", false).unwrap_err();
    let expected = "turn `a/1/worker/1` was recorded for another request (recorded aaaaaaaaaaaa, asked \
                    bbbbbbbbbbbb): its prompt or contract changed since; record again, or play it loosely \
                    with `--loose`";
    assert_eq!(refused.to_string(), expected);
}

#[test]
fn a_turn_that_was_not_recorded_is_missed_even_loosely_and_the_nearest_is_named() {
    let answer = r#""answer": "x""#;
    let turns = [turn("plan/1/producer/1", answer), turn("plan/1/verifier/1", answer)].join(", ");
    let read = parse(&cassette(&turns));
    for loose in [false, true] {
        let missed = read.play("plan/1/verifier/2", &digest(REQUEST), "", loose).unwrap_err();
        let nearest = Some("plan/1/verifier/1".to_owned());
        assert_eq!(
            missed,
            Mismatch::NoTurn { turn: "plan/1/verifier/2".to_owned(), nearest, difference: None }
        );
    }
    let far = read.play("x/1/worker/1", &digest(REQUEST), "", false).unwrap_err();
    assert_eq!(far.to_string(), "the cassette has no turn `x/1/worker/1`");
}

#[test]
fn what_is_written_is_read_back_as_the_same_line_by_line() {
    let write = |bytes: &[u8]| FilePatch::Write { bytes: bytes.to_vec(), executable: true };
    let recording = Recording {
        request: Some(digest(REQUEST)),
        asked: Some("one\ntwo\n".to_owned()),
        activity: vec!["reads".to_owned()],
        artifacts: [("work".to_owned(), write(b"{}\n"))].into(),
        patch: [("a.bin".to_owned(), write(&[0, 255])), ("old".to_owned(), FilePatch::Delete)]
            .into(),
        end: RecordedEnd::Answer("no line break".to_owned()),
    };
    let failed = RecordedEnd::Failed { class: FailureClass::Network, message: "gone".to_owned() };
    let bare = Recording {
        request: None,
        asked: None,
        activity: Vec::new(),
        artifacts: [].into(),
        patch: [].into(),
        end: failed,
    };
    let cassette = Cassette {
        workflow: "w".to_owned(),
        recorded: "by hand".to_owned(),
        events: vec!["run_finished".to_owned()],
        turns: vec![("z/1/worker/1".to_owned(), recording), ("a/1/worker/1".to_owned(), bare)],
    };
    let text = cassette.to_text();
    assert_eq!(Cassette::parse(&text).unwrap(), cassette, "{text}");
    assert!(text.find("z/1/worker").unwrap() < text.find("a/1/worker").unwrap(), "{text}");
    assert!(text.contains("\"hex\": \"00ff\"") && text.contains("\"one\","), "{text}");
}

#[test]
fn a_mismatch_shows_the_first_lines_that_differ() {
    let turns = turn("plan/1/producer/1", r#""asked": ["Plan it.", "Well."], "answer": "x""#);
    let read = parse(&cassette(&turns));
    let missed = |turn| read.play(turn, &digest(OTHER), "Plan it.\nFast.\n", false).unwrap_err();
    for turn in ["plan/1/producer/1", "plan/2/producer/1"] {
        let said = missed(turn).to_string();
        let differs = "\n  line 2 of the prompt (- recorded, + asked):\n    - Well.\n    + Fast.";
        assert!(said.contains(turn) && said.ends_with(differs), "{said}");
    }
}

#[test]
fn a_turn_without_a_request_is_played_for_any() {
    let read = parse(&cassette(r#""a/1/worker/1": { "answer": "x" }"#));
    assert!(read.play("a/1/worker/1", &digest(OTHER), "", false).is_ok());
    assert!(read.fits("a/1/worker/1", &digest(OTHER)));
}
