//! The pinned Codex CLI as the tests drive it: where its binary lies, its home, its command line.

use std::io;
use std::path::{Path, PathBuf};

/// The native binary of the Codex CLI, if `npm ci --prefix crates/testkit/codex` has installed it.
///
/// The native one, not the Node launcher, which stays as a parent and takes no kill along. It lies
/// in a folder with programs of its own and must be started from there.
pub fn binary() -> Option<PathBuf> {
    let packages =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("codex").join("node_modules").join("@openai");
    let architecture = match std::env::consts::ARCH {
        "x86_64" => "x64",
        "aarch64" => "arm64",
        _ => return None,
    };
    let system = match std::env::consts::OS {
        "linux" => "linux",
        "macos" => "darwin",
        _ => return None,
    };
    let vendor = packages.join(format!("codex-{system}-{architecture}")).join("vendor");
    let mut triples: Vec<PathBuf> =
        vendor.read_dir().ok()?.filter_map(|entry| Some(entry.ok()?.path())).collect();
    triples.sort();
    triples.into_iter().map(|triple| triple.join("bin").join("codex")).find(|path| path.is_file())
}

/// Makes `folder` a `CODEX_HOME` that knows only the loopback model on `port`.
///
/// It must stay writable, and must not lie under the temporary directory, where Codex's own
/// sandbox refuses to work. No key is needed, and nothing else on the network is asked for.
///
/// # Source
/// Codex CLI 0.169.0: the settings, and that a refused connection is retried for ever by default.
pub fn home(folder: &Path, port: u16) -> io::Result<()> {
    std::fs::create_dir_all(folder)?;
    let config = format!(
        r#"model = "gpt-5.5"
model_provider = "loopback"

[model_providers.loopback]
name = "Loopback"
base_url = "http://127.0.0.1:{port}/v1"
wire_api = "responses"
request_max_retries = 1
stream_max_retries = 2

[features]
plugins = false
unbounded_connection_retries = false

[analytics]
enabled = false
"#
    );
    std::fs::write(folder.join("config.toml"), config)
}

/// The whole command for one turn: prompt on stdin until its end, the answer alone on stdout.
///
/// Works in the current directory. `env` sets the home and then becomes Codex, so this needs
/// nothing from the environment but `PATH`.
pub fn command(binary: &Path, home: &Path) -> Vec<String> {
    let mut words = vec![
        "env".to_owned(),
        format!("CODEX_HOME={}", home.display()),
        binary.display().to_string(),
    ];
    words.extend(
        ["exec", "--skip-git-repo-check", "-s", "danger-full-access", "--color", "never", "-"]
            .map(str::to_owned),
    );
    words
}
