//! The environment of started processes: an allow-list, nothing else passes.

use std::ffi::{OsStr, OsString};

use crate::confine::{person, registries};
use crate::policy::Environment;

/// The variables a started process gets.
///
/// From `source` pass [`ALLOWED`], all `LC_*`, [`TOOLS`], [`CERTIFICATES`], and the names in `pass`; then come the `extra`
/// pairs, which win over a passed one of the same name. Sorted by name, each name once.
pub fn build(
    source: impl IntoIterator<Item = (OsString, OsString)>,
    pass: &[String],
    extra: &[(String, String)],
) -> Vec<(OsString, OsString)> {
    let mut chosen: std::collections::BTreeMap<OsString, OsString> =
        source.into_iter().filter(|(name, _)| is_allowed(name, pass)).collect();
    chosen.extend(extra.iter().map(|(name, value)| (name.into(), value.into())));
    chosen.into_iter().collect()
}

/// The variables of a confined program: those of [`build`] without what its policy keeps back, with what it
/// sets, and with what tells of its surroundings.
pub(crate) fn confined(
    source: impl IntoIterator<Item = (OsString, OsString)>,
    pass: &[String],
    rules: &Environment,
    extra: &[(String, String)],
) -> Vec<(OsString, OsString)> {
    let asked = pass.iter().filter(|name| passes(rules, name)).cloned();
    let also: Vec<String> = asked.chain(ADDRESSES.map(str::to_owned)).collect();
    let passed = source.into_iter().filter(|(name, value)| {
        let name = name.to_string_lossy();
        if ADDRESSES.contains(&&*name) && !pass.iter().any(|asked| *asked == *name) {
            let tells = value.to_str().is_none_or(registries::tells_of_keys);
            return !tells && passes(rules, &name);
        }
        // Where a policy says which pass, those of tool chains are among them or not.
        if is_of_tools(&name) { passes(rules, &name) } else { !denies(rules, &name) }
    });
    let set = rules.set.iter().map(|(name, value)| (name.clone(), value.clone()));
    let own = [("TMPDIR".to_owned(), "/tmp".to_owned())];
    let extra: Vec<_> = own.into_iter().chain(extra.iter().cloned()).chain(set).collect();
    let mut env = build(passed, &also, &extra);
    // Containers have neither, and programs take them for the name of whoever runs them.
    for name in ["USER", "LOGNAME"].map(OsString::from) {
        if !denies(rules, &name.to_string_lossy()) && !env.iter().any(|(known, _)| *known == name) {
            env.push((name, person::name().into()));
        }
    }
    env.sort();
    env
}

/// Whether a variable that is asked for passes by the rules of a policy.
pub(crate) fn passes(rules: &Environment, name: &str) -> bool {
    let listed = |only: &Vec<String>| only.iter().any(|it| it == name);
    rules.allow.as_ref().is_none_or(listed) && !denies(rules, name)
}

/// Who may let a variable pass: whoever runs a command, by a policy of their own, or whoever starts a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lets {
    OwnPolicy,
    Start,
}

/// Sentences for a program that failed: which variables it may have failed for want of. Those that its policy names,
/// and those in which languages look for code, where it printed that they found none.
///
/// They lead programs to code, an agent's own program among them: so they pass when they are asked for only.
pub(crate) fn missed(
    source: impl IntoIterator<Item = OsString>,
    rules: &Environment,
    passed: &[(OsString, OsString)],
    printed: &[&str],
    lets: Lets,
) -> Vec<String> {
    let names = source.into_iter().filter_map(|name| name.into_string().ok());
    let left = names
        .filter(|name| !denies(rules, name) && passed.iter().all(|(known, _)| *known != **name));
    let mut left: Vec<String> = left.collect();
    left.sort();
    left.into_iter()
        .filter_map(|name| {
            let named = rules.allow.iter().flatten().any(|known| *known == name);
            let printed = |words: &str| printed.iter().any(|text| text.contains(words));
            let mut searched = SEARCHED.iter().filter(|(known, _)| *known == name);
            let missing = searched.any(|(_, words)| printed(words));
            let ask = match lets {
                Lets::OwnPolicy => {
                    format!("`environment: {{ allow: [{name}] }}` in a file of your own (`--policy`)")
                }
                Lets::Start => format!("`--pass-env {name}`"),
            };
            if named {
                Some(format!("`{name}` did not pass: what names it came with the work; {ask} lets it"))
            } else if missing {
                Some(format!(
                    "`{name}` did not pass: it leads programs to code; `{name}=…` in the command itself sets \
                     it, {ask} lets it pass"
                ))
            } else {
                None
            }
        })
        .collect()
}

/// Variables in which a language looks for code, and its words when it finds none.
const SEARCHED: [(&str, &str); 7] = [
    ("CLASSPATH", "ClassNotFoundException"),
    ("LD_LIBRARY_PATH", "error while loading shared libraries"),
    ("NODE_PATH", "Cannot find module"),
    ("PERL5LIB", "Can't locate "),
    ("PYTHONPATH", "No module named"),
    ("PYTHONPATH", "cannot import name"),
    ("RUBYLIB", "cannot load such file"),
];

fn denies(rules: &Environment, name: &str) -> bool {
    rules.deny.iter().any(|pattern| matches(pattern, name))
}

/// Whether a name is meant by a pattern, in which `*` stands for any characters.
fn matches(pattern: &str, name: &str) -> bool {
    let Some((start, rest)) = pattern.split_once('*') else { return pattern == name };
    name.strip_prefix(start).is_some_and(|name| {
        let ends = name.char_indices().map(|(at, _)| at).chain([name.len()]);
        ends.into_iter().any(|at| matches(rest, &name[at..]))
    })
}

fn is_allowed(name: &OsStr, pass: &[String]) -> bool {
    // A name that is not text is in no list.
    name.to_str().is_some_and(|name| {
        ALLOWED.contains(&name)
            || name.starts_with("LC_")
            || is_of_tools(name)
            || pass.iter().any(|also| also == name)
    })
}

/// Names that always pass: what programs need to find things and to print.
pub const ALLOWED: [&str; 9] =
    ["PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "TERM", "TZ", "TMPDIR"];

/// Names that pass so that tool chains are found and do as they do outside: where they and their caches are,
/// and how they build and print; who commits, by which editor, and by which certificates hosts are believed. None
/// whose value may be a secret, as addresses of registries, and none that has an agent's own program run code.
pub const TOOLS: &[&str] = &[
    // Rust.
    "CARGO_HOME",
    "RUSTUP_HOME",
    "RUSTUP_TOOLCHAIN",
    "CARGO_BUILD_JOBS",
    "CARGO_INCREMENTAL",
    "CARGO_NET_OFFLINE",
    "CARGO_TERM_COLOR",
    "RUSTFLAGS",
    "RUSTDOCFLAGS",
    "RUST_BACKTRACE",
    "RUST_TEST_THREADS",
    // Go.
    "GOPATH",
    "GOROOT",
    "GOCACHE",
    "GOMODCACHE",
    "GOFLAGS",
    "GOTOOLCHAIN",
    "GOOS",
    "GOARCH",
    "CGO_ENABLED",
    // The JVM, Android.
    "JAVA_HOME",
    "MAVEN_HOME",
    "M2_HOME",
    "GRADLE_HOME",
    "GRADLE_USER_HOME",
    "SDKMAN_DIR",
    "ANDROID_HOME",
    "ANDROID_SDK_ROOT",
    // JavaScript.
    "NVM_DIR",
    "FNM_DIR",
    "VOLTA_HOME",
    "BUN_INSTALL",
    "DENO_DIR",
    "PNPM_HOME",
    "COREPACK_HOME",
    "YARN_CACHE_FOLDER",
    "npm_config_cache",
    "NPM_CONFIG_CACHE",
    "PLAYWRIGHT_BROWSERS_PATH",
    "CYPRESS_CACHE_FOLDER",
    "PUPPETEER_CACHE_DIR",
    "NODE_ENV",
    // Python.
    "PYENV_ROOT",
    "PYENV_VERSION",
    "VIRTUAL_ENV",
    "CONDA_PREFIX",
    "CONDA_DEFAULT_ENV",
    "MAMBA_ROOT_PREFIX",
    "PIP_CACHE_DIR",
    "PIPX_HOME",
    "UV_CACHE_DIR",
    "UV_PYTHON_INSTALL_DIR",
    "POETRY_HOME",
    "POETRY_CACHE_DIR",
    "PRE_COMMIT_HOME",
    "PYTHONDONTWRITEBYTECODE",
    "PYTHONUNBUFFERED",
    // Ruby, .NET, others.
    "RBENV_ROOT",
    "GEM_HOME",
    "BUNDLE_PATH",
    "BUNDLE_APP_CONFIG",
    "DOTNET_ROOT",
    "NUGET_PACKAGES",
    "ASDF_DIR",
    "ASDF_DATA_DIR",
    "MISE_DATA_DIR",
    "OPAMROOT",
    "STACK_ROOT",
    "CABAL_DIR",
    "PUB_CACHE",
    "CCACHE_DIR",
    // C.
    "CC",
    "CXX",
    "CPP",
    "AR",
    "CFLAGS",
    "CXXFLAGS",
    "CPPFLAGS",
    "LDFLAGS",
    "PKG_CONFIG_PATH",
    "CMAKE_PREFIX_PATH",
    "CMAKE_GENERATOR",
    "CMAKE_BUILD_PARALLEL_LEVEL",
    // Whoever commits, and the editor of a message: a command, run where any other may be.
    "GIT_AUTHOR_NAME",
    "GIT_AUTHOR_EMAIL",
    "GIT_AUTHOR_DATE",
    "GIT_COMMITTER_NAME",
    "GIT_COMMITTER_EMAIL",
    "GIT_COMMITTER_DATE",
    "EMAIL",
    "GIT_EDITOR",
    "GIT_SEQUENCE_EDITOR",
    "VISUAL",
    "EDITOR",
    // Any.
    "CI",
    "COLORTERM",
    "NO_COLOR",
    "FORCE_COLOR",
    "CLICOLOR",
    "CLICOLOR_FORCE",
    "DEBIAN_FRONTEND",
    "SOURCE_DATE_EPOCH",
];

/// Names that pass as those of [`TOOLS`] do: where the certificates are by which tools believe a proxy or a registry.
pub const CERTIFICATES: [&str; 17] = [
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "NIX_SSL_CERT_FILE",
    "CURL_CA_BUNDLE",
    "REQUESTS_CA_BUNDLE",
    "AWS_CA_BUNDLE",
    "PIP_CERT",
    "GIT_SSL_CAINFO",
    "GIT_SSL_CAPATH",
    "CARGO_HTTP_CAINFO",
    "NODE_EXTRA_CA_CERTS",
    "npm_config_cafile",
    "NPM_CONFIG_CAFILE",
    "DENO_CERT",
    "BUNDLE_SSL_CA_CERT",
    "PERL_LWP_SSL_CA_FILE",
    "HEX_CACERTS_PATH",
];

/// Names that pass where no key is in their value: where tools ask for packages. Else they would ask everybody's registry
/// for a name that is the person's own.
pub const ADDRESSES: [&str; 13] = [
    "npm_config_registry",
    "NPM_CONFIG_REGISTRY",
    "YARN_NPM_REGISTRY_SERVER",
    "PIP_INDEX_URL",
    "PIP_EXTRA_INDEX_URL",
    "UV_DEFAULT_INDEX",
    "UV_INDEX",
    "UV_INDEX_URL",
    "UV_EXTRA_INDEX_URL",
    "GOPROXY",
    "GOPRIVATE",
    "GONOPROXY",
    "GONOSUMDB",
];

fn is_of_tools(name: &str) -> bool {
    TOOLS.contains(&name) || CERTIFICATES.contains(&name)
}

/// Has git sign nothing: whose private home is not seen has no key there.
///
/// Not by `GIT_CONFIG_KEY_0` and its like: Codex may keep variables with `KEY` in their names from its commands, and git
/// fails where one of a pair is missing.
///
/// # Source
/// `config.c` of git 2.47, `git_config_from_parameters`: what `git -c` hands on to the programs that git starts, each
/// setting in quotes, with spaces between them; the last of a name holds, over those of files.
pub(crate) fn sign_nothing(env: &mut Vec<(OsString, OsString)>) {
    let name = OsStr::new("GIT_CONFIG_PARAMETERS");
    let unsigned = "'commit.gpgsign=false' 'tag.gpgsign=false' 'tag.forcesignannotated=false'";
    match env.iter_mut().find(|(known, _)| known == name) {
        Some((_, said)) if !said.is_empty() => {
            said.push(" ");
            said.push(unsigned);
        }
        Some((_, said)) => said.push(unsigned),
        None => env.push((name.to_owned(), unsigned.into())),
    }
    env.sort();
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(source: &[(&str, &str)], rules: &Environment) -> Vec<String> {
        let source = source.iter().map(|(name, value)| (name.into(), value.into()));
        let all = confined(source, &[], rules, &[]);
        all.iter().map(|(name, _)| name.to_string_lossy().into_owned()).collect()
    }

    #[test]
    fn those_of_tool_chains_pass_where_a_policy_does_not_name_others() {
        let source = [("CARGO_HOME", "/c"), ("GOPATH", "/g"), ("NPM_TOKEN", "x"), ("PATH", "/bin")];
        let all = ["CARGO_HOME", "GOPATH", "LOGNAME", "PATH", "TMPDIR", "USER"];
        assert_eq!(of(&source, &Environment::default()), all);
        let allow =
            Environment { allow: Some(vec!["GOPATH".to_owned()]), ..Environment::default() };
        assert_eq!(of(&source, &allow), ["GOPATH", "LOGNAME", "PATH", "TMPDIR", "USER"]);
        let deny = ["CARGO_*".to_owned(), "USER".to_owned()].to_vec();
        let deny = Environment { deny, ..Environment::default() };
        assert_eq!(of(&source, &deny), ["GOPATH", "LOGNAME", "PATH", "TMPDIR"]);
    }

    #[test]
    fn addresses_of_registries_pass_without_a_key_or_by_leave() {
        let own = "https://pip.corp.test/simple";
        let keyed = "https://me:hush@pip.corp.test/simple";
        let passed = |value: &str, pass: &[&str], rules: &Environment| {
            let source = [("PIP_INDEX_URL".into(), value.into())];
            let pass: Vec<String> = pass.iter().map(|name| (*name).to_owned()).collect();
            let all = confined(source, &pass, rules, &[]);
            all.iter().any(|(name, set)| name == "PIP_INDEX_URL" && set == value)
        };
        let none = Environment::default();
        assert!(passed(own, &[], &none) && !passed(keyed, &[], &none));
        assert!(passed(keyed, &["PIP_INDEX_URL"], &none));
        let deny = Environment { deny: vec!["PIP_*".to_owned()], ..Environment::default() };
        assert!(!passed(own, &[], &deny) && !passed(keyed, &["PIP_INDEX_URL"], &deny));
        let other = Environment { allow: Some(vec!["CI".to_owned()]), ..Environment::default() };
        assert!(!passed(own, &[], &other));
    }

    /// A name that says that it holds a secret, or an address that may hold one, is in no list.
    #[test]
    fn nothing_that_may_be_a_secret_or_runs_code_passes() {
        let parts =
            ["TOKEN", "SECRET", "PASS", "KEY", "AUTH", "URL", "PROXY", "PRELOAD", "NODE_OPTIONS"];
        let also = ["NODE_PATH", "PYTHONPATH", "PYTHONSTARTUP", "RUBYOPT", "PERL5OPT", "BASH_ENV"];
        for name in TOOLS.iter().chain(&CERTIFICATES) {
            // An author is no secret, and curl no address.
            let upper = name.to_uppercase().replace("_AUTHOR_", "_").replace("CURL_", "");
            assert!(!parts.iter().any(|part| upper.contains(part)), "{name}");
            assert!(!also.contains(name) && !name.starts_with("LD_"), "{name}");
        }
    }

    #[test]
    fn who_fails_is_told_what_did_not_pass() {
        let source =
            || ["PYTHONPATH", "NODE_PATH", "DATABASE_URL", "API_TOKEN"].map(OsString::from);
        let printed = ["ModuleNotFoundError: No module named 'mymod'"];
        let rules =
            Environment { allow: Some(vec!["DATABASE_URL".to_owned()]), ..Environment::default() };
        let told = missed(source(), &rules, &[], &printed, Lets::Start);
        let [named, searched] = &told[..] else { panic!("{told:?}") };
        assert!(named.starts_with("`DATABASE_URL` did not pass: what names it"), "{named}");
        assert!(named.ends_with("`--pass-env DATABASE_URL` lets it"), "{named}");
        assert!(searched.starts_with("`PYTHONPATH` did not pass: it leads programs"), "{searched}");
        let passed = [("PYTHONPATH".into(), "lib".into())];
        let none = Environment::default();
        let told = missed(source(), &none, &passed, &printed, Lets::OwnPolicy);
        assert_eq!(told, [""; 0]);
    }

    #[test]
    fn git_signs_nothing_whatever_it_is_told_beside_it() {
        for before in [None, Some(""), Some("'user.name=A B'")] {
            let name = OsString::from("GIT_CONFIG_PARAMETERS");
            let mut env: Vec<(OsString, OsString)> = Vec::new();
            env.extend(before.map(|value| (name.clone(), value.into())));
            sign_nothing(&mut env);
            let [(known, value)] = env.as_slice() else { panic!("{env:?}") };
            let value = value.to_string_lossy();
            assert_eq!(*known, name);
            assert!(value.starts_with(before.unwrap_or_default()), "{value}");
            assert!(value.ends_with("'tag.forcesignannotated=false'"), "{value}");
        }
    }
}
