//! `ask` and `wait`: steps that run nothing and wait for a person, a time or a signal.

use super::field::{Fields, duration, name, names, text};
use super::kind::Kind;
use super::text::TextDecl;
use super::{Reader, WorkDecl};
use crate::diagnostic::{Code, Problem};
use crate::source::Spanned;
use botpipe_kernel::ids::SignalName;

/// What a `wait` step waits for, as authored.
#[derive(Debug)]
pub(crate) enum WaitDecl {
    Span { ms: u64 },
    Moment { at: TextDecl },
    Signal { name: Spanned<SignalName>, timeout_ms: Option<u64> },
}

/// Common keys that say how something is run.
const OF_WHAT_RUNS: [&str; 7] =
    ["policy", "limits", "budget", "retry", "on_interrupt", "on_limit", "idle_timeout"];

impl Reader<'_, '_> {
    pub(super) fn ask(&mut self, fields: &mut Fields<'_>) -> WorkDecl {
        self.nothing_runs(fields, Kind::Ask);
        let Some(entry) = fields.get("ask") else { return WorkDecl::Unknown };
        let question = self.prompt_text(&entry.value, entry.key_span);
        let (choices, answer) = (fields.get("choices"), fields.get("answer"));
        if let (Some(choices), Some(answer)) = (choices, answer) {
            self.report.push(
                Problem::new(
                    Code::AnswerForm,
                    answer.key_span,
                    "an answer is one of `choices`, or fits `answer`; not both",
                )
                .also(choices.key_span, "the other"),
            );
        }
        let choices = choices.map(|entry| self.choices(entry)).unwrap_or_default();
        for choice in choices.iter().filter(|choice| choice.value == "timed_out") {
            let message = "`timed_out` cannot be a choice";
            self.report.push(
                Problem::new(Code::ReservedName, choice.span, message)
                    .help("it is what a question comes to that nobody answers in time"),
            );
        }
        WorkDecl::Ask {
            question,
            choices,
            answer: answer.and_then(|answer| self.schema(answer)),
            shows: fields
                .get("shows")
                .map(|entry| names(entry, "artifacts", self.report))
                .unwrap_or_default(),
        }
    }

    pub(super) fn wait(&mut self, fields: &mut Fields<'_>) -> WorkDecl {
        self.nothing_runs(fields, Kind::Wait);
        let Some(entry) = fields.get("wait") else { return WorkDecl::Unknown };
        let Some(mut what) =
            Fields::of(&entry.value, "what is waited for", entry.key_span, self.report)
        else {
            return WorkDecl::Unknown;
        };
        let forms = ["for", "until", "signal"].map(|key| what.get(key));
        let timeout = what.get("timeout");
        what.close(&[], self.report);
        let mut written = forms.iter().flatten();
        let (Some(form), None) = (written.next(), written.next()) else {
            let message = "a step waits for one thing";
            self.report.push(
                Problem::new(Code::WaitForm, entry.key_span, message)
                    .help("write one of `for: 30m`, `until: \"{{ … }}\"` or `signal: name`"),
            );
            return WorkDecl::Unknown;
        };
        if let Some(timeout) = timeout.filter(|_| form.key != "signal") {
            let message = format!("`timeout` is for a signal; `{}` says when it is over", form.key);
            self.report.push(Problem::new(Code::WaitForm, timeout.key_span, message));
        }
        let what = match form.key.as_str() {
            "for" => duration(form, self.report).map(|ms| WaitDecl::Span { ms }),
            "until" => {
                let at = self.inline_text(&form.value, form.key_span);
                at.map(|at| WaitDecl::Moment { at })
            }
            _ => {
                let timeout_ms = timeout.and_then(|timeout| duration(timeout, self.report));
                text(form, self.report)
                    .and_then(|written| name(written.value, written.span, self.report))
                    .map(|name| WaitDecl::Signal { name, timeout_ms })
            }
        };
        what.map_or(WorkDecl::Unknown, |what| WorkDecl::Wait { what })
    }

    /// Reports keys that would do nothing, since nothing is run.
    fn nothing_runs(&mut self, fields: &mut Fields<'_>, kind: Kind) {
        for key in OF_WHAT_RUNS {
            if let Some(entry) = fields.get(key) {
                let message = format!("`{key}` is for steps that run an agent or a script");
                self.report.push(Problem::new(Code::WrongKind, entry.key_span, message));
            }
        }
        if let Some(timeout) = fields.get("timeout").filter(|_| kind == Kind::Wait) {
            let message = "the `timeout` of a `wait` stands inside it, beside `signal`";
            self.report.push(Problem::new(Code::WrongKind, timeout.key_span, message));
        }
    }
}
