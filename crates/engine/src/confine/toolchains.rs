//! Tool chains and caches outside the usual places, by the variables that say where they are: shown as those
//! of a home are. What they cover is never one of the folders that are kept from everybody, and no link leads there.

use std::ffi::OsString;
use std::path::{Component, Path, PathBuf};

use botpipe_sandbox::{Layer, Scratch};
use rustix::fs::{Access, access};

use super::keys::{self, Known};
use super::{host, within};

/// A folder that a variable names: itself, since a link in a workspace (`VIRTUAL_ENV`) leads where a program made it lead.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Tool {
    at: PathBuf,
    /// What proves who somebody is, in it.
    without: &'static Known,
}

/// The variables that name folders, and what is not shown of those: of [`crate::environment::TOOLS`].
static FOLDERS: &[(&str, &Known)] = &[
    ("CARGO_HOME", &keys::CARGO),
    ("RUSTUP_HOME", &keys::CACHE),
    ("GOPATH", &keys::NOTHING),
    ("GOROOT", &keys::NOTHING),
    ("GOCACHE", &keys::CACHE),
    ("GOMODCACHE", &keys::CACHE),
    ("JAVA_HOME", &keys::NOTHING),
    ("MAVEN_HOME", &keys::NOTHING),
    ("M2_HOME", &keys::NOTHING),
    ("GRADLE_HOME", &keys::GRADLE),
    ("GRADLE_USER_HOME", &keys::GRADLE),
    ("SDKMAN_DIR", &keys::NOTHING),
    ("ANDROID_HOME", &keys::NOTHING),
    ("ANDROID_SDK_ROOT", &keys::NOTHING),
    ("NVM_DIR", &keys::NOTHING),
    ("FNM_DIR", &keys::NOTHING),
    ("VOLTA_HOME", &keys::NOTHING),
    ("BUN_INSTALL", &keys::NOTHING),
    ("DENO_DIR", &keys::NOTHING),
    ("PNPM_HOME", &keys::NOTHING),
    ("COREPACK_HOME", &keys::NOTHING),
    ("YARN_CACHE_FOLDER", &keys::CACHE),
    ("npm_config_cache", &keys::NPM),
    ("NPM_CONFIG_CACHE", &keys::NPM),
    ("PLAYWRIGHT_BROWSERS_PATH", &keys::CACHE),
    ("CYPRESS_CACHE_FOLDER", &keys::CACHE),
    ("PUPPETEER_CACHE_DIR", &keys::CACHE),
    ("PYENV_ROOT", &keys::NOTHING),
    ("VIRTUAL_ENV", &keys::NOTHING),
    ("CONDA_PREFIX", &keys::CONDA),
    ("MAMBA_ROOT_PREFIX", &keys::CONDA),
    ("PIP_CACHE_DIR", &keys::CACHE),
    ("PIPX_HOME", &keys::PIPX),
    ("UV_CACHE_DIR", &keys::CACHE),
    ("UV_PYTHON_INSTALL_DIR", &keys::NOTHING),
    ("POETRY_HOME", &keys::NOTHING),
    ("POETRY_CACHE_DIR", &keys::CACHE),
    ("PRE_COMMIT_HOME", &keys::NOTHING),
    ("RBENV_ROOT", &keys::NOTHING),
    ("GEM_HOME", &keys::GEM),
    ("BUNDLE_PATH", &keys::GEM),
    ("BUNDLE_APP_CONFIG", &keys::GEM),
    ("DOTNET_ROOT", &keys::DOTNET),
    ("NUGET_PACKAGES", &keys::CACHE),
    ("ASDF_DIR", &keys::NOTHING),
    ("ASDF_DATA_DIR", &keys::NOTHING),
    ("MISE_DATA_DIR", &keys::NOTHING),
    ("OPAMROOT", &keys::NOTHING),
    ("STACK_ROOT", &keys::STACK),
    ("CABAL_DIR", &keys::CABAL),
    ("PUB_CACHE", &keys::NOTHING),
    ("CCACHE_DIR", &keys::CACHE),
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
    all.retain(|tool| !tool.without.is_nothing() || !in_another(&tool.at));
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
            !without.is_nothing() || within(at, kept.empty) || access(at, Access::WRITE_OK).is_ok()
        });
    let shown: Vec<&Tool> = shown.collect();
    let mounts = if shown.is_empty() { Vec::new() } else { mounts() };
    shown.into_iter().flat_map(|tool| seen(&tool.at, tool.without, &mounts)).collect()
}

/// How a folder of tools is shown: what is written to it is gone with the program. Where file systems are mounted in it,
/// as volumes of containers are, only those can be written so, and the rest is read.
///
/// # Source
/// Linux, `clone_private_mount` and `has_locked_children`: in a user namespace no overlay lies over a folder that
/// something of the host's is mounted in.
pub(super) fn seen(at: &Path, without: &Known, mounts: &[PathBuf]) -> Vec<Layer> {
    let keys::Found { hidden, texts } = keys::of(at, without);
    let below = |outer: &Path| {
        let inner = mounts.iter().filter(|it| *it != outer && it.starts_with(outer));
        inner.cloned().collect::<Vec<PathBuf>>()
    };
    let scratch = |at: &Path, hidden: Vec<PathBuf>| {
        Layer::Scratch(Scratch { at: at.to_owned(), hidden, writable: true, ..Scratch::default() })
    };
    let inner = below(at);
    if inner.is_empty() {
        return [scratch(at, hidden)].into_iter().chain(texts).collect();
    }
    // What lies in a volume is hidden there.
    let of_volume = |volume: &Path| {
        let names = hidden
            .iter()
            .filter_map(|name| at.join(name).strip_prefix(volume).ok().map(Path::to_owned));
        names.filter(|name| !name.as_os_str().is_empty()).collect()
    };
    let masked = hidden.iter().map(|name| at.join(name));
    let masked = masked.filter(|path| path.symlink_metadata().is_ok_and(|it| !it.is_symlink()));
    let volumes = inner.iter().filter(|it| it.is_dir() && below(it).is_empty());
    let shown = [Layer::Shown(at.to_owned())].into_iter().chain(masked.map(Layer::Masked));
    shown.chain(volumes.map(|it| scratch(it, of_volume(it)))).chain(texts).collect()
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
pub(super) fn mounts() -> Vec<PathBuf> {
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
    fn a_volume_in_a_folder_is_scratch_and_the_rest_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let cargo = at(folder.path(), "cargo");
        let registry = at(folder.path(), "cargo/registry");
        std::fs::write(cargo.join("credentials"), "").unwrap();
        let layers = seen(&cargo, &keys::CARGO, std::slice::from_ref(&registry));
        let scratch = Scratch { at: registry, writable: true, ..Scratch::default() };
        let masked = Layer::Masked(cargo.join("credentials"));
        assert_eq!(layers, [Layer::Shown(cargo.clone()), masked, Layer::Scratch(scratch)]);
        let whole = seen(&cargo, &keys::CARGO, std::slice::from_ref(&cargo));
        assert!(
            matches!(whole.as_slice(), [Layer::Scratch(it)] if it.hidden.len() == 2),
            "{whole:?}"
        );
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
        assert!(tools[0].without.hidden.contains(&"credentials"));
    }
}
