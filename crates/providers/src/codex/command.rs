//! The command lines of `codex app-server` and `codex exec`.

use botpipe_kernel::run::{Harness, Interface, McpServer};

use super::LOGIN_VARIABLES;
use crate::harness::{Asked, CommandLine, SandboxMode};

/// How Codex is started for a turn.
///
/// Everything that does not go into the protocol itself is set here, every time: a conversation that is
/// continued remembers no flag.
pub fn command_line(asked: &Asked<'_>) -> CommandLine {
    let harness = asked.harness;
    let mut args = match harness.interface {
        Some(Interface::Exec) => exec(asked),
        Some(Interface::AppServer) | None => vec!["app-server".to_owned()],
    };
    args.extend(settings(asked));
    args.extend(harness.args.iter().cloned());
    if harness.interface == Some(Interface::Exec) {
        if let Some(thread) = asked.session {
            args.extend(["resume".to_owned(), thread.to_owned()]);
        }
        args.push("-".to_owned());
    }
    with_surroundings(harness, args)
}

/// How a person goes on in a conversation, with all that its turns are started with; what goes beyond the
/// policy is asked of the person.
pub fn resume_line(asked: &Asked<'_>, thread: &str) -> CommandLine {
    let mut args = vec!["resume".to_owned()];
    args.extend(told(asked));
    args.extend(["-c".to_owned(), "approval_policy=\"on-request\"".to_owned()]);
    args.extend(settings(asked));
    args.extend(asked.harness.args.iter().cloned());
    args.push(thread.to_owned());
    with_surroundings(asked.harness, args)
}

fn with_surroundings(harness: &Harness, args: Vec<String>) -> CommandLine {
    let mut pass: Vec<String> = LOGIN_VARIABLES.map(str::to_owned).into();
    pass.extend(PASSED.map(str::to_owned));
    let servers = harness.mcp_servers.values();
    pass.extend(servers.flat_map(|server| match server {
        McpServer::Program { env, .. } => env.clone(),
        McpServer::Remote { .. } => Vec::new(),
    }));
    let env = harness.home.iter().map(|home| ("CODEX_HOME".to_owned(), home.clone())).collect();
    CommandLine { args, env, pass }
}

/// What the app server is told in its protocol, as words before `resume`, which takes none of them.
///
/// # Source
/// Codex CLI 0.169.0, where `exec` never asks for approvals.
fn exec(asked: &Asked<'_>) -> Vec<String> {
    let mut args = ["exec", "--json", "--skip-git-repo-check"].map(str::to_owned).to_vec();
    args.extend(told(asked));
    args
}

/// Folder, sandbox, model and effort, where they are words of the command line.
fn told(asked: &Asked<'_>) -> Vec<String> {
    let sandbox = super::sandbox_word(asked.access.sandbox);
    let mut args = ["-C", asked.cwd, "-s", sandbox].map(str::to_owned).to_vec();
    if let Some(model) = &asked.harness.model {
        args.extend(["-m".to_owned(), model.clone()]);
    }
    let mut set =
        |key: &str, value: String| args.extend(["-c".to_owned(), format!("{key}={value}")]);
    if let Some(effort) = &asked.harness.effort {
        set("model_reasoning_effort", quoted(effort));
    }
    if asked.access.sandbox == SandboxMode::WorkspaceWrite {
        set("sandbox_workspace_write.network_access", asked.access.network.to_string());
        set("sandbox_workspace_write.writable_roots", list(&asked.access.writable));
    }
    args
}

/// What neither interface is told in another way.
///
/// # Source
/// Codex CLI 0.169.0. Retries inside Codex are kept few, since ours are counted and recorded; without
/// `unbounded_connection_retries` off, a refused connection is tried for ever.
fn settings(asked: &Asked<'_>) -> Vec<String> {
    let harness = asked.harness;
    let mut args = Vec::new();
    let mut set =
        |key: &str, value: String| args.extend(["-c".to_owned(), format!("{key}={value}")]);
    set("analytics.enabled", "false".to_owned());
    if !harness.instructions {
        set("project_doc_max_bytes", "0".to_owned());
    }
    // The process's own environment is an allow-list already; only the login is kept from commands.
    let hidden = list(&LOGIN_VARIABLES.map(str::to_owned));
    set(
        "shell_environment_policy",
        format!("{{inherit=\"all\",ignore_default_excludes=true,exclude={hidden}}}"),
    );
    if !asked.access.network {
        set("web_search", quoted("disabled"));
    }
    let key = LOGIN_VARIABLES.into_iter().find(|name| (asked.has_variable)(name));
    // The app server sends no key of the environment to its built-in provider.
    let service = key.filter(|_| !asked.has_login).map(|_| SERVICE);
    if let Some(url) = harness.base_url.as_deref().or(service) {
        let provider = provider(url, key);
        set("model_provider", quoted(PROVIDER));
        set(&format!("model_providers.{PROVIDER}"), provider);
    }
    for (name, server) in &harness.mcp_servers {
        let table = match server {
            McpServer::Program { command, args, env } => {
                format!("command={},args={},env_vars={}", quoted(command), list(args), list(env))
            }
            McpServer::Remote { url } => format!("url={}", quoted(url)),
        };
        // Without these a server that does not start is silent, and its tools are refused.
        let rest = "required=true,default_tools_approval_mode=\"approve\"";
        set(&format!("mcp_servers.{name}"), format!("{{{table},{rest}}}"));
    }
    for feature in ["plugins", "unbounded_connection_retries"] {
        args.extend(["--disable".to_owned(), feature.to_owned()]);
    }
    args
}

/// A model at an address of the user's choice. The built-in provider would try a WebSocket first.
fn provider(url: &str, key: Option<&str>) -> String {
    let login = key.map_or_else(String::new, |name| format!(",env_key={}", quoted(name)));
    format!(
        "{{name=\"Botpipe\",base_url={},wire_api=\"responses\",request_max_retries=1,\
         stream_max_retries=2{login}}}",
        quoted(url)
    )
}

/// Where a key alone is good for.
pub const SERVICE: &str = "https://api.openai.com/v1";

/// The name under which an address of the user's choice is known to Codex.
const PROVIDER: &str = "botpipe";

/// Variables by which the network is reached.
const PASSED: [&str; 10] = [
    "HTTPS_PROXY",
    "HTTP_PROXY",
    "ALL_PROXY",
    "NO_PROXY",
    "https_proxy",
    "http_proxy",
    "all_proxy",
    "no_proxy",
    "CODEX_CA_CERTIFICATE",
    "SSL_CERT_FILE",
];

/// A TOML string; JSON's escapes are TOML's.
fn quoted(text: &str) -> String {
    serde_json::Value::String(text.to_owned()).to_string()
}

fn list(words: &[String]) -> String {
    let words: Vec<String> = words.iter().map(|word| quoted(word)).collect();
    format!("[{}]", words.join(","))
}

#[cfg(test)]
mod tests {
    use botpipe_kernel::run::Usage;

    use super::*;
    use crate::harness::{Access, SandboxMode};

    fn line(harness: &Harness, has_login: bool, key: bool) -> String {
        let access =
            Access { sandbox: SandboxMode::WorkspaceWrite, writable: Vec::new(), network: true };
        let asked = Asked {
            harness,
            prompt: "go",
            cwd: "/w",
            session: None,
            from: None,
            new_session: "",
            session_cost: 0,
            session_usage: &Usage::default(),
            access: &access,
            asks: false,
            rules: &crate::harness::Rules::NONE,
            has_login,
            has_variable: &|name| key && name == "CODEX_API_KEY",
        };
        command_line(&asked).args.join(" ")
    }

    #[test]
    fn a_key_alone_reaches_the_service_and_a_login_is_left_to_codex() {
        let plain = Harness::default();
        let alone = line(&plain, false, true);
        assert!(alone.contains("base_url=\"https://api.openai.com/v1\""), "{alone}");
        assert!(alone.contains("env_key=\"CODEX_API_KEY\""), "{alone}");
        assert!(!line(&plain, true, true).contains("model_provider"));
        assert!(!line(&plain, false, false).contains("model_provider"));
        let url = Some("http://127.0.0.1:1/v1".to_owned());
        let named = Harness { base_url: url, ..Harness::default() };
        assert!(line(&named, true, true).contains("http://127.0.0.1:1/v1"));
        assert!(!line(&named, true, false).contains("env_key"));
    }

    #[test]
    fn what_is_not_asked_for_is_off() {
        let plain = line(&Harness::default(), true, false);
        for off in ["project_doc_max_bytes=0", "--disable plugins", "analytics.enabled=false"] {
            assert!(plain.contains(off), "{plain}");
        }
        let asked = Harness { instructions: true, ..Harness::default() };
        assert!(!line(&asked, true, false).contains("project_doc_max_bytes"));
    }
}
