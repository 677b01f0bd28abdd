//! Botpipe as a library: workflows built, checked, run, resumed, answered and followed from Rust.
//!
//! ```no_run
//! use botpipe::{Client, Harness, Start, Workflow};
//!
//! fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     botpipe::enter(); // first of all, see there
//!     let client = Client::open(".")?;
//!     let workflow = Workflow::find(client.workspace(), "ralph_loop")?;
//!     let start = Start {
//!         message: Some("Add CSV export to the report".to_owned()),
//!         provider: Some(client.provider(Harness::Codex)?),
//!         ..Start::default()
//!     };
//!     let end = client.run(&workflow, start)?;
//!     println!("task {}: {:?}", end.task, end.lifecycle());
//!     Ok(())
//! }
//! ```
//!
//! Everything a run does is in the workspace's `.botpipe` folder, the same as the `botpipe` command's: a
//! run begun here can be resumed there, and the other way round. Calls that move a run return when it
//! ends, stops or waits for a person. [`build`] has workflows written in Rust; [`Client::llm`] and
//! [`Client::classify`] are single turns for typed values; [`Functions`] are functions of this program that
//! workflows call.

pub mod build;
mod client;
mod events;
mod functions;
mod running;
mod value;
mod workflow;

pub use botpipe_engine::Error;
pub use botpipe_engine::engine::RunView;
pub use botpipe_engine::error::ErrorKind;
pub use botpipe_engine::harness::Kind as Harness;
pub use botpipe_engine::process::StopSwitch;
pub use botpipe_engine::request::{
    CancelResult, Notice, Progress, ProviderChoice as Provider, ResumeRequest as Resume, RunEnd,
    RunRef, RunStatus, RunSummary, SignalRequest as Signal, SignalResult, Silent,
    StartRequest as Start,
};
pub use botpipe_kernel::ids;
pub use botpipe_kernel::run::{Event, Lifecycle, Question, Raise, Run, Stop, Verdict};
pub use botpipe_lang::{Diagnostic, Severity};

pub use client::Client;
pub use events::Events;
pub use functions::{Called, Functions};
pub use running::Running;
pub use value::NoValue;
pub use workflow::{NotRunnable, Workflow};

/// The page about this crate; its code is compiled with the examples of the documentation.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/rust.md")]
struct Page;

/// Becomes the process that contains a run's programs, when this process was started as that; else
/// returns at once.
///
/// # Order
/// First of all in `main`, before threads, arguments or output. Botpipe starts the running binary
/// again to contain agents and scripts (own pid namespace, nothing left behind). Without this call no
/// program is started, and a run stops with an error that says so.
pub fn enter() {
    botpipe_engine::process::enter_if_stage1();
}
