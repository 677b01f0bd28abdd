//! What an agent is told and what it answers: texts in, texts out; no files, no processes.

mod contract;
mod control;
mod feedback;
mod inputs;
mod listed;
mod outcome;
mod question;
mod request;
mod roots;
mod schema;
mod template;
mod text;

pub use contract::{
    AttachedNote, CONTRACT, CheckLine, Contract, InterruptionNote, ItemLine, OfferedRoute, Part,
    ReadLine, Recalls, Wanted, WriteLine, parts_of, without_interruption,
};
pub use control::{
    Change, Return, Way, control_line, printed_return, read_return, worklist_change,
};
pub use feedback::feedback_text;
pub use inputs::{InputProblem, fill_defaults, run_input};
pub use outcome::{Envelope, read, script_outcome};
pub use question::{Asked, check_answer, question};
pub use request::request_text;
pub use roots::{
    BranchFiles, BranchResult, CheckRoot, FanInRoot, ItemRoot, OutcomeRoot, Roots, StepRoot,
    WorkflowRoot, WorklistRoot,
};
pub use schema::Validators;
pub use template::{RenderError, Templates, evaluate, render};
pub(crate) use text::{did_you_mean, one_line};
