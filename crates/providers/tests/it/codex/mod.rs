//! The codecs of Codex: on recordings of the real program, and with the real program.

mod contract;
mod fork;
mod live;
mod recorded;
mod scenes;

use botpipe_testkit::codex;

/// Nothing, said loudly, without Codex.
#[expect(clippy::print_stderr, reason = "a test that did not run must be seen")]
fn binary() -> Option<std::path::PathBuf> {
    let found = codex::binary();
    if found.is_none() {
        let missing = "the Codex CLI is not installed; run `npm ci --prefix crates/testkit/codex`";
        assert!(std::env::var_os("BOTPIPE_REQUIRE_CODEX").is_none(), "{missing}");
        eprintln!("SKIPPED: {missing}");
    }
    found
}
