//! `provider:` of the workflow, of a step or of a turn: who does the turns.

use botpipe_kernel::plan::{Provider, TurnProvider};

use super::Reader;
use super::field::{Fields, boolean, choice, list, text, wrong_type};
use crate::diagnostic::{Code, Problem};
use crate::files::stays_inside;
use crate::yaml::{Entry, Value};

/// The harnesses that may be named.
const HARNESSES: [(&str, ()); 3] = [("codex", ()), ("claude", ()), ("acp", ())];

impl Reader<'_, '_> {
    /// `provider:` at the top.
    pub(super) fn provider(&mut self, entry: &Entry) -> Option<Provider> {
        let mut fields = Fields::of(&entry.value, "a provider", entry.key_span, self.report)?;
        let command = fields.get("command");
        let replay = fields.get("replay");
        let loose = fields.get("loose");
        fields.close(&[], self.report);
        match (command, replay) {
            (Some(command), None) => {
                if let Some(loose) = loose {
                    let message = "`loose` belongs to `replay`";
                    self.report.push(Problem::new(Code::WrongKind, loose.key_span, message));
                }
                let (program, args) = self.command(command)?;
                Some(Provider::Command { program, args })
            }
            (None, Some(replay)) => {
                let cassette = text(replay, self.report)?;
                if !stays_inside(cassette.value) {
                    let message = format!("`{}` leaves the workflow's folder", cassette.value);
                    self.report.push(Problem::new(Code::FileOutside, cassette.span, message));
                }
                let loose = loose.is_some_and(|it| boolean(it, self.report) == Some(true));
                Some(Provider::Replay { cassette: cassette.value.to_owned(), loose })
            }
            (Some(_), Some(second)) => {
                let message = "a provider is either a `command` or a `replay`";
                self.report.push(Problem::new(Code::UnknownKey, second.key_span, message));
                None
            }
            (None, None) => {
                let message = "a provider needs `command: [program, args…]` or `replay: path`";
                self.report.push(Problem::new(Code::MissingKey, entry.key_span, message));
                None
            }
        }
    }

    /// A program and its arguments.
    fn command(&mut self, entry: &Entry) -> Option<(String, Vec<String>)> {
        if !matches!(entry.value.value, Value::List(_)) {
            let expected = "a list: the program and its arguments";
            wrong_type(&entry.value, entry.key_span, expected, self.report);
            return None;
        }
        let mut words = Vec::new();
        for word in list(entry, "texts", self.report) {
            match word.as_text() {
                Some(text) => words.push(text.to_owned()),
                None => wrong_type(word, word.span, "text", self.report),
            }
        }
        let mut words = words.into_iter();
        let program = words.next().filter(|program| !program.is_empty());
        if program.is_none() && !self.report.has_errors() {
            let message = "a command begins with its program";
            self.report.push(Problem::new(Code::NothingThere, entry.value.span, message));
        }
        Some((program?, words.collect()))
    }

    /// `provider:` of a step or a turn: a harness by its name, or with a model; or a command.
    pub(super) fn turn_provider(&mut self, entry: &Entry) -> Option<TurnProvider> {
        if matches!(entry.value.value, Value::Text(_)) {
            return Some(TurnProvider::Harness { name: self.harness(entry)?, model: None });
        }
        let mut fields = Fields::of(&entry.value, "a provider", entry.key_span, self.report)?;
        let (name, model) = (fields.get("name"), fields.get("model"));
        let (command, replay) = (fields.get("command"), fields.peek("replay"));
        if let Some(replay) = replay {
            fields.get("replay");
            let message = "a recording is of a whole run, so no step or turn plays one of its own";
            self.report.push(
                Problem::new(Code::WrongKind, replay.key_span, message)
                    .help("`replay` belongs to the `provider` at the top, or `--provider replay`"),
            );
        }
        fields.close(&[], self.report);
        match (name, command) {
            (Some(name), None) => {
                let model = model.and_then(|model| self.model(model));
                Some(TurnProvider::Harness { name: self.harness(name)?, model })
            }
            (None, Some(command)) => {
                if let Some(model) = model {
                    let message = "`model` belongs to a harness by its `name`";
                    self.report.push(Problem::new(Code::WrongKind, model.key_span, message));
                }
                let (program, args) = self.command(command)?;
                Some(TurnProvider::Command { program, args })
            }
            (Some(_), Some(second)) => {
                let message = "a provider is either a harness by its `name` or a `command`";
                self.report.push(Problem::new(Code::UnknownKey, second.key_span, message));
                None
            }
            (None, None) if replay.is_none() => {
                let message =
                    "a provider needs the `name` of a harness, or `command: [program, args…]`";
                self.report.push(Problem::new(Code::MissingKey, entry.key_span, message));
                None
            }
            (None, None) => None,
        }
    }

    fn harness(&mut self, entry: &Entry) -> Option<String> {
        choice(entry, &HARNESSES, self.report)?;
        entry.value.as_text().map(str::to_owned)
    }

    /// A text that no program can take for an option.
    fn model(&mut self, entry: &Entry) -> Option<String> {
        let written = text(entry, self.report)?;
        if written.value.starts_with('-') || written.value.contains(char::is_control) {
            let message = format!("`{}` is no model", written.value.escape_debug());
            self.report.push(
                Problem::new(Code::BadName, written.span, message)
                    .help("it begins with a letter or a digit and stands on one line"),
            );
            return None;
        }
        Some(written.value.to_owned())
    }
}
