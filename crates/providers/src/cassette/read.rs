//! A cassette's text, read strictly.

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

use botpipe_kernel::ids::Digest;
use botpipe_kernel::run::FailureClass;
use serde::de::{Error as _, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use super::{Cassette, CassetteError, FilePatch, RecordedEnd, Recording};

impl Cassette {
    /// Reads a cassette; unknown keys are errors.
    ///
    /// # Errors
    /// The place and what is wrong there.
    pub fn parse(text: &str) -> Result<Self, CassetteError> {
        let written: Written = serde_json::from_str(text).map_err(|error| {
            let (line, column) = (error.line(), error.column());
            let said = error.to_string();
            let again = format!(" at line {line} column {column}");
            let why = said.strip_suffix(&again).unwrap_or(&said).to_owned();
            CassetteError { place: format!("line {line}, column {column}"), why }
        })?;
        if !(1..=Self::FORMAT).contains(&written.cassette) {
            return Err(CassetteError {
                place: "cassette".to_owned(),
                why: format!(
                    "it has format {}, and this version reads up to format {}",
                    written.cassette,
                    Self::FORMAT
                ),
            });
        }
        let mut turns = Vec::new();
        for (path, turn) in written.turns.0 {
            let recording = recording(&path, turn)?;
            turns.push((path, recording));
        }
        let Written { workflow, recorded, events, .. } = written;
        Ok(Self { workflow, recorded, events, turns })
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    cassette: u32,
    workflow: String,
    #[serde(default)]
    recorded: String,
    #[serde(default)]
    events: Vec<String>,
    turns: Once<WrittenTurn>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenTurn {
    request: Option<String>,
    asked: Option<Value>,
    #[serde(default)]
    activity: Vec<String>,
    #[serde(default)]
    artifacts: Once<Option<WrittenFile>>,
    #[serde(default)]
    patch: Once<Option<WrittenFile>>,
    answer: Option<Value>,
    failed: Option<WrittenFailure>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenFile {
    text: Option<Value>,
    hex: Option<String>,
    #[serde(default)]
    executable: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenFailure {
    class: FailureClass,
    message: String,
}

/// A map in which no key is written twice, in its order: the reader would not know which one counts.
struct Once<V>(Vec<(String, V)>);

impl<V> Default for Once<V> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<'de, V: Deserialize<'de>> Deserialize<'de> for Once<V> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Reader<V>(PhantomData<V>);
        impl<'de, V: Deserialize<'de>> Visitor<'de> for Reader<V> {
            type Value = Once<V>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Once<V>, A::Error> {
                let mut once: Vec<(String, V)> = Vec::new();
                while let Some(key) = map.next_key::<String>()? {
                    if once.iter().any(|(known, _)| *known == key) {
                        let why = format!("`{key}` is there twice: keep the one that counts");
                        return Err(A::Error::custom(why));
                    }
                    // The reader of the whole takes the place out of this text again.
                    let value = map.next_value();
                    let value = value.map_err(|why| A::Error::custom(format!("`{key}`: {why}")))?;
                    once.push((key, value));
                }
                Ok(Once(once))
            }
        }
        from.deserialize_map(Reader(PhantomData))
    }
}

fn recording(path: &str, turn: WrittenTurn) -> Result<Recording, CassetteError> {
    let wrong = |what: &str, why: &str| CassetteError {
        place: format!("turn `{path}`, {what}"),
        why: why.to_owned(),
    };
    let request = turn.request.map(|request| request.parse::<Digest>()).transpose();
    let request = request.map_err(|_| wrong("request", "it must be a SHA-256 in 64 hex digits"))?;
    let text = |what: &str, value: &Value| lines(value).ok_or_else(|| wrong(what, TEXT_RULE));
    let file = |what: &str, written: Option<WrittenFile>| {
        let Some(written) = written else { return Ok(FilePatch::Delete) };
        let bytes = match (&written.text, &written.hex) {
            (Some(value), None) => text(what, value)?.into_bytes(),
            (None, Some(hex)) => bytes(hex).ok_or_else(|| wrong(what, HEX_RULE))?,
            _ => return Err(wrong(what, "it needs `text`, or `hex` for one that is no text")),
        };
        Ok(FilePatch::Write { bytes, executable: written.executable })
    };
    let mut files = BTreeMap::new();
    for (name, written) in turn.patch.0 {
        let what = format!("file `{name}`");
        let plain = name.strip_prefix("{{ workflow.folder }}/").unwrap_or(&name);
        if plain.split_whitespace().collect::<String>().contains("{{workflow.folder}}") {
            return Err(wrong(&what, FOLDER_RULE));
        }
        let leaves = plain.is_empty()
            || plain.starts_with('/')
            || plain.split('/').any(|part| matches!(part, "" | "." | ".."));
        if leaves {
            return Err(wrong(&what, "it must be a path inside the workspace"));
        }
        let written = file(&what, written)?;
        files.insert(name, written);
    }
    let mut artifacts = BTreeMap::new();
    for (name, written) in turn.artifacts.0 {
        let written = file(&format!("artifact `{name}`"), written)?;
        artifacts.insert(name, written);
    }
    let end = match (&turn.answer, turn.failed) {
        (Some(answer), None) => RecordedEnd::Answer(text("answer", answer)?),
        (None, Some(WrittenFailure { class, message })) => RecordedEnd::Failed { class, message },
        _ => return Err(wrong("its end", "a turn has either an `answer` or a `failed`")),
    };
    let asked = turn.asked.map(|asked| text("asked", &asked)).transpose()?;
    Ok(Recording { request, asked, activity: turn.activity, artifacts, patch: files, end })
}

const FOLDER_RULE: &str =
    "the workflow's folder is written `{{ workflow.folder }}/`, at the beginning";
const TEXT_RULE: &str = "it must be a text, or a list of its lines";
const HEX_RULE: &str = "`hex` is two hex digits for each byte";

/// A text, or a list of lines each of which ends in a line break.
fn lines(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Array(lines) => {
            lines.iter().map(|line| line.as_str().map(|line| format!("{line}\n"))).collect()
        }
        _ => None,
    }
}

fn bytes(hex: &str) -> Option<Vec<u8>> {
    let (pairs, rest) = hex.as_bytes().as_chunks::<2>();
    let digit = |c: u8| char::from(c).to_digit(16);
    let byte = |[a, b]: &[u8; 2]| u8::try_from(digit(*a)? * 16 + digit(*b)?).ok();
    if rest.is_empty() { pairs.iter().map(byte).collect() } else { None }
}
