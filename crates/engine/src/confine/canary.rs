//! Canaries: what a policy forbids is tried from inside the finished sandbox, and what it allows as well,
//! before the first turn under it. Nothing is believed that was not seen to hold.

use std::io;
use std::net::TcpListener;
use std::path::PathBuf;

use botpipe_kernel::plan::{NetworkMode, SandboxMode};
use botpipe_sandbox::{Containment, Error, Launch, Network, Probe};
use serde::Serialize;

use super::Placeholders;
use super::paths::{absolute, as_far_as_there, is_pattern};
use super::whole::Compiled;
use super::{Site, View};
use crate::policy::{Control, Resolved};

/// Sockets to the hypervisor, which a network of one's own does not end.
const AF_VSOCK: i32 = 40;

/// Paths that are tried of one control.
const MOST: usize = 20;

/// Numbers that the processes of a sandbox itself may have when canaries fly.
const SMALL: u32 = 9;

/// What was tried of a control.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Canary {
    pub(crate) control: Control,
    /// As a sentence: `read /w/.env`.
    pub(crate) tried: String,
    pub(crate) result: Seen,
}

/// What came of a canary.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Seen {
    /// There was nothing to try.
    Vacuous,
    /// What is forbidden failed, or what is allowed succeeded.
    Passed,
    /// The control does not hold.
    Failed,
}

/// A probe and what must come of it.
struct Bird {
    control: Control,
    probe: Probe,
    succeeds: bool,
}

/// Why no canary came back.
#[derive(Debug)]
pub(crate) enum Grounded {
    /// What stands around a program could not be set up.
    Guard(io::Error),
    /// The sandbox could not be built, or the canaries did not all come back.
    Sandbox(Error),
}

/// Tries a compiled policy from inside of it, with all that stands in for what is missing; nothing where there is
/// nothing to keep.
///
/// # Errors
/// No canary came back.
pub(crate) fn send(
    compiled: &Compiled,
    policy: &Resolved,
    site: &Site,
    stage1: Option<PathBuf>,
) -> Result<Vec<Canary>, Grounded> {
    let wanted = compiled.files.as_ref().map_or(&[][..], |files| &files.placeholders);
    let placeholders = Placeholders::make(wanted, &site.stop).map_err(Grounded::Guard)?;
    let launch = Launch {
        program: PathBuf::new(),
        args: Vec::new(),
        cwd: site.workspace.clone(),
        env: Vec::new(),
        containment: Containment::Namespace,
        stage1,
        mark: None,
        confinement: compiled.confinement.clone(),
    };
    let seen = match &compiled.confinement {
        Some(_) => fly(compiled, policy, site, &launch),
        None => Ok(Vec::new()),
    };
    drop(placeholders);
    seen.map_err(Grounded::Sandbox)
}

fn fly(
    compiled: &Compiled,
    policy: &Resolved,
    site: &Site,
    launch: &Launch,
) -> Result<Vec<Canary>, Error> {
    let outside = TcpListener::bind("127.0.0.1:0");
    let outside = outside.and_then(|it| it.set_nonblocking(true).map(|()| it));
    let outside = outside
        .map_err(|source| Error::System { doing: "listen for a canary of the network", source })?;
    let birds = birds(compiled, policy, site, &outside);
    let probes: Vec<Probe> = birds.iter().map(|bird| bird.probe.clone()).collect();
    let answers = launch.probe(&probes)?;
    let came_out = outside.accept().is_ok();
    let mut seen: Vec<Canary> = birds
        .iter()
        .zip(answers)
        .map(|(bird, answer)| {
            // Whether a connection came out is for its listener to say.
            let connected = matches!(bird.probe, Probe::Connect(_)) && came_out;
            let holds = (answer.is_ok() || connected) == bird.succeeds;
            let result = if holds { Seen::Passed } else { Seen::Failed };
            Canary { control: bird.control, tried: shown(&bird.probe), result }
        })
        .collect();
    for (control, asked) in [
        (Control::DenyRead, !policy.deny_read.is_empty()),
        (Control::DenyWrite, !policy.deny_write.is_empty()),
    ] {
        if asked && !seen.iter().any(|canary| canary.control == control) {
            let tried = "nothing that it names is there".to_owned();
            seen.push(Canary { control, tried, result: Seen::Vacuous });
        }
    }
    Ok(seen)
}

fn birds(compiled: &Compiled, policy: &Resolved, site: &Site, outside: &TcpListener) -> Vec<Bird> {
    let mut birds = Vec::new();
    let mut add = |control, probe, succeeds| birds.push(Bird { control, probe, succeeds });
    add(Control::SandboxMode, Probe::Namespace, false);
    // Where Botpipe is among the first of a container, the sandbox has processes of the same number.
    if std::process::id() > SMALL {
        add(Control::SandboxMode, Probe::Process(std::process::id()), false);
    }
    if let Some(files) = &compiled.files {
        add(Control::SandboxMode, Probe::Write("/etc".into()), false);
        add(Control::SandboxMode, Probe::Write("/usr/bin".into()), false);
        let state = site.state.join("botpipe.db");
        if state.exists() {
            add(Control::SandboxMode, Probe::Read(state), false);
        }
        if let Some(home) = &site.home {
            for name in [".ssh", ".aws", ".gnupg", ".netrc", ".docker", ".kube"] {
                let path = home.join(name);
                let shown =
                    super::within(&path, &site.readable) || super::within(&path, &site.granted);
                if path.exists() && !shown && !path.starts_with(&site.workspace) {
                    add(Control::AllowRead, Probe::Read(path), false);
                }
            }
        }
        let written = files.written.iter().filter(|path| path.is_dir());
        for path in written.clone().take(MOST) {
            add(Control::AllowWrite, Probe::Write(path.clone()), true);
        }
        let whole = files.written.contains(&site.workspace);
        if !whole && site.view == View::Kept {
            add(Control::AllowWrite, Probe::Write(site.workspace.clone()), false);
        }
        let hooks = site.workspace.join(".git/hooks");
        if whole && hooks.is_dir() {
            add(Control::AllowWrite, Probe::Write(hooks), false);
        }
        for path in files.denied.iter().filter(|path| path.exists()).take(MOST) {
            add(Control::DenyRead, Probe::Read(path.clone()), false);
        }
        for path in kept(policy, site).into_iter().take(MOST) {
            add(Control::DenyWrite, Probe::Write(path), false);
        }
    }
    add(Control::LocalBinding, Probe::Listen, policy.allow_local_binding);
    let network = compiled.confinement.as_ref().map(|it| &it.network);
    if matches!(network, Some(Network::Own { .. })) {
        if let Ok(address) = outside.local_addr() {
            add(Control::Network, Probe::Connect(address), false);
        }
        add(Control::Network, Probe::Family(AF_VSOCK), false);
    } else if policy.network == NetworkMode::Full
        && policy.sandbox_mode != SandboxMode::DangerFullAccess
        && let Ok(address) = outside.local_addr()
    {
        add(Control::Network, Probe::Connect(address), true);
    }
    birds
}

/// What a policy keeps from being written, where it is there and its view is no one's own.
fn kept(policy: &Resolved, site: &Site) -> Vec<PathBuf> {
    if site.view == View::Discarded {
        return Vec::new();
    }
    let plain = policy.deny_write.iter().map(|text| text.strip_suffix("/**").unwrap_or(text));
    let paths = plain.filter(|text| !is_pattern(text)).map(|text| absolute(text, site));
    paths.map(|path| as_far_as_there(&path)).filter(|path| path.exists()).collect()
}

fn shown(probe: &Probe) -> String {
    match probe {
        Probe::Read(path) => format!("read {}", path.display()),
        Probe::Write(path) => format!("write {}", path.display()),
        Probe::Connect(_) => "connect to a listener on the host".to_owned(),
        Probe::Listen => "listen on a port of its loopback".to_owned(),
        Probe::Family(family) => format!("make a socket of family {family}"),
        Probe::Process(_) => "see botpipe's own process".to_owned(),
        Probe::Namespace => "make a user namespace".to_owned(),
    }
}
