//! A document as text: YAML as a person would lay it out.

use std::fmt::Write as _;

use super::tree::{Map, Node};

/// What fits on one line of a file.
const LINE: usize = 88;

/// The text of a document.
pub(crate) fn text_of(document: &Map) -> String {
    let mut text = String::new();
    for (key, value) in &document.entries {
        write_entry(key, value, 0, &mut text);
    }
    text
}

/// A key and its value, from the key on: where it stands is written already.
fn write_entry(key: &str, value: &Node, indent: usize, text: &mut String) {
    text.push_str(&scalar(key, Place::Key));
    text.push(':');
    match value {
        Node::Text(words) if is_block(words) => write_block(words, indent + 2, text),
        Node::Text(words) => {
            let _ = writeln!(text, " {}", scalar(words, Place::Line));
        }
        _ => match flow(value, LINE.saturating_sub(indent + key.len() + 2)) {
            Some(line) if !is_list_of_maps(value) => {
                let _ = writeln!(text, " {line}");
            }
            _ => {
                text.push('\n');
                write_below(value, indent + 2, text);
            }
        },
    }
}

/// The entries or items of a value that has a line for each.
fn write_below(value: &Node, indent: usize, text: &mut String) {
    match value {
        Node::Map(map) => {
            for (key, value) in &map.entries {
                pad(indent, text);
                write_entry(key, value, indent, text);
            }
        }
        Node::List(items) => {
            for item in items {
                pad(indent, text);
                text.push_str("- ");
                write_item(item, indent + 2, text);
            }
        }
        other => {
            pad(indent, text);
            let _ = writeln!(text, "{}", flow(other, usize::MAX).unwrap_or_default());
        }
    }
}

fn write_item(item: &Node, indent: usize, text: &mut String) {
    match item {
        Node::Map(map) if !map.entries.is_empty() => {
            for (n, (key, value)) in map.entries.iter().enumerate() {
                if n > 0 {
                    pad(indent, text);
                }
                write_entry(key, value, indent, text);
            }
        }
        Node::List(items) if flow(item, LINE.saturating_sub(indent)).is_none() => {
            for (n, item) in items.iter().enumerate() {
                if n > 0 {
                    pad(indent, text);
                }
                text.push_str("- ");
                write_item(item, indent + 2, text);
            }
        }
        _ => {
            let _ = writeln!(text, "{}", flow(item, usize::MAX).unwrap_or_default());
        }
    }
}

fn pad(indent: usize, text: &mut String) {
    text.extend(std::iter::repeat_n(' ', indent));
}

/// Steps, branches and the like have a line for each key, however short they are.
fn is_list_of_maps(value: &Node) -> bool {
    matches!(value, Node::List(items) if items.iter().any(|it| matches!(it, Node::Map(_))))
}

/// A value on one line of at most so many bytes.
fn flow(value: &Node, most: usize) -> Option<String> {
    let line = match value {
        Node::Null => "null".to_owned(),
        Node::Bool(value) => value.to_string(),
        Node::Int(value) => value.to_string(),
        Node::Float(value) if value.is_nan() => ".nan".to_owned(),
        Node::Float(value) if value.is_infinite() => {
            if *value > 0.0 { ".inf" } else { "-.inf" }.to_owned()
        }
        Node::Float(value) => format!("{value:?}"),
        // These have no other form than their line.
        Node::Text(text) => return Some(scalar(text, Place::Within)),
        Node::List(items) if items.is_empty() => return Some("[]".to_owned()),
        Node::Map(map) if map.entries.is_empty() => return Some("{}".to_owned()),
        Node::List(items) => {
            let items = items.iter().map(|item| flow(item, most));
            format!("[{}]", items.collect::<Option<Vec<_>>>()?.join(", "))
        }
        Node::Map(map) => {
            let entries = map.entries.iter().map(|(key, value)| {
                let block = matches!(value, Node::Text(text) if is_block(text));
                if block {
                    None
                } else {
                    Some(format!("{}: {}", scalar(key, Place::Key), flow(value, most)?))
                }
            });
            format!("{{ {} }}", entries.collect::<Option<Vec<_>>>()?.join(", "))
        }
    };
    (line.len() <= most).then_some(line)
}

/// Where a text stands, which says what it may hold without quotes.
#[derive(Clone, Copy, PartialEq)]
enum Place {
    Key,
    /// In brackets or braces.
    Within,
    /// On the rest of a line.
    Line,
}

/// A text plain where that means the same, else in quotes.
fn scalar(text: &str, place: Place) -> String {
    let plain = |c: char| {
        c.is_ascii_alphanumeric()
            || "_./-".contains(c)
            || c == ' ' && place != Place::Key
            || ",;?!()'".contains(c) && place == Place::Line
    };
    let word = matches!(text.to_ascii_lowercase().as_str(), "null" | "true" | "false");
    let begins = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    if (begins || is_duration(text)) && !word && text.chars().all(plain) && !text.ends_with(' ') {
        return text.to_owned();
    }
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for c in text.chars() {
        match c {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\t' => quoted.push_str("\\t"),
            _ if is_printable(c) => quoted.push(c),
            _ => {
                let _ = write!(quoted, "\\U{:08X}", u32::from(c));
            }
        }
    }
    quoted.push('"');
    quoted
}

/// `20m` and the like are no numbers to YAML.
fn is_duration(text: &str) -> bool {
    let unit = text.trim_start_matches(|c: char| c.is_ascii_digit());
    unit.len() < text.len() && matches!(unit, "ms" | "s" | "m" | "h")
}

/// Whether a character may stand in a file as it is, and is no end of a line to anybody.
fn is_printable(c: char) -> bool {
    let breaks = matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}');
    !c.is_control() && !breaks
}

/// Whether a text reads best, and means the same, as lines of their own.
fn is_block(text: &str) -> bool {
    let good = |line: &str| {
        let blank = line.trim().is_empty();
        line.chars().all(is_printable) && (!blank || line.is_empty())
    };
    text.trim_end_matches('\n').contains('\n')
        && !text.ends_with("\n\n")
        && !text.starts_with([' ', '\n'])
        && text.split('\n').all(good)
}

fn write_block(words: &str, indent: usize, text: &mut String) {
    text.push_str(if words.ends_with('\n') { " |\n" } else { " |-\n" });
    for line in words.lines() {
        if !line.is_empty() {
            pad(indent, text);
            text.push_str(line);
        }
        text.push('\n');
    }
}

#[cfg(test)]
mod tests {
    use botpipe_lang::SourceFile;
    use botpipe_lang::reading::{Report, parse};
    use proptest::prelude::{Just, ProptestConfig, Strategy, any, prop_oneof, proptest};
    use serde_json::{Value, json};

    use super::*;

    fn read(text: &str) -> Value {
        let source = SourceFile { name: "x".to_owned(), text: text.to_owned() };
        let mut report = Report::on(&source);
        let root = parse(&mut report).unwrap();
        let found = report.finish();
        assert!(found.is_empty(), "{found:?}\n{text}");
        root.to_json()
    }

    fn read_back(value: &Value) {
        let text = text_of(&Map::of("it", value.clone()));
        assert_eq!(read(&text)["it"], *value, "{text}");
    }

    #[test]
    fn every_text_reads_back() {
        let texts = [
            "",
            " ",
            "a",
            "a b",
            "a ",
            " a",
            "null",
            "True",
            "yes",
            "~",
            "1",
            "1.5",
            ".5",
            "0x1F",
            "-",
            "- a",
            "a: b",
            "a #b",
            "#",
            "{{ x }}",
            "[a]",
            "'",
            "\"",
            "\\",
            "\\n",
            "a\tb",
            "\ta",
            "\u{0}",
            "\u{7f}\u{85}\u{2028}\u{feff}",
            "é検🎯",
            "a\nb",
            "a\nb\n",
            "a\n\n",
            "\na\n",
            "  a\n b",
            "a\n  b\n\nc",
            "a\n \nb",
            "a\nb\t\n",
            "a\n\tb\n",
            "a\r\nb",
            "\n",
            "a\n---\nb",
            "a\n# b\n",
            "...",
            "---",
            "a\nb ",
            "%a",
            "@a",
            "`a`",
            "!a",
            "&a",
            "*a",
            "|",
            ">",
            "?",
            ":",
            ",",
            "=",
            "<<",
            "a, b",
            "Is it (so)?",
            "don't; do!",
            "a ,",
            "20m",
            "500ms",
            "1e",
            "0x",
        ];
        for text in texts {
            read_back(&json!(text));
            read_back(&json!([text, [text]]));
            if !matches!(text, "" | "<<") {
                read_back(&json!({ text: text, "more": { "x": text } }));
            }
            read_back(&json!([{ "a": text, "b": [{ "c": text }] }, [[text, "x".repeat(100)]]]));
        }
    }

    #[test]
    fn every_value_reads_back() {
        let long = "word ".repeat(40);
        for value in [
            json!(null),
            json!(true),
            json!(0),
            json!(-7),
            json!(i64::MAX),
            json!(2.5),
            json!(1e300),
            json!(-1e-7),
            json!([]),
            json!({}),
            json!([[], {}]),
            json!({ "a": {}, "b": [] }),
            json!([long, { "a": [long, { "b": { "c": long } }] }, [[long], []]]),
            json!({ "a": { "b": { "c": [long] } }, "d": [[[long]]] }),
            json!({ &long: [], "a": { &long: {} }, "b": [{ &long: [] }, { &long: null }] }),
        ] {
            read_back(&value);
        }
    }

    /// Texts of any characters, and of those that mean something to YAML.
    fn a_text() -> impl Strategy<Value = String> {
        prop_oneof![
            any::<String>(),
            "[-a \\n:#\"'\\[\\]{},&*!|>%@`?.0~\\\\\t]{0,12}",
            "[a-c \n]{0,120}"
        ]
    }

    fn a_value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            proptest::num::f64::NORMAL.prop_map(Value::from),
            a_text().prop_map(Value::from),
        ];
        leaf.prop_recursive(5, 40, 5, |inside| {
            let key = a_text().prop_filter("no key", |it| !matches!(it.as_str(), "" | "<<"));
            prop_oneof![
                proptest::collection::vec(inside.clone(), 0..5).prop_map(Value::from),
                proptest::collection::btree_map(key, inside, 0..5)
                    .prop_map(|map| map.into_iter().collect::<Value>()),
            ]
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]
        #[test]
        fn whatever_is_written_reads_back(value in a_value()) {
            read_back(&value);
        }
    }

    #[test]
    fn it_is_laid_out_as_by_hand() {
        let mut step = Map::of("id", "go");
        step.set("prompt", "Go.\nNow.\n");
        step.push_below("routes", "done", "FINISH");
        let mut document = Map::of("sop", 1_u32);
        document.extend_below("steps", [step]);
        let text = "sop: 1\nsteps:\n  - id: go\n    prompt: |\n      Go.\n      Now.\n    routes: { done: FINISH }\n";
        assert_eq!(text_of(&document), text);
    }
}
