//! The providers keep processes out: pure codecs between turns and agent programs.

mod cassette;
mod command;

pub use cassette::{Cassette, CassetteError, FilePatch, Mismatch, Recording};
pub use command::{ProgramEnd, result_of};
