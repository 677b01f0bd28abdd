//! A run in motion: inputs become events, events become state, state owes effects.

mod effect;
mod event;
mod facts;
mod input;

pub use effect::{Effect, TurnCause};
pub use event::Event;
pub use facts::{
    Baseline, CheckResult, CheckStatus, FailureClass, Feedback, FileStamp, Finding, FindingState,
    InterruptCause, Item, ItemStatus, Process, Provider, Question, QuestionKind, Raise, Ref,
    ResumeCause, SessionKey, SessionUse, SnapshotId, Stop, TurnResult, Verdict,
};
pub use input::{AskedQuestion, Input, Judged, Outcome};
