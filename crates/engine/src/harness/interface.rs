//! Which of Codex's interfaces a run is driven through: asked of the installed program.

use std::path::{Path, PathBuf};
use std::time::Duration;

use botpipe_kernel::run::Interface;
use botpipe_sandbox::{Containment, Launch};

use super::Kind;
use super::version::{Nobody, no_home};
use crate::environment;
use crate::process::{self, How, Spec, StopSwitch};

/// The interface, and why it is that one where nobody asked for it.
///
/// # Errors
/// In words: the app server was asked for, and is not there.
pub(super) fn choose(
    wanted: Option<Interface>,
    program: &Path,
    stage1: Option<&PathBuf>,
) -> Result<(Option<Interface>, Option<String>), String> {
    if wanted == Some(Interface::Exec) {
        return Ok((wanted, None));
    }
    match (has_app_server(program, stage1), wanted) {
        (Ok(()), _) => Ok((Some(Interface::AppServer), None)),
        (Err(why), Some(_)) => Err(format!(
            "{why}; update Codex, or leave the choice of its interface out: then `codex exec` is used"
        )),
        (Err(why), None) => Ok((Some(Interface::Exec), Some(why))),
    }
}

/// Whether the program knows the command; nothing is started by asking.
///
/// # Source
/// Codex CLI 0.169.0: of a command that a version does not have, it takes the word for a prompt and shows
/// the help of the whole program, with exit code 0.
fn has_app_server(program: &Path, stage1: Option<&PathBuf>) -> Result<(), String> {
    let launch = Launch {
        program: program.to_owned(),
        args: vec!["app-server".into(), "--help".into()],
        cwd: PathBuf::from("/"),
        env: environment::build(std::env::vars_os(), &[], &no_home(Kind::Codex)),
        containment: Containment::Auto,
        stage1: stage1.cloned(),
        mark: None,
        confinement: None,
    };
    let spec = Spec {
        wall: Some(DEADLINE),
        grace: Duration::from_secs(1),
        capture_limit: 64 << 10,
        ..Spec::of(launch)
    };
    let ended = process::run(spec, &mut Nobody, &StopSwitch::new());
    let asked = format!("`{} app-server --help`", program.display());
    let usage = |line: &str| line.trim_start().starts_with("Usage:") && line.contains("app-server");
    match ended.how {
        How::Exited(0) | How::Dismissed | How::LeftOff if ended.stdout.text.lines().any(usage) => {
            Ok(())
        }
        How::Exited(0) | How::Dismissed | How::LeftOff => {
            Err(format!("{asked} knows no such command"))
        }
        How::Exited(code) => Err(format!("{asked} ended with exit code {code}")),
        How::Signalled(signal) | How::Stopped { signal } => {
            Err(format!("{asked} ended by signal {signal}"))
        }
        How::Exceeded { what } => Err(format!("{asked} {what}")),
        How::SpawnFailed { what, .. } => Err(format!("{asked} could not be started: {what}")),
        How::TimedOut { after, .. } => {
            Err(format!("{asked} did not answer within {} s", after.as_secs()))
        }
    }
}

/// Far above what it takes.
const DEADLINE: Duration = Duration::from_secs(10);
