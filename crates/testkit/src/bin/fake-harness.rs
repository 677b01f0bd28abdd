//! A harness that plays a captured conversation, line by line, and breaks it where the script says so.

use std::process::ExitCode;

fn main() -> ExitCode {
    botpipe_testkit::harness::main()
}
