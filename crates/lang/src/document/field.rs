//! Reading a map key by key: types, choices, names, durations; and what was never asked for.

use std::str::FromStr;

use botpipe_kernel::ids::IdError;
use botpipe_kernel::plan::Budget;

use crate::diagnostic::{Code, Problem, Report};
use crate::source::{Span, Spanned};
use crate::yaml::{Entry, Node, Value};

/// A map being read; [`Fields::close`] reports the keys nobody asked for.
pub struct Fields<'n> {
    what: &'static str,
    place: Span,
    entries: &'n [Entry],
    /// In the order of the map.
    taken: Vec<bool>,
    /// What it may say.
    known: Vec<&'static str>,
}

impl<'n> Fields<'n> {
    /// Begins to read a map; `what` is how a person calls it, `place` where its key stands.
    pub fn of(
        node: &'n Node,
        what: &'static str,
        place: Span,
        report: &mut Report<'_>,
    ) -> Option<Self> {
        if let Value::Map(entries) = &node.value {
            let taken = vec![false; entries.len()];
            // As many as a step has.
            let known = Vec::with_capacity(64);
            return Some(Self { what, place, entries, taken, known });
        }
        wrong_type(node, place, &format!("{what} as a map"), report);
        None
    }

    /// The entry of a key, if written.
    pub fn get(&mut self, key: &'static str) -> Option<&'n Entry> {
        self.known.push(key);
        let at = self.entries.iter().position(|entry| entry.key == key)?;
        self.taken[at] = true;
        Some(&self.entries[at])
    }

    /// The entry of a key without counting it as read.
    pub fn peek(&self, key: &str) -> Option<&'n Entry> {
        self.entries.iter().find(|entry| entry.key == key)
    }

    /// The entry of a key that must be there.
    pub(crate) fn need(&mut self, key: &'static str, report: &mut Report<'_>) -> Option<&'n Entry> {
        let entry = self.get(key);
        if entry.is_none() {
            report.push(Problem::new(
                Code::MissingKey,
                self.place,
                format!("{} needs `{key}`", self.what),
            ));
        }
        entry
    }

    /// Reports what was not asked for; `elsewhere` are words for what is said otherwise here, with how.
    pub fn close(self, elsewhere: &[(&'static str, &'static str)], report: &mut Report<'_>) {
        let left = self.entries.iter().zip(self.taken).filter(|(_, taken)| !taken);
        for (entry, _) in left {
            let key = entry.key.as_str();
            if let Some((_, how)) = elsewhere.iter().find(|(word, _)| *word == key) {
                report.push(said_otherwise(key, entry.key_span).help(*how));
            } else {
                let mut known: Vec<&str> = Vec::new();
                for key in &self.known {
                    if !known.contains(key) {
                        known.push(key);
                    }
                }
                report.push(
                    Problem::new(
                        Code::UnknownKey,
                        entry.key_span,
                        format!("{} has no key `{key}`", self.what),
                    )
                    .suggest(key, known.iter().copied()),
                );
            }
        }
    }
}

/// The diagnostic for a word that others know, and that is said otherwise here.
fn said_otherwise(word: &str, span: Span) -> Problem {
    Problem::new(Code::SaidOtherwise, span, format!("`{word}` is said otherwise here"))
}

/// Reports that a value is not what its key takes.
pub fn wrong_type(node: &Node, place: Span, expected: &str, report: &mut Report<'_>) {
    if matches!(node.value, Value::Broken) {
        return;
    }
    let span = if matches!(node.value, Value::Null) { place } else { node.span };
    let mut problem = Problem::new(
        Code::WrongType,
        span,
        format!("expected {expected}, found {}", node.describe()),
    );
    if expected.starts_with("text") && matches!(node.value, Value::Int(_) | Value::Bool(_)) {
        problem = problem.help("put it in quotes to make it a text");
    }
    if let Value::Text(text) = &node.value {
        let word = text.to_lowercase();
        if expected == "true or false" && matches!(word.as_str(), "yes" | "on" | "no" | "off") {
            let meant = if matches!(word.as_str(), "yes" | "on") { "true" } else { "false" };
            problem = problem.help(format!("write `{meant}`"));
        }
        let plain = |c: char| c.is_alphanumeric() || "/._-~@".contains(c);
        let of_words =
            LISTS_OF_WORDS.iter().any(|of| expected.strip_prefix("a list of ") == Some(of));
        if of_words && !text.contains(char::is_control) {
            let is_plain = text.starts_with(|c: char| c.is_alphanumeric() || "/.".contains(c))
                && text.chars().all(plain);
            let one =
                if is_plain { text.clone() } else { format!("'{}'", text.replace('\'', "''")) };
            problem = problem.help(format!("a list of one is `[{one}]`"));
        }
    }
    report.push(problem);
}

/// What lists of single words are of: one word is easily taken for a list.
const LISTS_OF_WORDS: [&str; 6] = ["paths", "names", "domains", "presets", "rules", "texts"];

/// A text.
pub fn text<'n>(entry: &'n Entry, report: &mut Report<'_>) -> Option<Spanned<&'n str>> {
    text_of(&entry.value, entry.key_span, report)
}

/// A text that is not empty.
pub fn text_of<'n>(
    node: &'n Node,
    place: Span,
    report: &mut Report<'_>,
) -> Option<Spanned<&'n str>> {
    let Some(text) = node.as_text() else {
        wrong_type(node, place, "text", report);
        return None;
    };
    if text.trim().is_empty() {
        report.push(Problem::new(Code::NothingThere, node.span, "this text is empty"));
        return None;
    }
    Some(Spanned::new(text, node.span))
}

/// True or false.
pub fn boolean(entry: &Entry, report: &mut Report<'_>) -> Option<bool> {
    if let Value::Bool(value) = entry.value.value {
        return Some(value);
    }
    wrong_type(&entry.value, entry.key_span, "true or false", report);
    None
}

/// A whole number of at least 1.
pub fn count(entry: &Entry, most: u32, report: &mut Report<'_>) -> Option<u32> {
    let Value::Int(value) = entry.value.value else {
        wrong_type(&entry.value, entry.key_span, "a whole number", report);
        return None;
    };
    match u32::try_from(value) {
        Ok(value) if (1..=most).contains(&value) => Some(value),
        _ => {
            report.push(Problem::new(
                Code::Range,
                entry.value.span,
                format!("`{}` is a number from 1 to {most}", entry.key),
            ));
            None
        }
    }
}

/// A whole number that may be large.
fn big_count(entry: &Entry, report: &mut Report<'_>) -> Option<u64> {
    let Value::Int(value) = entry.value.value else {
        wrong_type(&entry.value, entry.key_span, "a whole number", report);
        return None;
    };
    let found = u64::try_from(value).ok().filter(|value| *value > 0);
    if found.is_none() {
        let message = format!("`{}` is a number greater than 0", entry.key);
        report.push(Problem::new(Code::Range, entry.value.span, message));
    }
    found
}

/// An amount of US dollars, in millionths.
fn dollars(entry: &Entry, report: &mut Report<'_>) -> Option<u64> {
    #[expect(clippy::cast_precision_loss, reason = "amounts of money are far below 2^52")]
    let value = match entry.value.value {
        Value::Int(value) => value as f64,
        Value::Float(value) => value,
        _ => {
            wrong_type(&entry.value, entry.key_span, "a number of US dollars", report);
            return None;
        }
    };
    if !(0.000_001..=1e9).contains(&value) {
        let message = format!("`{}` is an amount greater than 0", entry.key);
        report.push(Problem::new(Code::Range, entry.value.span, message));
        return None;
    }
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "in range by now")]
    Some((value * 1e6).round() as u64)
}

/// What a run may spend.
pub fn budget(entry: &Entry, report: &mut Report<'_>) -> Budget {
    let Some(mut fields) = Fields::of(&entry.value, "a budget", entry.key_span, report) else {
        return Budget::default();
    };
    let budget = Budget {
        cost: fields.get("usd").and_then(|it| dollars(it, report)),
        tokens: fields.get("tokens").and_then(|it| big_count(it, report)),
        turns: fields.get("turns").and_then(|it| count(it, MOST_STEPS, report)),
        wall_ms: fields.get("wall").and_then(|it| duration(it, report)),
    };
    fields.close(&[], report);
    budget
}

/// Most visits, or turns, that a run may be allowed.
pub const MOST_STEPS: u32 = 1_000_000;

/// One of a few words.
pub fn choice<T: Copy>(
    entry: &Entry,
    words: &[(&'static str, T)],
    report: &mut Report<'_>,
) -> Option<T> {
    let written = text(entry, report)?;
    if let Some((_, value)) = words.iter().find(|(word, _)| *word == written.value) {
        return Some(*value);
    }
    report.push(
        Problem::new(
            Code::UnknownChoice,
            written.span,
            format!("`{}` is no choice for `{}`", written.value, entry.key),
        )
        .suggest(written.value, words.iter().map(|(word, _)| *word)),
    );
    None
}

/// A duration, in milliseconds: `500ms`, `30s`, `20m`, `2h`.
pub fn duration(entry: &Entry, report: &mut Report<'_>) -> Option<u64> {
    let help = "a duration is a whole number and a unit: `500ms`, `30s`, `20m`, `2h`";
    let Some(written) = entry.value.as_text() else {
        let message = format!("expected a duration, found {}", entry.value.describe());
        if !matches!(entry.value.value, Value::Broken) {
            report.push(Problem::new(Code::Duration, entry.value.span, message).help(help));
        }
        return None;
    };
    let digits = written.bytes().take_while(u8::is_ascii_digit).count();
    let unit = match &written[digits..] {
        "ms" => Some(1),
        "s" => Some(1_000),
        "m" => Some(60_000),
        "h" => Some(3_600_000),
        _ => None,
    };
    let value = written[..digits].parse::<u64>().ok();
    match value.zip(unit).and_then(|(value, unit)| value.checked_mul(unit)) {
        Some(millis) if (1..=MAX_DURATION_MS).contains(&millis) => Some(millis),
        Some(_) => {
            report.push(Problem::new(
                Code::Range,
                entry.value.span,
                "a duration is longer than nothing and not longer than 30 days",
            ));
            None
        }
        None => {
            let message = format!("`{written}` is no duration");
            report.push(Problem::new(Code::Duration, entry.value.span, message).help(help));
            None
        }
    }
}

/// A size, in bytes: `512MiB`, `1GiB`, `10MB`.
pub fn size(entry: &Entry, report: &mut Report<'_>) -> Option<u64> {
    let help = "a size is a whole number and a unit: `512MiB`, `1GiB`, `10MB`";
    let Some(written) = entry.value.as_text() else {
        let message = format!("expected a size, found {}", entry.value.describe());
        if !matches!(entry.value.value, Value::Broken) {
            report.push(Problem::new(Code::Size, entry.value.span, message).help(help));
        }
        return None;
    };
    let digits = written.bytes().take_while(u8::is_ascii_digit).count();
    let unit = match &written[digits..] {
        "B" => Some(1),
        "KB" => Some(1_000),
        "MB" => Some(1_000_000),
        "GB" => Some(1_000_000_000),
        "TB" => Some(1_000_000_000_000),
        "KiB" => Some(1 << 10),
        "MiB" => Some(1 << 20),
        "GiB" => Some(1 << 30),
        "TiB" => Some(1 << 40),
        _ => None,
    };
    let value = written[..digits].parse::<u64>().ok();
    match value.zip(unit).map(|(value, unit): (u64, u64)| value.saturating_mul(unit)) {
        Some(bytes) if (1..=MAX_SIZE).contains(&bytes) => Some(bytes),
        Some(_) => {
            report.push(Problem::new(
                Code::Range,
                entry.value.span,
                "a size is larger than nothing and not larger than 1024TiB",
            ));
            None
        }
        None => {
            let message = format!("`{}` is no size", written.escape_debug());
            report.push(Problem::new(Code::Size, entry.value.span, message).help(help));
            None
        }
    }
}

/// 1 PiB.
const MAX_SIZE: u64 = 1 << 50;

/// 30 days.
const MAX_DURATION_MS: u64 = 30 * 24 * 3_600_000;

/// A name, by the rules of its kind.
pub(crate) fn name<T: FromStr<Err = IdError>>(
    written: &str,
    span: Span,
    report: &mut Report<'_>,
) -> Option<Spanned<T>> {
    match written.parse() {
        Ok(value) => Some(Spanned::new(value, span)),
        Err(IdError { what, value, rule }) => {
            let message = format!("`{}` is no {what}", value.escape_debug());
            report.push(Problem::new(Code::BadName, span, message).help(rule));
            None
        }
    }
}

/// A list; anything else is reported and read as empty.
pub fn list<'n>(entry: &'n Entry, of: &str, report: &mut Report<'_>) -> &'n [Node] {
    if let Value::List(items) = &entry.value.value {
        return items;
    }
    wrong_type(&entry.value, entry.key_span, &format!("a list of {of}"), report);
    &[]
}

/// A list of names; those that are none are reported and left out.
pub(crate) fn names<T: FromStr<Err = IdError>>(
    entry: &Entry,
    of: &str,
    report: &mut Report<'_>,
) -> Vec<Spanned<T>> {
    list(entry, of, report)
        .iter()
        .filter_map(|item| {
            let written = text_of(item, item.span, report)?;
            name(written.value, written.span, report)
        })
        .collect()
}
