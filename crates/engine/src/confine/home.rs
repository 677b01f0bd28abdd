//! The home of a program: empty, but for the tool chains and package caches of whoever runs it. Those are
//! read; what is written to them is gone with the program.

use std::path::{Path, PathBuf};

use botpipe_sandbox::{Layer, Scratch};

/// A folder of a home that is shown, and what of it is not.
struct Tools {
    folder: &'static str,
    without: &'static [&'static str],
}

const fn tools(folder: &'static str) -> Tools {
    Tools { folder, without: &[] }
}

/// Tool chains and caches by their folders in a home, without what proves who somebody is.
const TOOLS: &[Tools] = &[
    Tools { folder: ".cargo", without: &["credentials", "credentials.toml"] },
    tools(".rustup"),
    tools(".npm"),
    tools(".nvm"),
    tools(".volta"),
    tools(".fnm"),
    tools(".bun"),
    tools(".deno"),
    tools(".yarn"),
    tools(".pnpm-store"),
    tools(".pyenv"),
    tools(".rbenv"),
    tools(".asdf"),
    tools(".sdkman"),
    tools(".local/bin"),
    tools(".local/lib"),
    tools(".local/share/fnm"),
    tools(".local/share/mise"),
    tools(".local/share/pipx"),
    tools(".local/share/pnpm"),
    tools(".local/share/uv"),
    tools(".cache/bazel"),
    tools(".cache/go-build"),
    tools(".cache/node-gyp"),
    tools(".cache/pip"),
    tools(".cache/pnpm"),
    tools(".cache/pre-commit"),
    tools(".cache/pypoetry"),
    tools(".cache/uv"),
    tools(".cache/yarn"),
    tools("go"),
    Tools { folder: ".m2", without: &["settings.xml", "settings-security.xml"] },
    Tools { folder: ".gradle", without: &["gradle.properties"] },
    tools(".ivy2"),
    tools(".sbt"),
    Tools { folder: ".gem", without: &["credentials"] },
    Tools { folder: ".bundle", without: &["config"] },
    Tools { folder: ".nuget/packages", without: &[] },
    tools(".dotnet"),
    tools(".opam"),
    tools(".cabal"),
    tools(".ghcup"),
    tools(".stack"),
    tools(".mix"),
    tools(".julia"),
];

/// Files of a home that say how tools behave, read only. Those of git are beside them.
const SETTINGS: [&str; 2] = [".tool-versions", ".nvmrc"];

/// Folders and files of a home that prove who somebody is, by any name.
const SECRETS: [&str; 12] = [
    ".ssh",
    ".gnupg",
    ".aws",
    ".azure",
    ".config/gcloud",
    ".config/gh",
    ".kube",
    ".docker",
    ".netrc",
    ".npmrc",
    ".pypirc",
    ".git-credentials",
];

/// Their places in a home, whether there or not.
pub(super) fn all_secrets(home: &Path) -> impl Iterator<Item = PathBuf> {
    SECRETS.iter().map(|name| home.join(name))
}

/// Whether a folder of a home holds, beside what is shown, other things of all kinds.
pub(super) fn is_wide(home: &Path, path: &Path) -> bool {
    let known = TOOLS.iter().map(|it| it.folder).chain(SECRETS).chain([".config/git"]);
    known.map(|name| home.join(name)).any(|it| it != path && it.starts_with(path))
}

/// Those that are there.
pub(super) fn secrets(home: Option<&Path>) -> Vec<PathBuf> {
    let all = home.iter().flat_map(|home| SECRETS.iter().map(|name| home.join(name)));
    all.filter(|path| path.symlink_metadata().is_ok()).collect()
}

/// Those that lie in a workspace when it is the home of whoever runs it, or holds it: relative to it, whether
/// they are there or not.
pub(crate) fn secrets_in(workspace: &Path) -> Vec<String> {
    let home = std::env::var_os("HOME").and_then(|home| Path::new(&home).canonicalize().ok());
    let workspace = workspace.canonicalize().unwrap_or_else(|_| workspace.to_owned());
    let inside = home.as_deref().and_then(|home| home.strip_prefix(&workspace).ok());
    let all = inside.iter().flat_map(|home| SECRETS.iter().map(|name| home.join(name)));
    all.map(|path| globset::escape(&path.to_string_lossy())).collect()
}

/// What is laid over an empty home.
pub(super) fn layers(home: &Path) -> Vec<Layer> {
    let mut layers = Vec::new();
    for Tools { folder, without } in TOOLS {
        let at = home.join(folder);
        if at.is_dir() && is_straight(&at) {
            let hidden = without.iter().map(PathBuf::from).collect();
            layers.push(Layer::Scratch(Scratch {
                at,
                hidden,
                writable: true,
                ..Scratch::default()
            }));
        }
    }
    let settings = SETTINGS.iter().map(|name| home.join(name));
    layers.extend(settings.filter(|file| file.is_file() && is_straight(file)).map(Layer::Shown));
    layers.extend(super::git_settings::layers(home));
    layers
}

/// Programs that were put where nothing is seen, by the `PATH`: with the folder they are in, since they look
/// for their own beside themselves.
pub(super) fn programs(path: &[PathBuf], empty: &[PathBuf], home: Option<&Path>) -> Vec<Layer> {
    let known: Vec<PathBuf> =
        home.iter().flat_map(|home| TOOLS.iter().map(|it| home.join(it.folder))).collect();
    let folders = path.iter().filter_map(|folder| folder.canonicalize().ok());
    let unseen = folders.filter(|it| super::within(it, empty) && !super::within(it, &known));
    let wide = |parent: &Path| empty.iter().any(|it| it == parent) || parent.ends_with(".local");
    let mut shown: Vec<PathBuf> = unseen
        .filter(|folder| !empty.contains(folder) && folder.is_dir())
        .map(|folder| match folder.parent() {
            Some(parent) if folder.ends_with("bin") && !wide(parent) => parent.to_owned(),
            _ => folder,
        })
        .collect();
    shown.sort();
    shown.dedup();
    shown.into_iter().map(Layer::Shown).collect()
}

/// There, and reached without a link.
fn is_straight(path: &Path) -> bool {
    path.canonicalize().is_ok_and(|found| found == path)
}
