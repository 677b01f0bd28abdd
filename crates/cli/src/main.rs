//! The `botpipe` command; keeps rules out: no workflow decision is taken in a face.

mod cli;
mod rpc;
mod signals;
mod term;

use std::io::Write as _;
use std::panic;
use std::process::ExitCode;

fn main() -> ExitCode {
    botpipe_sandbox::enter_if_stage1();
    botpipe_sandbox::raise_open_files();
    panic::set_hook(Box::new(|panic| {
        // Nothing can be done when even this cannot be said.
        let _ = writeln!(
            anstream::stderr(),
            "error: internal error: {panic}\n  hint: this is a bug in botpipe {}; please report it \
             with the command you typed and, if a run was involved, its `botpipe logs --events`",
            env!("CARGO_PKG_VERSION")
        );
    }));
    let code = panic::catch_unwind(|| cli::main(std::env::args_os())).unwrap_or(term::exit::ERROR);
    ExitCode::from(code)
}
