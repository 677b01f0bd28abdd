//! Tool chains and caches outside the usual places, by the variables that say where they are: shown as those
//! of a home are. What they cover is never one of the folders that are kept from everybody, and no link leads there.

use std::ffi::OsString;
use std::path::{Component, Path, PathBuf};

use botpipe_sandbox::{Layer, Scratch};
use rustix::fs::{Access, access};

use super::{host, within};

/// A folder that a variable names: itself, since a link in a workspace (`VIRTUAL_ENV`) leads where a program made it lead.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Tool {
    at: PathBuf,
    /// What proves who somebody is, in it.
    without: &'static [&'static str],
}

/// The variables that name folders, and what is not shown of those: of [`crate::environment::TOOLS`].
const FOLDERS: &[(&str, &[&str])] = &[
    ("CARGO_HOME", &["credentials", "credentials.toml"]),
    ("RUSTUP_HOME", &[]),
    ("GOPATH", &[]),
    ("GOROOT", &[]),
    ("GOCACHE", &[]),
    ("GOMODCACHE", &[]),
    ("JAVA_HOME", &[]),
    ("MAVEN_HOME", &[]),
    ("M2_HOME", &[]),
    ("GRADLE_HOME", &["gradle.properties"]),
    ("GRADLE_USER_HOME", &["gradle.properties"]),
    ("SDKMAN_DIR", &[]),
    ("ANDROID_HOME", &[]),
    ("ANDROID_SDK_ROOT", &[]),
    ("NVM_DIR", &[]),
    ("FNM_DIR", &[]),
    ("VOLTA_HOME", &[]),
    ("BUN_INSTALL", &[]),
    ("DENO_DIR", &[]),
    ("PNPM_HOME", &[]),
    ("COREPACK_HOME", &[]),
    ("YARN_CACHE_FOLDER", &[]),
    ("npm_config_cache", &[]),
    ("NPM_CONFIG_CACHE", &[]),
    ("PLAYWRIGHT_BROWSERS_PATH", &[]),
    ("CYPRESS_CACHE_FOLDER", &[]),
    ("PUPPETEER_CACHE_DIR", &[]),
    ("PYENV_ROOT", &[]),
    ("VIRTUAL_ENV", &[]),
    ("CONDA_PREFIX", &[]),
    ("MAMBA_ROOT_PREFIX", &[]),
    ("PIP_CACHE_DIR", &[]),
    ("PIPX_HOME", &[]),
    ("UV_CACHE_DIR", &[]),
    ("UV_PYTHON_INSTALL_DIR", &[]),
    ("POETRY_HOME", &[]),
    ("POETRY_CACHE_DIR", &[]),
    ("PRE_COMMIT_HOME", &[]),
    ("RBENV_ROOT", &[]),
    ("GEM_HOME", &["credentials", "config"]),
    ("BUNDLE_PATH", &["credentials", "config"]),
    ("BUNDLE_APP_CONFIG", &["credentials", "config"]),
    ("DOTNET_ROOT", &[]),
    ("NUGET_PACKAGES", &[]),
    ("ASDF_DIR", &[]),
    ("ASDF_DATA_DIR", &[]),
    ("MISE_DATA_DIR", &[]),
    ("OPAMROOT", &[]),
    ("STACK_ROOT", &[]),
    ("CABAL_DIR", &[]),
    ("PUB_CACHE", &[]),
    ("CCACHE_DIR", &[]),
];

/// The folders that these variables name and that are there.
pub(crate) fn named(value: impl Fn(&str) -> Option<OsString>) -> Vec<Tool> {
    let mut all = Vec::new();
    for (name, without) in FOLDERS {
        let Some(value) = value(name) else { continue };
        for path in std::env::split_paths(&value).filter(|path| path.is_absolute()) {
            let found = path.canonicalize().ok().filter(|found| *found == path && found.is_dir());
            all.extend(found.map(|at| Tool { at, without }));
        }
    }
    all.sort();
    // One that lies in another is seen with it, unless it hides something of its own.
    let whole: Vec<PathBuf> = all.iter().map(|tool| tool.at.clone()).collect();
    let in_another = |at: &Path| whole.iter().any(|it| at != it && at.starts_with(it));
    all.retain(|tool| !tool.without.is_empty() || !in_another(&tool.at));
    all.reverse(); // of two at one place the one that hides more
    all.dedup_by(|one, kept| one.at == kept.at);
    all.reverse();
    all
}

/// What they must not uncover.
pub(super) struct Kept<'a> {
    pub(super) workspace: &'a Path,
    pub(super) state: &'a Path,
    pub(super) home: Option<&'a Path>,
    /// Folders that are empty for the program.
    pub(super) empty: &'a [PathBuf],
    /// What was laid before.
    pub(super) laid: &'a [Layer],
}

/// What is laid of them: what is written to them is gone with the program. One that nobody here can write, and
/// that is seen, stays as it is.
pub(super) fn layers(tools: &[Tool], kept: &Kept<'_>) -> Vec<Layer> {
    let shown =
        tools.iter().filter(|tool| kept.may_show(&tool.at)).filter(|Tool { at, without }| {
            !without.is_empty() || within(at, kept.empty) || access(at, Access::WRITE_OK).is_ok()
        });
    let shown: Vec<&Tool> = shown.collect();
    let below = if shown.is_empty() { Vec::new() } else { mounts() };
    let mut layers = Vec::new();
    for Tool { at, without } in shown {
        layers.push(scratch(at, without));
        // A volume in it is a file system of its own, which a view of the folder leaves out.
        let inner = below.iter().filter(|it| *it != at && it.starts_with(at) && it.is_dir());
        layers.extend(inner.map(|it| scratch(it, &[])));
    }
    layers
}

fn scratch(at: &Path, without: &[&str]) -> Layer {
    let hidden = without.iter().map(PathBuf::from).collect();
    Layer::Scratch(Scratch { at: at.to_owned(), hidden, writable: true, ..Scratch::default() })
}

impl Kept<'_> {
    fn may_show(&self, at: &Path) -> bool {
        let parts = at.components().filter(|it| matches!(it, Component::Normal(_))).count();
        let wide = parts == 0 || (parts == 1 && host::is_of_the_system(at));
        let apart = ["/etc", "/dev", "/proc", "/sys", "/boot"].iter().any(|it| at.starts_with(it));
        let holds = |path: &Path| path.starts_with(at);
        let home = self.home.unwrap_or(Path::new("/"));
        let mut secrets = super::home::all_secrets(home);
        let crosses_laid = self.laid.iter().any(|layer| match layer {
            Layer::Masked(path) => holds(path) || at.starts_with(path),
            Layer::Private(path) | Layer::Empty(path) => holds(path),
            // It is seen already, or would show all that lies around it.
            Layer::Scratch(it) => at.starts_with(&it.at) || holds(&it.at),
            Layer::Shown(_) | Layer::Writable(_) | Layer::Text(_) => false,
        });
        let ours = at.starts_with(self.workspace) || at.starts_with(self.state);
        !wide
            && !apart
            && !ours
            && !crosses_laid
            && !holds(home)
            && !self.empty.iter().any(|path| holds(path))
            && !secrets.any(|path| holds(&path) || at.starts_with(&path))
            && !super::home::is_wide(home, at)
    }
}

/// Where file systems are mounted.
///
/// # Source
/// proc(5), `/proc/pid/mountinfo`: the fifth field, with `\ooo` for a space and its like.
fn mounts() -> Vec<PathBuf> {
    let table = std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let points = table.lines().filter_map(|line| line.split(' ').nth(4));
    let plain = points.filter(|point| !point.contains('\\'));
    let mut found: Vec<PathBuf> = plain.map(PathBuf::from).collect();
    found.sort();
    found.dedup();
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::environment::TOOLS;

    #[test]
    fn every_variable_that_names_a_folder_passes() {
        let unknown: Vec<_> = FOLDERS.iter().filter(|(name, _)| !TOOLS.contains(name)).collect();
        assert!(unknown.is_empty(), "{unknown:?}");
    }

    fn at(folder: &Path, name: &str) -> PathBuf {
        let path = folder.join(name);
        std::fs::create_dir_all(&path).unwrap();
        path.canonicalize().unwrap()
    }

    #[test]
    fn what_a_variable_names_uncovers_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let [home, work, go, keys] =
            ["home", "srv/work", "srv/go", "home/.ssh/go"].map(|name| at(folder.path(), name));
        let secret = at(folder.path(), "srv/masked/deep");
        let [wide, inner] = ["home/.config", "srv/work/venv"].map(|name| at(folder.path(), name));
        at(folder.path(), "home/.cache/pip");
        let laid = [Layer::Masked(secret.clone())];
        let state = work.join(".botpipe");
        let empty = [home.clone()];
        let kept =
            Kept { workspace: &work, state: &state, home: Some(&home), empty: &empty, laid: &laid };
        let shown = |path: &Path| {
            let tools = named(|name| (name == "GOPATH").then(|| path.as_os_str().to_owned()));
            !layers(&tools, &kept).is_empty()
        };
        assert!(shown(&go));
        assert!(shown(&at(folder.path(), "home/.tools")));
        assert!(shown(&at(folder.path(), "home/.config/go")));
        let masked = secret.parent().unwrap();
        let cache = home.join(".cache");
        for path in [&home, &keys, &wide, &inner, &work, &secret, masked, &cache, folder.path()] {
            assert!(!shown(path), "{} is shown", path.display());
        }
        let link = folder.path().canonicalize().unwrap().join("srv/link");
        std::os::unix::fs::symlink(&go, &link).unwrap();
        assert!(!shown(&link));
        for path in ["/", "/etc", "/usr", "/etc/ssh", "/proc/self", "relative"] {
            assert!(!shown(Path::new(path)), "{path} is shown");
        }
    }

    #[test]
    fn of_two_at_one_place_the_one_that_hides_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        let cargo = at(folder.path(), "cargo");
        let tools = named(|name| {
            let both = ["RUSTUP_HOME", "CARGO_HOME", "GOPATH"].contains(&name);
            both.then(|| cargo.as_os_str().to_owned())
        });
        assert_eq!(tools.len(), 1);
        assert!(tools[0].without.contains(&"credentials"));
    }
}
