//! What git still tells of files that may not be read: in the index or the history of every repository that a
//! program in the workspace can ask.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use super::denied::Denied;
use super::git_contents::{self, Contents};
use super::git_files::{all_folders, beside_references, common_folder, look_through, own_folder};
use super::paths::absolute;
use super::pattern::Pattern;
use super::scan::Names;
use super::{Refusal, Site, site};
use crate::plain;
use crate::process::{asked_of_git, names_of};

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
    let contents = Contents::of(&denied.there);
    for repository in repositories(site, names, seen).iter().filter(|it| !hidden(&it.git)) {
        let told = still_tells(repository, &patterns, &contents, site);
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
                permit: permit(repository, site)
                    + if place == AMONG_OBJECTS { OUT_OF_OBJECTS } else { OUT_OF_GIT },
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

/// What changes when the index or a reference of a repository does: of each file that holds them its number, its
/// size and the time of its change, which nobody can set; a reference is put in its folder by a new name.
/// `None`: some of it is too young to tell one change from the next.
fn stamp(git: &Path, contents: &Contents) -> Option<String> {
    let own = own_folder(git);
    let common = common_folder(&own);
    let mut of_all: Vec<PathBuf> =
        ["index", "HEAD", "logs/HEAD", "refs"].iter().map(|name| own.join(name)).collect();
    let shared = ["HEAD", "logs/HEAD", "packed-refs", "refs", "reftable", "worktrees", "config"];
    of_all.extend(shared.iter().map(|name| common.join(name)));
    // An object is put in its folder by a new name as well.
    of_all.push(common.join("objects"));
    let (mut stamp, mut newest) = (contents.stamp.clone(), contents.newest);
    while let Some(path) = of_all.pop() {
        let Ok(status) = fs::symlink_metadata(&path) else { continue };
        if status.is_dir() {
            let inner = fs::read_dir(&path).into_iter().flatten().flatten().map(|it| it.path());
            let kept = ["HEAD", "tables.list", "index", "alternates"];
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

/// The first file that patterns deny and that git still tells, and where: in its index, in a commit that some
/// reference leads to, or among its objects.
fn still_tells(
    repository: &Repository,
    patterns: &[Pattern],
    contents: &Contents,
    site: &Site,
) -> Result<Told, String> {
    let Repository { git, top } = repository;
    let denied = |name: &PathBuf| patterns.iter().any(|it| it.covers(&top.join(name)));
    let specs: BTreeSet<String> = patterns.iter().flat_map(|it| specs(it, top)).collect();
    let state = stamp(git, contents).map(|stamp| format!("{} {stamp}\n{specs:?}", git.display()));
    let known = || KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(found) = state.as_ref().and_then(|state| known().get(state).cloned()) {
        return Ok(found);
    }
    look_through(&own_folder(git), (&site.workspace, &site.stop))?;
    let asking = Asking { repository, site, specs: &specs, denied: &denied };
    let mut found = if specs.is_empty() { None } else { asking.names()? };
    if found.is_none() {
        found = asking.objects(contents)?;
    }
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

/// A file, and where it is told.
type Told = Option<(PathBuf, &'static str)>;

/// What is asked of one repository.
struct Asking<'a> {
    repository: &'a Repository,
    site: &'a Site,
    specs: &'a BTreeSet<String>,
    denied: &'a dyn Fn(&PathBuf) -> bool,
}

impl Asking<'_> {
    fn ask(&self, git: &Path, args: &[&str], told: String) -> Result<Vec<u8>, String> {
        let top = &self.repository.top;
        let (of_git, of_top) = (option("--git-dir", git), option("--work-tree", top));
        let args: Vec<&str> =
            [&*of_git, &*of_top].into_iter().chain(args.iter().copied()).collect();
        let written = site::written_by_all(&self.site.workspace);
        asked_of_git(top, &args, told.into_bytes(), (&written, &self.site.stop))
    }

    /// The first denied name.
    fn names(&self) -> Result<Told, String> {
        let Repository { git, top } = self.repository;
        let ask = |args: &[&str]| Ok::<_, String>(names_of(&self.ask(git, args, String::new())?));
        let own = own_folder(git);
        let trees = all_folders(&own);
        for tree in &trees {
            // Those of other working trees are called by the folder that they are kept in.
            let git = if *tree == own { git } else { tree };
            let args = ["ls-files", "-z", "--cached", "--full-name"];
            let index = names_of(&self.ask(git, &args, String::new())?);
            if let Some(found) = index.into_iter().find(|name| (self.denied)(name)) {
                return Ok(Some((top.join(found), "is in git's index")));
            }
        }
        // A history is long: it is asked once for each state of the references.
        let refs = ask(&["for-each-ref", "--format=%(objectname)%00"])?;
        let tips = self.commits(beside_references(&trees))?;
        let head = ["HEAD", "logs/HEAD"].map(|name| plain::peek(&own.join(name), LONGEST_LOG));
        let is_missing = |it: &io::Error| it.kind() == io::ErrorKind::NotFound;
        let comparable = head.iter().all(|it| it.as_ref().err().is_none_or(is_missing));
        let head = head.map(Result::unwrap_or_default);
        let specs = self.specs;
        let key = format!("{}\n{specs:?}\n{refs:?}\n{head:?}\n{tips:?}", git.display());
        let known = || ASKED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = known().get(&key).filter(|_| comparable) {
            return Ok(found.clone().map(|path| (path, IN_HISTORY)));
        }
        let mut args: Vec<&str> = HISTORY.to_vec();
        args.extend(tips.iter().map(String::as_str));
        args.push("--");
        args.extend(specs.iter().map(String::as_str));
        let found = ask(&args)?.into_iter().find(|name| (self.denied)(name));
        let found = found.map(|name| top.join(name));
        if comparable {
            known().insert(key, found.clone());
        }
        Ok(found.map(|path| (path, IN_HISTORY)))
    }

    /// Those of some objects that are there, and commits or tags of them.
    fn commits(&self, ids: BTreeSet<String>) -> Result<Vec<String>, String> {
        let found = self.there(&ids.into_iter().collect::<Vec<_>>())?;
        let commits = found.into_iter().filter(|(_, kind)| kind == "commit" || kind == "tag");
        Ok(commits.map(|(id, _)| id).collect())
    }

    /// Those of some objects that are there, each with its kind.
    fn there(&self, ids: &[String]) -> Result<Vec<(String, String)>, String> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let args = ["cat-file", "--batch-check=%(objectname) %(objecttype)"];
        let answer = self.ask(&self.repository.git, &args, ids.join("\n") + "\n")?;
        let answer = String::from_utf8_lossy(&answer).into_owned();
        let lines = answer.lines().filter_map(|line| line.split_once(' '));
        let there = lines.filter(|(_, kind)| !matches!(*kind, "missing" | "ambiguous"));
        Ok(there.map(|(id, kind)| (id.to_owned(), kind.to_owned())).collect())
    }

    /// The first file whose content is an object that git tells, and no file that may be read has.
    fn objects(&self, contents: &Contents) -> Result<Told, String> {
        let mut files = BTreeMap::new();
        for (path, ids) in contents.ids() {
            if self.site.stop.requested().is_some() {
                return Err("it was asked to stop".to_owned());
            }
            files.extend(ids.into_iter().map(|id| (id, path)));
        }
        let mut there = self.there(&files.keys().cloned().collect::<Vec<_>>())?;
        if there.is_empty() {
            return Ok(None);
        }
        let Repository { git, top } = self.repository;
        let index = self.ask(git, &["ls-files", "-z", "--stage", "--full-name"], String::new())?;
        let open: BTreeSet<String> = names_of(&index)
            .iter()
            .filter_map(|line| line.to_str()?.split_once('\t'))
            .filter_map(|(about, name)| Some((about.split(' ').nth(1)?.to_owned(), name)))
            .filter(|(id, name)| {
                let (name, place) = (PathBuf::from(name), top.join(name));
                files.contains_key(id)
                    && !(self.denied)(&name)
                    && place.starts_with(&self.site.workspace)
                    && git_contents::ids_of(&place).contains(id)
            })
            .map(|(id, _)| id)
            .collect();
        there.retain(|(id, _)| !open.contains(id));
        let found = there.iter().find_map(|(id, _)| files.get(id));
        Ok(found.map(|path| ((*path).to_owned(), AMONG_OBJECTS)))
    }
}

/// The log of a head that is compared with the one before.
const LONGEST_LOG: u64 = 64 << 20;

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
const AMONG_OBJECTS: &str = "has its content among git's objects";
const OUT_OF_GIT: &str = "; or take the file out of git";
const OUT_OF_OBJECTS: &str = "; or take it out of git: what leads to it (a tag, a note, another name), then `git reflog \
                             expire --expire=now --all` and `git gc --prune=now`";

/// Every commit that some reference, or its log, leads to; also on sides that a merge left nothing of.
///
/// # Source
/// git-log(1) of git 2.47: without `--full-history` and `-m`, such sides and what merges themselves bring are left
/// out.
const HISTORY: [&str; 11] = [
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
];

/// What repositories told, by what was asked of which state of their files.
static KNOWN: Mutex<BTreeMap<String, Told>> = Mutex::new(BTreeMap::new());

/// What histories told, by what was asked of which references.
static ASKED: Mutex<BTreeMap<String, Option<PathBuf>>> = Mutex::new(BTreeMap::new());
