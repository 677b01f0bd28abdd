//! Problems in authored files, as data.

mod codes;
mod report;
mod suggest;

pub use codes::Code;
pub use report::{Diagnostic, Label, Severity, Suggestion};
pub(crate) use report::{Problem, Report};
pub(crate) use suggest::nearest;
