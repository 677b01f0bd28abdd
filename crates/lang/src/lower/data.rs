//! Worklists and the output of a checked document, for the plan.

use botpipe_kernel::ids::WorklistName;
use botpipe_kernel::plan::{ItemSource, Output, OutputSource, Selection, Worklist};

use super::TextStore;
use crate::document::{OutputDecl, OutputFrom, SourceDecl, TextDecl, WorklistDecl};

impl TextStore {
    pub(super) fn worklist(&mut self, decl: &WorklistDecl) -> Option<(WorklistName, Worklist)> {
        let from = match &decl.from {
            SourceDecl::Artifact(name) => ItemSource::Artifact(name.value.clone()),
            SourceDecl::Param(key) => ItemSource::Param(key.value.clone()),
            SourceDecl::State(key) => ItemSource::State(key.value.clone()),
            SourceDecl::Script(command) => ItemSource::Script(self.text(command)),
            SourceDecl::Unknown => return None,
        };
        let select = decl.select.as_ref().map(|select| {
            let mut text = |text: &Option<TextDecl>| text.as_ref().map(|text| self.text(text));
            Selection {
                mode: text(&select.mode),
                item: text(&select.item),
                start: text(&select.start),
                end: text(&select.end),
            }
        });
        let worklist = Worklist {
            from,
            collection: decl.collection.clone(),
            id: decl.id.clone(),
            title: decl.title.clone(),
            status: decl.status.clone(),
            select,
            timeout_ms: decl.timeout_ms,
        };
        Some((decl.name.value.clone(), worklist))
    }

    pub(super) fn output(&mut self, decl: &OutputDecl) -> Output {
        let from = match &decl.from {
            OutputFrom::Artifact(name) => OutputSource::Artifact(name.value.clone()),
            OutputFrom::Values(values) => OutputSource::Values(
                values.iter().map(|(key, text)| (key.clone(), self.text(text))).collect(),
            ),
        };
        Output { from, schema: decl.schema.as_ref().map(|schema| self.schema(schema)) }
    }
}
