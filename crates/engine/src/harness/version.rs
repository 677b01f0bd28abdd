//! What version a harness's program is: asked for with `--version`, within a deadline.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use botpipe_sandbox::{Containment, Identity, Launch};

use super::Kind;
use crate::environment;
use crate::process::{self, How, Reply, Spec, StopSwitch, Stream, Watch};

/// Three numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version(pub [u64; 3]);

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [major, minor, patch] = self.0;
        write!(f, "{major}.{minor}.{patch}")
    }
}

/// What a program said of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reading {
    pub version: Version,
}

/// A program that does not tell its version.
#[derive(Debug, thiserror::Error)]
pub enum VersionError {
    #[error("`{} --version` could not be started: {what}", program.display())]
    NotStarted { program: PathBuf, what: String },
    #[error(
        "`{} --version` did not answer within {} s and was ended; run it by hand to see what it \
         waits for", program.display(), DEADLINE.as_secs()
    )]
    Silent { program: PathBuf },
    #[error(
        "`{} --version` ended with {how} and said {said:?}; is it the {name} CLI?",
        program.display()
    )]
    Garbage { program: PathBuf, how: String, said: String, name: &'static str },
}

/// Asks a program for its version.
///
/// # Errors
/// One that cannot be started, does not answer in time, fails, or says no version.
pub fn read(kind: Kind, program: &Path, stage1: Option<&PathBuf>) -> Result<Reading, VersionError> {
    let launch = Launch {
        program: program.to_owned(),
        args: vec!["--version".into()],
        cwd: PathBuf::from("/"),
        env: environment::build(std::env::vars_os(), &[], &no_home(kind)),
        containment: Containment::Auto,
        stage1: stage1.cloned(),
        mark: None,
        confinement: None,
    };
    let spec = Spec {
        wall: Some(DEADLINE),
        grace: Duration::from_secs(1),
        capture_limit: 4 << 10,
        ..Spec::of(launch)
    };
    let ended = process::run(spec, &mut Nobody, &StopSwitch::new());
    let program = program.to_owned();
    let how = match ended.how {
        How::Exited(0) | How::Dismissed | How::LeftOff => {
            if let Some(version) = first_version(&ended.stdout.text) {
                return Ok(Reading { version });
            }
            "exit code 0".to_owned()
        }
        How::Exited(code) => format!("exit code {code}"),
        How::Signalled(signal) | How::Stopped { signal } => format!("signal {signal}"),
        How::SpawnFailed { what, .. } => return Err(VersionError::NotStarted { program, what }),
        How::Exceeded { what } => what,
        How::TimedOut { .. } => return Err(VersionError::Silent { program }),
    };
    let said = format!("{} {}", ended.stdout.text.trim(), ended.stderr.text.trim());
    let said = said.trim().chars().take(200).collect();
    Err(VersionError::Garbage { program, how, said, name: kind.name() })
}

/// Looking changes nothing: Codex makes its home even to tell its version, unless that cannot be.
pub(super) fn no_home(kind: Kind) -> Vec<(String, String)> {
    match kind {
        Kind::Codex => vec![("CODEX_HOME".to_owned(), "/proc/self/none".to_owned())],
        Kind::Claude | Kind::Acp => Vec::new(),
    }
}

/// The first three numbers with dots between them.
fn first_version(text: &str) -> Option<Version> {
    text.split(|c: char| !c.is_ascii_digit() && c != '.').find_map(|word| {
        let mut numbers = word.splitn(4, '.').map(str::parse);
        match (numbers.next(), numbers.next(), numbers.next(), numbers.next()) {
            (Some(Ok(major)), Some(Ok(minor)), Some(Ok(patch)), None) => {
                Some(Version([major, minor, patch]))
            }
            _ => None,
        }
    })
}

/// Only what is captured counts.
pub(super) struct Nobody;

impl Watch for Nobody {
    fn started(&mut self, _: &Identity) {}

    fn line(&mut self, _: Stream, _: &str) -> Reply {
        Reply::default()
    }
}

/// Far above the second that the slowest of them takes.
const DEADLINE: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::{Version, first_version};

    #[test]
    fn a_version_is_found_among_words() {
        assert_eq!(first_version("codex-cli 0.169.0\n"), Some(Version([0, 169, 0])));
        assert_eq!(first_version("2.1.197 (Claude Code)"), Some(Version([2, 1, 197])));
        assert_eq!(first_version("v1.2.3-alpha.1"), Some(Version([1, 2, 3])));
        for none in ["", "hello", "1.2", "1.2.3.4", "1..2"] {
            assert_eq!(first_version(none), None, "{none}");
        }
    }
}
