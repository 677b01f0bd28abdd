//! One program run to its end: clocks, streams, stopping. No other module starts a process.

pub(crate) mod attended;
pub mod background;
mod flight;
mod git;
mod lines;
mod output;
mod pipes;
pub(crate) mod search;
mod spec;
mod stop;
mod supervise;

pub use botpipe_sandbox::enter_if_stage1;
pub use flight::in_flight;
pub(crate) use git::{asked_of_git, names_of};
pub(crate) use output::Capture;
pub use output::Output;
pub(crate) use pipes::readable;
pub use spec::{Clock, Ended, How, LINE_LIMIT, Outside, Reply, Spec, Stream, Watch};
pub use stop::StopSwitch;
pub use supervise::run;
