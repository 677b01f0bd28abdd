//! The `config.toml` of a Codex home of our own: which of a person's settings go along, and which do not.

use toml::{Table, Value};

/// A person's `config.toml` that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("it is no TOML: {0}")]
pub struct HomeError(#[from] toml::de::Error);

/// What of a person's Codex settings holds for runs: which models there are and how they are reached.
///
/// Nothing else goes along: no MCP servers, no hooks or notifications, no trusted projects, no sandbox
/// settings. What a run uses of those is said to Botpipe, and recorded with the run.
/// `trusted` is the project whose own `.codex/` is in force, if its hooks were asked for.
///
/// # Errors
/// When `theirs` is no TOML.
pub fn config_of(theirs: &str, trusted: Option<&str>) -> Result<String, HomeError> {
    let theirs: Table = theirs.parse()?;
    let profile = theirs.get("profile").and_then(Value::as_str).unwrap_or_default();
    let profile = theirs.get("profiles").and_then(|all| all.get(profile)).and_then(Value::as_table);
    let mut ours = Table::new();
    for name in KEPT {
        let value = profile.and_then(|profile| profile.get(name)).or_else(|| theirs.get(name));
        if let Some(value) = value {
            ours.insert(name.to_owned(), value.clone());
        }
    }
    if let Some(Value::Table(providers)) = ours.get_mut("model_providers") {
        for (_, provider) in providers.iter_mut() {
            if let Value::Table(provider) = provider {
                // Retries are ours: counted, recorded, and told to whoever watches.
                for (name, most) in [("request_max_retries", 1), ("stream_max_retries", 2)] {
                    let set = provider.get(name).and_then(Value::as_integer).unwrap_or(i64::MAX);
                    provider.insert(name.to_owned(), Value::Integer(set.min(most)));
                }
            }
        }
    }
    if let Some(project) = trusted {
        let trust = Table::from_iter([("trust_level".to_owned(), Value::from("trusted"))]);
        let projects = Table::from_iter([(project.to_owned(), Value::Table(trust))]);
        ours.insert("projects".to_owned(), Value::Table(projects));
    }
    Ok(ours.to_string())
}

/// Where the models are by a person's Codex settings; `None`: where Codex's maker has them.
///
/// # Errors
/// When `theirs` is no TOML.
///
/// # Source
/// The configuration reference of Codex CLI 0.169.0: `model_provider` names one of `model_providers`, else its
/// built-in one is used. A login is renewed at its maker's.
pub fn endpoints_of(theirs: &str) -> Result<Option<Vec<String>>, HomeError> {
    let ours: Table = config_of(theirs, None)?.parse()?;
    let text = |name: &str| ours.get(name).and_then(Value::as_str);
    let named = text("model_provider").unwrap_or(BUILT_IN);
    let provider = ours.get("model_providers").and_then(|all| all.get(named));
    let own = provider.and_then(|it| it.get("base_url")).and_then(Value::as_str);
    let built_in = text("openai_base_url").filter(|_| named == BUILT_IN);
    let chat = text("chatgpt_base_url");
    if own.is_none() && built_in.is_none() && chat.is_none() {
        return Ok(None);
    }
    let logs_in = provider.is_none_or(|it| {
        it.get("requires_openai_auth").and_then(Value::as_bool).unwrap_or_default()
    });
    let mut all: Vec<&str> = [own.or(built_in), chat].into_iter().flatten().collect();
    if logs_in {
        let model = own.or(built_in).is_none().then_some("https://api.openai.com");
        let chat = chat.is_none().then_some("https://chatgpt.com");
        all.extend([Some("https://auth.openai.com"), model, chat].into_iter().flatten());
    }
    Ok(Some(all.into_iter().map(str::to_owned).collect()))
}

/// By which key the models are reached, as a person's Codex settings choose.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Keyed {
    /// They say nothing of it.
    Usual,
    /// A provider of theirs, by a key in a variable, which goes into the usual header.
    By { provider: String, url: String, variable: String },
    /// In another way.
    Else,
}

/// By which key the models are reached.
///
/// # Errors
/// When `theirs` is no TOML.
///
/// # Source
/// The configuration reference of Codex CLI 0.169.0: `env_key` names the variable whose value is sent as
/// `Authorization: Bearer …`; a key on the command line is split at its dots.
pub fn keyed_of(theirs: &str) -> Result<Keyed, HomeError> {
    let ours: Table = config_of(theirs, None)?.parse()?;
    let named = ours.get("model_provider").and_then(Value::as_str).unwrap_or(BUILT_IN);
    let provider = ours.get("model_providers").and_then(|all| all.get(named));
    if named == BUILT_IN && provider.is_none() {
        let elsewhere = ours.contains_key("openai_base_url");
        return Ok(if elsewhere { Keyed::Else } else { Keyed::Usual });
    }
    let text = |name: &str| provider.and_then(|it| it.get(name)).and_then(Value::as_str);
    let own_headers = ["http_headers", "env_http_headers", "auth", "aws"];
    let plain = provider.is_some_and(|it| own_headers.iter().all(|name| it.get(name).is_none()));
    let simple = named.bytes().all(|it| it.is_ascii_alphanumeric() || b"-_".contains(&it));
    Ok(match (text("base_url"), text("env_key")) {
        (Some(url), Some(variable)) if plain && simple => Keyed::By {
            provider: named.to_owned(),
            url: url.to_owned(),
            variable: variable.to_owned(),
        },
        _ => Keyed::Else,
    })
}

/// The provider that is there without settings.
const BUILT_IN: &str = "openai";

/// Settings that say which models there are and how they are reached.
///
/// # Source
/// The configuration reference of Codex CLI 0.169.0.
const KEPT: [&str; 13] = [
    "model",
    "model_provider",
    "model_providers",
    "model_context_window",
    "model_auto_compact_token_limit",
    "model_reasoning_effort",
    "model_reasoning_summary",
    "model_verbosity",
    "openai_base_url",
    "chatgpt_base_url",
    "forced_login_method",
    "cli_auth_credentials_store",
    "service_tier",
];

#[cfg(test)]
mod tests {
    use super::{Keyed, config_of, endpoints_of, keyed_of};

    const THEIRS: &str = r#"
model = "gpt-5.5"
profile = "work"
notify = ["sh", "-c", "evil"]
[profiles.work]
model_provider = "azure"
sandbox_mode = "danger-full-access"
[model_providers.azure]
base_url = "https://example.com"
stream_max_retries = 9
[mcp_servers.theirs]
command = "x"
[projects."/home/me"]
trust_level = "trusted"
"#;

    #[test]
    fn models_go_along_and_nothing_else() {
        let ours = config_of(THEIRS, None).unwrap();
        assert!(
            ours.contains("model = \"gpt-5.5\"") && ours.contains("model_provider = \"azure\"")
        );
        assert!(ours.contains("base_url = \"https://example.com\""), "{ours}");
        assert!(
            ours.contains("stream_max_retries = 2") && ours.contains("request_max_retries = 1")
        );
        for theirs in ["notify", "mcp_servers", "projects", "sandbox_mode"] {
            assert!(!ours.contains(theirs), "{ours}");
        }
    }

    #[test]
    fn a_project_is_trusted_only_when_it_is_named() {
        let ours = config_of(THEIRS, Some("/work/it")).unwrap();
        assert!(ours.contains("[projects.\"/work/it\"]\ntrust_level = \"trusted\""), "{ours}");
        assert!(config_of("model = ", None).unwrap_err().to_string().contains("no TOML"));
    }

    #[test]
    fn models_are_where_the_chosen_provider_is() {
        let at = |text: &str| endpoints_of(text).unwrap();
        assert_eq!(at(THEIRS), Some(vec!["https://example.com".to_owned()]));
        assert_eq!(at("model = \"gpt-5.5\""), None);
        // One that is not chosen is nobody's; and a key in a comment is none.
        let other =
            "# base_url = \"http://a\"\n[model_providers.x]\nbase_url = 'http://127.0.0.1:1'\n";
        assert_eq!(at(other), None);
        let built_in = at("openai_base_url = \"http://127.0.0.1:9/v1\"").unwrap();
        assert_eq!(built_in[0], "http://127.0.0.1:9/v1");
        assert!(built_in.contains(&"https://auth.openai.com".to_owned()), "{built_in:?}");
        assert!(endpoints_of("base_url = ").is_err());
    }

    #[test]
    fn a_key_is_one_that_a_chosen_provider_takes_from_a_variable() {
        let by = |text: &str| keyed_of(text).unwrap();
        assert_eq!(by("model = \"gpt-5.5\""), Keyed::Usual);
        assert_eq!(by("openai_base_url = \"http://127.0.0.1:9/v1\""), Keyed::Else);
        assert_eq!(by(THEIRS), Keyed::Else);
        let keyed = "model_provider = 'x'\n[model_providers.x]\nbase_url = 'https://x.example/v1'\n\
                     env_key = 'OPENAI_API_KEY'\n";
        let (provider, url) = ("x".to_owned(), "https://x.example/v1".to_owned());
        assert_eq!(by(keyed), Keyed::By { provider, url, variable: "OPENAI_API_KEY".to_owned() });
        let with_header = format!("{keyed}env_http_headers = {{ api-key = 'X' }}\n");
        assert_eq!(by(&with_header), Keyed::Else);
    }
}
