//! Takes secrets out of text before anything is written.

use std::borrow::Cow;
use std::sync::LazyLock;

use regex::{Captures, Regex};

/// Knows this process's secrets and the shapes of well-known tokens.
///
/// Works on whole lines: a value of several lines is known by each of its lines.
#[derive(Debug)]
pub struct Redactor {
    /// (value, name), longest first, so that a value within another does not split it.
    values: Vec<(String, String)>,
}

impl Redactor {
    /// Learns the values of those variables whose names look secret.
    pub fn new(env: impl Iterator<Item = (String, String)>) -> Self {
        let mut values: Vec<(String, String)> = Vec::new();
        for (name, value) in env.filter(|(name, _)| looks_secret(name)) {
            // The JSON form too: agents' streams are JSON, where a value may be escaped.
            let json = serde_json::Value::String(value.clone()).to_string();
            let escaped = json.get(1..json.len() - 1).unwrap_or_default();
            values.extend(
                value
                    .lines()
                    .map(str::trim)
                    .chain(std::iter::once(escaped))
                    .filter(|line| line.chars().count() >= MIN_CHARS)
                    .map(|line| (line.to_owned(), name.clone())),
            );
        }
        values.sort_by(|a, b| b.0.len().cmp(&a.0.len()).then_with(|| a.cmp(b)));
        values.dedup_by(|a, b| a.0 == b.0);
        Self { values }
    }

    /// The text with every secret replaced by `[redacted:NAME]` or `[redacted]`; borrowed when it
    /// holds none.
    pub fn redact<'t>(&self, text: &'t str) -> Cow<'t, str> {
        let mut text = Cow::Borrowed(text);
        for (value, name) in &self.values {
            if text.contains(value.as_str()) {
                text = Cow::Owned(text.replace(value.as_str(), &format!("[redacted:{name}]")));
            }
        }
        let tokens = &*TOKENS;
        if !tokens.is_match(&text) {
            return text;
        }
        let replace = |found: &Captures<'_>| {
            // What only marks the token's start is kept.
            let before = found.name("before").map_or("", |m| m.as_str());
            format!("{before}[redacted]")
        };
        Cow::Owned(tokens.replace_all(&text, replace).into_owned())
    }
}

fn looks_secret(name: &str) -> bool {
    let name = name.to_ascii_uppercase();
    let named = WORDS.iter().any(|word| name.contains(word));
    // Paths and terminals, not secrets, though a word stands in their names.
    named && !NOT_SECRET.contains(&name.as_str())
}

const WORDS: [&str; 7] = ["TOKEN", "SECRET", "KEY", "PASSWORD", "PASSWD", "CREDENTIAL", "AUTH"];
const NOT_SECRET: [&str; 3] = ["SSH_AUTH_SOCK", "XAUTHORITY", "GPG_KEY_ID"];

/// Shorter values would redact ordinary words.
const MIN_CHARS: usize = 8;

/// Shapes of tokens, each long enough not to meet prose.
#[expect(clippy::expect_used, reason = "a fixed pattern, compiled by the tests")]
static TOKENS: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(concat!(
        r"(?P<before>^|[^A-Za-z0-9_])(?:",
        r"sk-[A-Za-z0-9_-]{16,}",
        r"|(?:ghp|gho|ghu|ghs|ghr)_[A-Za-z0-9]{20,}|github_pat_[A-Za-z0-9_]{20,}",
        r"|(?:AKIA|ASIA)[A-Z0-9]{16}",
        r"|xox[abeprs]-[A-Za-z0-9-]{10,}",
        r"|eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}",
        r"|-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----[^\r\n\x22]*",
        r")",
    ))
    .expect("the pattern is valid")
});
