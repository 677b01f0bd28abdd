//! A `validate` step: code that judges an artifact, and where its words go.

use std::collections::HashMap;

use botpipe_kernel::ids::{ArtifactName, StepId};
use botpipe_kernel::plan::Target;

use super::field::{Fields, name, text_of};
use super::{Document, Reader, WorkDecl};

impl Reader<'_, '_> {
    pub(super) fn validate(&mut self, fields: &mut Fields<'_>, owner: &StepId) -> WorkDecl {
        let command = fields.get("validate").and_then(|entry| self.code(entry, "a validator"));
        let validates = fields.need("validates", self.report).and_then(|entry| {
            let written = text_of(&entry.value, entry.key_span, self.report)?;
            name(written.value, written.span, self.report)
        });
        let feedback = fields
            .need("feedback", self.report)
            .and_then(|entry| self.write(&entry.value, entry.key_span, owner));
        match (command, validates, feedback) {
            (Some(command), Some(validates), Some(feedback)) => {
                WorkDecl::Validate { command, validates, feedback: [feedback] }
            }
            _ => WorkDecl::Unknown,
        }
    }
}

/// Where each artifact that is found invalid is made again: the first step that writes it.
pub(super) fn makers(document: &Document) -> HashMap<ArtifactName, Target> {
    let mut makers = HashMap::new();
    for step in &document.steps {
        for write in step.work.writes() {
            let maker = || Target::Step(step.id.value.clone());
            makers.entry(write.value.clone()).or_insert_with(maker);
        }
    }
    makers
}
