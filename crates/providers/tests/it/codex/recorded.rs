//! Recordings of the real program in `tests/codex/`, each with what it comes to.

use std::fs;
use std::path::{Path, PathBuf};

use botpipe_kernel::run::Interface;
use botpipe_providers::ProgramEnd;
use serde_json::Value;

use super::scenes::{FIRST, INTERFACES, all, ask, talk};

pub(super) fn folder(interface: Interface) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/codex").join(interface.as_str())
}

/// Compares with `<name>.txt`, or writes it.
#[track_caller]
pub(super) fn matches(interface: Interface, name: &str, text: &str) {
    let path = folder(interface).join(format!("{name}.txt"));
    if std::env::var_os("UPDATE_RECORDINGS").is_some() {
        fs::write(&path, text).unwrap();
    }
    let recorded = fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(text, recorded, "{}/{name}", interface.as_str());
}

#[test]
fn a_recording_comes_to_what_the_program_came_to() {
    for interface in INTERFACES {
        for scene in all() {
            let read = |end: &str| {
                let path = folder(interface).join(format!("{}.{end}", scene.name));
                fs::read_to_string(&path)
                    .unwrap_or_else(|error| panic!("{}: {error}", path.display()))
            };
            let mut ask = ask(interface);
            scene.way.set(&mut ask, FIRST);
            let mut talk = talk(&ask);
            for line in read("jsonl").lines() {
                talk.hear(line);
            }
            let end: Value = serde_json::from_str(&read("end.json")).unwrap();
            let number =
                |key: &str| end[key].as_i64().and_then(|number| i32::try_from(number).ok());
            let how = match (number("exited"), number("signalled")) {
                (Some(code), _) => ProgramEnd::Exited(code),
                (_, Some(signal)) => ProgramEnd::Signalled(signal),
                _ => panic!("{end}"),
            };
            talk.close(&how, end["stderr"].as_str().unwrap());
            assert_eq!(talk.text, read("txt"), "{}/{}", interface.as_str(), scene.name);
        }
    }
}
