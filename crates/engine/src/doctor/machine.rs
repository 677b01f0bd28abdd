//! The machine: containment of processes, git, folders that can be written, room on the disk.

use std::path::{Path, PathBuf};
use std::time::Duration;

use botpipe_sandbox::{Containment, Identity, Launch, Used};
use git2::Repository;
use rustix::fs::{Access, access, statvfs};

use super::Finding;
use crate::environment;
use crate::harness::{program, state_folder};
use crate::process::{self, How, Reply, Spec, StopSwitch, Stream, Watch};
use crate::workspace::layout::Layout;

pub(super) fn findings(workspace: &Path, stage1: Option<&PathBuf>) -> Vec<Finding> {
    let mut findings = vec![containment(stage1), git(workspace), workspace_folder(workspace)];
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

/// Starts a shell as an agent is started, and sees what held it.
fn containment(stage1: Option<&PathBuf>) -> Finding {
    const NAME: &str = "containment";
    let launch = Launch {
        program: "sh".into(),
        args: vec!["-c".into(), ":".into()],
        cwd: PathBuf::from("/"),
        env: environment::build(std::env::vars_os(), &[], &[]),
        containment: Containment::Auto,
        stage1: stage1.cloned(),
        mark: None,
        confinement: None,
    };
    let spec = Spec { wall: Some(DEADLINE), capture_limit: 1 << 10, ..Spec::of(launch) };
    let ended = process::run(spec, &mut Nobody, &StopSwitch::new());
    match (ended.how, ended.contained) {
        (How::Exited(0) | How::Dismissed, Some(Used::Namespace { .. })) => {
            Finding::ok(NAME, "agents run in a pid namespace of their own")
        }
        (How::Exited(0) | How::Dismissed, Some(Used::Subreaper { refused })) => {
            let why = refused.map_or_else(String::new, |refused| {
                let error = std::io::Error::from_raw_os_error(refused.errno);
                format!(" ({}: {error})", refused.step)
            });
            Finding::warning(
                NAME,
                format!("no pid namespaces here{why}: agents are held by a subreaper"),
                "allow user namespaces (`sysctl kernel.unprivileged_userns_clone \
                 kernel.apparmor_restrict_unprivileged_userns user.max_user_namespaces`)",
            )
        }
        (How::SpawnFailed { what, .. }, _) => {
            Finding::problem(NAME, what, "see that `sh` is in PATH and processes may be started")
        }
        (how, _) => Finding::problem(
            NAME,
            format!("`sh -c :` did not end well: {how:?}"),
            "see that `sh` works: `sh -c :`",
        ),
    }
}

fn git(workspace: &Path) -> Finding {
    const NAME: &str = "git";
    if program(Path::new("git")).is_err() {
        let says = "there is no program `git` in PATH; Botpipe brings its own, agents do not";
        return Finding::warning(NAME, says, "install git");
    }
    match Repository::discover(workspace) {
        Ok(_) => Finding::ok(NAME, "the workspace is in a git repository"),
        Err(_) => Finding::ok(NAME, "the workspace is in no git repository; runs need none"),
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

const DEADLINE: Duration = Duration::from_secs(10);

/// Only the end counts.
struct Nobody;

impl Watch for Nobody {
    fn started(&mut self, _: &Identity) {}

    fn line(&mut self, _: Stream, _: &str) -> Reply {
        Reply::default()
    }
}
