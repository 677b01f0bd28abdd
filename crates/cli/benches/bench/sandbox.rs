//! What the sandbox adds to a launch, against `bwrap`, and what a large workspace adds to that.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use botpipe_engine::policy::{Ground, Origin, resolve};
use botpipe_engine::sandbox;
use botpipe_kernel::plan::Policy;

use crate::Asked;
use crate::line::Line;
use crate::place::{BOTPIPE, Place, ms, took};

/// Long enough for the names of a folder to count as settled.
const SETTLED: Duration = Duration::from_secs(4);

pub(crate) fn measure(asked: &Asked) -> Vec<Line> {
    let mut lines = launches(if asked.quick { 10 } else { 100 });
    lines.extend(large(if asked.quick { (100, 1) } else { (5_000, 5) }));
    lines
}

fn launches(rounds: usize) -> Vec<Line> {
    let place = Place::new();
    let confined = command(place.path(), &Policy::default());
    let bwrap = has_bwrap(place.path());
    let (mut bare, mut ours, mut theirs, mut ratio) =
        (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    confined.run_unheard().unwrap(); // starts the fork server
    for _ in 0..rounds {
        let idle = ms(took(Command::new("sh").args(["-c", "true"]), b"").wall);
        let of_ours = launch(&confined) - idle;
        bare.push(idle);
        ours.push(of_ours);
        if bwrap {
            let of_theirs = ms(took(&mut bubblewrap(place.path()), b"").wall) - idle;
            theirs.push(of_theirs);
            ratio.push(of_ours / of_theirs);
        }
    }
    let mut lines = vec![
        Line::new("sandbox: `sh -c true`, spawned", "ms", bare, ""),
        Line::new("sandbox: added by ours", "ms", ours, "default policy, compiled each time")
            .goal(10.0),
    ];
    if bwrap {
        let how = "read-only host, one writable folder, namespaces of all kinds";
        lines.push(Line::new("sandbox: added by `bwrap`", "ms", theirs, how));
        lines.push(Line::new("sandbox: ours / `bwrap`", "×", ratio, "").goal(0.7));
    } else {
        eprintln!("bench: there is no `bwrap` that works here; nothing is compared with it");
    }
    lines
}

/// Compile and launch in a workspace of ten files a folder, with what is not read anywhere in it.
fn large((folders, rounds): (usize, usize)) -> Vec<Line> {
    let (mut cold, mut cached) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        let place = Place::new();
        fill(place.path(), folders);
        thread::sleep(SETTLED);
        let policy = Policy { deny_read: Some(vec!["**/.env".to_owned()]), ..Policy::default() };
        let command = command(place.path(), &policy);
        cold.push(launch(&command));
        cached.extend((0..3).map(|_| launch(&command)));
    }
    let what = |which: &str| format!("sandbox: {folders} folders, `deny_read: **/.env`, {which}");
    vec![
        Line::new(
            what("first"),
            "ms",
            cold,
            "compile, watch and launch; the files are in the page cache",
        )
        .goal(350.0),
        Line::new(what("again"), "ms", cached, "in the same process").goal(150.0),
    ]
}

fn fill(at: &Path, folders: usize) {
    for n in 0..folders {
        let folder = at.join(format!("part{}/of{}", n / 50, n % 50));
        fs::create_dir_all(&folder).unwrap();
        for file in 0..9 {
            fs::write(folder.join(format!("file{file}")), "").unwrap();
        }
        let last = if n % 100 == 0 { ".env" } else { "file9" };
        fs::write(folder.join(last), "").unwrap();
    }
}

/// `sh -c true` under a policy.
pub(crate) fn command(workspace: &Path, policy: &Policy) -> sandbox::Command {
    let origin = Origin::Repository { path: "bench".to_owned() };
    sandbox::Command {
        pass: Vec::new(),
        argv: ["sh", "-c", "true"].map(Into::into).to_vec(),
        workspace: workspace.to_owned(),
        policy: resolve(&[(origin, policy)], &[], &Ground::of_process(workspace)),
        sources: Vec::new(),
        resolve: BTreeMap::new(),
        stage1: Some(PathBuf::from(BOTPIPE)),
    }
}

/// Milliseconds that it takes, from the policy to its end.
pub(crate) fn launch(command: &sandbox::Command) -> f64 {
    let start = Instant::now();
    command.run_unheard().unwrap();
    ms(start.elapsed())
}

fn bubblewrap(workspace: &Path) -> Command {
    let mut command = Command::new("bwrap");
    command.args(["--ro-bind", "/", "/", "--tmpfs", "/tmp", "--dev", "/dev", "--proc", "/proc"]);
    command.arg("--bind").args([workspace, workspace]).arg("--chdir").arg(workspace);
    command.args(["--unshare-all", "--die-with-parent", "--new-session", "--cap-drop", "ALL"]);
    command.args(["--", "sh", "-c", "true"]);
    command
}

fn has_bwrap(workspace: &Path) -> bool {
    let mut command = bubblewrap(workspace);
    let ended = command.stdout(Stdio::null()).stderr(Stdio::null()).status();
    ended.is_ok_and(|status| status.success())
}
