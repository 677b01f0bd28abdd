//! Recordings of the real program in `tests/claude/`, each with what it comes to.

use std::fs;
use std::path::{Path, PathBuf};

use botpipe_providers::claude::Protocol;
use botpipe_providers::{ProgramEnd, SandboxMode};
use serde_json::Value;

use super::scenes::{PROMPT, Way, all};
use crate::asked::{Ask, SESSION, Talk};

pub(super) fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/claude")
}

/// Compares with `<name>.txt`, or writes it.
#[track_caller]
pub(super) fn matches(name: &str, text: &str) {
    let path = folder().join(format!("{name}.txt"));
    if std::env::var_os("UPDATE_RECORDINGS").is_some() {
        fs::write(&path, text).unwrap();
    }
    let recorded = fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(text, recorded, "{name}");
}

#[test]
fn a_recording_comes_to_what_the_program_came_to() {
    for scene in all() {
        let read = |end: &str| {
            let path = folder().join(format!("{}.{end}", scene.name));
            fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
        };
        let mut ask = Ask::new(PROMPT);
        match scene.way {
            Way::Continued => {
                ask.session = Some(SESSION.to_owned());
                ask.cost = 800;
            }
            Way::Lost => ask.session = Some(SESSION.to_owned()),
            Way::ReadOnly => ask.access.sandbox = SandboxMode::ReadOnly,
            Way::Plain | Way::LeftOff | Way::Killed | Way::NoModel | Way::Login => {}
        }
        let mut talk = Talk::new(ask.with(Protocol::new));
        for line in read("jsonl").lines() {
            talk.hear(line);
        }
        let end: Value = serde_json::from_str(&read("end.json")).unwrap();
        let number = |key: &str| end[key].as_i64().and_then(|number| i32::try_from(number).ok());
        let how = match (number("exited"), number("signalled")) {
            (Some(code), _) => ProgramEnd::Exited(code),
            (_, Some(signal)) => ProgramEnd::Signalled(signal),
            _ => panic!("{end}"),
        };
        talk.close(&how, end["stderr"].as_str().unwrap());
        assert_eq!(talk.text, read("txt"), "{}", scene.name);
    }
}
