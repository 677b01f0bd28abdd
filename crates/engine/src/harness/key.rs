//! Where the key of a harness is: outside with the proxy, which puts it into requests, or in the sandbox.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use botpipe_egress::{Roots, Secret, Upstream};
use botpipe_kernel::plan::{NetworkMode, SandboxMode};
use botpipe_kernel::run::{Harness, Interface, McpServer};
use botpipe_providers::{claude, codex};

use super::{Kind, own_home, stored_login};
use crate::environment::passes;
use crate::policy::Resolved;

/// What stands inside where the key would.
pub(crate) const DUMMY: &str = "the-key-stays-outside-of-the-sandbox";

/// Where the keys among the variables of the person are, for the turns under a policy.
#[derive(Debug, Clone)]
pub(crate) enum Place {
    /// With the proxy: inside is [`DUMMY`].
    Outside(Kept),
    /// In the environment of the harness.
    Inside(Vec<&'static str>, Why),
    /// There is none, or none is used: the login is a file, or the agent's own affair.
    Unused,
}

impl Place {
    /// Whether a variable is kept back from the harness.
    pub(crate) fn withholds(
        &self,
        name: &str,
        kind: Kind,
        harness: &Harness,
        pass_env: &[String],
    ) -> bool {
        let inside = match self {
            Self::Inside(names, _) => names.as_slice(),
            Self::Outside(_) | Self::Unused => &[],
        };
        variables(kind).contains(&name)
            && !inside.contains(&name)
            && !is_asked_for(name, harness, pass_env)
    }

    /// Whether the harness logs in by a variable, be it that of a word in the key's place.
    pub(crate) fn uses(&self, name: &str) -> bool {
        match self {
            Self::Outside(kept) => kept.names.contains(&name),
            Self::Inside(names, _) => names.contains(&name),
            Self::Unused => false,
        }
    }
}

/// Why a key is in the sandbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Why {
    /// What it may read, Botpipe's own environment is part of.
    Sandbox,
    /// There is no network of its own, and so no address that only it has.
    Network,
    /// The person says so: `--pass-env`, or the variables of an MCP server.
    Asked,
    /// The person's own settings or arguments say how the model is reached.
    Settings,
}

impl Why {
    /// As it is said.
    pub(crate) fn words(self) -> &'static str {
        match self {
            Self::Sandbox => "`sandbox_mode: danger_full_access` keeps no file from it",
            Self::Network => "`network: full` has no network of the sandbox's own",
            Self::Asked => "`--pass-env` or an MCP server asks for it",
            Self::Settings => "settings or arguments of the harness say how its model is reached",
        }
    }
}

/// Keys that stay outside.
#[derive(Debug, Clone)]
pub(crate) struct Kept {
    /// The variables they are in.
    pub(crate) names: Vec<&'static str>,
    /// Where requests go, with what they get there.
    pub(crate) upstream: Upstream,
    /// The provider of the person's own Codex settings that is at that address.
    provider: Option<String>,
}

impl Kept {
    /// The harness as it is started, where the API is at this port of its own.
    pub(crate) fn inside(&self, harness: &Harness, port: u16) -> Harness {
        let url = format!("http://127.0.0.1:{port}");
        let mut harness = harness.clone();
        match &self.provider {
            // Whatever else they say of it holds.
            Some(name) => {
                let set = format!("model_providers.{name}.base_url=\"{url}\"");
                harness.args.extend(["-c".to_owned(), set]);
            }
            None => harness.base_url = Some(url),
        }
        harness
    }

    /// What its variables are inside.
    pub(crate) fn variables(&self) -> impl Iterator<Item = (String, String)> + '_ {
        self.names.iter().map(|name| ((*name).to_owned(), DUMMY.to_owned()))
    }
}

/// The variables of a person by which a harness logs in.
pub(crate) fn variables(kind: Kind) -> &'static [&'static str] {
    match kind {
        Kind::Codex => &codex::LOGIN_VARIABLES,
        Kind::Claude => &claude::LOGIN_VARIABLES,
        Kind::Acp => &[],
    }
}

/// Whether a variable is there for the harness because the person names it, not because it is its login.
pub(crate) fn is_asked_for(name: &str, harness: &Harness, pass_env: &[String]) -> bool {
    let of_servers = harness.mcp_servers.values().flat_map(|server| match server {
        McpServer::Program { env, .. } => env.as_slice(),
        McpServer::Remote { .. } => &[],
    });
    pass_env.iter().chain(of_servers).any(|asked| asked == name)
}

/// Where the keys of a harness are.
///
/// # Errors
/// In words: an address or a key that no request can be made with.
pub(crate) fn place(
    kind: Kind,
    harness: &Harness,
    pass_env: &[String],
    holds: &Resolved,
) -> Result<Place, String> {
    let value = |name: &str| env::var(name).ok().filter(|it| !it.is_empty());
    let there = |name: &&&'static str| value(name).is_some() && passes(&holds.environment, name);
    let names: Vec<&'static str> = variables(kind).iter().filter(there).copied().collect();
    if names.is_empty() {
        return Ok(Place::Unused);
    }
    if holds.sandbox_mode == SandboxMode::DangerFullAccess {
        return Ok(Place::Inside(names, Why::Sandbox));
    }
    if holds.network == NetworkMode::Full {
        return Ok(Place::Inside(names, Why::Network));
    }
    let way = match kind {
        Kind::Codex => of_codex(harness, &names)?,
        Kind::Claude => of_claude(harness, &names, pass_env),
        Kind::Acp => return Ok(Place::Unused),
    };
    let Way { names, url, provider } = match way {
        Found::Way(way) => way,
        Found::Login => return Ok(Place::Unused),
        Found::Settings => return Ok(Place::Inside(names, Why::Settings)),
    };
    if names.iter().any(|name| is_asked_for(name, harness, pass_env)) {
        return Ok(Place::Inside(names, Why::Asked));
    }
    let headers = names.iter().map(|name| header(name, &value(name).unwrap_or_default()));
    let upstream = Upstream { url, headers: headers.collect(), roots: roots(kind) };
    upstream.check().map_err(|error| {
        format!("could not {error}; with `--pass-env {}` the harness asks for itself", names[0])
    })?;
    Ok(Place::Outside(Kept { names, upstream, provider }))
}

/// How a harness would use the keys that are there.
enum Found {
    Way(Way),
    /// Its own login, and no key.
    Login,
    /// As settings say that are not looked through.
    Settings,
}

struct Way {
    names: Vec<&'static str>,
    url: String,
    provider: Option<String>,
}

/// # Source
/// Codex CLI 0.169.0: its built-in provider takes a key of the environment only by `exec`, and only of
/// `CODEX_API_KEY`, before a stored login.
fn of_codex(harness: &Harness, names: &[&'static str]) -> Result<Found, String> {
    if harness.args.iter().any(|word| word.contains("model_provider") || word.contains("base_url"))
    {
        return Ok(Found::Settings);
    }
    let way = |name, url: &str, provider| {
        Found::Way(Way { names: vec![name], url: url.to_owned(), provider })
    };
    if let Some(url) = &harness.base_url {
        return Ok(way(names[0], url, None));
    }
    let (path, text) = match own_home(Kind::Codex).map(|home| home.join("config.toml")) {
        Some(path) => (path.clone(), fs::read_to_string(path).unwrap_or_default()),
        None => (PathBuf::new(), String::new()),
    };
    let chosen = codex::keyed_of(&text)
        .map_err(|error| format!("could not use `{}`: {error}", path.display()))?;
    Ok(match chosen {
        codex::Keyed::Usual => {
            let by_exec = harness.interface == Some(Interface::Exec) && names[0] == "CODEX_API_KEY";
            let stored = stored_login(Kind::Codex).is_some()
                || text.lines().any(|line| line.starts_with("cli_auth_credentials_store"));
            if stored && !by_exec { Found::Login } else { way(names[0], codex::SERVICE, None) }
        }
        codex::Keyed::By { provider, url, variable } => {
            match names.iter().find(|name| **name == variable) {
                Some(name) => way(name, &url, Some(provider)),
                None => Found::Settings,
            }
        }
        codex::Keyed::Else => Found::Settings,
    })
}

/// # Source
/// Claude Code 2.1.330: sends both a key and a token, each in its own header, and the login of a subscription
/// only without them; all before a stored login.
fn of_claude(harness: &Harness, names: &[&'static str], pass_env: &[String]) -> Found {
    const ADDRESS: &str = "ANTHROPIC_BASE_URL";
    if harness.args.iter().any(|word| word.contains(ADDRESS)) {
        return Found::Settings;
    }
    let passed = || {
        let passes = pass_env.iter().any(|it| it == ADDRESS);
        env::var(ADDRESS).ok().filter(|it| passes && !it.is_empty())
    };
    let url = harness.base_url.clone().or_else(passed);
    let mut names = names.to_vec();
    if names.len() > 1 {
        names.retain(|name| *name != "CLAUDE_CODE_OAUTH_TOKEN");
    }
    let url = url.unwrap_or_else(|| claude::SERVICE.to_owned());
    Found::Way(Way { names, url, provider: None })
}

/// How a key is sent.
fn header(name: &str, value: &str) -> (String, Secret) {
    match name {
        "ANTHROPIC_API_KEY" => ("x-api-key".to_owned(), Secret::new(value)),
        _ => ("authorization".to_owned(), Secret::new(format!("Bearer {value}"))),
    }
}

/// Whom the harness would believe: further certificates go on counting.
fn roots(kind: Kind) -> Roots {
    let name = match kind {
        Kind::Codex => "CODEX_CA_CERTIFICATE",
        Kind::Claude | Kind::Acp => "NODE_EXTRA_CA_CERTS",
    };
    let file = env::var_os(name).filter(|it| !it.is_empty());
    file.map_or(Roots::System, |file| Roots::SystemAnd(Path::new(&file).to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn harness(base_url: Option<&str>) -> Harness {
        Harness { base_url: base_url.map(str::to_owned), ..Harness::default() }
    }

    fn way(found: Found) -> Option<(Vec<&'static str>, String, Option<String>)> {
        match found {
            Found::Way(Way { names, url, provider }) => Some((names, url, provider)),
            Found::Login | Found::Settings => None,
        }
    }

    #[test]
    fn claude_sends_a_key_and_a_token_and_a_subscription_only_without_them() {
        let of = |names: &[&'static str]| way(of_claude(&harness(None), names, &[])).unwrap();
        let all = variables(Kind::Claude);
        assert_eq!(of(all).0, ["ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN"]);
        let alone = ["CLAUDE_CODE_OAUTH_TOKEN"];
        assert_eq!(of(&alone), (alone.to_vec(), "https://api.anthropic.com".to_owned(), None));
        let args = vec!["--settings".to_owned(), "{\"env\":{\"ANTHROPIC_BASE_URL\":1}}".to_owned()];
        assert!(way(of_claude(&Harness { args, ..harness(None) }, all, &[])).is_none());
    }

    #[test]
    fn codex_sends_one_key_to_the_address_it_is_told() {
        let all = variables(Kind::Codex);
        let named = way(of_codex(&harness(Some("http://127.0.0.1:9/v1")), all).unwrap()).unwrap();
        assert_eq!(named, (vec!["CODEX_API_KEY"], "http://127.0.0.1:9/v1".to_owned(), None));
        let args = vec!["-c".to_owned(), "model_provider=\"x\"".to_owned()];
        let told = Harness { args, ..harness(Some("http://127.0.0.1:9/v1")) };
        assert!(way(of_codex(&told, all).unwrap()).is_none());
    }

    #[test]
    fn a_harness_is_told_a_port_of_its_own_and_never_the_key() {
        let headers = vec![header("CODEX_API_KEY", "real")];
        assert_eq!(headers[0].0, "authorization");
        let url = "https://api.example/v1".to_owned();
        let upstream = Upstream { url, headers, roots: Roots::System };
        let mut kept = Kept { names: vec!["CODEX_API_KEY"], upstream, provider: None };
        let told = kept.inside(&harness(Some("https://api.example/v1")), 3129);
        assert_eq!(told.base_url.as_deref(), Some("http://127.0.0.1:3129"));
        kept.provider = Some("azure".to_owned());
        let told = kept.inside(&harness(None), 3130);
        let set = "model_providers.azure.base_url=\"http://127.0.0.1:3130\"";
        assert_eq!((told.base_url, told.args), (None, vec!["-c".to_owned(), set.to_owned()]));
        let words: Vec<_> = kept.variables().collect();
        assert_eq!(words, [("CODEX_API_KEY".to_owned(), DUMMY.to_owned())]);
        let place = Place::Outside(kept);
        assert!(!format!("{place:?}").contains("real"));
        let withheld =
            |name, pass: &[String]| place.withholds(name, Kind::Codex, &harness(None), pass);
        assert!(withheld("OPENAI_API_KEY", &[]) && !withheld("SSL_CERT_FILE", &[]));
        assert!(!withheld("OPENAI_API_KEY", &["OPENAI_API_KEY".to_owned()]));
    }
}
