//! A home of our own for each harness and workspace: the person's login, and little else of theirs.

use std::env;
use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, symlink};
use std::path::{Path, PathBuf};

use botpipe_kernel::run::Harness;
use botpipe_providers::codex;

use super::{Kind, state_folder};
use crate::account;
use crate::plain;
use crate::replace::{PRIVATE, replace};

/// The home of a harness for a workspace.
pub(super) fn folder(kind: Kind, workspace: &Path) -> Result<PathBuf, String> {
    let digest = botpipe_journal::digest_of(workspace.as_os_str().as_encoded_bytes());
    let workspace = &digest.as_str()[..16];
    Ok(state_folder()?.join("homes").join(workspace).join(kind.name()))
}

/// Makes a harness's home what it must be for a turn; what it keeps there itself stays.
///
/// # Errors
/// In words: what could not be done with which file.
pub(crate) fn prepare(kind: Kind, harness: &Harness, workspace: &Path) -> Result<(), String> {
    let Some(home) = harness.home.as_ref().map(PathBuf::from) else { return Ok(()) };
    let trouble = |what: &str, path: &Path, error: &io::Error| {
        format!("could not {what} `{}`: {error}", path.display())
    };
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(&home)
        .map_err(|error| trouble("create", &home, &error))?;
    // It is the agent's, whoever that is. A person who went on in a conversation has left files of their own.
    if let Some(account) = account::of(workspace) {
        account::give_whole(&home, account).map_err(|error| trouble("give away", &home, &error))?;
    }
    match kind {
        Kind::Codex => {
            let Some(theirs) = own_home(kind) else { return Ok(()) };
            let (login, ours) = (theirs.join("auth.json"), home.join("auth.json"));
            link(&login, &ours).map_err(|error| trouble("link", &ours, &error))?;
            let path = theirs.join("config.toml");
            let settings = match fs::read_to_string(&path) {
                Ok(settings) => settings,
                Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
                Err(error) => return Err(trouble("read", &path, &error)),
            };
            // An agent that may write here could have put rules of what is not asked about.
            let rules = home.join("rules");
            match fs::remove_dir_all(&rules) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(trouble("remove", &rules, &error));
                }
                _ => {}
            }
            let project = harness.hooks.then(|| workspace.display().to_string());
            let config = codex::config_of(&settings, project.as_deref())
                .map_err(|error| format!("could not use `{}`: {error}", path.display()))?;
            let path = home.join("config.toml");
            write(&path, &config).map_err(|error| trouble("write", &path, &error))
        }
        // Everything else it reads is given to it, turn by turn.
        Kind::Claude => {
            let Some(theirs) = own_home(kind) else { return Ok(()) };
            let (login, ours) = (theirs.join(".credentials.json"), home.join(".credentials.json"));
            link(&login, &ours).map_err(|error| trouble("link", &ours, &error))
        }
        // It has none of ours.
        Kind::Acp => Ok(()),
    }
}

/// A person's own home of a harness.
pub(crate) fn own_home(kind: Kind) -> Option<PathBuf> {
    match kind {
        Kind::Codex => theirs("CODEX_HOME", ".codex"),
        Kind::Claude => theirs("CLAUDE_CONFIG_DIR", ".claude"),
        Kind::Acp => None,
    }
}

/// The file that a harness stores a login in.
pub(crate) fn login_file(kind: Kind) -> Option<&'static str> {
    match kind {
        Kind::Codex => Some("auth.json"),
        Kind::Claude => Some(".credentials.json"),
        Kind::Acp => None,
    }
}

/// That file, where the person has one.
pub(crate) fn stored_login(kind: Kind) -> Option<PathBuf> {
    Some(own_home(kind)?.join(login_file(kind)?)).filter(|file| file.exists())
}

/// Where the variable says, else the folder in a person's home.
fn theirs(variable: &str, folder: &str) -> Option<PathBuf> {
    env::var_os(variable)
        .filter(|it| !it.is_empty())
        .map(PathBuf::from)
        .or_else(|| env::var_os("HOME").map(|home| PathBuf::from(home).join(folder)))
}

/// Whether a login is stored in a harness's home, or its settings say how models are reached.
pub(crate) fn has_login(kind: Kind, harness: &Harness) -> bool {
    let Some(home) = harness.home.as_ref().map(Path::new) else { return true };
    match kind {
        Kind::Codex => {
            let settings = plain::peek_text(&home.join("config.toml")).unwrap_or_default();
            let says = |key: &str| settings.lines().any(|line| line.starts_with(key));
            home.join("auth.json").exists()
                || ["model_provider = ", "openai_base_url = ", "cli_auth_credentials_store = "]
                    .into_iter()
                    .any(says)
        }
        Kind::Claude | Kind::Acp => true,
    }
}

/// The temporary folder for a harness, where its home lies in the usual one.
///
/// # Source
/// Codex 0.169.0 makes no helper links in a home under the temporary folder, and then every command
/// in its sandbox fails.
pub(crate) fn temporary_folder(home: &Path) -> Option<PathBuf> {
    let usual = env::temp_dir();
    let usual = usual.canonicalize().unwrap_or(usual);
    let inside = home.canonicalize().ok()?.starts_with(usual);
    let ours = home.with_extension("tmp");
    (inside && fs::create_dir_all(&ours).is_ok()).then_some(ours)
}

/// Makes `ours` lead to `theirs` while that exists: a login is renewed in one place.
fn link(theirs: &Path, ours: &Path) -> io::Result<()> {
    if fs::read_link(ours).is_ok_and(|to| to == theirs) {
        return Ok(());
    }
    match fs::remove_file(ours) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    if !theirs.exists() {
        return Ok(());
    }
    match symlink(theirs, ours) {
        // Another run of this workspace was faster.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        made => made,
    }
}

/// Writes a file when its content differs. Agents write in a home too: a link of theirs leads nowhere.
fn write(path: &Path, content: &str) -> io::Result<()> {
    let is_file = path.symlink_metadata().is_ok_and(|it| it.is_file());
    if is_file && plain::peek_text(path).is_some_and(|now| now == content) {
        return Ok(());
    }
    replace(path, content.as_bytes(), PRIVATE)?;
    let folder = path.parent().map(fs::metadata).transpose()?;
    match folder.and_then(|folder| account::of_folder(&folder)) {
        Some(account) => account::give(path, account),
        None => Ok(()),
    }
}
