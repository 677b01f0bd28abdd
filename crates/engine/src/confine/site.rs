//! Where a program of a run works, and what it must have there whatever the policy: its own files, those of
//! its provider, and what the operator grants to all.

use std::collections::BTreeSet;
use std::env;
use std::ffi::OsStr;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use botpipe_egress::{Destination, Host};
use botpipe_kernel::ids::{TaskId, WorkflowName};
use botpipe_kernel::run::{Harness, McpServer};
use botpipe_providers::codex;

use super::whole::{Api, Endpoint};
use super::{Site, View, certificates, toolchains};
use crate::account;
use crate::harness::key::Place;
use crate::harness::{Kind, login_file, own_home, temporary_folder};
use crate::plain;
use crate::process::StopSwitch;
use crate::workspace::layout::Layout;
use crate::workspace::snapshots::objects_around;

/// Folders that whoever starts a run lets its programs write, or read, beside what policies allow: paths
/// with `:` between them.
const GRANTS: [&str; 2] = ["BOTPIPE_ALLOW_WRITE", "BOTPIPE_ALLOW_READ"];

/// Where agents may connect to whatever their policy says, by whoever starts a run: `host`, `host:port` or
/// a URL, with `,` between them.
const CONNECTS: &str = "BOTPIPE_ALLOW_CONNECT";

/// What is wrong with what the environment grants: nothing of it is left out in silence.
pub(crate) fn wrong_grant() -> Option<String> {
    GRANTS.iter().find_map(|name| wrong_paths(name, &env::var_os(name)?)).or_else(|| {
        let hosts = env::var(CONNECTS).ok()?;
        let mut words = hosts.split(',').map(str::trim).filter(|word| !word.is_empty());
        words.find_map(|word| endpoint(word).err()).map(|why| format!("${CONNECTS}: {why}"))
    })
}

fn wrong_paths(name: &str, value: &OsStr) -> Option<String> {
    env::split_paths(value).filter(|path| !path.as_os_str().is_empty()).find_map(|path| {
        let shown = path.display();
        let wrong = if !path.is_absolute() {
            "is no absolute path; write one that begins with `/`, with `:` between two"
        } else if path.canonicalize().is_err() {
            "is not there, or cannot be reached; make it, or leave it out"
        } else {
            return None;
        };
        Some(format!("${name} grants `{shown}`, which {wrong}"))
    })
}

/// Where agents may write without asking: the workspace, and what whoever starts a run grants.
pub(crate) fn written_by_all(workspace: &Path) -> Vec<PathBuf> {
    let granted = env::var_os(GRANTS[0]).unwrap_or_default();
    let granted = env::split_paths(&granted).filter(|path| path.is_absolute());
    let all = granted.chain([workspace.to_owned()]);
    all.flat_map(|path| [path.canonicalize().ok(), Some(path)]).flatten().collect()
}

/// What a program must have to do its work.
#[derive(Debug, Clone, Default)]
pub(crate) struct Needs {
    pub(crate) write: Vec<PathBuf>,
    pub(crate) read: Vec<PathBuf>,
    pub(crate) endpoints: Vec<Endpoint>,
    pub(crate) api: Option<Api>,
}

impl Needs {
    /// Of a program and what it is given, as an operator named them.
    pub(crate) fn of_program(program: &str, args: &[String]) -> Self {
        let named = args.iter().filter(|arg| arg.starts_with('/')).map(PathBuf::from);
        let found = crate::harness::program(Path::new(program)).ok();
        let read = named.filter(|path| path.is_file()).chain(found).flat_map(|path| whole(&path));
        Self { read: read.collect(), ..Self::default() }
    }

    /// Of a harness: its home, the login that is linked into there, its model, and the MCP servers of the
    /// person.
    ///
    /// Nothing is asked of the home itself but where it is: an agent writes there, so what lies or leads there
    /// by the next turn is the agent's word.
    ///
    /// # Errors
    /// In words: an address in a person's settings that is none.
    pub(crate) fn of_harness(kind: Kind, harness: &Harness, key: &Place) -> Result<Self, String> {
        let mut needs = Self::of_program(&harness.program, &harness.args);
        if kind == Kind::Codex {
            needs.read.extend(beside(Path::new(&harness.program)));
        }
        if let Some(home) = harness.home.as_ref().map(PathBuf::from) {
            needs.write.extend(temporary_folder(&home));
            // What it has no use for, its commands need not see.
            if !matches!(key, Place::Outside(_)) {
                needs.write.extend(login(kind));
            }
            needs.write.extend(home.canonicalize());
        }
        needs.endpoints = endpoints(kind, harness, key)?;
        for server in harness.mcp_servers.values() {
            match server {
                McpServer::Program { command, args, .. } => {
                    needs.read.extend(Self::of_program(command, args).read);
                }
                McpServer::Remote { url } => needs.endpoints.push(endpoint(url)?),
            }
        }
        needs.endpoints.dedup();
        if let Place::Outside(kept) = key {
            needs.api = Some(Api::beside(&needs.endpoints, kept.upstream.clone()));
        }
        Ok(needs)
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

/// The folder that a program lies in, where that is one for programs.
///
/// # Source
/// Codex CLI 0.169.0: without the programs beside its own, every tool call of the newer models fails.
fn beside(program: &Path) -> Option<PathBuf> {
    let program = program.canonicalize().ok()?;
    program.parent().filter(|folder| folder.ends_with("bin")).map(Path::to_owned)
}

/// The file of a person's own login, which the harness renews.
fn login(kind: Kind) -> Option<PathBuf> {
    own_home(kind)?.join(login_file(kind)?).canonicalize().ok()
}

/// Where the models of a harness are: where it is told, else where its maker has them. An API whose key stays
/// outside is reached by that way alone: with a key of somebody else's, much could be brought there.
///
/// All of it is a person's word: the command line, the own `botpipe.yaml`, the environment, and the settings in
/// the person's own home of the harness. None comes from the workspace, which may name no address.
///
/// # Source
/// Claude Code 2.1.330 and Codex CLI 0.169.0: the hosts they connect to without other settings.
fn endpoints(kind: Kind, harness: &Harness, key: &Place) -> Result<Vec<Endpoint>, String> {
    let usual: &[&str] = match kind {
        Kind::Claude => &["api.anthropic.com", "platform.claude.com", "console.anthropic.com"],
        Kind::Codex => &["api.openai.com", "chatgpt.com", "auth.openai.com"],
        Kind::Acp => &[],
    };
    let usual = usual.iter().map(|host| format!("https://{host}"));
    let kept = match key {
        Place::Outside(kept) => Some(&kept.upstream.url),
        Place::Inside(..) | Place::Unused => None,
    };
    let mut urls: Vec<String> = match (&harness.base_url, kind) {
        _ if kept.is_some() => Vec::new(),
        (Some(url), _) => vec![url.clone()],
        (None, Kind::Codex) => of_settings()?.unwrap_or_else(|| usual.collect()),
        (None, Kind::Claude | Kind::Acp) => usual.collect(),
    };
    // Each means something to an agent that is given it by `--pass-env`.
    let set =
        |name: &&str| env::var(name).ok().filter(|value| !value.is_empty() && kept != Some(value));
    urls.extend(["ANTHROPIC_BASE_URL", "OPENAI_BASE_URL"].iter().filter_map(set));
    let granted = env::var(CONNECTS).unwrap_or_default();
    let granted = granted.split(',').map(str::trim).filter(|word| !word.is_empty());
    let granted: Vec<Endpoint> = granted
        .map(|word| endpoint(word).map_err(|why| format!("`{CONNECTS}`: {why}")))
        .collect::<Result<_, _>>()?;
    let found: Result<Vec<Endpoint>, String> = urls.iter().map(|url| endpoint(url)).collect();
    Ok(found?.into_iter().chain(granted).collect())
}

/// The addresses in a person's own settings of Codex, if they name another than its maker's.
fn of_settings() -> Result<Option<Vec<String>>, String> {
    let Some(home) = own_home(Kind::Codex) else { return Ok(None) };
    let path = home.join("config.toml");
    let Ok(text) = fs::read_to_string(&path) else { return Ok(None) };
    let found = codex::endpoints_of(&text);
    found.map_err(|error| format!("could not use `{}`: {error}", path.display()))
}

/// Where a URL, or `host` or `host:port`, leads.
fn endpoint(written: &str) -> Result<Endpoint, String> {
    let wrong = |why: &str| {
        format!("`{written}` is no address of a model: {why}; write `https://host:port/path`")
    };
    let (scheme, rest) = written.split_once("://").unwrap_or(("https", written));
    let usual = match scheme {
        "https" => ":443",
        "http" => ":80",
        _ => return Err(wrong("its scheme is neither `https` nor `http`")),
    };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let port_at = authority.rfind(']').unwrap_or_default();
    let with_port = authority[port_at..].contains(':');
    let whole = format!("{authority}{}", if with_port { "" } else { usual });
    let to = Destination::parse(&whole).map_err(|error| wrong(&error.to_string()))?;
    let address = match &to.host {
        Host::Ip(ip) if ip.is_loopback() => Some(*ip),
        Host::Name(name) if name == "localhost" => Some(Ipv4Addr::LOCALHOST.into()),
        _ => None,
    };
    match address {
        // In there, 127.0.0.1 is all there is of this machine.
        Some(ip) if ip == Ipv4Addr::LOCALHOST => {
            Ok(Endpoint::Loopback(SocketAddr::new(ip, to.port)))
        }
        Some(_) => Err(wrong("this machine is `127.0.0.1`")),
        None => Ok(Endpoint::Host(to)),
    }
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
    // What keeps it from being made shows when it is laid: nothing starts where records lie open.
    let runs = layout.runs_folder(task, workflow);
    drop(plain::make(&runs));
    // What cannot be given shows when it is tried.
    if let Some(account) = account::of(layout.root()) {
        drop(account::give(&place, account));
    }
    site.shown.extend([layout.task(task), layout.workflows()].into_iter().filter(|it| it.is_dir()));
    site.covered.push(runs);
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
        kept: Vec::new(),
        granted,
        readable,
        view: View::Kept,
        path: env::split_paths(&path).collect(),
        tools: toolchains::named(|name| env::var_os(name)),
        certificates: certificates::named(|name| env::var_os(name)),
        stop: StopSwitch::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(written: &str) -> String {
        match endpoint(written) {
            Ok(Endpoint::Host(to)) => format!("{to}"),
            Ok(Endpoint::Loopback(address)) => format!("here {address}"),
            Err(why) => why,
        }
    }

    #[test]
    fn an_address_is_a_host_of_the_world_or_this_machine() {
        assert_eq!(shown("https://api.example.com/v1?x=1"), "api.example.com:443");
        assert_eq!(shown("http://models.example:8080"), "models.example:8080");
        assert_eq!(shown("api.example.com"), "api.example.com:443");
        assert_eq!(shown("https://[2001:db8::1]/v1"), "[2001:db8::1]:443");
        for here in ["http://127.0.0.1:9/v1", "127.0.0.1:9", "http://localhost:9"] {
            assert_eq!(shown(here), "here 127.0.0.1:9");
        }
        assert!(shown("http://[::1]:9").contains("this machine is `127.0.0.1`"));
        assert!(shown("ftp://a.example").contains("its scheme is neither"));
        assert!(shown("http://a b").contains("no address"));
    }

    #[test]
    fn a_grant_that_grants_nothing_is_told() {
        let wrong = |value: &str| wrong_paths("BOTPIPE_ALLOW_READ", OsStr::new(value));
        assert_eq!(wrong(""), None);
        assert_eq!(wrong("/usr:/etc:"), None);
        for (value, path) in
            [("rel", "`rel`"), ("/usr:~/x", "`~/x`"), ("/usr:/no/such", "`/no/such`")]
        {
            let said = wrong(value).unwrap();
            assert!(
                said.starts_with("$BOTPIPE_ALLOW_READ grants") && said.contains(path),
                "{said}"
            );
        }
    }

    #[test]
    fn what_a_person_says_of_the_model_is_all_that_is_reached() {
        let url = Some("http://127.0.0.1:9/v1".to_owned());
        let harness = Harness { base_url: url, ..Harness::default() };
        let found = endpoints(Kind::Codex, &harness, &Place::Unused).unwrap();
        assert_eq!(found[0], endpoint("127.0.0.1:9").unwrap());
        assert!(!found.contains(&endpoint("https://api.openai.com").unwrap()));
        let usual = endpoints(Kind::Claude, &Harness::default(), &Place::Unused).unwrap();
        assert!(usual.contains(&endpoint("https://api.anthropic.com").unwrap()));
    }
}
