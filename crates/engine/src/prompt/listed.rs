//! The schemas that a contract mentions, listed once at its end.

use serde_json::Value;

use super::contract::section;
use super::text::fenced;

/// Schemas mentioned so far; each is printed once.
#[derive(Default)]
pub(super) struct Schemas {
    texts: Vec<(Option<Value>, String)>,
}

impl Schemas {
    /// The number of a schema, the same for the same schema however it is spaced.
    pub(super) fn number(&mut self, text: &str) -> usize {
        let parsed: Option<Value> = serde_json::from_str(text).ok();
        let same = |(value, known): &(Option<Value>, String)| {
            known == text || (value.is_some() && *value == parsed)
        };
        if let Some(index) = self.texts.iter().position(same) {
            return index + 1;
        }
        self.texts.push((parsed, text.to_owned()));
        self.texts.len()
    }

    pub(super) fn render(&self, out: &mut String) {
        for (index, (_, text)) in self.texts.iter().enumerate() {
            section(out, &format!("Schema {}", index + 1), &fenced("json", text.trim()));
        }
    }
}
