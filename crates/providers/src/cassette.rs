//! A cassette: recorded turns that are played in the place of an agent.

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

use botpipe_kernel::ids::Digest;
use serde::de::{Error as _, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

/// Recorded turns of one run, keyed by turn path.
///
/// # Shape
/// ```json
/// { "cassette": 1, "workflow": "ralph_loop", "recorded": "written by hand",
///   "turns": { "plan/1/producer/1": {
///     "request": "<sha256 of the request>", "activity": ["reads README.md"],
///     "patch": { "{{ workflow.folder }}/work.json": { "text": "…" }, "old.txt": null },
///     "answer": "final text, or a list of its lines" } } }
/// ```
/// A turn path has no count of starts, so a turn that was interrupted plays the same recording
/// again; patches are whole files, so playing twice is playing once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cassette {
    turns: BTreeMap<String, Recording>,
}

/// One recorded turn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recording {
    /// Digest of the request it answered.
    pub request: String,
    /// What the agent was seen doing.
    pub activity: Vec<String>,
    /// Files it left, by path relative to the workspace.
    pub patch: BTreeMap<String, FilePatch>,
    pub answer: String,
}

/// What a turn left of one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FilePatch {
    Write { text: String, executable: bool },
    Delete,
}

/// A text that is no cassette.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {why}")]
pub struct CassetteError {
    /// The turn, or the line of the text.
    pub place: String,
    pub why: String,
}

/// No recording fits a request.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Mismatch {
    #[error(
        "the cassette has no turn `{turn}`{}",
        nearest.as_ref().map(|near| format!(" (the nearest is `{near}`)")).unwrap_or_default()
    )]
    NoTurn { turn: String, nearest: Option<String> },
    #[error(
        "turn `{turn}` was recorded for another request (recorded {recorded}, asked {asked}): its \
         prompt or contract changed since; record again, or play it loosely with `--loose`"
    )]
    Request { turn: String, recorded: String, asked: String },
}

impl Cassette {
    /// Version of the format.
    pub const FORMAT: u32 = 1;

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
        if written.cassette != Self::FORMAT {
            return Err(CassetteError {
                place: "cassette".to_owned(),
                why: format!(
                    "it has format {}, and this version reads format {}",
                    written.cassette,
                    Self::FORMAT
                ),
            });
        }
        let mut turns = BTreeMap::new();
        for (path, turn) in written.turns.0 {
            let recording = recording(&path, turn)?;
            turns.insert(path, recording);
        }
        Ok(Self { turns })
    }

    /// The recording of a turn, when it answers this request.
    ///
    /// # Errors
    /// [`Mismatch`]; with `loose`, only when the turn is not there at all.
    pub fn play(&self, turn: &str, request: &Digest, loose: bool) -> Result<&Recording, Mismatch> {
        let Some(recording) = self.turns.get(turn) else {
            return Err(Mismatch::NoTurn { turn: turn.to_owned(), nearest: self.nearest(turn) });
        };
        if !loose && recording.request != request.as_str() {
            return Err(Mismatch::Request {
                turn: turn.to_owned(),
                recorded: recording.request.chars().take(12).collect(),
                asked: request.short().to_owned(),
            });
        }
        Ok(recording)
    }

    /// Whether the recording of a turn was made for this request.
    pub fn fits(&self, turn: &str, request: &Digest) -> bool {
        self.turns.get(turn).is_some_and(|recording| recording.request == request.as_str())
    }

    /// The recorded turn that shares the longest beginning.
    fn nearest(&self, turn: &str) -> Option<String> {
        let shared =
            |other: &str| turn.bytes().zip(other.bytes()).take_while(|(a, b)| a == b).count();
        let best = self.turns.keys().max_by_key(|path| shared(path))?;
        (shared(best) > 0).then(|| best.clone())
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    cassette: u32,
    #[expect(dead_code, reason = "for people who read the file")]
    workflow: String,
    #[serde(default)]
    #[expect(dead_code, reason = "for people who read the file")]
    recorded: String,
    turns: Once<WrittenTurn>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenTurn {
    request: String,
    #[serde(default)]
    activity: Vec<String>,
    #[serde(default)]
    patch: Once<Option<WrittenFile>>,
    answer: serde_json::Value,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenFile {
    text: serde_json::Value,
    #[serde(default)]
    executable: bool,
}

/// A map in which no key is written twice: the reader would not know which one counts.
struct Once<V>(BTreeMap<String, V>);

impl<V> Default for Once<V> {
    fn default() -> Self {
        Self(BTreeMap::new())
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
                let mut once = BTreeMap::new();
                while let Some(key) = map.next_key::<String>()? {
                    if once.contains_key(&key) {
                        let why = format!("`{key}` is there twice: keep the one that counts");
                        return Err(A::Error::custom(why));
                    }
                    // The reader of the whole takes the place out of this text again.
                    let value = map.next_value();
                    let value = value.map_err(|why| A::Error::custom(format!("`{key}`: {why}")))?;
                    once.insert(key, value);
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
    if turn.request.parse::<Digest>().is_err() {
        return Err(wrong("request", "it must be a SHA-256 in 64 hex digits"));
    }
    let mut files = BTreeMap::new();
    for (file, written) in turn.patch.0 {
        let plain = file.strip_prefix("{{ workflow.folder }}/").unwrap_or(&file);
        if plain.split_whitespace().collect::<String>().contains("{{workflow.folder}}") {
            return Err(wrong(&format!("file `{file}`"), FOLDER_RULE));
        }
        let leaves = plain.is_empty()
            || plain.starts_with('/')
            || plain.split('/').any(|part| matches!(part, "" | "." | ".."));
        if leaves {
            return Err(wrong(&format!("file `{file}`"), "it must be a path inside the workspace"));
        }
        let written = match written {
            Some(written) => FilePatch::Write {
                text: lines(&written.text)
                    .ok_or_else(|| wrong(&format!("file `{file}`"), TEXT_RULE))?,
                executable: written.executable,
            },
            None => FilePatch::Delete,
        };
        files.insert(file, written);
    }
    let answer = lines(&turn.answer).ok_or_else(|| wrong("answer", TEXT_RULE))?;
    Ok(Recording { request: turn.request, activity: turn.activity, patch: files, answer })
}

const FOLDER_RULE: &str =
    "the workflow's folder is written `{{ workflow.folder }}/`, at the beginning";
const TEXT_RULE: &str = "it must be a text, or a list of its lines";

/// A text, or a list of lines each of which ends in a line break.
fn lines(value: &serde_json::Value) -> Option<String> {
    match value {
        serde_json::Value::String(text) => Some(text.clone()),
        serde_json::Value::Array(lines) => {
            lines.iter().map(|line| line.as_str().map(|line| format!("{line}\n"))).collect()
        }
        _ => None,
    }
}
