//! Providers: installed, configured, ready, each told apart.

use std::path::{Path, PathBuf};
use std::thread;

use serde::Serialize;

use super::{Finding, State, login};
use crate::config::{Agent, Origin, Settings};
use crate::harness::{self, Kind};

/// How a provider stands.
///
/// # Shape
/// `{"name":"codex","configured":{"kind":"file",…},"installed":{"path","version"},"findings":[…],
/// "ready":false}`; `configured`, `installed`, `path` and `version` are null where there is none.
#[derive(Debug, Clone, Serialize)]
pub struct ProviderState {
    pub name: &'static str,
    /// Which setting says that runs use it.
    pub configured: Option<Origin>,
    pub installed: Option<Installed>,
    pub findings: Vec<Finding>,
    /// Whether a turn could be asked now, as far as can be seen from outside.
    pub ready: bool,
}

/// A program that was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Installed {
    pub path: PathBuf,
    /// `null`: it does not tell, or is no harness.
    pub version: Option<String>,
}

/// All harnesses, and the configured program.
pub(super) fn states(
    settings: &Settings,
    workspace: &Path,
    stage1: Option<&PathBuf>,
) -> Vec<ProviderState> {
    let configured = settings.agent();
    let origin = |agent| configured.filter(|it| it.value == agent).map(|it| it.origin.clone());
    let mut states: Vec<_> = thread::scope(|scope| {
        let look = |kind| scope.spawn(move || of_harness(settings, kind, workspace, stage1));
        let looking = [Kind::Codex, Kind::Claude].map(look);
        looking.into_iter().filter_map(|it| it.join().ok()).collect()
    });
    if origin(Agent::Command).is_some() {
        states.push(of_command(settings));
    }
    if origin(Agent::Harness(Kind::Acp)).is_some() {
        states.push(of_acp(settings));
    }
    for state in &mut states {
        state.configured = Agent::of(state.name).and_then(origin);
    }
    states
}

fn of_harness(
    settings: &Settings,
    kind: Kind,
    workspace: &Path,
    stage1: Option<&PathBuf>,
) -> ProviderState {
    let wanted = settings.wanted(kind);
    let mut state = ProviderState {
        name: kind.name(),
        configured: None,
        installed: None,
        findings: Vec::new(),
        ready: false,
    };
    let path = match harness::find(kind, wanted.program.as_deref(), workspace) {
        Ok(path) => path,
        Err(error) => {
            state.findings.push(Finding::problem(
                "program",
                error.to_string(),
                kind.install_hint(),
            ));
            return state;
        }
    };
    let read = harness::read(kind, &path, stage1);
    let version = read.as_ref().ok().map(|it| it.version.to_string());
    state.installed = Some(Installed { path: path.clone(), version });
    state.findings.push(match read {
        Err(error) => Finding::problem("program", error.to_string(), kind.install_hint()),
        Ok(reading) => match (reading.version < kind.floor(), reading.version > kind.tested()) {
            (true, _) => Finding::problem(
                "program",
                format!(
                    "{} is version {}, and {} is the oldest that works",
                    path.display(),
                    reading.version,
                    kind.floor()
                ),
                format!("update it: {}", kind.install_hint()),
            ),
            (false, true) => Finding::warning(
                "program",
                format!(
                    "{} is version {}, newer than the newest that is tested ({})",
                    path.display(),
                    reading.version,
                    kind.tested()
                ),
                "nothing, unless runs fail in a new way",
            ),
            (false, false) => {
                Finding::ok("program", format!("{} is version {}", path.display(), reading.version))
            }
        },
    });
    state.findings.push(login::of(&wanted));
    state.ready = state.findings.iter().all(|it| it.state != State::Problem);
    state
}

/// An ACP agent tells its version only when it is spoken to.
fn of_acp(settings: &Settings) -> ProviderState {
    let wanted = settings.wanted(Kind::Acp);
    let found = wanted.program.as_deref().map(harness::program);
    let (installed, finding) = match found {
        Some(Ok(path)) => {
            let says = format!("{} is there", path.display());
            (Some(Installed { path, version: None }), Finding::ok("program", says))
        }
        Some(Err(error)) => {
            let next = "install it, or say another in `provider.program`";
            (None, Finding::problem("program", error.to_string(), next))
        }
        None => {
            let next = "set `provider.program` in your own `botpipe.yaml`";
            (None, Finding::problem("program", "no program is named", next))
        }
    };
    let ready = installed.is_some();
    let findings = vec![finding, login::of(&wanted)];
    ProviderState { name: Kind::Acp.name(), configured: None, installed, findings, ready }
}

/// The program of `command`.
fn of_command(settings: &Settings) -> ProviderState {
    let words = settings.command().map(|it| it.value.as_slice()).unwrap_or_default();
    let found = words.first().map(|program| harness::program(program.as_ref()));
    let (installed, finding) = match found {
        Some(Ok(path)) => {
            let says = format!("{} is there", path.display());
            (Some(Installed { path, version: None }), Finding::ok("program", says))
        }
        Some(Err(error)) => {
            let next = "install it, or say another in `provider.command`";
            (None, Finding::problem("program", error.to_string(), next))
        }
        None => {
            let next = "set `provider.command: [PROGRAM, ARGS…]` in your own `botpipe.yaml`";
            (None, Finding::problem("program", "no program is named", next))
        }
    };
    ProviderState {
        name: Agent::Command.name(),
        configured: None,
        ready: installed.is_some(),
        installed,
        findings: vec![finding],
    }
}
