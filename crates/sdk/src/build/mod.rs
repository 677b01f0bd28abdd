//! Workflows in Rust, in the words of the files: what is built here is the text that a file would hold, and is
//! checked as that.
//!
//! ```
//! use botpipe::Workflow;
//! use botpipe::build::{Artifact, Schema, Step, Target};
//!
//! let workflow = Workflow::builder("notes")
//!     .title("Write notes, and have them judged")
//!     .input([("request", Schema::string())])
//!     .artifact("notes", Artifact::md("notes.md").required())
//!     .step(
//!         Step::produce("write", "Write the notes: {{ input.request }}")
//!             .verify("Are the notes right?")
//!             .producer_writes(["notes"])
//!             .route("accepted", Target::Finish)
//!             .route("needs_rework", Target::SelfStep)
//!             .max_visits(3),
//!     )
//!     .build()?;
//! println!("{}", workflow.text());
//! # Ok::<(), botpipe::NotRunnable>(())
//! ```

mod artifact;
mod beside;
mod bounds;
mod code;
mod groups;
pub mod kind;
mod output;
mod outside;
mod policy;
mod route;
mod schema;
mod scripts;
mod step;
mod tree;
mod turn;
mod turns;
mod workflow;
mod worklist;
mod yaml;

pub use botpipe_kernel::plan::{
    Isolation, Join, NetworkMode, OnInterrupt, OnLimit, PermissionMode, SandboxMode, Settle,
    Validation, Visibility,
};
pub use botpipe_kernel::run::Verdict;

pub use artifact::{Artifact, Json, Plain, Write};
pub use bounds::{Budget, Harness, Limits, Provider, Retry, TurnProvider};
pub use code::{Call, Code};
pub use groups::{Branch, Over, Reference};
pub use output::{Expression, Output};
pub use policy::{Bounds, Environment, Policy};
pub use route::{Control, GlobalRoute, Helper, Route, Target};
pub use schema::{Fields, Schema, SchemaFile, Shape, WholeSchema};
pub use step::Step;
pub use turn::{Continuity, FanIn, Session, Turn};
pub use turns::{Check, Choices, Unverified};
pub use workflow::WorkflowBuilder;
pub use worklist::{Data, Printed, Select, Worklist};

pub(crate) use beside::Beside;
