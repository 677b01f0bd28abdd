//! One turn with `codex exec --json`: the prompt on standard input until its end, events until the turn's.

use std::collections::BTreeSet;

use botpipe_kernel::run::{FailureClass, Usage};
use serde_json::Value;

use super::items;
use crate::classify;
use crate::command::{self, ProgramEnd};
use crate::harness::{Asked, Codec, Failure, Heard, Report, Sign};

/// The events of one turn.
///
/// # Source
/// Codex CLI 0.169.0. Failures come in prose alone, and the time of an account's reset in the words of
/// a local clock, without a date: it counts as not told.
#[derive(Debug)]
pub struct Exec {
    prompt: String,
    /// What earlier turns of the conversation reported: the counts go on from there.
    before: Usage,
    /// The last thing the agent said.
    text: Option<String>,
    /// Items that have begun and not ended, and may take long.
    open: BTreeSet<String>,
    usage: Option<Usage>,
    /// The last notice, which may be that something is tried again.
    notice: Option<String>,
    outcome: Option<Result<(), Failure>>,
}

impl Exec {
    /// The events of a turn.
    pub fn new(asked: &Asked<'_>) -> Self {
        let before = asked.session.and(Some(asked.session_usage.clone())).unwrap_or_default();
        Self {
            prompt: asked.prompt.to_owned(),
            before,
            text: None,
            open: BTreeSet::new(),
            usage: None,
            notice: None,
            outcome: None,
        }
    }

    fn item(&mut self, event: &str, item: &Value) -> Heard {
        let item = &renamed(item);
        let id = item["id"].as_str().unwrap_or_default();
        let ended = event == "item.completed";
        if ended {
            self.open.remove(id);
        } else if items::takes_long(item) {
            self.open.insert(id.to_owned());
        }
        if item["type"] == "error" {
            let say = item["message"].as_str().map(str::to_owned);
            return Heard { say, sign: Sign::Waiting, ..Heard::default() };
        }
        // What is said after a good end is no answer any more.
        if ended && item["type"] == "agentMessage" && self.outcome != Some(Ok(())) {
            self.text = item["text"].as_str().map(str::to_owned);
        }
        let say = if ended { items::say(item) } else { None };
        Heard { say, busy: !self.open.is_empty(), ..Heard::default() }
    }

    /// The turn is over; of several ends the last counts.
    fn end(&mut self, outcome: Result<(), Failure>) -> Heard {
        self.outcome = Some(outcome);
        Heard { finished: true, ..Heard::default() }
    }

    /// Counts of the whole conversation; a program that counts anew tells this turn's.
    fn count(&mut self, usage: &Value) {
        let count = |name: &str| usage[name].as_u64();
        let (Some(input), Some(output)) = (count("input_tokens"), count("output_tokens")) else {
            return;
        };
        let anew = input < self.before.input || output < self.before.output;
        let before = if anew { Usage::default() } else { self.before.clone() };
        let rest = |name: &str, before: u64| count(name).unwrap_or(0).saturating_sub(before);
        self.usage = Some(Usage {
            input: input - before.input,
            cached: rest("cached_input_tokens", before.cached),
            cache_write: rest("cache_write_input_tokens", before.cache_write),
            output: output - before.output,
            reasoning: rest("reasoning_output_tokens", before.reasoning),
            cost: None,
            at_least: false,
        });
    }
}

impl Codec for Exec {
    fn open(&mut self) -> String {
        std::mem::take(&mut self.prompt)
    }

    /// It starts once its input has ended.
    fn converses(&self) -> bool {
        false
    }

    fn hear(&mut self, line: &str) -> Heard {
        let event: Value = serde_json::from_str(line).unwrap_or_default();
        let waiting = Heard { sign: Sign::Waiting, ..Heard::default() };
        match event["type"].as_str().unwrap_or_default() {
            "thread.started" => {
                let session = event["thread_id"].as_str().map(str::to_owned);
                Heard { session, ..Heard::default() }
            }
            kind @ ("item.started" | "item.updated" | "item.completed") => {
                self.item(kind, &event["item"])
            }
            "turn.completed" => {
                self.count(&event["usage"]);
                self.end(Ok(()))
            }
            "turn.failed" => {
                let failure = failure(&event["error"]);
                self.end(Err(failure))
            }
            // Of a retry, or what `turn.failed` says next.
            "error" => {
                let message = event["message"].as_str().unwrap_or_default().to_owned();
                self.notice = Some(message.clone());
                Heard { say: Some(message), ..waiting }
            }
            "turn.started" => Heard::default(),
            _ => waiting,
        }
    }

    /// It understands only signals.
    fn leave_off(&mut self) -> Option<String> {
        None
    }

    fn close(&mut self, end: &ProgramEnd, stderr: &str) -> Report {
        let (result, notes) = command::concluded(
            "codex",
            end,
            stderr,
            self.outcome.take(),
            self.text.take(),
            self.notice.as_deref(),
        );
        // What it prints names no turn: how long its record is then tells where the turn ended.
        Report { result, usage: self.usage.take(), transcript: None, checkpoint: None, notes }
    }
}

/// The failure of a turn: `{"message":"…"}`.
fn failure(error: &Value) -> Failure {
    let message = error["message"].as_str().unwrap_or("the turn failed without a word");
    let class = classify::of_text(message).unwrap_or(FailureClass::Unknown);
    Failure::new(class, message)
}

/// The item with its type and its members named as the app server names them: `exit_code`, `exitCode`.
fn renamed(item: &Value) -> Value {
    let Value::Object(members) = item else { return Value::Null };
    let members = members.iter().map(|(name, value)| match value {
        Value::String(kind) if name == "type" => (camel(name), Value::String(camel(kind))),
        value => (camel(name), value.clone()),
    });
    Value::Object(members.collect())
}

fn camel(name: &str) -> String {
    let mut words = name.split('_');
    let first = words.next().unwrap_or_default().to_owned();
    words.fold(first, |all, word| {
        let mut letters = word.chars();
        all + &letters.next().map(|it| it.to_ascii_uppercase().to_string()).unwrap_or_default()
            + letters.as_str()
    })
}
