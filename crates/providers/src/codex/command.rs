//! The command line of `codex app-server`.

use botpipe_kernel::run::McpServer;

use super::LOGIN_VARIABLES;
use crate::harness::{Asked, CommandLine};

/// How the app server is started for a turn.
///
/// Everything that does not go into the protocol itself is set here, every time: a conversation that is
/// continued remembers no flag.
///
/// # Source
/// Codex CLI 0.169.0. Retries inside Codex are kept few, since ours are counted and recorded; without
/// `unbounded_connection_retries` off, a refused connection is tried for ever.
pub fn command_line(asked: &Asked<'_>) -> CommandLine {
    let harness = asked.harness;
    let mut args = vec!["app-server".to_owned()];
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
    if let Some(url) = &harness.base_url {
        let provider = provider(url, asked.has_variable);
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
    args.extend(harness.args.iter().cloned());
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

/// A model at an address of the user's choice. The built-in provider would try a WebSocket first.
fn provider(url: &str, has_variable: &dyn Fn(&str) -> bool) -> String {
    let key = LOGIN_VARIABLES.into_iter().find(|name| has_variable(name));
    let login = key.map_or_else(String::new, |name| format!(",env_key={}", quoted(name)));
    format!(
        "{{name=\"Botpipe\",base_url={},wire_api=\"responses\",request_max_retries=1,\
         stream_max_retries=2{login}}}",
        quoted(url)
    )
}

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
