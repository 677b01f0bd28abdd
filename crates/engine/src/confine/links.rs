//! What paths and patterns of a policy name by way of links that lead to other folders, in the workspace or
//! outside of it.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::path::{Component, Path, PathBuf};

use botpipe_sandbox::Layer;

use super::pattern::{Pattern, Reached};
use super::scan::{Kind, Names};
use super::{Refusal, Site};

/// Where a path leads, also where nothing is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Led {
    /// The links on the way, each by a path without links.
    pub(super) links: Vec<PathBuf>,
    /// Without links in it.
    pub(super) to: PathBuf,
}

/// More than the kernel follows.
const MOST_LINKS: usize = 40;

/// Follows every link on an absolute path, one after the other.
pub(super) fn follow(path: &Path) -> Led {
    let mut led = Led { links: Vec::new(), to: PathBuf::from("/") };
    let mut names = in_turn(path);
    while let Some(name) = names.pop() {
        if name == ".." {
            led.to.pop();
            continue;
        }
        let next = led.to.join(&name);
        match fs::read_link(&next) {
            Ok(target) if led.links.len() < MOST_LINKS => {
                if target.is_absolute() {
                    led.to = PathBuf::from("/");
                }
                names.extend(in_turn(&target));
                led.links.push(next);
            }
            _ => led.to = next,
        }
    }
    led
}

/// The names of a path, the first one last.
fn in_turn(path: &Path) -> Vec<OsString> {
    let names = path.components().rev().filter_map(|part| match part {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some("..".into()),
        _ => None,
    });
    names.collect()
}

/// What patterns name by way of links to folders.
#[derive(Debug, Default)]
pub(super) struct Through {
    /// What is there, outside the workspace.
    pub(super) there: BTreeSet<PathBuf>,
    /// One place, outside the workspace, where nothing is.
    pub(super) missing: BTreeSet<PathBuf>,
    /// Patterns that mean the same in the workspace, relative to it.
    pub(super) inside: BTreeSet<String>,
    /// The links, but for those that `**` stands for.
    pub(super) links: BTreeSet<PathBuf>,
}

/// Names outside the workspace that are looked through for what patterns mean. Each start does it again.
const MOST_NAMES: usize = 20_000;

/// Follows patterns below the workspace through its links. `laid` is what a program sees of the host.
pub(super) fn through(
    control: &'static str,
    patterns: &[(&String, Pattern)],
    site: &Site,
    names: &Names,
    laid: &[Layer],
) -> Result<Through, Refusal> {
    let links = names.entries().filter(|(_, entry)| entry.kind == Kind::Link);
    let links: Vec<PathBuf> = links.map(|(path, _)| site.workspace.join(path)).collect();
    if links.is_empty() {
        return Ok(Through::default());
    }
    let found = Through::default();
    let mut search = Search { site, names, links, laid, found, left: MOST_NAMES };
    for (text, pattern) in patterns {
        search.look_for(pattern).map_err(|link| Refusal {
            control,
            what: format!(
                "`{control}: {text}` also means what the link `{}` leads to, outside the workspace, and \
                 there are more than {MOST_NAMES} names",
                link.display()
            ),
            permit: format!(
                "a pattern that does not begin with `**`, or `{control}` of the link itself, keeps what it \
                 means"
            ),
        })?;
    }
    Ok(search.found)
}

struct Search<'a> {
    site: &'a Site,
    names: &'a Names,
    /// Those of the workspace.
    links: Vec<PathBuf>,
    laid: &'a [Layer],
    found: Through,
    left: usize,
}

/// A folder outside that is looked through.
struct Outside {
    folder: PathBuf,
    reached: Reached,
    /// The link of the workspace that led there.
    by: PathBuf,
}

impl Search<'_> {
    /// `Err`: the link that leads to more than can be looked through.
    fn look_for(&mut self, pattern: &Pattern) -> Result<(), PathBuf> {
        let workspace = self.site.workspace.clone();
        let begin = pattern.after(pattern.begin(), &workspace);
        let mut known = BTreeSet::from([(workspace.clone(), begin.clone())]);
        let mut inside = vec![(workspace, begin.clone())];
        let mut outside: Vec<Outside> = Vec::new();
        loop {
            let mut crossed: Vec<(PathBuf, Reached, PathBuf)> = Vec::new();
            if let Some((folder, reached)) = inside.pop() {
                for link in &self.links {
                    let Ok(on_the_way) = link.strip_prefix(&folder) else { continue };
                    let reached = pattern.after(reached.clone(), on_the_way);
                    if !reached.is_empty() && !pattern.means(&reached) {
                        crossed.push((link.clone(), reached, link.clone()));
                    }
                }
            } else if let Some(next) = outside.pop() {
                self.look_outside(pattern, next, &mut crossed, &mut outside)?;
            } else {
                return Ok(());
            }
            for (link, reached, by) in crossed {
                let Some(folder) = self.folder_of(&link) else { continue };
                let looked_through = self.is_looked_through(&folder);
                // Whatever `**` finds by a link to a folder of the workspace it finds without.
                let any = begin.iter().any(|at| pattern.is_any(*at));
                let own: Reached =
                    reached.iter().filter(|at| !any || !begin.contains(at)).copied().collect();
                let reached = if looked_through { own.clone() } else { reached };
                if reached.is_empty() || !known.insert((folder.clone(), reached.clone())) {
                    continue;
                }
                if !own.is_empty() {
                    self.found.links.extend(follow(&link).links);
                }
                if looked_through {
                    self.mean_inside(pattern, &reached, &folder);
                    inside.push((folder, reached));
                } else {
                    outside.push(Outside { folder, reached, by });
                }
            }
        }
    }

    /// The folder that a link leads to.
    fn folder_of(&self, link: &Path) -> Option<PathBuf> {
        // What is known need not be asked for.
        let inside = link.strip_prefix(&self.site.workspace).ok();
        let text = fs::read_link(link).ok()?;
        let mut at = inside.and_then(Path::parent);
        let mut rest = text.as_path();
        while let Ok(after) = rest.strip_prefix("..") {
            (at, rest) = (at.and_then(Path::parent), after);
        }
        let plain = rest.components().all(|part| matches!(part, Component::Normal(_)));
        if let Some(known) = at.map(|at| at.join(rest)).filter(|it| plain && self.names.has(it)) {
            return Some(self.site.workspace.join(known));
        }
        link.canonicalize().ok().filter(|found| found.is_dir())
    }

    fn mean_inside(&mut self, pattern: &Pattern, reached: &[usize], folder: &Path) {
        let Ok(below) = folder.strip_prefix(&self.site.workspace) else { return };
        let below = globset::escape(&below.to_string_lossy());
        let rests = reached.iter().map(|at| pattern.rest(*at));
        self.found.inside.extend(rests.map(|rest| match below.as_str() {
            "" => rest,
            below => format!("{below}/{rest}"),
        }));
    }

    /// Whether the names of the workspace have what is in a folder.
    fn is_looked_through(&self, folder: &Path) -> bool {
        folder.strip_prefix(&self.site.workspace).is_ok_and(|inside| {
            !inside.starts_with(".botpipe") && !inside.starts_with(".git/objects")
        })
    }

    fn look_outside(
        &mut self,
        pattern: &Pattern,
        Outside { folder, reached, by }: Outside,
        crossed: &mut Vec<(PathBuf, Reached, PathBuf)>,
        next: &mut Vec<Outside>,
    ) -> Result<(), PathBuf> {
        let plain = reached.iter().map(|at| pattern.rest_of_path(*at));
        if let Some(rests) = plain.collect::<Option<Vec<_>>>() {
            for rest in rests {
                let led = follow(&folder.join(rest));
                self.found.links.extend(led.links);
                let there = fs::symlink_metadata(&led.to).is_ok();
                let list = if there { &mut self.found.there } else { &mut self.found.missing };
                list.insert(led.to);
            }
            return Ok(());
        }
        for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
            let path = entry.path();
            if !is_seen(self.laid, &path) {
                continue;
            }
            self.left = self.left.checked_sub(1).ok_or_else(|| by.clone())?;
            let reached = pattern.then(&reached, &entry.file_name());
            let Ok(kind) = entry.file_type() else { continue };
            if pattern.means(&reached) {
                let led = follow(&path);
                self.found.links.extend(led.links);
                self.found.there.insert(led.to);
            } else if kind.is_symlink() && !reached.is_empty() {
                crossed.push((path, reached, by.clone()));
            } else if kind.is_dir() && !reached.is_empty() {
                next.push(Outside { folder: path, reached, by: by.clone() });
            }
        }
        Ok(())
    }
}

/// Whether a program under these layers sees something of the host there, or below.
pub(super) fn is_seen(laid: &[Layer], path: &Path) -> bool {
    let mut seen = true;
    for layer in laid {
        let (at, shows) = match layer {
            Layer::Private(at) | Layer::Empty(at) | Layer::Masked(at) => (at, false),
            Layer::Shown(at) | Layer::Writable(at) => (at, true),
            Layer::Scratch(scratch) => (&scratch.at, true),
            Layer::Text(text) => (&text.at, false),
        };
        if path.starts_with(at) || (shows && at.starts_with(path)) {
            seen = shows;
        }
    }
    seen
}
