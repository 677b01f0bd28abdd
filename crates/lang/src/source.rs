//! Source text: the file as given, byte spans in it, lines and columns.

use serde::Serialize;

/// A workflow file as given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceFile {
    /// How the file is called in diagnostics; usually its path as the person typed it.
    pub name: String,
    /// The whole text.
    pub text: String,
}

/// A range of bytes of a source text; `end` is exclusive.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Span {
    /// Offset of the first byte.
    pub start: usize,
    /// Offset after the last byte.
    pub end: usize,
}

/// A value and where the author wrote it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spanned<T> {
    pub value: T,
    pub span: Span,
}

impl<T> Spanned<T> {
    pub(crate) fn new(value: T, span: Span) -> Self {
        Self { value, span }
    }
}

/// Where the lines of a text start.
#[derive(Debug)]
pub(crate) struct Lines {
    starts: Vec<usize>,
}

impl Lines {
    pub(crate) fn of(text: &str) -> Self {
        let breaks = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n');
        Self { starts: std::iter::once(0).chain(breaks.map(|(at, _)| at + 1)).collect() }
    }

    /// Line and column (in characters) of a byte offset; both count from 1.
    pub(crate) fn position(&self, text: &str, offset: usize) -> (usize, usize) {
        let line = self.starts.partition_point(|start| *start <= offset);
        let start = self.starts[line - 1];
        (line, text[start..offset].chars().count() + 1)
    }

    /// A span made fit to be shown: inside the text, on character borders, within its first line, and
    /// not empty where the line has something to show.
    pub(crate) fn clip(text: &str, span: Span) -> Span {
        let start = floor(text, span.start.min(text.len()));
        let rest = &text[start..];
        let line_end = start + rest.find('\n').unwrap_or(rest.len());
        let line_end = start + text[start..line_end].trim_end().len();
        let end = floor(text, span.end.clamp(start, line_end.max(start)));
        Span { start, end: if end == start { line_end } else { end } }
    }
}

fn floor(text: &str, mut offset: usize) -> usize {
    while !text.is_char_boundary(offset) {
        offset -= 1;
    }
    offset
}
