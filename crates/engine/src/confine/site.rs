//! Where a program of a run works, and what it must have there whatever the policy: its own files, those of
//! its provider, and what the operator grants to all.

use std::collections::BTreeSet;
use std::env;
use std::fs;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs as _};
use std::path::{Path, PathBuf};

use botpipe_egress::{Destination, Host};
use botpipe_kernel::ids::{TaskId, WorkflowName};
use botpipe_kernel::run::Harness;

use super::whole::Endpoint;
use super::{Site, View};
use crate::harness::{Kind, own_home, temporary_folder};
use crate::workspace::layout::Layout;
use crate::workspace::snapshots::objects_around;

/// Folders that whoever starts a run lets its programs write, or read, beside what policies allow: paths
/// with `:` between them.
const GRANTS: [&str; 2] = ["BOTPIPE_ALLOW_WRITE", "BOTPIPE_ALLOW_READ"];

/// What a program must have to do its work.
#[derive(Debug, Clone, Default)]
pub(crate) struct Needs {
    pub(crate) write: Vec<PathBuf>,
    pub(crate) read: Vec<PathBuf>,
    pub(crate) endpoints: Vec<Endpoint>,
}

impl Needs {
    /// Of a program and what it is given, as an operator named them.
    pub(crate) fn of_program(program: &str, args: &[String]) -> Self {
        let named = args.iter().filter(|arg| arg.starts_with('/')).map(PathBuf::from);
        let found = crate::harness::program(Path::new(program)).ok();
        let read = named.filter(|path| path.is_file()).chain(found).flat_map(|path| whole(&path));
        Self { read: read.collect(), ..Self::default() }
    }

    /// Of a harness: its home, the login that leads there, and its model.
    pub(crate) fn of_harness(kind: Kind, harness: &Harness) -> Self {
        let mut needs = Self::of_program(&harness.program, &harness.args);
        if let Some(home) = harness.home.as_ref().map(PathBuf::from) {
            needs.write.extend(temporary_folder(&home));
            for login in ["auth.json", ".credentials.json"] {
                let target = home.join(login).canonicalize().ok();
                needs.write.extend(target.filter(|target| !target.starts_with(&home)));
            }
            needs.write.extend(home.canonicalize());
        }
        needs.endpoints = endpoints(kind, harness);
        needs
    }
}

/// A program's file, and the package it is of: a script of Node.js looks for its own beside itself.
fn whole(path: &Path) -> Vec<PathBuf> {
    let names = [Some(path.to_owned()), path.canonicalize().ok()];
    let parts = names.into_iter().flatten().map(|path| {
        let package = path.ancestors().find(|above| above.ends_with("node_modules"));
        package.map_or_else(|| path.clone(), Path::to_owned)
    });
    let found: BTreeSet<PathBuf> = parts.filter_map(|path| path.canonicalize().ok()).collect();
    found.into_iter().collect()
}

/// Where the models of a harness are: where it is told, else where its maker has them.
///
/// # Source
/// Claude Code 2.1.330 and Codex CLI 0.169.0: the hosts they connect to without other settings.
fn endpoints(kind: Kind, harness: &Harness) -> Vec<Endpoint> {
    let variables: &[&str] = match kind {
        Kind::Claude => &["ANTHROPIC_BASE_URL"],
        Kind::Codex => &["OPENAI_BASE_URL"],
        Kind::Acp => &[],
    };
    let said = harness.base_url.iter().cloned();
    let set = variables.iter().filter_map(|name| env::var(name).ok());
    let mut found: Vec<Endpoint> = said
        .chain(set)
        .chain(of_settings(kind, harness))
        .filter_map(|url| endpoint(&url))
        .collect();
    let usual: &[&str] = match kind {
        Kind::Claude => &["api.anthropic.com", "platform.claude.com", "console.anthropic.com"],
        Kind::Codex => &["api.openai.com", "chatgpt.com", "auth.openai.com"],
        Kind::Acp => &[],
    };
    if found.is_empty() {
        let hosts = usual.iter().filter_map(|host| Host::parse(host).ok());
        found.extend(hosts.map(|host| Endpoint::Host(Destination { host, port: 443 })));
    }
    found
}

/// The addresses in the settings of a home of Codex: those of a person, who may name any.
fn of_settings(kind: Kind, harness: &Harness) -> Vec<String> {
    let homes = match (kind, &harness.home) {
        (Kind::Codex, Some(home)) => vec![PathBuf::from(home)],
        (Kind::Codex, None) => own_home(kind).into_iter().collect(),
        _ => Vec::new(),
    };
    let texts = homes.iter().filter_map(|home| fs::read_to_string(home.join("config.toml")).ok());
    let texts: Vec<String> = texts.collect();
    texts
        .iter()
        .flat_map(|text| text.lines())
        .filter_map(|line| {
            let (key, value) = line.split_once('=')?;
            let value = value.trim().trim_matches('"');
            (key.trim().ends_with("base_url") && value.starts_with("http"))
                .then(|| value.to_owned())
        })
        .collect()
}

/// Where a URL leads.
fn endpoint(url: &str) -> Option<Endpoint> {
    let (scheme, rest) = url.split_once("://")?;
    let authority = rest.split(['/', '?', '#']).next()?;
    let usual = if scheme == "https" { 443 } else { 80 };
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, port.parse().ok()?),
        _ => (authority, usual),
    };
    let bare = host.trim_matches(['[', ']']);
    let local = bare == "localhost" || bare.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback());
    if local {
        let address: Option<SocketAddr> =
            (bare, port).to_socket_addrs().ok()?.find(SocketAddr::is_ipv4);
        return address.map(Endpoint::Loopback);
    }
    Some(Endpoint::Host(Destination { host: Host::parse(host).ok()?, port }))
}

/// The site of a program of a run.
pub(crate) fn of_run(
    layout: &Layout,
    (task, workflow): (&TaskId, &WorkflowName),
    needs: &Needs,
    view: View,
) -> Site {
    let mut site = of_person(layout.root().to_owned(), Some(layout.botpipe()));
    let place = layout.workflow_folder(task, workflow).absolute;
    // What keeps it from being made shows when it is laid.
    drop(fs::create_dir_all(&place));
    site.shown.extend([layout.task(task), layout.workflows()].into_iter().filter(|it| it.is_dir()));
    site.covered.extend(Some(place.join("runs")).filter(|it| it.is_dir()));
    site.places.push(place);
    if let Some(own) = layout.own_folder() {
        site.readable.extend(objects_around(layout.home()));
        site.shown.extend(of_outer_branches(&own));
    }
    site.granted.extend(needs.write.iter().cloned());
    site.readable.extend(needs.read.iter().cloned());
    site.view = view;
    site
}

/// The objects of the branches that a branch is in, whose names its own begins with: its repository borrows
/// from them. What a program has put a link in place of is not followed.
fn of_outer_branches(own: &Path) -> Vec<PathBuf> {
    let name = own.file_name().unwrap_or_default().to_string_lossy();
    let all = own.parent().and_then(|all| fs::read_dir(all).ok()).into_iter().flatten().flatten();
    let outer = all.filter(|it| {
        name.strip_prefix(&*it.file_name().to_string_lossy()).is_some_and(|it| it.starts_with('.'))
    });
    let tops =
        outer.filter_map(|it| fs::read_dir(it.path().join("files")).ok()).flatten().flatten();
    let objects = tops.map(|top| top.path().join(".git/objects"));
    objects.filter(|it| it.canonicalize().is_ok_and(|found| found == *it)).collect()
}

/// The site of a program that is nobody's step. `state`: the folder that is Botpipe's own.
pub(crate) fn of_person(workspace: PathBuf, state: Option<PathBuf>) -> Site {
    let home = env::var_os("HOME").and_then(|home| PathBuf::from(home).canonicalize().ok());
    let path = env::var_os("PATH").unwrap_or_default();
    let [granted, readable] = GRANTS.map(|name| {
        let value = env::var_os(name).unwrap_or_default();
        let paths = env::split_paths(&value).filter(|path| path.is_absolute());
        paths.filter_map(|path| path.canonicalize().ok()).collect()
    });
    Site {
        state: state.unwrap_or_else(|| workspace.join(Layout::FOLDER)),
        workspace,
        home,
        places: Vec::new(),
        shown: Vec::new(),
        covered: Vec::new(),
        granted,
        readable,
        view: View::Kept,
        path: env::split_paths(&path).collect(),
    }
}
