//! The providers keep processes out: pure codecs between turns and agent programs.

pub mod acp;
mod cassette;
mod classify;
pub mod claude;
pub mod codex;
mod command;
mod harness;
mod json_rpc;

pub use cassette::{Cassette, CassetteError, FilePatch, Mismatch, RecordedEnd, Recording};
pub use command::{Clock, ProgramEnd, result_of};
pub use harness::{
    Access, Asked, Codec, CommandLine, Failure, Heard, Leave, Report, Rules, SandboxMode, Sign,
    Want,
};
