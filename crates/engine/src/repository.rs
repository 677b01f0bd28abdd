//! Where git has its own folder for a working tree.
//!
//! A `.git` file says where, and programs write such files. So what it says is taken only where the repository names the
//! working tree back by files of its own, and where the folder that it shares with others follows from its place alone.

use std::fs;
use std::path::{Path, PathBuf};

use crate::plain;

/// What `.git` in a folder comes to.
pub(crate) enum Git {
    /// The folder of git's own for the working tree, and the one that it shares with others; no link is on the
    /// way to either.
    Own { git: PathBuf, common: PathBuf },
    /// A repository that does not name the working tree back.
    Anothers,
}

impl Git {
    /// What `.git` of a folder leads to; `None`: it is no top of a working tree.
    pub(crate) fn of(top: &Path) -> Option<Self> {
        let file = top.join(".git");
        let found = fs::symlink_metadata(&file).ok()?;
        if found.is_dir() {
            file.join("HEAD").symlink_metadata().ok()?;
            // With such a file git looks elsewhere for all but the index.
            let alone = said_in(&file, "commondir").is_none_or(|common| common == file);
            let common = file.clone();
            return Some(if alone { Self::Own { git: file, common } } else { Self::Anothers });
        }
        let git = match leads_to(&file) {
            Some(git) => git,
            None if says(&file).is_some() => return Some(Self::Anothers),
            None => return None,
        };
        let common = named_back(&file, &git);
        Some(common.map_or(Self::Anothers, |common| Self::Own { git, common }))
    }
}

/// Where a `.git` that is a file or a link leads, if something is there.
pub(crate) fn leads_to(file: &Path) -> Option<PathBuf> {
    let status = fs::symlink_metadata(file).ok()?;
    if status.is_symlink() {
        return file.canonicalize().ok().filter(|to| to.is_dir());
    }
    file.parent()?.join(says(file)?).canonicalize().ok()
}

/// What git leaves off the end of a path in a file; all else is of the path.
///
/// # Source
/// `read_gitfile_gently` and `get_common_dir_noenv` of git 2.47.
pub(crate) const LINE_ENDS: [char; 2] = ['\n', '\r'];

fn says(file: &Path) -> Option<String> {
    text(file)?.strip_prefix("gitdir: ").map(|to| to.trim_end_matches(LINE_ENDS).to_owned())
}

/// The folder that git shares among its folder and others, where that folder names the working tree of this `.git`
/// back: as the one of a linked work tree, or of a submodule.
pub(crate) fn named_back(file: &Path, git: &Path) -> Option<PathBuf> {
    let leads_back = || said_in(git, "gitdir").is_some_and(|back| back == file);
    match shared(git) {
        Some(common) if leads_back() => Some(common),
        _ => is_of_module(file.parent()?, git).then(|| git.to_owned()),
    }
}

/// The folder that a linked work tree's own shares with the others of its repository: git puts it at
/// `COMMON/worktrees/NAME`, and its `commondir` says no other.
pub(crate) fn shared(git: &Path) -> Option<PathBuf> {
    let all = git.parent().filter(|all| all.ends_with("worktrees"))?;
    let common = all.parent()?;
    (said_in(git, "commondir")? == common).then(|| common.to_owned())
}

/// Whether it is the folder of a submodule, whose settings name its work tree. One in the workspace is no
/// exception: it may be denied there.
fn is_of_module(top: &Path, git: &Path) -> bool {
    if said_in(git, "commondir").is_some_and(|common| common != git) {
        return false;
    }
    let named = || {
        // The second is that of settings for each work tree.
        let files = ["config", "config.worktree"].map(|name| text(&git.join(name)));
        let tree = files.into_iter().flatten().find_map(|text| core_worktree(&text))?;
        git.join(tree).canonicalize().ok()
    };
    named().is_some_and(|tree| tree == top)
}

/// Where a file in a folder of git's own says that something is.
fn said_in(folder: &Path, name: &str) -> Option<PathBuf> {
    let path = folder.join(name);
    path.symlink_metadata().ok()?;
    // One that cannot be read leads nowhere, which is never where it should.
    let to = text(&path).map(|text| folder.join(text.trim_end_matches(LINE_ENDS)));
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

/// A short text file, to which no link leads.
fn text(path: &Path) -> Option<String> {
    String::from_utf8(plain::read(path, plain::SMALL).ok()?).ok()
}

/// Whether git takes a folder for its own.
pub(crate) fn is_git(folder: &Path) -> bool {
    folder.join("HEAD").symlink_metadata().is_ok()
        && ["objects", "refs"].iter().all(|name| folder.join(name).is_dir())
}

/// Whether its objects have names of another hash than all others, or its references lie in tables, by its settings:
/// neither is lent.
pub(crate) fn is_of_another_format(common: &Path) -> bool {
    text(&common.join("config")).is_some_and(|config| {
        config.lines().any(|line| {
            let line = line.replace([' ', '\t'], "").to_ascii_lowercase();
            ["objectformat=sha256", "refstorage=reftable"].contains(&&*line)
        })
    })
}
