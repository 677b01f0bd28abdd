//! A run in motion: inputs become events, events become state, state owes effects.

mod calls;
mod children;
mod conversation;
mod decide;
mod effect;
mod event;
mod evolve;
mod facts;
mod harness;
mod hold;
mod input;
mod merge;
mod outside;
mod outstanding;
mod permission;
mod providers;
mod questions;
mod state;
mod tally;
mod values;
mod worklists;

pub use calls::{Callback, Calling, Control, Leaving, Returned, WorklistChange};
pub use children::{
    ChildEnd, ChildPhase, ChildPlan, ChildRun, ChildState, Children, Grant, Parent, Rest,
};
pub use conversation::{Checkpoint, Conversation};
pub use decide::{OWN_ITEM, Refusal, decide, leaves_own};
pub use effect::{Effect, TurnCause};
pub use event::Event;
pub use facts::{
    Attached, Baseline, CheckResult, CheckStatus, Evidence, Feedback, FileStamp, Finding,
    FindingState, InterruptCause, Item, ItemStatus, Process, Provider, Question, QuestionKind,
    Raise, Ref, ResumeCause, Said, SessionKey, SessionUse, SnapshotId, Stop, TurnResult, Verdict,
};
pub use harness::{FailureClass, Harness, Interface, McpServer, Remedy, Usage};
pub use hold::{Hold, Purse, Spent};
pub use input::{AskedQuestion, ChildWanted, Drift, Exit, Input, Judged, Outcome};
pub use merge::{Merge, MergedBranch};
pub use outside::{Shown, Signal, Wait};
pub use outstanding::outstanding;
pub use permission::{Leave, Permission, Permissions, Wanted, WantedKind};
pub use providers::Providers;
pub use state::{Entry, Lifecycle, Phase, Place, Run, Visit};
pub use tally::Tally;
pub use values::{Accepted, Led, StateChange, Values};
pub use worklists::{Refreshing, WorklistState};
