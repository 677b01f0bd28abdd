//! The machine: the sandbox, a shell, git, folders that can be written, room on the disk.

use std::path::{Path, PathBuf};

use rustix::fs::{Access, access, statvfs};

use super::{Finding, sandbox};
use crate::harness::{program, state_folder};
use crate::repository::Git;
use crate::workspace::layout::Layout;

pub(super) fn findings(workspace: &Path, stage1: Option<&PathBuf>) -> Vec<Finding> {
    let mut findings = vec![
        sandbox::finding(workspace, stage1),
        shell(),
        git(workspace),
        workspace_folder(workspace),
    ];
    match state_folder() {
        Ok(folder) => {
            findings.push(writable("state folder", &folder));
            findings.push(room("disk (state)", &folder));
        }
        Err(why) => findings.push(Finding::problem("state folder", why, "set $HOME")),
    }
    findings.push(room("disk (workspace)", workspace));
    findings
}

/// What commands, checks and hooks are run with.
fn shell() -> Finding {
    const NAME: &str = "shell";
    let Ok(path) = program(Path::new("sh")) else {
        let says = "there is no program `sh` in PATH; commands, checks and hooks are run with it";
        return Finding::problem(NAME, says, "install one, or put it in PATH");
    };
    Finding::ok(NAME, format!("commands run with {}", path.display()))
}

fn git(workspace: &Path) -> Finding {
    const NAME: &str = "git";
    if program(Path::new("git")).is_err() {
        let says = "there is no program `git` in PATH; Botpipe brings its own, agents do not";
        return Finding::warning(NAME, says, "install git");
    }
    if workspace.ancestors().any(|top| Git::of(top).is_some()) {
        Finding::ok(NAME, "the workspace is in a git repository")
    } else {
        Finding::ok(NAME, "the workspace is in no git repository; runs need none")
    }
}

fn workspace_folder(workspace: &Path) -> Finding {
    const NAME: &str = "workspace";
    match Layout::open(workspace) {
        Err(error) => Finding::problem(NAME, error.to_string(), "name another with `--workspace`"),
        Ok(layout) => writable(NAME, &layout.botpipe()),
    }
}

/// A folder of ours, which need not be there yet.
fn writable(name: &'static str, folder: &Path) -> Finding {
    let there = folder.ancestors().find(|it| it.exists()).unwrap_or(folder);
    if !there.is_dir() {
        let says = format!("{} is no folder", there.display());
        return Finding::problem(name, says, "move that file away");
    }
    match access(there, Access::WRITE_OK | Access::EXEC_OK) {
        Ok(()) => Finding::ok(name, format!("{} can be written", folder.display())),
        Err(error) => Finding::problem(
            name,
            format!("{} cannot be written: {}", there.display(), std::io::Error::from(error)),
            "give this user write permission there",
        ),
    }
}

fn room(name: &'static str, folder: &Path) -> Finding {
    let there = folder.ancestors().find(|it| it.exists()).unwrap_or(folder);
    let Ok(found) = statvfs(there) else {
        let says = format!("the room at {} is not known", there.display());
        return Finding::warning(name, says, "see that there is some: `df`");
    };
    let free = found.f_bavail.saturating_mul(found.f_frsize) >> 20;
    let says = format!("{free} MiB free");
    match free {
        0..LITTLE => Finding::problem(name, says, "make room: journals and snapshots need some"),
        LITTLE..SOME => Finding::warning(name, says, "make room before long runs"),
        _ => Finding::ok(name, says),
    }
}

/// In MiB: too little for a run, and little for a long one.
const LITTLE: u64 = 64;
const SOME: u64 = 1024;
