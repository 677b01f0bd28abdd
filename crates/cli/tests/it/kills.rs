//! A sample of the kill proof; `tools/prove` runs the whole.

use std::env;
use std::path::{Path, PathBuf};

use botpipe_testkit::kills::{Programs, Size, children, cuts, markdown, prove};
use botpipe_testkit::programs;

#[test]
fn a_run_cut_off_anywhere_is_finished_by_one_resume() {
    let programs = with_script("kills.json");
    let scratch = tempfile::tempdir().unwrap();
    let size = Size { timed: 3, aimed: 6, resumes: 3, early: 1 };
    let mut told = Vec::new();
    let proof = prove(&programs, scratch.path(), size, 7, &mut |line| told.push(line.to_owned()));
    let proof = proof.unwrap_or_else(|error| panic!("{error:?}\n{}", told.join("\n")));
    assert_eq!(proof.faulty(), 0, "{}", markdown(&proof, "now", ""));
}

#[test]
fn runs_below_a_run_and_pauses_cut_off_anywhere_are_gone_on_with() {
    let scratch = tempfile::tempdir().unwrap();
    let size = children::Size { timed: 2, aimed: 2, pauses: 3, again: 3 };
    let mut told = Vec::new();
    let mut tell = |line: &str| told.push(line.to_owned());
    let programs = with_script("children/agent.json");
    let proof = children::prove(&programs, scratch.path(), size, 7, &mut tell);
    let proof = proof.unwrap_or_else(|error| panic!("{error:?}\n{}", told.join("\n")));
    assert_eq!(proof.faulty(), 0, "{}", children::markdown(&proof, "now", ""));
}

/// The programs, the agent with a script of the testkit.
fn with_script(script: &str) -> Programs {
    let testkit = Path::new(env!("CARGO_MANIFEST_DIR")).with_file_name("testkit");
    Programs {
        botpipe: PathBuf::from(env!("CARGO_BIN_EXE_botpipe")),
        agent: programs::find("fake-agent").unwrap(),
        script: testkit.join("scripts").join(script),
    }
}

#[test]
fn a_codex_turn_cut_off_goes_on_in_its_conversation() {
    // In the middle of the answer of a repair; asked through `exec`, and again inside a command.
    sample("BOTPIPE_REQUIRE_CODEX", false, &[6, 8]);
}

#[test]
fn a_claude_turn_cut_off_goes_on_in_its_conversation() {
    // Asked again after a command; inside a command, and inside it again.
    sample("BOTPIPE_REQUIRE_CLAUDE", true, &[3, 13]);
}

/// Some trials of the plan. Nothing, said loudly, without the harness.
#[expect(clippy::print_stderr, reason = "a test that did not run must be seen")]
fn sample(required: &str, claude: bool, chosen: &[usize]) {
    let all = cuts::trials(claude, 15);
    let trials: Vec<_> = chosen.iter().map(|n| all[*n]).collect();
    if trials[0].kind.binary().is_none() {
        assert!(env::var_os(required).is_none(), "the CLI of {required} is not installed");
        eprintln!("SKIPPED: the CLI of {required} is not installed");
        return;
    }
    let botpipe = Path::new(env!("CARGO_BIN_EXE_botpipe"));
    // Not under the temporary directory: Codex would not like it.
    let scratch = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let mut told = Vec::new();
    let proof =
        cuts::prove(botpipe, scratch.path(), &trials, 7, &mut |line| told.push(line.to_owned()));
    let proof = proof.unwrap_or_else(|error| panic!("{error:?}\n{}", told.join("\n")));
    assert_eq!(proof.faulty(), 0, "{}", cuts::markdown(&proof, "now", ""));
}
