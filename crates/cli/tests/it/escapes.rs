//! A sample of the escape proof; `tools/prove escapes` runs the whole.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use botpipe_testkit::escapes::{
    Adapter, Attempt, Caller, Verdict, all, callers, faults, for_others, markdown, prove,
};
use tempfile::TempDir;

/// A folder that every user may enter, not beneath `/tmp`, which a sandbox hides.
pub(crate) fn ground() -> TempDir {
    let base = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let ground = tempfile::tempdir_in(base).unwrap();
    fs::set_permissions(ground.path(), fs::Permissions::from_mode(0o755)).unwrap();
    ground
}

/// Those who start sandboxes here. An ordinary user that cannot be made is left out, and that is said.
#[expect(clippy::print_stderr, reason = "whoever runs the tests is told what was left out")]
pub(crate) fn whoever() -> Vec<Caller> {
    let program = Path::new(env!("CARGO_BIN_EXE_botpipe"));
    callers(program, Path::new(env!("CARGO_TARGET_TMPDIR"))).unwrap_or_else(|why| {
        eprintln!("SKIPPED, as an ordinary user: {why}");
        vec![Caller::own()]
    })
}

/// Whether there is a `botpipe sandbox` to try.
#[expect(clippy::print_stderr, reason = "whoever runs the tests is told what was left out")]
pub(crate) fn has_sandbox() -> bool {
    let program = env!("CARGO_BIN_EXE_botpipe");
    let found =
        Command::new(program).args(["sandbox", "--help"]).output().unwrap().status.success();
    if !found {
        eprintln!("SKIPPED: this build has no `botpipe sandbox`");
    }
    found
}

/// Every `step`th attempt that is no race.
fn sample(step: usize) -> Vec<Attempt> {
    let calm = all().unwrap().into_iter().filter(|it| !it.watch);
    calm.enumerate().filter(|(at, _)| at % step == 0).map(|(_, it)| it).collect()
}

#[test]
fn there_are_many_attempts_and_each_has_a_name() {
    let attempts = all().unwrap();
    let names: BTreeSet<_> = attempts.iter().map(|it| (&it.topic, &it.name)).collect();
    assert_eq!(names.len(), attempts.len(), "two attempts of one name");
    let escapes = attempts.iter().filter(|it| !it.is_function()).count();
    assert!(escapes >= 110, "{escapes}");
    assert!(attempts.len() - escapes >= 20, "{}", attempts.len() - escapes);
}

/// What the suite is worth: a sandbox that does nothing is told so at every attempt.
#[test]
fn a_sandbox_that_does_nothing_is_found_out() {
    let ground = ground();
    let pretender = ground.path().join("botpipe");
    let text = "#!/bin/sh\nshift\nwhile [ \"$1\" != -- ]; do shift; done\nshift\nexec \"$@\"\n";
    fs::write(&pretender, text).unwrap();
    fs::set_permissions(&pretender, fs::Permissions::from_mode(0o755)).unwrap();
    // Bare, the attempts on the proxy go through an open one, which a pretender has not; what looks at process 1
    // or at every process has a namespace of its own bare; and a pretender's parent is the suite itself.
    let mut attempts = sample(17);
    attempts.retain(|it| !it.is_limited() && it.bare.is_none() && !it.is_function());
    attempts.retain(|it| it.name != "the environment of the parent");
    assert!(attempts.len() > 10);
    let proof =
        prove(&attempts, &Adapter::Botpipe(pretender), &[Caller::own()], ground.path(), &|_| {})
            .unwrap();
    for it in &proof.outcomes {
        // A gap is one that came off, too.
        let told = [Verdict::Escaped, Verdict::ProvesNothing, Verdict::Gap].contains(&it.verdict);
        assert!(told, "{:?} {} / {}: {}", it.verdict, it.topic, it.name, it.said);
    }
    let escaped = proof.outcomes.iter().filter(|it| it.verdict == Verdict::Escaped).count();
    assert!(escaped > 10, "{escaped}");
}

#[test]
fn a_sample_of_escapes_is_blocked_and_of_ordinary_work_works() {
    if !has_sandbox() {
        return;
    }
    let ground = ground();
    let adapter = Adapter::Botpipe(PathBuf::from(env!("CARGO_BIN_EXE_botpipe")));
    let callers = [whoever(), for_others().into_iter().collect()].concat();
    let proof = prove(&sample(12), &adapter, &callers, ground.path(), &|_| {}).unwrap();
    let bad = faults(&proof);
    assert!(bad.is_empty(), "{}", markdown(&proof, "now", ""));
}
