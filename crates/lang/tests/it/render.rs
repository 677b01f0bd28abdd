//! Diagnostics as plain text, for snapshots a person can judge.

use std::fmt::Write as _;

use botpipe_lang::{Diagnostic, Severity};

/// All diagnostics of a file.
pub(crate) fn render_plain(text: &str, diagnostics: &[Diagnostic]) -> String {
    let mut out = String::new();
    for diagnostic in diagnostics {
        let severity = match diagnostic.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        writeln!(out, "{severity}[{}]: {}", diagnostic.code, diagnostic.message).unwrap();
        for label in &diagnostic.labels {
            let line = text.lines().nth(label.line - 1).unwrap_or("");
            let width = text[label.span.start..label.span.end].chars().count().max(1);
            let mark = if label.primary { "^" } else { "-" };
            writeln!(out, "  {:>3} | {line}", label.line).unwrap();
            let indent = " ".repeat(label.column - 1);
            let row = format!("      | {indent}{} {}", mark.repeat(width), label.text);
            writeln!(out, "{}", row.trim_end()).unwrap();
        }
        if let Some(help) = &diagnostic.help {
            writeln!(out, "  help: {help}").unwrap();
        }
        if let Some(suggestion) = &diagnostic.suggestion {
            let written = &text[suggestion.span.start..suggestion.span.end];
            writeln!(out, "  replace: `{written}` by `{}`", suggestion.replacement).unwrap();
        }
        out.push('\n');
    }
    out
}
