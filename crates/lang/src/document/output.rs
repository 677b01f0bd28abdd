//! `output:` at the top: what a run gives back.

use botpipe_kernel::ids::ArtifactName;

use super::Reader;
use super::field::{Fields, name, text, wrong_type};
use super::schema::SchemaDecl;
use super::text::TextDecl;
use crate::diagnostic::{Code, Problem};
use crate::source::Spanned;
use crate::yaml::{Entry, Value};

/// What a run gives back.
#[derive(Debug)]
pub(crate) struct OutputDecl {
    pub(crate) from: OutputFrom,
    pub(crate) schema: Option<SchemaDecl>,
}

/// Where it comes from.
#[derive(Debug)]
pub(crate) enum OutputFrom {
    /// Expressions by key.
    Values(Vec<(String, TextDecl)>),
    Artifact(Spanned<ArtifactName>),
}

impl Reader<'_, '_> {
    /// `None`: reported.
    pub(super) fn output(&mut self, entry: &Entry) -> Option<OutputDecl> {
        let mut fields = Fields::of(&entry.value, "`output`", entry.key_span, self.report)?;
        let values = fields.get("values");
        let artifact = fields.get("artifact");
        let schema = fields.get("schema").and_then(|schema| self.object_schema(schema));
        fields.close(&[], self.report);
        let from = match (values, artifact) {
            (Some(values), None) => OutputFrom::Values(self.values(values)?),
            (None, Some(artifact)) => {
                let written = text(artifact, self.report)?;
                OutputFrom::Artifact(name(written.value, written.span, self.report)?)
            }
            (Some(first), Some(second)) => {
                let message = "an output has `values` or an `artifact`, not both";
                self.report.push(
                    Problem::new(Code::UnknownKey, second.key_span, message)
                        .also(first.key_span, "the other"),
                );
                return None;
            }
            (None, None) => {
                self.report.push(
                    Problem::new(
                        Code::MissingKey,
                        entry.key_span,
                        "an output needs `values` or `artifact`",
                    )
                    .help("`values` is a map of expressions; `artifact` names a `json` artifact"),
                );
                return None;
            }
        };
        // A schema that was reported keeps the file from compiling by that.
        Some(OutputDecl { from, schema })
    }

    fn values(&mut self, entry: &Entry) -> Option<Vec<(String, TextDecl)>> {
        let Value::Map(entries) = &entry.value.value else {
            wrong_type(&entry.value, entry.key_span, "a map of expressions", self.report);
            return None;
        };
        let texts = entries.iter().map(|entry| Some((entry.key.clone(), self.expression(entry)?)));
        texts.collect::<Vec<_>>().into_iter().collect()
    }
}
