//! Artifact declarations: at the top of the file, or in place where a step writes them.

use botpipe_kernel::ids::{ArtifactName, StepId};
use botpipe_kernel::plan::Format;

use super::Reader;
use super::field::{Fields, boolean, list, name, text, text_of, wrong_type};
use super::schema::SchemaDecl;
use crate::diagnostic::{Code, Problem};
use crate::source::{Span, Spanned};
use crate::yaml::{Entry, Node, Value};

/// A declared file contract.
#[derive(Debug, Clone)]
pub(crate) struct ArtifactDecl {
    pub(crate) name: Spanned<ArtifactName>,
    /// `None`: reported.
    pub(crate) file: Option<(Format, Spanned<String>)>,
    pub(crate) owner: Option<StepId>,
    pub(crate) schema: Option<SchemaDecl>,
    pub(crate) required: bool,
}

const FORMATS: [(&str, Format); 4] =
    [("json", Format::Json), ("md", Format::Md), ("text", Format::Text), ("raw", Format::Raw)];

impl Reader<'_, '_> {
    /// `artifacts:` at the top.
    pub(super) fn artifacts(&mut self, entry: &Entry) {
        let Value::Map(entries) = &entry.value.value else {
            wrong_type(&entry.value, entry.key_span, "artifacts as a map", self.report);
            self.document.artifacts_known = false;
            return;
        };
        for artifact in entries {
            self.declare(artifact, None);
        }
    }

    /// A list of writes: names, or one-key maps that declare an artifact in place.
    pub(super) fn writes(
        &mut self,
        entry: Option<&Entry>,
        owner: &StepId,
    ) -> Vec<Spanned<ArtifactName>> {
        let mut names = Vec::new();
        let Some(entry) = entry else { return names };
        for item in list(entry, "artifacts", self.report) {
            names.extend(self.write(item, item.span, owner));
        }
        names
    }

    /// An artifact that is written: its name, or a one-key map that declares it in place.
    pub(super) fn write(
        &mut self,
        node: &Node,
        place: Span,
        owner: &StepId,
    ) -> Option<Spanned<ArtifactName>> {
        match &node.value {
            Value::Map(entries) if entries.len() == 1 => self.declare(&entries[0], Some(owner)),
            Value::Text(_) => {
                let written = text_of(node, place, self.report)?;
                name(written.value, written.span, self.report)
            }
            _ => {
                let expected = "an artifact's name, or a map of one name to its declaration";
                wrong_type(node, place, expected, self.report);
                self.document.artifacts_known = false;
                None
            }
        }
    }

    fn declare(&mut self, entry: &Entry, owner: Option<&StepId>) -> Option<Spanned<ArtifactName>> {
        let Some(name) = name::<ArtifactName>(&entry.key, entry.key_span, self.report) else {
            self.document.artifacts_known = false;
            return None;
        };
        if let Some(first) = self.document.artifact(&name.value) {
            let first = first.name.span;
            self.report.push(
                Problem::new(
                    Code::DuplicateName,
                    name.span,
                    format!("artifact `{}` is declared twice", name.value),
                )
                .also(first, "first here")
                .help("names of artifacts are unique in a workflow"),
            );
            return Some(name);
        }
        let mut decl = ArtifactDecl {
            name: name.clone(),
            file: None,
            owner: owner.cloned(),
            schema: None,
            required: false,
        };
        self.artifact_fields(entry, &mut decl);
        self.document.artifacts.push(decl);
        Some(name)
    }

    fn artifact_fields(&mut self, entry: &Entry, decl: &mut ArtifactDecl) {
        let Some(mut fields) = Fields::of(&entry.value, "an artifact", entry.key_span, self.report)
        else {
            return;
        };
        let mut formats =
            FORMATS.iter().filter_map(|(key, format)| Some((fields.get(key)?, *format)));
        let first = formats.next();
        let second = formats.next();
        match (first, second) {
            (None, _) => self.report.push(
                Problem::new(
                    Code::MissingKey,
                    entry.key_span,
                    "an artifact needs its format and path",
                )
                .help("write one of `json: path`, `md: path`, `text: path`, `raw: path`"),
            ),
            (Some((first, _)), Some((second, _))) => self.report.push(
                Problem::new(
                    Code::UnknownKey,
                    second.key_span,
                    format!("an artifact has one format, `{}` is a second", second.key),
                )
                .also(first.key_span, "the first"),
            ),
            (Some((path, format)), None) => {
                decl.file = text(path, self.report)
                    .map(|path| (format, Spanned::new(path.value.to_owned(), path.span)));
            }
        }
        drop(formats);
        for (key, _) in FORMATS {
            fields.get(key);
        }
        if let Some(schema) = fields.get("schema") {
            decl.schema = self.schema(schema);
            if first.is_some_and(|(_, format)| format != Format::Json) {
                let message = "only a `json` artifact can have a schema";
                self.report.push(Problem::new(Code::SchemaNotJson, schema.key_span, message));
            }
        }
        if let Some(required) = fields.get("required") {
            decl.required = boolean(required, self.report).unwrap_or(false);
        }
        fields.close(&[], self.report);
    }
}
