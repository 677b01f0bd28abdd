//! Worklist declarations.

use botpipe_kernel::ids::{ArtifactName, WorklistName};

use super::Reader;
use super::field::{Fields, name, text, wrong_type};
use crate::source::Spanned;
use crate::yaml::{Entry, Value};

/// An ordered set of items, read from an artifact.
#[derive(Debug, Clone)]
pub(crate) struct WorklistDecl {
    pub(crate) name: Spanned<WorklistName>,
    /// `None`: reported.
    pub(crate) from: Option<Spanned<ArtifactName>>,
    pub(crate) collection: String,
    pub(crate) id: String,
    pub(crate) title: Option<String>,
    pub(crate) status: Option<String>,
}

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
            from: None,
            collection: "items".to_owned(),
            id: "id".to_owned(),
            title: None,
            status: None,
        };
        if let Some(mut fields) =
            Fields::of(&entry.value, "a worklist", entry.key_span, self.report)
        {
            if let Some(from) = fields.need("from", self.report) {
                decl.from = text(from, self.report)
                    .and_then(|from| name(from.value, from.span, self.report));
            }
            let mut key = |key, report: &mut _| {
                text(fields.get(key)?, report).map(|found| found.value.to_owned())
            };
            decl.collection = key("collection", self.report).unwrap_or(decl.collection);
            decl.id = key("id", self.report).unwrap_or(decl.id);
            decl.title = key("title", self.report);
            decl.status = key("status", self.report);
            fields.close(&[], self.report);
        }
        self.document.worklists.push(decl);
    }
}
