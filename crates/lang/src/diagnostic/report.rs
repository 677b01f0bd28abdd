//! What a diagnostic holds, and the report they are gathered in.

use serde::Serialize;

use super::{Code, nearest};
use crate::source::{Lines, SourceFile, Span};

/// A problem in an authored file.
///
/// # Shape
/// `{"code":"BP0201","severity":"error","message":"…","file":"sop.yaml","labels":[…],"help":"…",
/// "suggestion":{…}}`
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Diagnostic {
    /// Which rule; stable, see [`Code`].
    pub code: Code,
    /// Whether it keeps the file from compiling.
    pub severity: Severity,
    /// One sentence without a final period; names in backticks.
    pub message: String,
    /// [`SourceFile::name`] of the file the labels point into.
    pub file: String,
    /// At least one; the first is the primary.
    pub labels: Vec<Label>,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
    /// A text that would probably be right.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub suggestion: Option<Suggestion>,
}

/// Whether a diagnostic keeps the file from compiling.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// It does.
    Error,
    /// It does not.
    Warning,
}

/// A place in the file and what is to be said of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Label {
    /// Bytes of the source text; always within one line.
    pub span: Span,
    /// Counts from 1.
    pub line: usize,
    /// Counts from 1, in characters.
    pub column: usize,
    /// What is said of the place; may be empty.
    pub text: String,
    /// Whether this is where the problem is, rather than what it refers to.
    pub primary: bool,
}

/// A replacement that would probably be right.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Suggestion {
    /// The bytes to replace.
    pub span: Span,
    /// What to put there.
    pub replacement: String,
}

/// A diagnostic in the making.
#[derive(Debug)]
pub struct Problem {
    code: Code,
    severity: Severity,
    message: String,
    labels: Vec<(Span, String)>,
    help: Option<String>,
    suggestion: Option<String>,
}

impl Problem {
    /// At its primary place.
    pub fn new(code: Code, span: Span, message: impl Into<String>) -> Self {
        Self {
            code,
            severity: Severity::Error,
            message: message.into(),
            labels: vec![(span, String::new())],
            help: None,
            suggestion: None,
        }
    }

    /// The text at the primary place.
    #[must_use]
    pub fn label(mut self, text: impl Into<String>) -> Self {
        self.labels[0].1 = text.into();
        self
    }

    /// Another place that matters.
    #[must_use]
    pub fn also(mut self, span: Span, text: impl Into<String>) -> Self {
        self.labels.push((span, text.into()));
        self
    }

    /// What to do about it.
    #[must_use]
    pub fn help(mut self, text: impl Into<String>) -> Self {
        self.help = Some(text.into());
        self
    }

    /// Offers the candidate nearest to what was written, and lists them all when none is near.
    #[must_use]
    pub fn suggest<'a>(
        mut self,
        written: &str,
        candidates: impl IntoIterator<Item = &'a str> + Clone,
    ) -> Self {
        if let Some(near) = nearest(written, candidates.clone()) {
            self.suggestion = Some(near.to_owned());
            if self.labels[0].1.is_empty() {
                self.labels[0].1 = format!("did you mean `{near}`?");
            }
            return self;
        }
        self.help_known(candidates)
    }

    /// Lists what would have been right, when there is no other help.
    pub(crate) fn help_known<'a>(mut self, candidates: impl IntoIterator<Item = &'a str>) -> Self {
        let known: Vec<String> = candidates.into_iter().map(|name| format!("`{name}`")).collect();
        if self.help.is_none() && (1..=24).contains(&known.len()) {
            self.help = Some(format!("known here: {}", known.join(", ")));
        }
        self
    }

    /// The file compiles all the same.
    pub(crate) fn warning(mut self) -> Self {
        self.severity = Severity::Warning;
        self
    }

    /// The same at another primary place.
    pub(crate) fn at(mut self, span: Span) -> Self {
        self.labels[0].0 = span;
        self
    }
}

/// Gathers the problems of one file.
#[derive(Debug)]
pub struct Report<'s> {
    source: &'s SourceFile,
    lines: Lines,
    found: Vec<Diagnostic>,
}

impl<'s> Report<'s> {
    /// On one file.
    pub fn on(source: &'s SourceFile) -> Self {
        Self { source, lines: Lines::of(&source.text), found: Vec::new() }
    }

    /// The place of the source, as its diagnostics name it.
    pub(crate) fn name(&self) -> &'s str {
        &self.source.name
    }

    pub(crate) fn text(&self) -> &'s str {
        &self.source.text
    }

    /// Adds one.
    pub fn push(&mut self, problem: Problem) {
        let text = &self.source.text;
        let mut labels = Vec::with_capacity(problem.labels.len());
        for (n, (span, words)) in problem.labels.into_iter().enumerate() {
            let span = Lines::clip(text, span);
            let (line, column) = self.lines.position(text, span.start);
            labels.push(Label { span, line, column, text: words, primary: n == 0 });
        }
        let place = labels[0].span;
        self.found.push(Diagnostic {
            code: problem.code,
            severity: problem.severity,
            message: problem.message,
            file: self.source.name.clone(),
            labels,
            help: problem.help,
            suggestion: problem
                .suggestion
                .map(|replacement| Suggestion { span: place, replacement }),
        });
    }

    /// The line on which a place begins; counts from 1.
    pub fn line_of(&self, span: Span) -> usize {
        let span = Lines::clip(&self.source.text, span);
        self.lines.position(&self.source.text, span.start).0
    }

    /// Whether anything keeps the file from being used.
    pub fn has_errors(&self) -> bool {
        self.found.iter().any(|diagnostic| diagnostic.severity == Severity::Error)
    }

    /// All of them, by place, each once.
    pub fn finish(mut self) -> Vec<Diagnostic> {
        self.found.sort_by(|a, b| {
            let key = |d: &Diagnostic| (d.labels[0].span, d.code.as_str());
            key(a).cmp(&key(b)).then_with(|| a.message.cmp(&b.message))
        });
        self.found.dedup();
        self.found
    }
}
