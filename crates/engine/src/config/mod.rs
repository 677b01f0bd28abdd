//! Settings of a person and of a repository: read strictly, laid over each other, each with its origin.
//!
//! Options win over environment variables, these over the repository's `botpipe.yaml`, that over the
//! person's own. What is right below `provider` holds for the provider that the same layer names, or
//! for any where it names none; `provider.codex` and `provider.claude` win over it.
//! Bounds only narrow: of those that files set, the smallest holds. A policy of the repository's file is an
//! author's, which a workflow overrides; that of the person's own only narrows.

mod file;
mod harness;
mod layer;
mod load;
mod settings;

pub(crate) use file::address_fault;
pub use layer::{Agent, HarnessLayer, Layer, Origin, Setting};
pub use load::{Config, ConfigError, FileFound, Whose, policy_author, policy_file};
pub use settings::{Line, Settings};
