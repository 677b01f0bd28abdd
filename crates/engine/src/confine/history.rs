//! What git still tells of files that may not be read: in the index or the history of every repository that a
//! program in the workspace can ask.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use super::denied::Denied;
use super::paths::absolute;
use super::pattern::Pattern;
use super::scan::Names;
use super::{Refusal, Site};
use crate::process::asked_of_git;

const CONTROL: &str = "deny_read";

/// A repository, and the folder that its names begin in.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Repository {
    git: PathBuf,
    top: PathBuf,
}

/// Refuses a policy that denies what git tells. `written` is its `deny_read`, `denied` what that was found to
/// name, `seen` whether a program sees a path outside the workspace.
pub(super) fn check(
    (written, denied): (&[String], &Denied),
    site: &Site,
    names: &Names,
    seen: &dyn Fn(&Path) -> bool,
) -> Result<(), Refusal> {
    let mut patterns = Vec::new();
    for text in written {
        let whole = text.strip_suffix("/**").or_else(|| text.strip_suffix('/')).unwrap_or(text);
        let path = absolute(whole, site);
        // Outside, a pattern is refused elsewhere.
        patterns.extend(
            match path.strip_prefix(&site.workspace) {
                Ok(inside) => Pattern::all(&site.workspace, &inside.to_string_lossy()),
                Err(_) => Ok(vec![Pattern::of_path(&path)]),
            }
            .unwrap_or_default(),
        );
    }
    if patterns.is_empty() {
        return Ok(());
    }
    let others = denied.others.iter().map(|text| Pattern::all(&site.workspace, text));
    patterns.extend(others.flat_map(Result::unwrap_or_default));
    let outside = denied.there.iter().filter(|path| !path.starts_with(&site.workspace));
    patterns.extend(outside.map(|path| Pattern::of_path(path)));
    let hidden = |path: &Path| patterns.iter().any(|pattern| pattern.covers(path));
    for repository in repositories(site, names, seen).iter().filter(|it| !hidden(&it.git)) {
        let told = still_tells(repository, &patterns);
        let told = told.map_err(|why| Refusal {
            control: CONTROL,
            what: format!(
                "git could not be asked whether `{}` tells what may not be read: {why} (partial(git))",
                repository.git.display()
            ),
            permit: permit(repository, site),
        })?;
        if let Some((path, place)) = told {
            let path = path.strip_prefix(&site.workspace).unwrap_or(&path);
            return Err(Refusal {
                control: CONTROL,
                what: format!(
                    "`{}` may not be read, but {place}, and git tells it to whoever asks (partial(git))",
                    path.display()
                ),
                permit: permit(repository, site) + "; or take the file out of git",
            });
        }
    }
    Ok(())
}

/// The way out.
fn permit(repository: &Repository, site: &Site) -> String {
    let git = repository.git.strip_prefix(&site.workspace).unwrap_or(&repository.git);
    format!("`deny_read: [{}]` beside it hides git as well", git.display())
}

/// All that a program can ask: in the workspace, also those without a work tree, and the one it is a folder of.
fn repositories(site: &Site, names: &Names, seen: &dyn Fn(&Path) -> bool) -> BTreeSet<Repository> {
    let mut found = BTreeSet::new();
    let mut git_folders = Vec::new();
    for (path, _) in names.named(".git") {
        let top = site.workspace.join(path.parent().unwrap_or(Path::new("")));
        let git = site.workspace.join(&path);
        git_folders.extend(git.canonicalize());
        found.insert(Repository { git, top });
    }
    for (path, _) in names.named("HEAD") {
        let Some(folder) = path.parent().map(|folder| site.workspace.join(folder)) else {
            continue;
        };
        if git_folders.contains(&folder) || folder.starts_with(&site.state) {
            continue;
        }
        // Of a module that is nowhere now, or a bare one: its names may be those of any folder.
        found.insert(Repository { git: folder, top: site.workspace.clone() });
    }
    let above = site.workspace.ancestors().skip(1).find(|top| is_there(&top.join(".git")));
    if let Some(top) = above
        && seen(&top.join(".git"))
    {
        found.insert(Repository { git: top.join(".git"), top: top.to_owned() });
    }
    found.retain(|it| is_repository(&it.git));
    found
}

fn is_there(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok()
}

/// Whether it holds what git looks for; else git holds it for none.
fn is_repository(git: &Path) -> bool {
    if !git.is_dir() {
        return git.is_file();
    }
    is_there(&git.join("HEAD")) && (git.join("objects").is_dir() || git.join("commondir").is_file())
}

/// The first file that patterns deny and that git still tells, and where: in its index, or in a commit that
/// some reference leads to.
fn still_tells(
    repository: &Repository,
    patterns: &[Pattern],
) -> Result<Option<(PathBuf, &'static str)>, String> {
    let Repository { git, top } = repository;
    let (of_git, of_top) = (option("--git-dir", git), option("--work-tree", top));
    let ask = |args: &[&str]| {
        let args: Vec<&str> =
            [&*of_git, &*of_top].into_iter().chain(args.iter().copied()).collect();
        asked_of_git(top, &args)
    };
    let denied = |name: &PathBuf| patterns.iter().any(|it| it.covers(&top.join(name)));
    let specs: BTreeSet<String> = patterns.iter().flat_map(|it| specs(it, top)).collect();
    if specs.is_empty() {
        return Ok(None);
    }
    let index = ask(&["ls-files", "-z", "--cached", "--full-name"])?;
    if let Some(found) = index.into_iter().find(denied) {
        return Ok(Some((top.join(found), "is in git's index")));
    }
    // A history is long: it is asked once for each state of the references.
    let refs = ask(&["for-each-ref", "--format=%(objectname)%00"])?;
    let head = ["HEAD", "logs/HEAD"].map(|name| fs::read(git.join(name)).unwrap_or_default());
    let key = format!("{}\n{specs:?}\n{refs:?}\n{head:?}", git.display());
    let known = || ASKED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(found) = known().get(&key) {
        return Ok(found.clone().map(|path| (path, IN_HISTORY)));
    }
    let mut args: Vec<&str> = HISTORY.to_vec();
    args.extend(specs.iter().map(String::as_str));
    let found = ask(&args)?.into_iter().find(denied).map(|name| top.join(name));
    known().insert(key, found.clone());
    Ok(found.map(|path| (path, IN_HISTORY)))
}

fn option(name: &str, path: &Path) -> String {
    format!("{name}={}", path.display())
}

/// What a pattern means below a folder, in git's words.
fn specs(pattern: &Pattern, top: &Path) -> Vec<String> {
    let reached = pattern.after(pattern.begin(), top);
    let rests = reached.iter().map(|at| pattern.rest(*at)).filter(|rest| !rest.is_empty());
    rests.flat_map(|rest| [format!(":(top,glob){rest}/**"), format!(":(top,glob){rest}")]).collect()
}

const IN_HISTORY: &str = "is in git's history";

/// Every commit that some reference, or its log, leads to; also on sides that a merge left nothing of.
///
/// # Source
/// git-log(1) of git 2.47: without `--full-history` and `-m`, such sides and what merges themselves bring are left
/// out.
const HISTORY: [&str; 12] = [
    "log",
    "--all",
    "--reflog",
    "--full-history",
    "-m",
    "--no-renames",
    "--no-relative",
    "--name-only",
    "-z",
    "--format=",
    "-1",
    "--",
];

/// What histories told, by what was asked of which state.
static ASKED: Mutex<BTreeMap<String, Option<PathBuf>>> = Mutex::new(BTreeMap::new());
