//! Worklist declarations: where items come from, and which of them a run works on.

use botpipe_kernel::ids::{ArtifactName, WorklistName};

use super::Reader;
use super::field::{Fields, duration, name, text, wrong_type};
use super::text::TextDecl;
use crate::diagnostic::{Code, Problem};
use crate::source::{Span, Spanned};
use crate::yaml::{Entry, Value};

/// An ordered set of items.
#[derive(Debug, Clone)]
pub(crate) struct WorklistDecl {
    pub(crate) name: Spanned<WorklistName>,
    pub(crate) from: SourceDecl,
    pub(crate) collection: String,
    pub(crate) id: String,
    pub(crate) title: Option<String>,
    pub(crate) status: Option<String>,
    pub(crate) select: Option<SelectionDecl>,
    pub(crate) timeout_ms: Option<u64>,
}

/// Where items come from.
#[derive(Debug, Clone)]
pub(crate) enum SourceDecl {
    Artifact(Spanned<ArtifactName>),
    Param(Spanned<String>),
    State(Spanned<String>),
    Script(TextDecl),
    /// Reported.
    Unknown,
}

/// Which items.
#[derive(Debug, Clone, Default)]
pub(crate) struct SelectionDecl {
    pub(crate) mode: Option<TextDecl>,
    pub(crate) item: Option<TextDecl>,
    pub(crate) start: Option<TextDecl>,
    pub(crate) end: Option<TextDecl>,
}

impl SelectionDecl {
    pub(crate) fn texts(&self) -> impl Iterator<Item = &TextDecl> {
        [&self.mode, &self.item, &self.start, &self.end].into_iter().flatten()
    }
}

impl WorklistDecl {
    /// The artifact it is read from.
    pub(crate) fn artifact(&self) -> Option<&Spanned<ArtifactName>> {
        match &self.from {
            SourceDecl::Artifact(name) => Some(name),
            _ => None,
        }
    }
}

/// The words of `mode`.
const MODES: [&str; 4] = ["all", "single", "up_to", "from_to"];

impl Reader<'_, '_> {
    /// `worklists:` at the top.
    pub(super) fn worklists(&mut self, entry: &Entry) {
        let Value::Map(entries) = &entry.value.value else {
            wrong_type(&entry.value, entry.key_span, "worklists as a map", self.report);
            self.document.worklists_known = false;
            return;
        };
        for worklist in entries {
            match name(&worklist.key, worklist.key_span, self.report) {
                Some(name) => self.worklist(worklist, name),
                None => self.document.worklists_known = false,
            }
        }
    }

    fn worklist(&mut self, entry: &Entry, worklist: Spanned<WorklistName>) {
        let mut decl = WorklistDecl {
            name: worklist,
            from: SourceDecl::Unknown,
            collection: "items".to_owned(),
            id: "id".to_owned(),
            title: None,
            status: None,
            select: None,
            timeout_ms: None,
        };
        if let Some(mut fields) =
            Fields::of(&entry.value, "a worklist", entry.key_span, self.report)
        {
            decl.from = self.source(&mut fields, entry.key_span);
            let mut key = |key, report: &mut _| {
                text(fields.get(key)?, report).map(|found| found.value.to_owned())
            };
            decl.collection = key("collection", self.report).unwrap_or(decl.collection);
            decl.id = key("id", self.report).unwrap_or(decl.id);
            decl.title = key("title", self.report);
            decl.status = key("status", self.report);
            let timeout = fields.get("timeout");
            decl.timeout_ms = timeout.and_then(|timeout| duration(timeout, self.report));
            if let (
                Some(timeout),
                SourceDecl::Artifact(_) | SourceDecl::Param(_) | SourceDecl::State(_),
            ) = (timeout, &decl.from)
            {
                let message = "`timeout` belongs to a worklist with `run`";
                self.report.push(Problem::new(Code::WrongKind, timeout.key_span, message));
            }
            if let Some(select) = fields.get("select") {
                decl.select = self.selection(select);
            }
            fields.close(&[], self.report);
        }
        self.document.worklists.push(decl);
    }

    fn source(&mut self, fields: &mut Fields<'_>, place: Span) -> SourceDecl {
        let from = fields.get("from");
        let run = fields.get("run");
        match (from, run) {
            (Some(from), None) => {
                let Some(written) = text(from, self.report) else { return SourceDecl::Unknown };
                let key = |key: &str| Spanned::new(key.to_owned(), written.span);
                if let Some(param) = written.value.strip_prefix("params.") {
                    return SourceDecl::Param(key(param));
                }
                if let Some(place) = written.value.strip_prefix("state.") {
                    return SourceDecl::State(key(place));
                }
                let artifact = name(written.value, written.span, self.report);
                artifact.map_or(SourceDecl::Unknown, SourceDecl::Artifact)
            }
            (None, Some(run)) => {
                let command = self.inline_text(&run.value, run.key_span);
                command.map_or(SourceDecl::Unknown, SourceDecl::Script)
            }
            (Some(from), Some(run)) => {
                self.report.push(
                    Problem::new(
                        Code::WorklistSource,
                        run.key_span,
                        "a worklist has `from` or `run`, not both",
                    )
                    .also(from.key_span, "the other"),
                );
                SourceDecl::Unknown
            }
            (None, None) => {
                self.report.push(
                    Problem::new(Code::MissingKey, place, "a worklist needs `from` or `run`").help(
                        "`from` names a `json` artifact, `params.NAME` or `state.NAME`; `run` is a \
                         command that prints the items as JSON",
                    ),
                );
                SourceDecl::Unknown
            }
        }
    }

    fn selection(&mut self, entry: &Entry) -> Option<SelectionDecl> {
        let mut fields = Fields::of(&entry.value, "`select`", entry.key_span, self.report)?;
        let mut template = |key| {
            let entry = fields.get(key)?;
            self.inline_text(&entry.value, entry.key_span)
        };
        let select = SelectionDecl {
            mode: template("mode"),
            item: template("item"),
            start: template("start"),
            end: template("end"),
        };
        fields.close(&[], self.report);
        if let Some(mode) = &select.mode
            && !mode.text.contains(['{', '%'])
            && !MODES.contains(&mode.text.trim())
        {
            self.report.push(
                Problem::new(
                    Code::UnknownChoice,
                    mode.span,
                    format!("`{}` is no choice for `mode`", mode.text.trim()),
                )
                .suggest(mode.text.trim(), MODES),
            );
        }
        Some(select)
    }
}
