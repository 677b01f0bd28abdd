//! A cassette as text: in the order of the run, and line by line, so that a change is a small one.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::ser::SerializeMap as _;
use serde::{Serialize, Serializer};

use super::{Cassette, FilePatch, RecordedEnd, Recording};

impl Cassette {
    /// The text that [`Cassette::parse`] reads back as the same.
    pub fn to_text(&self) -> String {
        // Maps with text keys and plain values are always JSON.
        let mut text = serde_json::to_string_pretty(self).unwrap_or_default();
        text.push('\n');
        text
    }
}

impl Serialize for Cassette {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut map = to.serialize_map(None)?;
        map.serialize_entry("cassette", &Self::FORMAT)?;
        map.serialize_entry("workflow", &self.workflow)?;
        map.serialize_entry("recorded", &self.recorded)?;
        if !self.events.is_empty() {
            map.serialize_entry("events", &self.events)?;
        }
        map.serialize_entry("turns", &Turns(&self.turns))?;
        map.end()
    }
}

struct Turns<'c>(&'c [(String, Recording)]);

impl Serialize for Turns<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_map(self.0.iter().map(|(path, recording)| (path, recording)))
    }
}

impl Serialize for Recording {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut map = to.serialize_map(None)?;
        if let Some(request) = &self.request {
            map.serialize_entry("request", request)?;
        }
        if let Some(asked) = &self.asked {
            map.serialize_entry("asked", &Text(asked))?;
        }
        if !self.activity.is_empty() {
            map.serialize_entry("activity", &self.activity)?;
        }
        for (key, files) in [("artifacts", &self.artifacts), ("patch", &self.patch)] {
            if !files.is_empty() {
                map.serialize_entry(key, &files.iter().collect::<BTreeMap<_, _>>())?;
            }
        }
        match &self.end {
            RecordedEnd::Answer(text) => map.serialize_entry("answer", &Text(text))?,
            RecordedEnd::Failed { class, message } => {
                let failed = serde_json::json!({ "class": class, "message": message });
                map.serialize_entry("failed", &failed)?;
            }
        }
        map.end()
    }
}

impl Serialize for FilePatch {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let Self::Write { bytes, executable } = self else { return to.serialize_none() };
        let mut map = to.serialize_map(None)?;
        match std::str::from_utf8(bytes) {
            Ok(text) => map.serialize_entry("text", &Text(text))?,
            Err(_) => map.serialize_entry("hex", &hex(bytes))?,
        }
        if *executable {
            map.serialize_entry("executable", &true)?;
        }
        map.end()
    }
}

/// A text of whole lines as their list, any other as it is.
struct Text<'t>(&'t str);

impl Serialize for Text<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self.0.strip_suffix('\n') {
            Some(lines) => to.collect_seq(lines.split('\n')),
            None => to.serialize_str(self.0),
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}
