//! What a step says of its turns' work: files to be left alone, and one schema for every outcome.

use super::Reader;
use super::field::{list, text_of};
use super::schema::SchemaDecl;
use super::step::StepDecl;
use super::work::WorkDecl;
use crate::diagnostic::{Code, Problem};
use crate::files::stays_inside;
use crate::yaml::Entry;

impl Reader<'_, '_> {
    /// `protect:` of a step with a producer: files and folders of the workspace.
    pub(super) fn protect(&mut self, entry: &Entry) -> Vec<String> {
        let mut paths = Vec::new();
        for node in list(entry, "paths", self.report) {
            let Some(path) = text_of(node, node.span, self.report) else { continue };
            let plain =
                stays_inside(path.value) && !path.value.contains(['*', '?', '[', '\\', '{']);
            let whole = path.value.split('/').all(|part| matches!(part, "" | "."));
            if plain && !whole {
                paths.push(path.value.to_owned());
                continue;
            }
            let message = format!("`{}` is no file or folder to protect", path.value);
            self.report.push(Problem::new(Code::BadProtect, path.span, message).help(
                "name files or folders of the workspace by their relative paths; a folder stands \
                 for all that is in it",
            ));
        }
        paths
    }

    /// `control_schema:` of a step: what the payload has to fit on its routes that say nothing else.
    pub(super) fn control_schema(&mut self, entry: &Entry, step: &StepDecl) -> Option<SchemaDecl> {
        if !step.work.has_say() && !matches!(step.work, WorkDecl::Unknown) {
            let message = "`control_schema` belongs to steps where an agent or a script says what comes of it";
            self.report.push(
                Problem::new(Code::WrongKind, entry.key_span, message)
                    .help("what comes of the other kinds is known"),
            );
        }
        self.schema(entry)
    }
}
