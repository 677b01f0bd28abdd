//! What git still tells of files that may not be read: in the index or the history of every repository that a
//! program in the workspace can ask.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

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
        git_folders.push(own_folder(&git));
        found.insert(Repository { git, top });
    }
    for (path, _) in names.named("HEAD") {
        let Some(folder) = path.parent().map(|folder| site.workspace.join(folder)) else {
            continue;
        };
        let known = git_folders.contains(&folder) || folder.starts_with(&site.state);
        if known || !folder.join("objects").is_dir() {
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
    let own = git.join("objects").is_dir() && git.join("refs").is_dir();
    is_there(&git.join("HEAD")) && (own || git.join("commondir").is_file())
}

/// The folder that a `.git` is or leads to.
fn own_folder(git: &Path) -> PathBuf {
    let text = if git.is_file() { fs::read_to_string(git) } else { Ok(String::new()) };
    let text = text.unwrap_or_default();
    let led = text.strip_prefix("gitdir:").map(|to| git.with_file_name("").join(to.trim()));
    let led = led.unwrap_or_else(|| git.to_owned());
    led.canonicalize().unwrap_or(led)
}

/// What changes when the index or a reference of a repository does: of each file that holds them its number, its
/// size and the time of its change, which nobody can set; a reference is put in its folder by a new name.
/// `None`: some of it is too young to tell one change from the next.
fn stamp(git: &Path) -> Option<String> {
    let own = own_folder(git);
    let common = fs::read_to_string(own.join("commondir")).unwrap_or_default();
    let common = own.join(common.trim());
    let mut of_all: Vec<PathBuf> =
        ["index", "HEAD", "logs/HEAD", "refs"].iter().map(|name| own.join(name)).collect();
    let shared = ["HEAD", "logs/HEAD", "packed-refs", "refs", "reftable", "worktrees", "config"];
    of_all.extend(shared.iter().map(|name| common.join(name)));
    let (mut stamp, mut newest) = (String::new(), 0);
    while let Some(path) = of_all.pop() {
        let Ok(status) = fs::symlink_metadata(&path) else { continue };
        if status.is_dir() {
            let inner = fs::read_dir(&path).into_iter().flatten().flatten().map(|it| it.path());
            let kept = ["HEAD", "tables.list"];
            of_all.extend(
                inner.filter(|it| it.is_dir() || kept.iter().any(|name| it.ends_with(name))),
            );
        }
        newest = newest.max(status.ctime());
        let (number, size) = (status.ino(), status.len());
        let _ = write!(stamp, "{number} {size} {} {};", status.ctime(), status.ctime_nsec());
    }
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).ok()?.as_secs();
    (newest.saturating_add(SETTLED) < i64::try_from(now).ok()?).then_some(stamp)
}

/// Seconds: more than a tick of any file system's clock.
const SETTLED: i64 = 3;

/// The first file that patterns deny and that git still tells, and where: in its index, or in a commit that
/// some reference leads to.
fn still_tells(repository: &Repository, patterns: &[Pattern]) -> Result<Told, String> {
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
    let state = stamp(git).map(|stamp| format!("{} {stamp}\n{specs:?}", git.display()));
    let known = || KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(found) = state.as_ref().and_then(|state| known().get(state).cloned()) {
        return Ok(found);
    }
    let found = asked(repository, &specs, &ask, &denied)?;
    if let Some(state) = state {
        let mut known = known();
        if known.len() > MOST_KNOWN {
            known.clear();
        }
        known.insert(state, found.clone());
    }
    Ok(found)
}

const MOST_KNOWN: usize = 1000;

/// Asks git of one repository.
type Ask<'a> = dyn Fn(&[&str]) -> Result<Vec<PathBuf>, String> + 'a;

/// A file, and where it is told.
type Told = Option<(PathBuf, &'static str)>;

fn asked(
    Repository { git, top }: &Repository,
    specs: &BTreeSet<String>,
    ask: &Ask<'_>,
    denied: &dyn Fn(&PathBuf) -> bool,
) -> Result<Told, String> {
    let index = ask(&["ls-files", "-z", "--cached", "--full-name"])?;
    if let Some(found) = index.into_iter().find(|name| denied(name)) {
        return Ok(Some((top.join(found), "is in git's index")));
    }
    // A history is long: it is asked once for each state of the references.
    let refs = ask(&["for-each-ref", "--format=%(objectname)%00"])?;
    let own = own_folder(git);
    let head = ["HEAD", "logs/HEAD"].map(|name| fs::read(own.join(name)).unwrap_or_default());
    let key = format!("{}\n{specs:?}\n{refs:?}\n{head:?}", git.display());
    let known = || ASKED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(found) = known().get(&key) {
        return Ok(found.clone().map(|path| (path, IN_HISTORY)));
    }
    let mut args: Vec<&str> = HISTORY.to_vec();
    args.extend(specs.iter().map(String::as_str));
    let found = ask(&args)?.into_iter().find(|name| denied(name)).map(|name| top.join(name));
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

/// What repositories told, by what was asked of which state of their files.
static KNOWN: Mutex<BTreeMap<String, Told>> = Mutex::new(BTreeMap::new());

/// What histories told, by what was asked of which references.
static ASKED: Mutex<BTreeMap<String, Option<PathBuf>>> = Mutex::new(BTreeMap::new());
