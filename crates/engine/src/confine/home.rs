//! The home of a program: empty, but for the tool chains and package caches of whoever runs it. Those are
//! read; what is written to them is gone with the program.

use std::path::{Path, PathBuf};

use botpipe_sandbox::{Account, Layer};

use super::keys::{self, Known};
use super::paths::{absolute, is_theirs};
use super::{Site, Unshown, certificates, git_settings, person, registries, toolchains, within};
use crate::account;

/// A folder of a home that is shown, and what of it is not.
struct Tools {
    folder: &'static str,
    without: &'static Known,
}

const fn tools(folder: &'static str) -> Tools {
    but_for(&keys::NOTHING, folder)
}

const fn but_for(without: &'static Known, folder: &'static str) -> Tools {
    Tools { folder, without }
}

/// Tool chains and caches by their folders in a home, without what proves who somebody is.
static TOOLS: &[Tools] = &[
    but_for(&keys::CARGO, ".cargo"),
    but_for(&keys::CACHE, ".rustup"),
    but_for(&keys::NPM, ".npm"),
    tools(".nvm"),
    tools(".volta"),
    tools(".fnm"),
    tools(".bun"),
    tools(".deno"),
    tools(".yarn"),
    but_for(&keys::CACHE, ".pnpm-store"),
    tools(".pyenv"),
    tools(".rbenv"),
    tools(".asdf"),
    tools(".sdkman"),
    tools(".local/bin"),
    tools(".local/lib"),
    tools(".local/share/fnm"),
    tools(".local/share/mise"),
    but_for(&keys::PIPX, ".local/share/pipx"),
    tools(".local/share/pnpm"),
    but_for(&keys::UV, ".local/share/uv"),
    but_for(&keys::CACHE, ".cache/bazel"),
    but_for(&keys::CACHE, ".cache/go-build"),
    but_for(&keys::CACHE, ".cache/node-gyp"),
    but_for(&keys::CACHE, ".cache/pip"),
    but_for(&keys::CACHE, ".cache/pnpm"),
    but_for(&keys::CACHE, ".cache/pre-commit"),
    but_for(&keys::CACHE, ".cache/pypoetry"),
    but_for(&keys::CACHE, ".cache/uv"),
    but_for(&keys::CACHE, ".cache/yarn"),
    but_for(&keys::CACHE, "go"),
    but_for(&keys::MAVEN, ".m2"),
    but_for(&keys::GRADLE, ".gradle"),
    but_for(&keys::IVY, ".ivy2"),
    but_for(&keys::SBT, ".sbt"),
    but_for(&keys::GEM, ".gem"),
    but_for(&keys::GEM, ".bundle"),
    but_for(&keys::CACHE, ".nuget/packages"),
    but_for(&keys::DOTNET, ".dotnet"),
    tools(".opam"),
    but_for(&keys::CABAL, ".cabal"),
    tools(".ghcup"),
    but_for(&keys::STACK, ".stack"),
    tools(".mix"),
    but_for(&keys::JULIA, ".julia"),
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

/// Those of these homes that are there.
pub(super) fn secrets<'a>(homes: impl IntoIterator<Item = &'a PathBuf>) -> Vec<PathBuf> {
    let all = homes.into_iter().flat_map(|home| all_secrets(home));
    all.filter(|path| path.symlink_metadata().is_ok()).collect()
}

/// What Botpipe keeps of whoever's home it is, beside what a program of a site is given of that.
pub(super) fn state_in(home: &Path, site: &Site) -> Vec<PathBuf> {
    let given = [&site.granted, &site.readable, &site.places, &site.shown];
    let given: Vec<&PathBuf> = given.into_iter().flatten().collect();
    beside(home.join(".local/state/botpipe"), &given)
}

fn beside(path: PathBuf, given: &[&PathBuf]) -> Vec<PathBuf> {
    if given.iter().any(|it| path.starts_with(it)) || path.symlink_metadata().is_err() {
        return Vec::new();
    }
    if !given.iter().any(|it| it.starts_with(&path)) {
        return vec![path];
    }
    let entries = std::fs::read_dir(&path).into_iter().flatten().flatten();
    entries.flat_map(|entry| beside(entry.path(), given)).collect()
}

/// The homes that a workspace is, or holds: that of whoever runs it, and those of the people in the list of users.
pub(super) fn in_workspace(
    workspace: &Path,
    home: Option<&Path>,
    users: Option<&str>,
) -> Vec<PathBuf> {
    let others = users.into_iter().flat_map(|users| person::homes(users, workspace));
    let mut homes: Vec<PathBuf> = home.map(Path::to_owned).into_iter().chain(others).collect();
    homes.retain(|home| home.starts_with(workspace));
    homes.sort();
    homes.dedup();
    homes
}

/// Those that lie in a workspace when it is somebody's home, or holds one: relative to it, whether
/// they are there or not.
pub(crate) fn secrets_in(workspace: &Path) -> Vec<String> {
    let home = std::env::var_os("HOME").and_then(|home| Path::new(&home).canonicalize().ok());
    let workspace = workspace.canonicalize().unwrap_or_else(|_| workspace.to_owned());
    let homes = in_workspace(&workspace, home.as_deref(), person::users().as_deref());
    let inside = homes.iter().filter_map(|home| home.strip_prefix(&workspace).ok());
    let all = inside.flat_map(|home| SECRETS.iter().map(|name| home.join(name)));
    all.map(|path| globset::escape(&path.to_string_lossy())).collect()
}

/// Lays what is seen of a home and of tool chains elsewhere, and who it is by name, over folders that are empty. What is
/// not seen although a person's settings name it.
pub(super) fn lay(
    site: &Site,
    (allow_write, account): (&[String], Option<Account>),
    (empty, users): (&[PathBuf], Option<&str>),
    laid: &mut Vec<Layer>,
) -> Vec<Unshown> {
    let mut unshown = Vec::new();
    let mut named = Vec::new();
    let mut texts = Vec::new();
    let home = site.home.as_deref();
    let written = allow_write.iter().map(|written| absolute(written, site));
    let written = written.chain(site.granted.iter().chain(&site.places).cloned());
    let written: Vec<PathBuf> = written.chain([site.workspace.clone()]).collect();
    if let Some(home) = home.filter(|home| within(home, empty)) {
        let closed = |layer: &Layer| match (layer, account) {
            (Layer::Shown(path), Some(account)) => is_closed(path, account),
            _ => false,
        };
        let all = layers(home, &written, &mut unshown, &mut named);
        // Git stops at settings that it may not read.
        let all = all.into_iter().filter(|layer| !closed(layer));
        let others: Vec<Layer>;
        (texts, others) = all.partition(|layer| matches!(layer, Layer::Text(_)));
        laid.extend(others);
    }
    laid.extend(certificates::layers(site, &named, &written, empty, &mut unshown));
    laid.extend(person::layers(home, account, users));
    laid.extend(programs(&site.path, &written, empty, home));
    let (workspace, state) = (&site.workspace, &site.state);
    let kept = toolchains::Kept { workspace, state, home, empty, laid };
    let tools = toolchains::layers(&site.tools, &kept);
    laid.extend(tools);
    // Of a file in a folder that is shown there may be less to see. Nothing is laid over a link.
    let is_link = |layer: &Layer| layer.path().is_symlink();
    let shown = |layer: &Layer| {
        laid.iter().any(|it| matches!(it, Layer::Shown(at) if layer.path().starts_with(at)))
    };
    texts.retain(|layer| !is_link(layer) || !shown(layer));
    laid.extend(texts);
    unshown
}

/// What is laid over an empty home; programs write what is `written`.
fn layers(
    home: &Path,
    written: &[PathBuf],
    unshown: &mut Vec<Unshown>,
    named: &mut Vec<certificates::Named>,
) -> Vec<Layer> {
    let mut layers = Vec::new();
    let mounts = toolchains::mounts();
    for Tools { folder, without } in TOOLS {
        let at = home.join(folder);
        if at.is_dir() && is_straight(&at) {
            layers.extend(toolchains::seen(&at, without, &mounts));
        }
    }
    let settings = SETTINGS.iter().map(|name| home.join(name));
    layers.extend(settings.filter(|file| file.is_file() && is_straight(file)).map(Layer::Shown));
    layers.extend(git_settings::layers(home, written, unshown, named));
    layers.extend(registries::layers(home, written, unshown, named));
    layers
}

/// Programs that were put where nothing is seen, by the `PATH` (those of a workspace are seen with it): with the folder they are in, since they look
/// for their own beside themselves.
fn programs(
    path: &[PathBuf],
    written: &[PathBuf],
    empty: &[PathBuf],
    home: Option<&Path>,
) -> Vec<Layer> {
    let known: Vec<PathBuf> =
        home.iter().flat_map(|home| TOOLS.iter().map(|it| home.join(it.folder))).collect();
    let folders = path.iter().filter_map(|folder| Some((folder, folder.canonicalize().ok()?)));
    let unseen = folders.filter(|(_, it)| within(it, empty) && !within(it, &known));
    // What a program may have bent shows nothing.
    let unseen = unseen.filter(|(said, _)| !is_theirs(said, written)).map(|(_, folder)| folder);
    let secrets: Vec<PathBuf> = home.iter().flat_map(|home| all_secrets(home)).collect();
    let is_secret = |parent: &Path| within(parent, &secrets);
    let wide = |parent: &Path| empty.iter().any(|it| it == parent) || parent.ends_with(".local");
    let mut shown: Vec<PathBuf> = unseen
        .filter(|folder| !empty.contains(folder) && folder.is_dir())
        .map(|folder| match folder.parent() {
            Some(parent) if folder.ends_with("bin") && !wide(parent) && !is_secret(parent) => {
                parent.to_owned()
            }
            _ => folder,
        })
        .collect();
    shown.sort();
    shown.dedup();
    let masked = |folder: &PathBuf| {
        let names = keys::in_unknown(folder).into_iter().map(|name| folder.join(name));
        let there = names.filter(|path| path.symlink_metadata().is_ok_and(|it| !it.is_symlink()));
        there.map(Layer::Masked).collect::<Vec<_>>()
    };
    shown
        .into_iter()
        .flat_map(|it| {
            let masked = masked(&it);
            [Layer::Shown(it)].into_iter().chain(masked)
        })
        .collect()
}

/// A file that an account may not read.
fn is_closed(path: &Path, account: Account) -> bool {
    path.metadata().is_ok_and(|it| it.is_file() && !account::reads(account, &it))
}

/// There, and reached without a link.
fn is_straight(path: &Path) -> bool {
    path.canonicalize().is_ok_and(|found| found == path)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;
    use crate::confine::View;

    /// The folder of an environment that a shell has put into its `PATH` lies in the workspace, where an agent
    /// may put a link in its place.
    #[test]
    fn a_folder_of_programs_that_a_program_made_a_link_shows_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let home = folder.path().canonicalize().unwrap();
        for name in ["work/.venv", "letters", "bin", "tools/bin"] {
            fs::create_dir_all(home.join(name)).unwrap();
        }
        symlink("../../letters", home.join("work/.venv/bin")).unwrap();
        symlink("../work/.venv/bin", home.join("bin/more")).unwrap();
        let workspace = home.join("work");
        let site = Site {
            state: workspace.join(".botpipe"),
            workspace,
            home: Some(home.clone()),
            places: Vec::new(),
            shown: Vec::new(),
            covered: Vec::new(),
            kept: Vec::new(),
            granted: Vec::new(),
            readable: Vec::new(),
            view: View::Kept,
            path: ["work/.venv/bin", "bin/more", "tools/bin"].map(|it| home.join(it)).to_vec(),
            tools: Vec::new(),
            certificates: Vec::new(),
            stop: crate::process::StopSwitch::new(),
        };
        // What is shown without its keys is seen so in such a folder too.
        let [settings, own] = [".gitconfig", "tools/own.inc"].map(|name| home.join(name));
        fs::write(&settings, "[include]\n\tpath = tools/own.inc\n").unwrap();
        fs::write(&own, "[github]\n\ttoken = HUSH\n").unwrap();
        let mut laid = Vec::new();
        lay(&site, (&[".".to_owned()], None), (std::slice::from_ref(&home), None), &mut laid);
        let at = |path: &Path| laid.iter().position(|layer| layer.path() == path).unwrap();
        assert!(at(&home.join("tools")) < at(&own), "{laid:?}");
        laid.retain(|layer| !matches!(layer, Layer::Text(_)));
        assert_eq!(laid, [settings, home.join("tools")].map(Layer::Shown));
    }

    #[test]
    fn a_workspace_is_the_home_of_whom_the_list_of_users_has_there() {
        let folder = tempfile::tempdir().unwrap();
        let top = folder.path().canonicalize().unwrap();
        for name in ["ann", "bob", "site", "links"] {
            fs::create_dir(top.join(name)).unwrap();
        }
        symlink("../ann", top.join("links/ann")).unwrap();
        let at = |name: &str| top.join(name).display().to_string();
        let users = format!(
            "root:x:0:0::/root:/bin/sh\nwww:x:33:33::{}:/bin/false\nann:x:1000:1000:Ann,,:{}:/bin/sh\n\
             bob:x:1001:1001::{}:/bin/sh\n",
            at("site"),
            at("links/ann"),
            at("bob")
        );
        let homes =
            |name: &str| in_workspace(&top.join(name), Some(&top.join("bob")), Some(&users));
        for name in ["ann", "bob"] {
            assert_eq!(homes(name), [top.join(name)]);
        }
        assert_eq!(homes("site"), [""; 0].map(PathBuf::from), "a service's");
        assert_eq!(homes("bob/work"), [""; 0].map(PathBuf::from));
        assert_eq!(homes(""), [top.join("ann"), top.join("bob")]);
    }
}
