//! Problems in authored files, as data.

mod codes;
mod report;
mod suggest;

pub use codes::Code;
pub use report::{Diagnostic, Label, Problem, Report, Severity, Suggestion};
pub(crate) use suggest::nearest;
