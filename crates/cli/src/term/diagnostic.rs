//! Diagnostics as text: the lines of the file with what is wrong in them.

use annotate_snippets::{AnnotationKind, Group, Level, Patch, Renderer, Snippet};
use botpipe_lang::{Diagnostic, Severity, SourceFile};

/// All diagnostics of a file, each followed by an empty line.
pub(crate) fn render(source: &SourceFile, diagnostics: &[Diagnostic]) -> String {
    diagnostics.iter().map(|diagnostic| one(source, diagnostic) + "\n\n").collect()
}

fn one(source: &SourceFile, diagnostic: &Diagnostic) -> String {
    let level = match diagnostic.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let labels = diagnostic.labels.iter().map(|label| {
        let kind = if label.primary { AnnotationKind::Primary } else { AnnotationKind::Context };
        let words = Some(label.text.as_str()).filter(|text| !text.is_empty());
        kind.span(label.span.start..label.span.end).label(words)
    });
    let snippet = Snippet::source(&source.text).path(&source.name).annotations(labels);
    let title = level.primary_title(&diagnostic.message).id(diagnostic.code.as_str());
    let mut group = title.element(snippet);
    if let Some(help) = &diagnostic.help {
        group = group.element(Level::HELP.message(help));
    }
    let mut report: Vec<Group<'_>> = vec![group];
    let asked = diagnostic.labels.first().is_some_and(|label| !label.text.is_empty());
    if let Some(suggestion) = &diagnostic.suggestion
        && !asked
    {
        let patch =
            Patch::new(suggestion.span.start..suggestion.span.end, suggestion.replacement.as_str());
        let snippet = Snippet::source(&source.text).path(&source.name).patch(patch);
        report.push(Level::HELP.secondary_title("perhaps this was meant").element(snippet));
    }
    Renderer::styled().render(&report)
}

/// How many errors and warnings, as a sentence's end: `2 errors, 1 warning`.
pub(crate) fn count(diagnostics: &[Diagnostic]) -> String {
    let of = |severity| diagnostics.iter().filter(|it| it.severity == severity).count();
    let words = |n: usize, word| format!("{n} {word}{}", if n == 1 { "" } else { "s" });
    match (of(Severity::Error), of(Severity::Warning)) {
        (errors, 0) => words(errors, "error"),
        (0, warnings) => words(warnings, "warning"),
        (errors, warnings) => {
            format!("{}, {}", words(errors, "error"), words(warnings, "warning"))
        }
    }
}
