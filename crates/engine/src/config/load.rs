//! The files of a person and of a workspace: where they are, and all layers together.

use std::env;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use botpipe_kernel::plan::PolicyLayer;
use botpipe_lang::{Diagnostic, Severity, SourceFile};
use serde::Serialize;

use super::file;
use super::layer::Layer;
use super::settings::Settings;

/// Whose file it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Whose {
    User,
    /// It came with a clone: what it may say is less.
    Repository,
}

/// A place where a file is looked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FileFound {
    pub whose: Whose,
    pub path: PathBuf,
    pub exists: bool,
}

/// Settings that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("could not read the settings in `{}`: {source}", path.display())]
    Unreadable { path: PathBuf, source: io::Error },
    #[error("`{}` is not UTF-8 text", path.display())]
    NotText { path: PathBuf },
    #[error("`{}` is larger than {MOST_BYTES} bytes, which no settings are", path.display())]
    TooLarge { path: PathBuf },
    /// The diagnostics of each file that has some.
    #[error("the settings cannot be used: {}", list(.files))]
    Wrong { files: Vec<(SourceFile, Vec<Diagnostic>)> },
    #[error("{message}")]
    Environment { message: String },
}

fn list(files: &[(SourceFile, Vec<Diagnostic>)]) -> String {
    let found = files.iter().flat_map(|(_, found)| found);
    let words = found.map(|it| format!("{}:{}: {}", it.file, it.labels[0].line, it.message));
    words.collect::<Vec<_>>().join("; ")
}

/// All settings but the options of a command.
#[derive(Debug, Clone, Default)]
pub struct Config {
    pub files: Vec<FileFound>,
    /// Who wins stands first.
    layers: Vec<Layer>,
}

impl Config {
    /// Reads the environment, the workspace's file and the person's own.
    ///
    /// # Errors
    /// A file that cannot be read, or says what cannot be used; a variable that does.
    pub fn load(workspace: &Path) -> Result<Self, ConfigError> {
        let mut config = Self::default();
        let environment = Layer::of_environment();
        config.layers.push(environment.map_err(|message| ConfigError::Environment { message })?);
        // Named as the person named the workspace, as workflows are.
        let base = if workspace == Path::new(".") { Path::new("") } else { workspace };
        let own = user_file();
        let in_workspace = base.join(FILE);
        let same = own.as_deref().is_some_and(|own| is_same(own, &in_workspace));
        let mut wrong = Vec::new();
        let repository = (!same).then_some((Whose::Repository, in_workspace));
        for (whose, path) in repository.into_iter().chain(own.map(|path| (Whose::User, path))) {
            let text = text_of(&path)?;
            config.files.push(FileFound { whose, exists: text.is_some(), path: path.clone() });
            let Some(text) = text else { continue };
            let source = SourceFile { name: path.display().to_string(), text };
            let (layer, found) = file::read(&source, whose);
            if found.iter().any(|it| it.severity == Severity::Error) {
                wrong.push((source, found));
            }
            config.layers.push(layer);
        }
        if wrong.is_empty() { Ok(config) } else { Err(ConfigError::Wrong { files: wrong }) }
    }

    /// What holds under the options of a command.
    pub fn with(&self, options: Layer) -> Settings {
        let mut layers = vec![options];
        layers.extend(self.layers.iter().cloned());
        Settings::of(layers)
    }
}

/// Reads a file that holds one policy, as an author says it.
///
/// # Errors
/// Those of [`policy_file`].
pub fn policy_author(path: &Path) -> Result<PolicyLayer, ConfigError> {
    read_policy(path, false)
}

/// Reads a file that holds one policy: a ceiling for a run.
///
/// # Errors
/// A file that is not there, cannot be read, or says what cannot be used.
pub fn policy_file(path: &Path) -> Result<PolicyLayer, ConfigError> {
    read_policy(path, true)
}

fn read_policy(path: &Path, ceiling: bool) -> Result<PolicyLayer, ConfigError> {
    let missing = || io::Error::new(io::ErrorKind::NotFound, "there is no such file");
    let unreadable = |source| ConfigError::Unreadable { path: path.to_owned(), source };
    let text = text_of(path)?.ok_or_else(|| unreadable(missing()))?;
    let source = SourceFile { name: path.display().to_string(), text };
    match file::read_policy(&source, ceiling) {
        (Some(layer), found) if found.is_empty() => Ok(layer),
        (_, found) => Err(ConfigError::Wrong { files: vec![(source, found)] }),
    }
}

/// `$XDG_CONFIG_HOME/botpipe/botpipe.yaml`, else `~/.config/botpipe/botpipe.yaml`.
fn user_file() -> Option<PathBuf> {
    let absolute = |name: &str| env::var_os(name).map(PathBuf::from).filter(|it| it.is_absolute());
    let folder = absolute("XDG_CONFIG_HOME")
        .or_else(|| absolute("HOME").map(|home| home.join(".config")))?;
    Some(folder.join("botpipe").join(FILE))
}

fn is_same(one: &Path, other: &Path) -> bool {
    matches!((one.canonicalize(), other.canonicalize()), (Ok(one), Ok(other)) if one == other)
}

/// The text of a file, if it is there.
fn text_of(path: &Path) -> Result<Option<String>, ConfigError> {
    let unreadable = |source| ConfigError::Unreadable { path: path.to_owned(), source };
    let found = match fs::metadata(path) {
        Ok(found) => found,
        Err(error)
            if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) =>
        {
            return Ok(None);
        }
        Err(error) => return Err(unreadable(error)),
    };
    if !found.is_file() {
        return Err(unreadable(io::Error::other("it is no file")));
    }
    if found.len() > MOST_BYTES {
        return Err(ConfigError::TooLarge { path: path.to_owned() });
    }
    let bytes = fs::read(path).map_err(unreadable)?;
    let text =
        String::from_utf8(bytes).map_err(|_| ConfigError::NotText { path: path.to_owned() })?;
    Ok(Some(text))
}

const FILE: &str = "botpipe.yaml";
const MOST_BYTES: u64 = 1 << 20;
