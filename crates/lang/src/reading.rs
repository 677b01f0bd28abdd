//! Strict YAML for files that are no workflows: their tree, key by key, and the report of what is wrong.
//!
//! ```
//! use botpipe_lang::SourceFile;
//! use botpipe_lang::reading::{Fields, Report, count, parse};
//!
//! let source = SourceFile { name: "x.yaml".to_owned(), text: "size: 3\ncolor: red\n".to_owned() };
//! let mut report = Report::on(&source);
//! let root = parse(&mut report).unwrap();
//! let mut fields = Fields::of(&root, "the file", root.span, &mut report).unwrap();
//! let size = fields.get("size").and_then(|entry| count(entry, 10, &mut report));
//! fields.close(&[], &mut report);
//! assert_eq!(size, Some(3));
//! assert_eq!(report.finish()[0].message, "the file has no key `color`");
//! ```

pub use crate::diagnostic::{Problem, Report};
pub use crate::document::field::{
    Fields, MOST_STEPS, boolean, budget, choice, count, duration, list, size, text, text_of,
    wrong_type,
};
pub use crate::document::{NETWORK_PRESETS, policy, policy_of};
pub use crate::source::Spanned;
pub use crate::yaml::{Entry, Node, Value, parse_settings as parse};
