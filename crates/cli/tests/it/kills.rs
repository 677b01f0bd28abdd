//! A sample of the kill proof; `tools/prove` runs the whole.

use std::env;
use std::path::{Path, PathBuf};

use botpipe_testkit::kills::{Programs, Size, markdown, prove};
use botpipe_testkit::programs;

#[test]
fn a_run_cut_off_anywhere_is_finished_by_one_resume() {
    let testkit = Path::new(env!("CARGO_MANIFEST_DIR")).with_file_name("testkit");
    let programs = Programs {
        botpipe: PathBuf::from(env!("CARGO_BIN_EXE_botpipe")),
        agent: programs::find("fake-agent").unwrap(),
        script: testkit.join("scripts").join("kills.json"),
    };
    let scratch = tempfile::tempdir().unwrap();
    let size = Size { timed: 3, aimed: 6, resumes: 3, early: 1 };
    let mut told = Vec::new();
    let proof = prove(&programs, scratch.path(), size, 7, &mut |line| told.push(line.to_owned()));
    let proof = proof.unwrap_or_else(|error| panic!("{error:?}\n{}", told.join("\n")));
    assert_eq!(proof.faulty(), 0, "{}", markdown(&proof, "now", ""));
}
