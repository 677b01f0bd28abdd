//! What may not be read: the files and folders that patterns name now, every other name of theirs, and
//! what they may come to name while a program runs.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};

use botpipe_sandbox::Layer;

use super::links::{self, follow};
use super::paths::{absolute, as_far_as_there, is_pattern};
use super::pattern::Pattern;
use super::scan::{self, Kind, Names};
use super::{Refusal, Site, home, side_by_side};

const CONTROL: &str = "deny_read";

/// What `deny_read` names.
#[derive(Debug, Clone, Default)]
pub(super) struct Denied {
    /// What is there, in the workspace or outside.
    pub(super) there: BTreeSet<PathBuf>,
    /// What is not there, by patterns that name one place: absolute paths.
    pub(super) missing: BTreeSet<PathBuf>,
    /// Patterns of the workspace that mean the same by way of links, and other names of what is denied.
    pub(super) others: BTreeSet<String>,
    /// Names that are denied in every folder of the workspace.
    pub(super) everywhere: Vec<String>,
    /// The patterns of the workspace, for what turns up later.
    pub(super) patterns: Option<GlobSet>,
}

/// Names that turn up while a program runs are covered by hand.
#[derive(Debug, Clone)]
pub(crate) struct Watched {
    /// The workspace.
    pub(crate) workspace: PathBuf,
    /// The folders in which they may turn up.
    pub(crate) folders: Vec<PathBuf>,
    /// The names that were there when it was compiled.
    pub(super) names: std::sync::Arc<Names>,
    /// What is denied, relative to the workspace.
    pub(crate) patterns: GlobSet,
}

/// Finds what the patterns name. `names` are those of the workspace; `laid` is what a program sees of the
/// host; `homes` are what of the workspace is somebody's.
pub(super) fn find(
    written: &[String],
    (site, homes): (&Site, &[PathBuf]),
    names: &Names,
    laid: &[Layer],
) -> Result<Denied, Refusal> {
    let mut denied = Denied::default();
    let mut set = GlobSetBuilder::new();
    let mut patterns = Vec::new();
    // A home that is the workspace itself is no place to read them either.
    let all: BTreeSet<&PathBuf> = site.home.iter().chain(homes).collect();
    let mut secrets = home::secrets(all);
    secrets.extend(homes.iter().flat_map(|home| home::state_in(home, site)));
    let of_workspace = secrets.iter().filter(|path| path.starts_with(&site.workspace));
    denied.there.extend(of_workspace.cloned());
    for text in written {
        let whole = text.strip_suffix("/**").or_else(|| text.strip_suffix('/')).unwrap_or(text);
        let path = absolute(whole, site);
        if site.workspace.starts_with(&path) {
            return Err(Refusal {
                control: CONTROL,
                what: format!(
                    "`deny_read: {text}` hides the whole workspace, and nothing could run in it"
                ),
                permit: "name what of it may not be read".to_owned(),
            });
        }
        let Ok(inside) = path.strip_prefix(&site.workspace) else {
            outside(text, &path, &mut denied)?;
            continue;
        };
        let inside = inside.to_string_lossy().into_owned();
        add(&mut set, &inside).map_err(|error| unreadable(text, &error))?;
        let all = Pattern::all(&site.workspace, &inside);
        let all = all.map_err(|error| unreadable(text, &error))?;
        patterns.extend(all.into_iter().map(|pattern| (text, pattern)));
        if let Some(name) = inside.strip_prefix("**/").filter(|name| !is_pattern(name)) {
            denied.everywhere.push(name.to_owned());
        } else if !is_pattern(&inside) {
            let led = follow(&path);
            if fs::symlink_metadata(&led.to).is_err() {
                denied.missing.insert(led.to);
            }
        }
    }
    if patterns.is_empty() {
        let secrets = secrets.into_iter().collect();
        denied.there.extend(scan::other_names(&secrets, &site.workspace, &site.state, names));
        return Ok(denied);
    }
    // By a link to another folder, something is named that has another path.
    let through = links::through(CONTROL, &patterns, site, names, laid)?;
    denied.there.extend(through.there);
    denied.missing.extend(through.missing);
    for glob in &through.inside {
        add(&mut set, glob).map_err(|error| unreadable(glob, &error))?;
    }
    let set = set.build().map_err(|error| unreadable("its patterns", &error.to_string()))?;
    // Below a denied folder everything is gone with it. The workspace is none, though `*` means it too: it has no name.
    let is_denied = |folder: &Path| !folder.as_os_str().is_empty() && set.is_match(folder);
    let folders: Vec<_> = names.all().collect();
    let named = side_by_side::map(&folders, |(folder, entries)| {
        super::unless_stopped(site, CONTROL)?;
        let named = if is_denied(folder) { &[] } else { *entries };
        let named = named.iter().map(|entry| (folder.join(&entry.name), entry.kind));
        Ok(named.filter(|(path, _)| set.is_match(path)).collect::<Vec<_>>())
    });
    let named = named.into_iter().collect::<Result<Vec<_>, Refusal>>()?;
    for (path, kind) in named.into_iter().flatten() {
        let path = site.workspace.join(path);
        if kind == Kind::Link {
            // Else what it leads to would be read by its own name.
            let led = path.canonicalize().ok();
            denied.others.extend(led.iter().filter_map(|led| inside(led, site)));
            denied.there.extend(led);
        }
        denied.there.insert(path);
    }
    let known: BTreeSet<PathBuf> = denied.there.iter().cloned().chain(secrets).collect();
    let others = scan::other_names(&known, &site.workspace, &site.state, names);
    denied.others.extend(others.iter().filter_map(|path| inside(path, site)));
    denied.others.extend(through.inside);
    denied.there.extend(others);
    denied.there.extend(objects_of(&denied.there, site));
    denied.patterns = Some(set);
    Ok(denied)
}

/// A path of the workspace as a pattern of it.
fn inside(path: &Path, site: &Site) -> Option<String> {
    let inside = path.strip_prefix(&site.workspace).ok()?;
    Some(globset::escape(&inside.to_string_lossy()))
}

/// A text with all that lies below what it names.
fn add(set: &mut GlobSetBuilder, text: &str) -> Result<(), String> {
    for glob in [text.to_owned(), format!("{text}/**")] {
        let glob = GlobBuilder::new(&glob).literal_separator(true).build();
        set.add(glob.map_err(|error| error.to_string())?);
    }
    Ok(())
}

/// Other names of denied files among the objects of git, which are not looked through otherwise: only where
/// a file has a name that was not found.
fn objects_of(there: &BTreeSet<PathBuf>, site: &Site) -> Vec<PathBuf> {
    let mut found = scan::several_names(there.iter().cloned().collect());
    let mut left: BTreeMap<scan::Inode, u64> = BTreeMap::new();
    let files = there.iter().filter_map(|path| fs::symlink_metadata(path).ok());
    for status in files.filter(fs::Metadata::is_file) {
        *left.entry(scan::inode(&status)).or_insert_with(|| status.nlink()) -= 1;
    }
    found.retain(|inode| left.get(inode) != Some(&0));
    if found.is_empty() {
        return Vec::new();
    }
    let objects = site.workspace.join(".git/objects");
    let (mut others, mut next) = (Vec::new(), vec![objects]);
    while let Some(folder) = next.pop() {
        for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
            let Ok(status) = entry.metadata() else { continue };
            if status.is_dir() {
                next.push(entry.path());
            } else if found.contains(&scan::inode(&status)) {
                others.push(entry.path());
            }
        }
    }
    others
}

/// The patterns of the workspace that a policy denies; those that cannot be read deny nothing here, and are
/// refused where they are enforced.
pub(crate) fn patterns(written: &[String]) -> GlobSet {
    let mut set = GlobSetBuilder::new();
    for text in written.iter().filter(|text| !text.starts_with(['/', '~'])) {
        let whole = text.strip_suffix("/**").or_else(|| text.strip_suffix('/')).unwrap_or(text);
        for glob in [whole.to_owned(), format!("{whole}/**")] {
            if let Ok(glob) = GlobBuilder::new(&glob).literal_separator(true).build() {
                set.add(glob);
            }
        }
    }
    set.build().unwrap_or_else(|_| GlobSet::empty())
}

/// The same, with what they mean through links that are in a workspace now.
pub(crate) fn patterns_in(workspace: &Path, written: &[String]) -> GlobSet {
    let site = super::site::of_person(workspace.to_owned(), None);
    let inside = written.iter().filter(|text| !text.starts_with(['/', '~']));
    let all = inside.flat_map(|text| {
        let whole = text.strip_suffix("/**").or_else(|| text.strip_suffix('/')).unwrap_or(text);
        let all = Pattern::all(workspace, whole).unwrap_or_default();
        all.into_iter().map(move |pattern| (text, pattern))
    });
    let all: Vec<(&String, Pattern)> = all.collect();
    let names =
        if all.is_empty() { None } else { scan::names(workspace, &scan::not_entered()).ok() };
    let through =
        names.and_then(|(names, _)| links::through(CONTROL, &all, &site, &names, &[]).ok());
    let more = through.map(|found| found.inside).unwrap_or_default();
    let texts: Vec<String> = written.iter().cloned().chain(more).collect();
    patterns(&texts)
}

/// A path outside the workspace is one place, or everything below one.
fn outside(text: &str, path: &Path, denied: &mut Denied) -> Result<(), Refusal> {
    if is_pattern(&path.to_string_lossy()) {
        return Err(Refusal {
            control: CONTROL,
            what: format!(
                "`deny_read: {text}` is a pattern outside the workspace, and nobody looks there for names"
            ),
            permit: "name the folder that holds them, as in `/srv/keys/**`".to_owned(),
        });
    }
    let path = as_far_as_there(path);
    let list = if path.exists() { &mut denied.there } else { &mut denied.missing };
    list.insert(path);
    Ok(())
}

fn unreadable(text: &str, why: &str) -> Refusal {
    Refusal {
        control: CONTROL,
        what: format!("`deny_read: {text}` is no pattern: {why}"),
        permit: "write it with `*`, `**`, `?`, `[a-z]` and `{a,b}`".to_owned(),
    }
}
