//! A run in motion: inputs become events, events become state, state owes effects.

mod decide;
mod effect;
mod event;
mod evolve;
mod facts;
mod input;
mod outstanding;
mod state;
mod tally;

pub use decide::{Refusal, decide};
pub use effect::{Effect, TurnCause};
pub use event::Event;
pub use facts::{
    Baseline, CheckResult, CheckStatus, FailureClass, Feedback, FileStamp, Finding, FindingState,
    InterruptCause, Item, ItemStatus, Process, Provider, Question, QuestionKind, Raise, Ref,
    ResumeCause, SessionKey, SessionUse, SnapshotId, Stop, TurnResult, Verdict,
};
pub use input::{AskedQuestion, Input, Judged, Outcome};
pub use outstanding::outstanding;
pub use state::{Entry, Lifecycle, Phase, Place, Run, Visit, WorklistState};
pub use tally::Tally;
