//! `botpipe rpc`: the session of a program that hosts functions.

use std::io;

use botpipe_engine::process::StopSwitch;

use super::options::{Workspace, switch};
use crate::rpc;
use crate::term::exit;
use crate::term::failure::Failure;

/// Serve a program over standard input and output, in JSON-RPC 2.0, one message a line
///
/// The program starts runs and is asked to run the functions that `call` steps, validators and hooks name.
/// docs/rpc.md has the methods, `botpipe schema rpc` their shapes. When the program closes the
/// pipe, runs that move are stopped, to be resumed.
///
/// Examples:
///   echo '{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocol":1}}' | botpipe rpc
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(super) struct Args {
    #[command(flatten)]
    workspace: Workspace,
}

impl Args {
    pub(super) fn run(self) -> Result<u8, Failure> {
        let stop: StopSwitch = switch()?;
        let served = rpc::serve(io::stdin(), Box::new(io::stdout()), self.workspace.path(), &stop);
        served.map_err(|error| Failure::error(format!("the session broke: {error}")))?;
        Ok(stop.requested().map_or(exit::OK, exit::by_signal))
    }
}
