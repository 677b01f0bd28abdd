//! Text to spanned tree: never fails, reports.

use std::collections::HashMap;

use saphyr_parser::{Event, Parser, ScalarStyle};

use super::scalar;
use super::{Entry, Node, Value};
use crate::diagnostic::{Code, Problem, Report};
use crate::source::Span;

/// Deepest nesting read.
const MAX_DEPTH: usize = 64;

/// The tree of a workflow; `None`, and reported, when there is none or its syntax is broken.
pub(crate) fn parse(report: &mut Report<'_>) -> Option<Node> {
    let root = document(report, "put each workflow into a file of its own")?;
    if root.is_none() {
        report_empty(report);
    }
    root
}

/// The tree of a file that may say nothing; `None` when it does, or when its syntax is broken.
pub fn parse_settings(report: &mut Report<'_>) -> Option<Node> {
    document(report, "such a file holds one document").flatten()
}

/// The tree of the file's one document, if it has one; outer `None`: its syntax is broken.
#[expect(clippy::option_option, reason = "nothing there differs from nothing readable")]
fn document(report: &mut Report<'_>, one_only: &str) -> Option<Option<Node>> {
    let text = report.text();
    let offsets = Offsets::of(text);
    let mut tree = Tree::default();
    let mut documents = 0;
    for event in Parser::new_from_str(&text[offsets.base..]) {
        let (event, span) = match event {
            Ok((event, span)) => (event, offsets.span(span.start.index(), span.end.index())),
            Err(error) => {
                report_syntax(report, offsets.byte(error.marker().index()), error.info());
                return None;
            }
        };
        if matches!(event, Event::DocumentStart(_)) {
            documents += 1;
            if documents > 1 {
                report.push(
                    Problem::new(Code::ManyDocuments, span, "a second document begins here")
                        .help(one_only),
                );
                break;
            }
        }
        if !tree.take(event, span, report) {
            return None;
        }
    }
    report_tabs(report, &tree.texts);
    Some(tree.root.filter(|node| !matches!(node.value, Value::Null)))
}

fn report_empty(report: &mut Report<'_>) {
    report.push(
        Problem::new(Code::Empty, Span::default(), "there is no workflow in this file")
            .help("begin with `sop: 1` and `name: …`"),
    );
}

/// The parser stops at a syntax error, so there is at most one.
fn report_syntax(report: &mut Report<'_>, at: usize, words: &str) {
    let text = report.text();
    let line_start = text[..at].rfind('\n').map_or(0, |newline| newline + 1);
    if let Some(tab) = leading_tab(&text[line_start..]) {
        push_tab(report, line_start + tab);
        return;
    }
    let words = words.trim_end_matches('.');
    let problem =
        Problem::new(Code::Syntax, Span { start: at, end: at + 1 }, format!("not YAML: {words}"));
    report.push(if words.starts_with("mapping values") {
        problem
            .help("a text that holds `: ` or ` #`, or begins with a special sign, stands in quotes")
    } else {
        problem
    });
}

/// Tabs before the first word of a line, but for those inside a text.
fn report_tabs(report: &mut Report<'_>, texts: &[Span]) {
    let text = report.text();
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        if let Some(tab) = leading_tab(line) {
            let place = at + tab;
            if !texts.iter().any(|span| span.start <= place && place < span.end) {
                push_tab(report, place);
            }
        }
        at += line.len();
    }
}

fn leading_tab(line: &str) -> Option<usize> {
    let indent = line.len() - line.trim_start_matches([' ', '\t']).len();
    if line[indent..].trim_end().is_empty() {
        return None;
    }
    line[..indent].find('\t')
}

fn push_tab(report: &mut Report<'_>, at: usize) {
    report.push(
        Problem::new(Code::Tab, Span { start: at, end: at + 1 }, "a tab indents this line")
            .label("tab")
            .help("indent with spaces"),
    );
}

/// The parser counts characters; spans count bytes.
struct Offsets {
    /// Bytes of a byte order mark.
    base: usize,
    len: usize,
    /// Byte of each character, when there are characters of several bytes.
    bytes: Option<Vec<usize>>,
}

impl Offsets {
    fn of(text: &str) -> Self {
        let base = if text.starts_with('\u{feff}') { '\u{feff}'.len_utf8() } else { 0 };
        let bytes = (!text.is_ascii())
            .then(|| text[base..].char_indices().map(|(at, _)| base + at).collect());
        Self { base, len: text.len(), bytes }
    }

    fn byte(&self, character: usize) -> usize {
        match &self.bytes {
            Some(bytes) => bytes.get(character).copied().unwrap_or(self.len),
            None => (self.base + character).min(self.len),
        }
    }

    fn span(&self, start: usize, end: usize) -> Span {
        let start = self.byte(start);
        Span { start, end: self.byte(end).max(start) }
    }
}

/// Builds the tree without recursion.
#[derive(Default)]
struct Tree {
    open: Vec<Frame>,
    root: Option<Node>,
    /// Spans of all scalars: a tab in there is text.
    texts: Vec<Span>,
}

/// A collection whose end has not come yet.
struct Frame {
    span: Span,
    kind: FrameKind,
}

enum FrameKind {
    List(Vec<Node>),
    Map { entries: Vec<Entry>, key: Option<Key>, known: Known },
}

/// A key whose value has not come yet; `None` text: the key was reported.
struct Key {
    text: Option<String>,
    span: Span,
}

impl Tree {
    /// Takes one event; `false`: give up.
    fn take(&mut self, event: Event<'_>, span: Span, report: &mut Report<'_>) -> bool {
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                self.texts.push(span);
                refuse_marks(anchor, tag.is_some(), span, report);
                let value = match style {
                    ScalarStyle::Plain => scalar::plain(text),
                    _ => Value::Text(text.into_owned()),
                };
                self.place(Node { span, value }, report);
            }
            Event::Alias(_) => {
                report.push(
                    Problem::new(Code::Anchor, span, "aliases are not read")
                        .help("write the value out where it is used"),
                );
                self.place(Node { span, value: Value::Broken }, report);
            }
            Event::SequenceStart(anchor, tag) => {
                refuse_marks(anchor, tag.is_some(), span, report);
                return self.enter(span, FrameKind::List(Vec::new()), report);
            }
            Event::MappingStart(anchor, tag) => {
                refuse_marks(anchor, tag.is_some(), span, report);
                let kind =
                    FrameKind::Map { entries: Vec::new(), key: None, known: Known::default() };
                return self.enter(span, kind, report);
            }
            Event::SequenceEnd | Event::MappingEnd => self.leave(span, report),
            Event::Nothing
            | Event::StreamStart
            | Event::StreamEnd
            | Event::DocumentStart(_)
            | Event::DocumentEnd => {}
        }
        true
    }

    fn enter(&mut self, span: Span, kind: FrameKind, report: &mut Report<'_>) -> bool {
        if self.open.len() == MAX_DEPTH {
            report.push(Problem::new(
                Code::TooDeep,
                span,
                format!("this is nested deeper than {MAX_DEPTH} levels"),
            ));
            return false;
        }
        self.open.push(Frame { span, kind });
        true
    }

    fn leave(&mut self, end: Span, report: &mut Report<'_>) {
        let Some(frame) = self.open.pop() else { return };
        let span = Span { start: frame.span.start, end: end.end.max(frame.span.end) };
        let value = match frame.kind {
            FrameKind::List(items) => Value::List(items),
            FrameKind::Map { entries, .. } => Value::Map(entries),
        };
        self.place(Node { span, value }, report);
    }

    /// Puts a finished node where it belongs.
    fn place(&mut self, node: Node, report: &mut Report<'_>) {
        let Some(frame) = self.open.last_mut() else {
            self.root.get_or_insert(node);
            return;
        };
        match &mut frame.kind {
            FrameKind::List(items) => items.push(node),
            FrameKind::Map { entries, key, known } => match key.take() {
                None => *key = Some(read_key(node, report)),
                Some(key) => add_entry(entries, known, key, node, report),
            },
        }
    }
}

fn read_key(node: Node, report: &mut Report<'_>) -> Key {
    let text = match node.value {
        Value::Text(text) if text == "<<" => {
            report.push(
                Problem::new(Code::Anchor, node.span, "merge keys are not read")
                    .help("write the keys out"),
            );
            None
        }
        Value::Text(text) if !text.is_empty() => Some(text),
        Value::Broken => None,
        _ => {
            let message = format!("a key is a word, this is {}", node.describe());
            report.push(Problem::new(Code::KeyNotText, node.span, message).help("quote the key"));
            None
        }
    };
    Key { text, span: node.span }
}

/// Where the keys of a long map stand; a short one is looked through.
type Known = HashMap<String, usize>;

/// From how many keys on a map is long.
const LONG: usize = 32;

fn add_entry(
    entries: &mut Vec<Entry>,
    known: &mut Known,
    key: Key,
    value: Node,
    report: &mut Report<'_>,
) {
    let Some(text) = key.text else { return };
    if entries.len() == LONG && known.is_empty() {
        known.extend(entries.iter().enumerate().map(|(n, entry)| (entry.key.clone(), n)));
    }
    let first = if known.is_empty() {
        entries.iter().find(|entry| entry.key == text)
    } else {
        known.get(&text).and_then(|n| entries.get(*n))
    };
    if let Some(first) = first {
        report.push(
            Problem::new(
                Code::DuplicateKey,
                key.span,
                format!("`{text}` stands twice in this map"),
            )
            .also(first.key_span, "first here"),
        );
        return;
    }
    if !known.is_empty() {
        known.insert(text.clone(), entries.len());
    }
    entries.push(Entry { key: text, key_span: key.span, value });
}

fn refuse_marks(anchor: usize, tagged: bool, span: Span, report: &mut Report<'_>) {
    if anchor > 0 {
        report.push(
            Problem::new(Code::Anchor, span, "anchors are not read")
                .help("write the value out where it is used"),
        );
    }
    if tagged {
        report.push(
            Problem::new(Code::Tag, span, "tags are not read")
                .help("leave the tag out; quote a value that is to be text"),
        );
    }
}
