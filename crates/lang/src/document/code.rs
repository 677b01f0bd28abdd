//! Code as authored: a command of the shell, or a function of the host; and the hooks that are code.

use botpipe_kernel::ids::FunctionName;
use serde_json::Value as Json;

use super::Reader;
use super::field::{Fields, name, text_of, wrong_type};
use super::group::texts_of;
use super::text::TextDecl;
use crate::diagnostic::{Code, Problem};
use crate::source::Spanned;
use crate::yaml::{Entry, Value};

/// Code that a step runs.
#[derive(Debug, Clone)]
pub(crate) enum CodeDecl {
    Command(TextDecl),
    Call(CallDecl),
}

/// A function of the host, and what it is called with.
#[derive(Debug, Clone)]
pub(crate) struct CallDecl {
    pub(crate) function: Spanned<FunctionName>,
    pub(crate) with: Option<Json>,
    /// The templates in it.
    pub(crate) templates: Vec<TextDecl>,
}

/// The hooks of a step.
#[derive(Debug, Default)]
pub(crate) struct HooksDecl {
    pub(crate) before: Option<Box<CodeDecl>>,
    pub(crate) before_producer: Option<Box<CodeDecl>>,
    pub(crate) after_producer: Option<Box<CodeDecl>>,
    pub(crate) before_verifier: Option<Box<CodeDecl>>,
    pub(crate) after_verifier: Option<Box<CodeDecl>>,
    pub(crate) after: Option<Box<CodeDecl>>,
}

impl CodeDecl {
    /// Its templates.
    pub(crate) fn templates(&self) -> &[TextDecl] {
        match self {
            Self::Command(command) => std::slice::from_ref(command),
            Self::Call(call) => &call.templates,
        }
    }

    /// Whether it calls the host.
    pub(crate) fn calls(&self) -> bool {
        matches!(self, Self::Call(_))
    }
}

impl HooksDecl {
    /// Those that speak before there is an outcome.
    pub(crate) fn early(&self) -> impl Iterator<Item = &CodeDecl> {
        let all =
            [&self.before, &self.before_producer, &self.after_producer, &self.before_verifier];
        all.into_iter().filter_map(|hook| hook.as_deref())
    }

    /// Those that speak when there is one.
    pub(crate) fn late(&self) -> impl Iterator<Item = &CodeDecl> {
        [&self.after_verifier, &self.after].into_iter().filter_map(|hook| hook.as_deref())
    }

    /// Whether there is any: a hook may pick any route of its step.
    pub(crate) fn any(&self) -> bool {
        self.early().chain(self.late()).next().is_some()
    }
}

impl Reader<'_, '_> {
    /// `{ run: command }` or `{ call: function, with: {…} }`.
    pub(super) fn code(&mut self, entry: &Entry, what: &'static str) -> Option<CodeDecl> {
        let mut fields = Fields::of(&entry.value, what, entry.key_span, self.report)?;
        let (run, call) = (fields.get("run"), fields.get("call"));
        let with = fields.get("with");
        let code = match (run, call) {
            (Some(run), None) => {
                if let Some(with) = with {
                    let message = "`with` belongs to a `call`";
                    self.report.push(
                        Problem::new(Code::WrongKind, with.key_span, message)
                            .help("a command is told in its own text"),
                    );
                }
                self.inline_text(&run.value, run.key_span).map(CodeDecl::Command)
            }
            (None, Some(call)) => self.call(call, with).map(CodeDecl::Call),
            (Some(run), Some(call)) => {
                let message = format!("{what} is `run` or `call`, not both");
                self.report.push(
                    Problem::new(Code::WrongKind, call.key_span, message)
                        .also(run.key_span, "and here"),
                );
                None
            }
            (None, None) => {
                let message = format!("{what} needs `run` or `call`");
                self.report.push(
                    Problem::new(Code::MissingKey, entry.key_span, message)
                        .help("`run` is a command of the shell, `call` a function of the host"),
                );
                None
            }
        };
        fields.close(&[], self.report);
        code
    }

    /// A function's name, and what it is called with.
    pub(super) fn call(&mut self, entry: &Entry, with: Option<&Entry>) -> Option<CallDecl> {
        let mut templates = Vec::new();
        let with = with.and_then(|with| {
            if !matches!(with.value.value, Value::Map(_)) {
                wrong_type(&with.value, with.key_span, "a map of values", self.report);
                return None;
            }
            let json = with.value.to_json();
            texts_of(&json, with.value.span, &mut templates);
            Some(json)
        });
        let written = text_of(&entry.value, entry.key_span, self.report)?;
        let function = name(written.value, written.span, self.report)?;
        Some(CallDecl { function, with, templates })
    }

    /// The hooks of a step; those around producer and verifier belong to steps that have them.
    pub(super) fn hooks(&mut self, fields: &mut Fields<'_>, has_two: bool) -> HooksDecl {
        let mut hook = |key: &'static str, of_two: bool| {
            let entry = fields.get(key)?;
            if of_two && !has_two {
                let message = format!("`{key}` belongs to steps of the kind `produce` + `verify`");
                self.report.push(
                    Problem::new(Code::WrongKind, entry.key_span, message)
                        .help("a step with one turn has `before` and `after`"),
                );
            }
            self.code(entry, "a hook").map(Box::new)
        };
        HooksDecl {
            before: hook("before", false),
            before_producer: hook("before_producer", true),
            after_producer: hook("after_producer", true),
            before_verifier: hook("before_verifier", true),
            after_verifier: hook("after_verifier", true),
            after: hook("after", false),
        }
    }
}
