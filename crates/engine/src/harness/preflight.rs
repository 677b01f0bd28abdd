//! Proof that a harness's own sandbox holds here, before a token is spent: a probe runs in it that
//! tries to write and to connect where it must not.

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::time::Duration;

use botpipe_kernel::plan::SandboxMode;
use botpipe_kernel::run::Harness;
use botpipe_providers::{Access, codex};
use botpipe_sandbox::{Containment, Identity, Launch};

use super::{Kind, temporary_folder};
use crate::environment;
use crate::process::{self, How, Reply, Spec, StopSwitch, Stream, Watch};

/// Tries a harness's sandbox.
///
/// # Errors
/// In words: it does not start, or does not hold.
pub(crate) fn prove(
    kind: Kind,
    harness: &Harness,
    access: &Access,
    workspace: &Path,
    stage1: Option<&PathBuf>,
) -> Result<(), String> {
    if access.sandbox == SandboxMode::DangerFullAccess {
        return Ok(());
    }
    match kind {
        Kind::Codex => prove_codex(harness, access, workspace, stage1),
        // It asks us before everything but reading.
        Kind::Acp => Err("no ACP agent can be held to it".to_owned()),
        Kind::Claude if access.sandbox == SandboxMode::ReadOnly => Ok(()),
        Kind::Claude => {
            let missing = ["bwrap", "socat"].into_iter().find(|program| !in_path(program));
            match missing {
                Some(program) => Err(format!(
                    "Claude Code's own sandbox needs `{program}`, which is not in PATH; install it"
                )),
                None => {
                    start(Path::new("bwrap"), &["--ro-bind", "/", "/", "true"], &[], "/", stage1)
                        .map(drop)
                }
            }
        }
    }
}

fn in_path(program: &str) -> bool {
    let folders = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&folders).any(|folder| folder.join(program).is_file())
}

/// # Source
/// Codex CLI 0.169.0: `codex sandbox -- COMMAND` runs a command as its agent's commands are run.
fn prove_codex(
    harness: &Harness,
    access: &Access,
    workspace: &Path,
    stage1: Option<&PathBuf>,
) -> Result<(), String> {
    let home = harness.home.as_deref().unwrap_or("/nonexistent");
    let Some(outside) = writable_outside(access, workspace, Path::new(home)) else {
        return Err("there is no folder outside the workspace to probe it with".to_owned());
    };
    let listener = TcpListener::bind(("127.0.0.1", 0)).and_then(|it| {
        it.set_nonblocking(true)?;
        Ok(it)
    });
    let port = listener.as_ref().ok().and_then(|it| it.local_addr().ok()).map_or(9, |it| it.port());
    let connect = if access.network { "true".to_owned() } else { connect_line(port) };
    let probe =
        format!("{{ echo x > '{}'; }} 2>/dev/null; {connect}; echo probed", outside.display());
    let mode = codex::sandbox_word(access.sandbox);
    let network = format!("sandbox_workspace_write.network_access={}", access.network);
    let mode = format!("sandbox_mode=\"{mode}\"");
    let words = ["sandbox", "-c", &mode, "-c", &network, "--", "bash", "-c", &probe];
    let mut extra = vec![("CODEX_HOME".to_owned(), home.to_owned())];
    let temporary = temporary_folder(Path::new(home));
    extra.extend(temporary.map(|it| ("TMPDIR".to_owned(), it.display().to_string())));
    let program = Path::new(&harness.program);
    let said = start(program, &words, &extra, &workspace.display().to_string(), stage1)?;
    let wrote = outside.exists();
    let _ = fs::remove_file(&outside);
    if wrote {
        return Err(format!("in Codex's sandbox `{}` could be written", outside.display()));
    }
    if !access.network && listener.is_ok_and(|it| it.accept().is_ok()) {
        return Err("in Codex's sandbox a server of this machine could be reached".to_owned());
    }
    if !said.contains("probed") {
        return Err(format!("a probe in Codex's sandbox said nothing but {said:?}"));
    }
    Ok(())
}

/// A file that we may write and the sandbox must not let commands write: temporary folders are open
/// to them.
fn writable_outside(access: &Access, workspace: &Path, home: &Path) -> Option<PathBuf> {
    let temporary = std::env::temp_dir();
    let open = [Path::new("/tmp"), &temporary, workspace];
    let inside = |folder: &Path| {
        let open = open.iter().copied().chain(access.writable.iter().map(Path::new));
        open.into_iter().any(|root| folder.starts_with(root))
    };
    [home, Path::new("/var/tmp"), Path::new("/dev/shm")].into_iter().find_map(|folder| {
        let probe = folder.join(format!("botpipe-probe-{}", std::process::id()));
        let may = !inside(folder) && fs::write(&probe, "").is_ok();
        (may && fs::remove_file(&probe).is_ok()).then_some(probe)
    })
}

/// Bash's own way to connect: no program is needed for it.
fn connect_line(port: u16) -> String {
    format!("(exec 3<>/dev/tcp/127.0.0.1/{port}) 2>/dev/null")
}

/// Runs a program to its end; what it said.
fn start(
    program: &Path,
    words: &[&str],
    extra: &[(String, String)],
    cwd: &str,
    stage1: Option<&PathBuf>,
) -> Result<String, String> {
    let launch = Launch {
        program: program.to_owned(),
        args: words.iter().map(Into::into).collect(),
        cwd: PathBuf::from(cwd),
        env: environment::build(std::env::vars_os(), &[], extra),
        containment: Containment::Auto,
        stage1: stage1.cloned(),
        mark: None,
        confinement: None,
    };
    let spec = Spec { wall: Some(DEADLINE), capture_limit: 8 << 10, ..Spec::of(launch) };
    let ended = process::run(spec, &mut Nobody, &StopSwitch::new());
    let words = |text: &str| text.trim().chars().take(400).collect::<String>();
    match ended.how {
        How::Exited(0) | How::Dismissed => Ok(words(&ended.stdout.text)),
        How::Exited(code) => {
            Err(format!("it ended with exit code {code}: {}", words(&ended.stderr.text)))
        }
        How::Signalled(signal) | How::Stopped { signal } => {
            Err(format!("it was ended by signal {signal}"))
        }
        How::SpawnFailed { what, .. } => Err(what),
        How::TimedOut { after, .. } => Err(format!("it did not end within {after:?}")),
    }
}

/// Only what is captured counts.
struct Nobody;

impl Watch for Nobody {
    fn started(&mut self, _: &Identity) {}

    fn line(&mut self, _: Stream, _: &str) -> Reply {
        Reply::default()
    }
}

const DEADLINE: Duration = Duration::from_secs(20);
