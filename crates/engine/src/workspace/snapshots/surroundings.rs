//! Finds the user's own repository around the workspace; reads it, never opens it for writing.

use std::fs;
use std::path::{Path, PathBuf};

use crate::plain;

/// What of the user's repository matters to snapshots.
#[derive(Debug, Default)]
pub(super) struct Surroundings {
    /// The working tree's top folder, at or above the workspace.
    pub(super) top: Option<PathBuf>,
    /// The object folder to borrow from.
    pub(super) objects: Option<PathBuf>,
    /// Where its head and index are, and where all else is.
    pub(super) git: Option<(PathBuf, PathBuf)>,
    /// The repository's own ignore file.
    pub(super) exclude: Option<PathBuf>,
}

impl Surroundings {
    /// Looks from the workspace upwards. Linked worktrees and submodules name their repository in a
    /// `.git` file, which programs write: it is taken only where the repository names them back.
    pub(super) fn find(workspace: &Path) -> Self {
        for top in workspace.ancestors() {
            let Some(git) = git_folder(top) else { continue };
            let top = Some(top.to_owned());
            let Git::Own { git, common } = git else { return Self { top, ..Self::default() } };
            let objects = common.join("objects");
            let borrowable = plain::is_folder(&objects) && !is_sha256(&common);
            return Self {
                top,
                objects: borrowable.then_some(objects),
                exclude: Some(common.join("info/exclude")),
                git: Some((git, common)),
            };
        }
        Self::default()
    }
}

/// The objects of the repository around a workspace, for those to read who borrow them; `None` where there
/// are none, or a link stands in their place.
pub(crate) fn objects_around(workspace: &Path) -> Option<PathBuf> {
    let (_, common) = Surroundings::find(workspace).git?;
    Some(common.join("objects")).filter(|objects| plain::is_folder(objects))
}

/// What `.git` in a folder comes to.
enum Git {
    /// The folder of git's own for the working tree, and the one that it shares with others; no link is on the
    /// way to either.
    Own { git: PathBuf, common: PathBuf },
    /// A repository that does not name the working tree back.
    Anothers,
}

/// What `.git` of a folder leads to; `None`: it is no top of a working tree.
fn git_folder(top: &Path) -> Option<Git> {
    let git = top.join(".git");
    let found = fs::symlink_metadata(&git).ok()?;
    if found.is_dir() {
        git.join("HEAD").symlink_metadata().ok()?;
        // With such a file git looks elsewhere for all but the index.
        let alone = leads_to(&git, "commondir").is_none_or(|common| common == git);
        let common = git.clone();
        return Some(if alone { Git::Own { git, common } } else { Git::Anothers });
    }
    let to = if found.is_symlink() {
        git.canonicalize().ok().filter(|to| to.is_dir())?
    } else {
        let text = text(&git)?;
        let to = top.join(text.strip_prefix("gitdir:")?.trim());
        let Ok(to) = to.canonicalize() else { return Some(Git::Anothers) };
        to
    };
    let common = of_work_tree(&git, &to).or_else(|| is_of_one(top, &to).then(|| to.clone()));
    Some(common.map_or(Git::Anothers, |common| Git::Own { git: to, common }))
}

/// What the folder of a linked work tree shares: that is `COMMON/worktrees/NAME`, and its `gitdir` leads back.
fn of_work_tree(git: &Path, to: &Path) -> Option<PathBuf> {
    let all = to.parent().filter(|all| all.ends_with("worktrees"))?;
    let common = all.parent()?;
    let leads_back = leads_to(to, "gitdir")? == git;
    let shares = leads_to(to, "commondir")? == common;
    (leads_back && shares).then(|| common.to_owned())
}

/// Whether it is the folder of a submodule, whose settings name its work tree, or lies in the work tree itself.
fn is_of_one(top: &Path, to: &Path) -> bool {
    if leads_to(to, "commondir").is_some_and(|common| common != to) {
        return false;
    }
    let named = || {
        // The second is that of settings for each work tree.
        let files = ["config", "config.worktree"].map(|name| text(&to.join(name)));
        let tree = files.into_iter().flatten().find_map(|text| core_worktree(&text))?;
        to.join(tree).canonicalize().ok()
    };
    to.starts_with(top) || named().is_some_and(|tree| tree == top)
}

/// Where a file in a folder of git's own says that something is.
fn leads_to(folder: &Path, name: &str) -> Option<PathBuf> {
    let path = folder.join(name);
    path.symlink_metadata().ok()?;
    // One that cannot be read leads nowhere, which is never where it should.
    let to = text(&path).map(|text| folder.join(text.trim()));
    let to = to.map(|to| match (to.parent().map(Path::canonicalize), to.file_name()) {
        // A `.git` that is named may itself be a link: its place is what counts.
        (Some(Ok(parent)), Some(name)) if name == ".git" => parent.join(name),
        _ => to.canonicalize().unwrap_or_default(),
    });
    Some(to.unwrap_or_default())
}

/// `core.worktree` of a configuration's text.
fn core_worktree(text: &str) -> Option<String> {
    let mut core = false;
    for line in text.lines().map(str::trim) {
        if line.starts_with('[') {
            core = line.eq_ignore_ascii_case("[core]");
        }
        let Some((key, value)) = line.split_once('=').filter(|_| core) else { continue };
        if key.trim().eq_ignore_ascii_case("worktree") {
            return Some(value.trim().trim_matches('"').to_owned());
        }
    }
    None
}

fn text(path: &Path) -> Option<String> {
    String::from_utf8(plain::read(path, plain::SMALL).ok()?).ok()
}

/// Objects of another hash cannot be borrowed.
fn is_sha256(common: &Path) -> bool {
    text(&common.join("config")).is_some_and(|config| {
        config.lines().any(|line| {
            let line = line.replace([' ', '\t'], "").to_ascii_lowercase();
            line == "objectformat=sha256"
        })
    })
}
