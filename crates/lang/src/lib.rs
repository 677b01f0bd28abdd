//! The language: text to plan; keeps out running anything and printing.
//!
//! [`compile`] is the one door. On the way the text passes through stages that are types: a spanned
//! tree (`yaml`), what the author wrote (`document`), the same after every rule of `check` held
//! (`Checked`), and the kernel's [`Plan`](botpipe_kernel::plan::Plan). Problems are data:
//! [`Diagnostic`]s with code, place and help, all of a file at once.

mod canonical;
mod check;
mod compile;
mod diagnostic;
mod document;
mod files;
mod lower;
mod metadata;
pub mod reading;
mod source;
mod template;
mod yaml;

pub use canonical::{canonical_json, canonical_plan, digest_of};
pub use check::WorstCase;
pub use compile::{Compiled, compile};
pub use diagnostic::{Code, Diagnostic, Label, Severity, Suggestion};
pub use files::{FileProblem, Files, Folder, InMemory};
pub use metadata::{Metadata, metadata};
pub use source::{SourceFile, Span};
pub use template::sole_expression;
