//! Git asked about a workspace.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// What git answers in a folder: names that end in a zero byte. Nothing of the repository's own is run, so it
/// may be somebody else's.
///
/// # Errors
/// What git said, or why there is none.
pub(crate) fn asked_of_git(folder: &Path, args: &[&str]) -> Result<Vec<PathBuf>, String> {
    let output = git_alone()
        .args(["-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null"])
        .args([
            "-c",
            "log.showSignature=false",
            "-c",
            "log.showRoot=true",
            "-c",
            "log.follow=false",
        ])
        .args(["-c", "safe.directory=*", "--no-pager", "--no-replace-objects"])
        .args(args)
        .current_dir(folder)
        .env("GIT_OPTIONAL_LOCKS", "0")
        .env("GIT_NO_LAZY_FETCH", "1")
        .stdin(Stdio::null())
        .output()
        .map_err(|error| error.to_string())?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(said.lines().next().unwrap_or("it says nothing").to_owned());
    }
    let names = output.stdout.split(|byte| *byte == 0).filter(|name| !name.is_empty());
    Ok(names
        .map(|name| name.strip_prefix(b"\n").unwrap_or(name))
        .map(|name| PathBuf::from(OsStr::from_bytes(name)))
        .collect())
}

/// A git that starts nothing: a program in the workspace may have written its settings.
///
/// # Source
/// git 2.47, git-config(1) and git(1). Lists of names ask no filter, no driver of diffs and no alias. A clone
/// that left objects out fetches them where they are missed, by whatever its settings name: since git 2.44
/// `GIT_NO_LAZY_FETCH` forbids it, for older ones no protocol is allowed.
fn git_alone() -> Command {
    let mut git = Command::new("git");
    git.args(["-c", "protocol.allow=never", "-c", "core.alternateRefsCommand=false"]);
    git.env("GIT_NO_LAZY_FETCH", "1").env("GIT_ALLOW_PROTOCOL", "none");
    git.env("GIT_TERMINAL_PROMPT", "0");
    for name in ELSEWHERE {
        git.env_remove(name);
    }
    git
}

/// What a git that starts Botpipe, from a hook, says of its own repository.
const ELSEWHERE: [&str; 7] = [
    "GIT_DIR",
    "GIT_WORK_TREE",
    "GIT_COMMON_DIR",
    "GIT_INDEX_FILE",
    "GIT_OBJECT_DIRECTORY",
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_NAMESPACE",
];
