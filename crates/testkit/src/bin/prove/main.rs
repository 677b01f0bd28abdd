//! Runs a proof whole and writes its page: `prove kills`, `children-kills`, `harness-kills`, `escapes`.

use std::process::ExitCode;

#[cfg(target_os = "linux")]
mod proofs;

#[cfg(target_os = "linux")]
fn main() -> ExitCode {
    proofs::main()
}

/// They watch through `ptrace` and `/proc`, and what they are about is not there.
#[cfg(not(target_os = "linux"))]
fn main() -> ExitCode {
    use std::io::Write as _;
    drop(writeln!(std::io::stderr(), "prove: the proofs run on Linux only"));
    ExitCode::from(2)
}
