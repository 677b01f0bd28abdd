//! The rules a document must keep before it becomes a plan; one rule, one file.

mod artifacts;
mod flow;
mod groups;
mod names;
mod outcomes;
mod paths;
mod reach;
mod routes;
mod state;
mod targets;
mod templates;
mod turns;
mod usable;
mod variables;
mod worklists;
mod written;

pub use turns::WorstCase;
pub(crate) use turns::worst_case;

use crate::diagnostic::Report;
use crate::document::Document;

/// Every rule.
const RULES: [fn(&Document, &mut Report<'_>); 12] = [
    names::check,
    targets::check,
    routes::check,
    outcomes::check,
    state::check,
    usable::check,
    worklists::check,
    reach::check,
    groups::check,
    artifacts::check,
    paths::check,
    templates::check,
];

/// A document that kept every rule.
#[derive(Debug)]
pub(crate) struct Checked(pub(crate) Document);

/// Holds every rule against the document; nothing comes of one with errors.
pub(crate) fn check(document: Document, report: &mut Report<'_>) -> Option<Checked> {
    for rule in RULES {
        rule(&document, report);
    }
    (!report.has_errors()).then_some(Checked(document))
}
