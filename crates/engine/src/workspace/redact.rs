//! Takes secrets out of text before anything is written.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::sync::LazyLock;

use regex::{Captures, Regex};
use serde_json::Value;

/// Knows this process's secrets and the shapes of well-known tokens.
///
/// Works on whole lines: a value of several lines is known by each of its lines. In JSON a value is known
/// too, also in JSON that is a string of other JSON, and where it is written in ASCII alone.
#[derive(Debug)]
pub struct Redactor {
    /// (value, name), longest first, so that a value within another does not split it.
    values: Vec<(String, String)>,
}

impl Redactor {
    /// Learns them from this process's environment.
    pub fn of_process() -> Self {
        Self::new(std::env::vars_os().filter_map(|(name, value)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        }))
    }

    /// Learns the values of those variables whose names look secret.
    pub fn new(env: impl Iterator<Item = (String, String)>) -> Self {
        let mut values: Vec<(String, String)> = Vec::new();
        for (name, value) in env.filter(|(name, _)| looks_secret(name)) {
            let lines = value.lines().map(|line| line.trim().to_owned());
            let forms: Vec<String> =
                lines.chain([value.clone()]).flat_map(|it| forms(&it)).collect();
            let long = forms.into_iter().filter(|form| form.chars().count() >= MIN_CHARS);
            values.extend(long.map(|form| (form, name.clone())));
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

    /// The same for every string in a JSON value.
    pub fn redact_json(&self, value: Value) -> Value {
        match value {
            Value::String(text) => Value::String(self.redact(&text).into_owned()),
            Value::Array(items) => items.into_iter().map(|it| self.redact_json(it)).collect(),
            Value::Object(fields) => {
                let redacted = |(key, value)| (key, self.redact_json(value));
                Value::Object(fields.into_iter().map(redacted).collect())
            }
            // A secret may be a number.
            Value::Number(number) => match self.redact(&number.to_string()) {
                Cow::Borrowed(_) => Value::Number(number),
                Cow::Owned(text) => Value::String(text),
            },
            other => other,
        }
    }

    /// The secret that a text holds, in words; nothing when it holds none.
    pub fn secret_in(&self, text: &str) -> Option<String> {
        let known = self.values.iter().find(|(value, _)| text.contains(value.as_str()));
        match known {
            Some((_, name)) => Some(format!("the value of `{name}`")),
            None => TOKENS.is_match(text).then(|| "what looks like a token".to_owned()),
        }
    }
}

/// A value as it is and as JSON strings have it: agents' streams are JSON, and a command's arguments are
/// JSON in a string of theirs.
fn forms(value: &str) -> Vec<String> {
    let quoted = |text: &str, ascii: bool| {
        let json = Value::String(text.to_owned()).to_string();
        let inner = json.get(1..json.len() - 1).unwrap_or_default();
        if ascii { in_ascii(inner) } else { inner.to_owned() }
    };
    let mut forms = vec![value.to_owned()];
    for ascii in [false, true] {
        let once = quoted(value, ascii);
        let twice = quoted(&once, ascii);
        let thrice = quoted(&twice, ascii);
        forms.extend([once, twice, thrice]);
    }
    forms
}

/// With every other character as the `\u` escapes of its UTF-16.
fn in_ascii(text: &str) -> String {
    let mut ascii = String::with_capacity(text.len());
    for character in text.chars() {
        if character.is_ascii() {
            ascii.push(character);
            continue;
        }
        for unit in character.encode_utf16(&mut [0; 2]) {
            // Writing to a text never fails.
            let _ = write!(ascii, "\\u{unit:04x}");
        }
    }
    ascii
}

/// Whether a variable of this name holds a secret.
pub(crate) fn looks_secret(name: &str) -> bool {
    let name = name.to_ascii_uppercase();
    let named = WORDS.iter().any(|word| name.contains(word))
        || name.split('_').any(|part| PARTS.contains(&part));
    // Paths and terminals, not secrets, though a word stands in their names.
    named && !NOT_SECRET.contains(&name.as_str())
}

const WORDS: [&str; 7] = ["TOKEN", "SECRET", "KEY", "PASSWORD", "PASSWD", "CREDENTIAL", "AUTH"];
/// In other words they mean nothing: `PWD`, `PATH`.
const PARTS: [&str; 3] = ["PASS", "PAT", "PW"];
const NOT_SECRET: [&str; 3] = ["SSH_AUTH_SOCK", "XAUTHORITY", "GPG_KEY_ID"];

/// Shorter values would redact ordinary words.
const MIN_CHARS: usize = 8;

/// Shapes of tokens, each long enough not to meet prose.
///
/// # Source
/// The prefixes that GitLab documents for its kinds of tokens; npm and `PyPI` as their registries make them.
#[expect(clippy::expect_used, reason = "a fixed pattern, compiled by the tests")]
static TOKENS: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(concat!(
        // In JSON the letter before may be the end of an escape: `\n`.
        r"(?P<before>^|[^A-Za-z0-9_]|\\[bfnrt]|\\u[0-9A-Fa-f]{4})(?:",
        r"sk-[A-Za-z0-9_-]{16,}",
        r"|(?:ghp|gho|ghu|ghs|ghr)_[A-Za-z0-9]{20,}|github_pat_[A-Za-z0-9_]{20,}",
        r"|gl(?:pat|oas|dt|rt|rtr|cbt|ptt|ft|imt|agent|soat)-[A-Za-z0-9_.-]{20,}",
        r"|npm_[A-Za-z0-9]{36}|pypi-[A-Za-z0-9_-]{50,}",
        r"|(?:AKIA|ASIA)[A-Z0-9]{16}",
        r"|xox[abeprs]-[A-Za-z0-9-]{10,}",
        r"|eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}",
        r"|-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----[^\r\n\x22]*",
        r")",
    ))
    .expect("the pattern is valid")
});
