//! The reference pages in `docs/`: snapshots of what the program itself says.
//!
//! `UPDATE_DOCS=1` writes them anew; without it a page that is out of date is a failure.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use botpipe_lang::Code;
use serde_json::Value;

use crate::place::Place;

/// A page with a line that says where it comes from.
#[track_caller]
fn page(name: &str, title: &str, text: &str) {
    let path = repository().join("docs").join(name);
    let text = format!(
        "# {title}\n\nWritten by `UPDATE_DOCS=1 cargo nextest run -p botpipe-cli -E 'test(pages)'` from the \
         program itself.\n\n{}\n",
        text.trim_end()
    );
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(&path, text).unwrap();
        return;
    }
    let written = fs::read_to_string(&path).unwrap_or_default();
    let differs = written.lines().zip(text.lines()).position(|(was, is)| was != is);
    let line = differs.unwrap_or_else(|| written.lines().count().min(text.lines().count())) + 1;
    assert!(
        written == text,
        "{} is out of date from line {line} on; UPDATE_DOCS=1",
        path.display()
    );
}

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The fenced blocks of YAML of a page.
fn examples(page: &str) -> Vec<String> {
    let text = fs::read_to_string(repository().join("docs").join(page)).unwrap();
    let blocks = text.split("```yaml\n").skip(1).map(|block| block.split("```").next().unwrap());
    blocks.map(str::to_owned).collect()
}

#[test]
fn the_examples_on_designing_check_without_a_word() {
    let examples = examples("sop-design.md");
    assert!(examples.len() >= 2);
    for text in examples {
        let place = Place::with("example", &text);
        let said = place.say(&["check", "workflows/example.sop.yaml"]).ends(0).json();
        assert_eq!(said["files"][0]["diagnostics"].as_array().unwrap().len(), 0, "{said}");
    }
}

#[test]
fn the_example_on_testing_passes() {
    let [text] = examples("testing.md").try_into().unwrap();
    let place = Place::new();
    let about = text.replacen("cases:", "workflow: ralph_loop\ncases:", 1);
    let test = place.write("example.test.yaml", &about);
    place.say(&["test", test.to_str().unwrap()]).ends(0);
}

/// The names of the commands in a help text.
fn commands(help: &str) -> Vec<&str> {
    let list = help.lines().skip_while(|line| *line != "Commands:").skip(1);
    let rows = list.take_while(|line| !line.is_empty());
    rows.filter_map(|row| row.strip_prefix("  ")?.split_whitespace().next())
        .filter(|name| *name != "help")
        .collect()
}

#[test]
fn the_page_of_the_commands() {
    let place = Place::new();
    let mut text = String::new();
    let mut add = |words: &[&str]| -> String {
        let help = place.say(&[words, &["--help"]].concat()).ends(0).out;
        let lines: Vec<&str> = help.lines().map(str::trim_end).collect();
        let name = [&["botpipe"], words].concat().join(" ");
        write!(text, "## {name}\n\n```text\n{}\n```\n\n", lines.join("\n").trim_end()).unwrap();
        help
    };
    let all = add(&[]);
    let names = commands(&all);
    assert!(names.len() >= 9, "{names:?}");
    for name in names {
        let help = add(&[name]);
        for below in commands(&help) {
            add(&[name, below]);
        }
    }
    page("commands.md", "Commands and exit codes", &text);
}

#[test]
fn the_page_of_the_diagnostics() {
    let mut text = String::from(
        "Every code that `botpipe check` may print. Codes are stable; a number is never used again for \
         another rule. `BPxxxx` as text, `code` in `--json`.\n\n| code | what is wrong | the rule |\n|---|---|---|\n",
    );
    for code in Code::ALL {
        let rule = code.explanation().replace('|', "\\|");
        writeln!(text, "| {} | {} | {rule} |", code.as_str(), code.title()).unwrap();
    }
    page("diagnostics.md", "Diagnostics", &text);
}

#[test]
fn the_page_of_the_events() {
    let folder = repository().join("crates/journal/tests/golden/v2");
    let mut files: Vec<_> = fs::read_dir(&folder).unwrap().map(|it| it.unwrap().path()).collect();
    files.sort();
    assert!(files.len() >= 20, "{} kinds of event", files.len());
    let mut text = String::from(
        "The facts of a run as they are stored and as `botpipe logs --events` and `runs/<run>/events.jsonl` \
         give them under `event`, with their sequence number and time: an example of every kind. Every version must go on reading these \
         rows (format 2); fields left out have their empty value.\n\n",
    );
    for file in files {
        let name = file.file_stem().unwrap().to_string_lossy().into_owned();
        let row: Value = serde_json::from_str(&fs::read_to_string(&file).unwrap()).unwrap();
        let body = row["body"].as_str().unwrap();
        write!(text, "## {name}\n\n```json\n{body}\n```\n\n").unwrap();
    }
    page("events.md", "Events", &text);
}
