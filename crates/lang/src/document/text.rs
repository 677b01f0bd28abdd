//! Texts an author gives: prompts, handoffs, commands; inline or in a file beside the workflow.

use std::path::Path;

use super::Reader;
use super::field::{text_of, wrong_type};
use crate::diagnostic::{Code, Problem};
use crate::files::{FileProblem, stays_inside};
use crate::source::Span;
use crate::yaml::{Node, Value};

/// A text and where it came from.
#[derive(Debug, Clone)]
pub(crate) struct TextDecl {
    pub(crate) text: String,
    /// The value in the workflow's file: the text itself, or the path of the file it is in.
    pub(crate) span: Span,
    /// The path, for a text in a file of its own.
    pub(crate) file: Option<String>,
}

impl TextDecl {
    /// Stands in for a text that was reported, so that reading can go on; no plan comes of it.
    pub(crate) fn missing(span: Span) -> Self {
        Self { text: String::new(), span, file: None }
    }
}

impl Reader<'_, '_> {
    /// A prompt: inline, or a path ending in `.md`, `.txt` or `.j2`.
    pub(super) fn prompt_text(&mut self, node: &Node, place: Span) -> TextDecl {
        if !matches!(node.value, Value::Text(_)) {
            wrong_type(node, place, "text: a prompt or the path of one", self.report);
            return TextDecl::missing(node.span);
        }
        let Some(written) = text_of(node, place, self.report) else {
            return TextDecl::missing(node.span);
        };
        if !is_path(written.value) {
            return TextDecl { text: dedent(written.value), span: node.span, file: None };
        }
        match self.read_file(written.value, node.span) {
            Some(text) if text.trim().is_empty() => {
                let message = format!("`{}` is empty", written.value);
                self.report.push(Problem::new(Code::NothingThere, node.span, message));
                TextDecl::missing(node.span)
            }
            Some(text) => TextDecl { text, span: node.span, file: Some(written.value.to_owned()) },
            None => TextDecl::missing(node.span),
        }
    }

    /// A text that is never a path: a command, an expression.
    pub(super) fn inline_text(&mut self, node: &Node, place: Span) -> Option<TextDecl> {
        let written = text_of(node, place, self.report)?;
        Some(TextDecl { text: dedent(written.value), span: node.span, file: None })
    }

    /// The text of a file beside the workflow; problems are reported at the path.
    pub(super) fn read_file(&mut self, path: &str, span: Span) -> Option<String> {
        let outside = || {
            Problem::new(Code::FileOutside, span, format!("`{path}` leaves the workflow's folder"))
                .help("a workflow reads only files beside its own, by a relative path without `..`")
        };
        if !stays_inside(path) {
            self.report.push(outside());
            return None;
        }
        let words = match self.files.read(path) {
            Ok(text) => return Some(text),
            Err(FileProblem::Outside) => {
                self.report.push(outside());
                return None;
            }
            Err(FileProblem::Missing) => "there is no such file".to_owned(),
            Err(FileProblem::NotText) => "it is not UTF-8 text".to_owned(),
            Err(FileProblem::TooLarge) => "it is larger than 16 MiB".to_owned(),
            Err(FileProblem::Unreadable { reason }) => reason,
        };
        self.report.push(
            Problem::new(Code::FileUnreadable, span, format!("`{path}` cannot be read: {words}"))
                .help("paths are relative to the workflow's own file"),
        );
        None
    }
}

/// One word that ends like a prompt file; a sentence that happens to end in `plan.md` is none.
fn is_path(text: &str) -> bool {
    let named = Path::new(text)
        .extension()
        .is_some_and(|found| found == "md" || found == "txt" || found == "j2");
    named && !text.contains(char::is_whitespace) && !text.contains("{{")
}

/// Takes away the indentation that all lines share, and empty lines at the start.
fn dedent(text: &str) -> String {
    let shared = text
        .lines()
        .filter(|line| !line.trim().is_empty())
        .map(|line| line.len() - line.trim_start_matches(' ').len())
        .min()
        .unwrap_or(0);
    let mut lines = text.split_inclusive('\n').skip_while(|line| line.trim().is_empty());
    lines.by_ref().map(|line| line.get(shared..).unwrap_or("\n")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shared_indentation_goes_and_the_rest_stays() {
        assert_eq!(dedent("\n  a\n\n    b\n"), "a\n\n  b\n");
        assert_eq!(dedent("one line"), "one line");
    }

    #[test]
    fn a_sentence_is_no_path() {
        assert!(is_path("prompts/plan.md") && is_path("x.j2"));
        assert!(!is_path("Write plan.md") && !is_path("{{ x }}.md") && !is_path("plan"));
    }
}
