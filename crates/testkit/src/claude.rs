//! The pinned Claude Code CLI as the tests drive it: where its binary lies, its home, its environment.

use std::io;
use std::path::{Path, PathBuf};

/// The native binary of Claude Code, if
/// `npm ci --ignore-scripts --prefix crates/testkit/claude` has installed it.
///
/// The native one out of its platform's package. The script of the package would only copy it, and
/// wants a newer Node than the binary does, which wants none.
pub fn binary() -> Option<PathBuf> {
    let packages = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("claude")
        .join("node_modules")
        .join("@anthropic-ai");
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
    let candidates = ["", "-musl"].into_iter().map(|libc| {
        packages.join(format!("claude-code-{system}-{architecture}{libc}")).join("claude")
    });
    candidates.into_iter().find(|path| path.is_file())
}

/// Makes `folder` a `CLAUDE_CONFIG_DIR`. It keeps sessions only while it is writable.
pub fn home(folder: &Path) -> io::Result<()> {
    std::fs::create_dir_all(folder)
}

/// The environment that makes Claude Code ask the loopback model on `port` and nobody else.
///
/// # Source
/// Claude Code 2.1.330: a key that means nothing will do, and `IS_SANDBOX=1` lets root skip
/// permissions.
pub fn environment(home: &Path, port: u16) -> Vec<(String, String)> {
    let pairs = [
        ("CLAUDE_CONFIG_DIR", home.display().to_string()),
        ("ANTHROPIC_BASE_URL", format!("http://127.0.0.1:{port}")),
        ("ANTHROPIC_API_KEY", "means-nothing".to_owned()),
        ("CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC", "1".to_owned()),
        ("CLAUDE_CODE_DISABLE_BACKGROUND_TASKS", "1".to_owned()),
        ("CLAUDE_CODE_MAX_RETRIES", "1".to_owned()),
        ("DISABLE_AUTOUPDATER", "1".to_owned()),
        ("IS_SANDBOX", "1".to_owned()),
    ];
    pairs.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

/// The whole command for one turn: prompt on stdin until its end, the answer alone on stdout.
///
/// Works in the current directory. `env` sets the environment and then becomes Claude Code, so this
/// needs nothing from outside but `PATH`.
pub fn command(binary: &Path, home: &Path, port: u16) -> Vec<String> {
    let mut words = vec!["env".to_owned()];
    words
        .extend(environment(home, port).into_iter().map(|(name, value)| format!("{name}={value}")));
    words.push(binary.display().to_string());
    words.extend(
        [
            "-p",
            "--permission-mode",
            "bypassPermissions",
            "--setting-sources",
            "",
            "--strict-mcp-config",
        ]
        .map(str::to_owned),
    );
    words
}
