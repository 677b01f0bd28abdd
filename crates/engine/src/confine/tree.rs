//! The layers of a site: what a program sees of the host, of a home and of the workspace, in the order in
//! which they are laid.

mod covering;
mod kept;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use botpipe_kernel::plan::SandboxMode;
use botpipe_sandbox::{Layer, Scratch};

use super::denied::{self, Denied};
use super::links::is_seen;
use super::paths::{absolute, is_pattern, straight};
use super::placeholders::is_there;
use super::scan::{self, Names};
use super::{
    Files, Placeholder, Refusal, Rules, Site, View, build_output, git, home, host, order, others,
    person, unless_stopped, view, within,
};
use crate::workspace::layout::Layout;

pub(super) fn compile(rules: &Rules<'_>, site: &Site) -> Result<Files, Refusal> {
    let (names, closed) = names_of(site)?;
    let mut work = Work::of(site);
    work.files.closed = closed;
    work.find_account(rules)?;
    work.lay_host(rules)?;
    let denied = denied::find(rules.deny_read, (site, &work.homes), &names, &work.lower)?;
    unless_stopped(site, "deny_read")?;
    work.find_roots(rules, &denied, &names)?;
    work.lay_workspace(rules, &denied, &names)?;
    unless_stopped(site, "deny_read")?;
    work.keep(rules, &names)?;
    work.cover(rules, denied, &names)?;
    work.close_sockets(&names);
    work.close_folders();
    let files = work.finish();
    view::check(&files.layers, site, &names)?;
    Ok(files)
}

/// The names of the workspace, and the folders of it that whoever runs this may not look into.
fn names_of(site: &Site) -> Result<(Arc<Names>, Vec<PathBuf>), Refusal> {
    let names = scan::names(&site.workspace, &scan::not_entered());
    names.map_err(|error| Refusal {
        control: "deny_read",
        what: format!("the workspace cannot be looked through: {error}"),
        permit: "make every folder of it readable for yourself".to_owned(),
    })
}

/// Whether a path that is not there would be a folder's: its last name has no ending.
fn is_a_folders_name(path: &Path) -> bool {
    path.extension().is_none()
}

/// What is being laid.
struct Work<'a> {
    site: &'a Site,
    files: Files,
    /// What may be written and stays.
    roots: Vec<PathBuf>,
    /// Laid first, in this order.
    lower: Vec<Layer>,
    /// Laid after, outer paths before inner ones.
    upper: Vec<Layer>,
    /// Folders that are empty for the program: what others have there is not seen.
    empty: Vec<PathBuf>,
    /// The workspace is seen in parts: nothing is hidden in it by name.
    parts: bool,
    /// What of the workspace is somebody's home.
    homes: Vec<PathBuf>,
    /// What of git is kept, where it was looked for before.
    git: Option<git::Kept>,
}

impl<'a> Work<'a> {
    fn of(site: &'a Site) -> Self {
        Self {
            site,
            files: Files::default(),
            roots: Vec::new(),
            lower: Vec::new(),
            upper: Vec::new(),
            empty: Vec::new(),
            parts: false,
            homes: Vec::new(),
            git: None,
        }
    }

    fn workspace(&self) -> &Path {
        &self.site.workspace
    }

    fn find_account(&mut self, rules: &Rules<'_>) -> Result<(), Refusal> {
        let kept = self.writes_what_stays(rules);
        let roots =
            rules.allow_write.iter().filter(|_| kept).map(|it| (it, absolute(it, self.site)));
        let roots: Vec<_> = roots.filter(|(_, path)| !self.is_our_own(path)).collect();
        self.files.account = others::account(self.site, &roots)?;
        self.files
            .gaps
            .extend(self.files.account.iter().flat_map(|it| others::gaps(self.site, *it)));
        Ok(())
    }

    fn writes_what_stays(&self, rules: &Rules<'_>) -> bool {
        rules.sandbox_mode != SandboxMode::ReadOnly && self.site.view != View::Discarded
    }

    fn lay_host(&mut self, rules: &Rules<'_>) -> Result<(), Refusal> {
        let home = self.site.home.as_deref();
        let (hidden, empty) = host::hidden(home);
        (self.lower, self.empty) = (hidden, empty);
        let account = self.files.account;
        let written = (rules.allow_write, account);
        let users = person::users();
        let seen = (self.empty.as_slice(), users.as_deref());
        self.files.unshown = home::lay(self.site, written, seen, &mut self.lower);
        self.homes = home::in_workspace(self.workspace(), home, users.as_deref());
        if !self.reads_everything(rules) {
            for folder in host::not_of_the_system() {
                if !within(&folder, &self.empty) {
                    self.lower.insert(0, Layer::Private(folder.clone()));
                    self.empty.push(folder);
                }
            }
        }
        for written in rules.allow_read {
            let path = absolute(written, self.site);
            if !self.workspace().starts_with(&path) && !path.starts_with(self.workspace()) {
                self.lower.push(Layer::Shown(straight("allow_read", written, &path)?));
            }
        }
        self.lower.extend(self.site.readable.iter().cloned().map(Layer::Shown));
        self.lower.extend(self.site.granted.iter().cloned().map(Layer::Writable));
        // Files of a branch lie in there, and are laid over it.
        if self.workspace().starts_with(&self.site.state) {
            self.lower.push(Layer::Private(self.site.state.clone()));
        }
        if self.reads_everything(rules) {
            self.lay_repository();
        }
        Ok(())
    }

    /// The rest of the repository that the workspace is a folder of, where nothing else is seen around it.
    fn lay_repository(&mut self) {
        let around = self.workspace().ancestors().find(|top| top.join(".git").exists());
        let Some(top) = around.filter(|top| *top != self.workspace()).map(Path::to_owned) else {
            return;
        };
        // A home may be one as well: it stays private.
        let is_home = self.site.home.as_ref().is_some_and(|home| home.starts_with(&top));
        let unseen = within(&top, &self.empty) || top.starts_with(&self.site.state);
        if !is_home && unseen && !self.empty.contains(&top) {
            self.lower.push(Layer::Shown(top.clone()));
            let others = top.join(Layout::FOLDER);
            self.lower.extend(others.is_dir().then_some(Layer::Private(others)));
        }
    }

    /// What may be written, by the policy.
    fn find_roots(
        &mut self,
        rules: &Rules<'_>,
        denied: &Denied,
        names: &Names,
    ) -> Result<(), Refusal> {
        if !self.writes_what_stays(rules) {
            return Ok(());
        }
        for written in rules.allow_write {
            let path = absolute(written, self.site);
            // The places of a step's artifacts are all that is meant by this.
            if self.is_our_own(&path) {
                continue;
            }
            if is_pattern(written) {
                return Err(Refusal {
                    control: "allow_write",
                    what: format!(
                        "`allow_write: {written}` is a pattern: only folders and files can be opened"
                    ),
                    permit: "name the folder they are in".to_owned(),
                });
            }
            let inside = path.starts_with(self.workspace());
            let parent = path.parent().filter(|parent| parent.is_dir());
            if let Some(parent) = parent.filter(|_| inside)
                && !is_there(&path)
                && is_a_folders_name(&path)
            {
                straight("allow_write", written, parent)?;
                self.files.placeholders.push(Placeholder { path: path.clone(), contents: None });
                self.roots.push(path);
                continue;
            }
            let root = straight("allow_write", written, &path)?;
            others::check(written, &root, self.files.account)?;
            self.roots.push(root);
        }
        // Denied wins over allowed.
        let kept = denied::patterns(rules.deny_write);
        let paths = rules.deny_write.iter().map(|text| text.strip_suffix("/**").unwrap_or(text));
        let closed: Vec<PathBuf> = paths
            .map(|text| absolute(text, self.site))
            .chain(denied.there.iter().cloned())
            .collect();
        let workspace = self.workspace().to_owned();
        let matches = |root: &Path| {
            let inside = root.strip_prefix(&workspace).unwrap_or(Path::new(""));
            inside.ancestors().any(|above| kept.is_match(above))
        };
        self.roots.retain(|root| !within(root, &closed) && !matches(root));
        self.roots.sort();
        self.roots.dedup();
        if within(&self.workspace().join(".git"), &self.roots) {
            let kept = git::kept(self.site, names, &self.roots)?;
            kept.check_lengths()?;
            let own = &self.site.state;
            self.roots.extend(kept.outside.iter().filter(|it| !it.starts_with(own)).cloned());
            self.git = Some(kept);
        }
        Ok(())
    }

    /// Whether a path is of what Botpipe keeps. The files of a branch lie in there, and are not.
    fn is_our_own(&self, path: &Path) -> bool {
        let of_branch = path.starts_with(self.workspace());
        path.starts_with(self.workspace().join(Layout::FOLDER))
            || (path.starts_with(&self.site.state) && !of_branch)
    }

    fn reads_everything(&self, rules: &Rules<'_>) -> bool {
        rules.allow_read.iter().any(|written| absolute(written, self.site) == Path::new("/"))
    }

    /// What of the workspace is read, where that is not the whole of it.
    fn read_in_part(&self, rules: &Rules<'_>) -> Result<Option<Vec<PathBuf>>, Refusal> {
        let paths = rules.allow_read.iter().map(|written| (written, absolute(written, self.site)));
        let paths: Vec<(&String, PathBuf)> = paths.collect();
        if paths.iter().any(|(_, path)| self.workspace().starts_with(path)) {
            return Ok(None);
        }
        let inside = paths.iter().filter(|(_, path)| path.starts_with(self.workspace()));
        inside
            .map(|(written, path)| straight("allow_read", written, path))
            .collect::<Result<_, _>>()
            .map(Some)
    }

    fn lay_workspace(
        &mut self,
        rules: &Rules<'_>,
        denied: &Denied,
        names: &Names,
    ) -> Result<(), Refusal> {
        let workspace = self.workspace().to_owned();
        if let Some(parts) = self.read_in_part(rules)? {
            if within(&workspace, &self.roots) {
                return Err(Refusal {
                    control: "allow_read",
                    what: "the workspace may be written as a whole and read only in part"
                        .to_owned(),
                    permit: "`allow_read: [.]`, or an `allow_write` that names the parts"
                        .to_owned(),
                });
            }
            // Nothing is written beside the parts: it would be gone without a word.
            self.lower.push(Layer::Empty(workspace));
            let mut parts: Vec<PathBuf> =
                parts.into_iter().filter(|part| !within(part, &self.roots)).collect();
            parts.sort();
            self.lower.extend(parts.into_iter().map(Layer::Shown));
            self.parts = true;
        } else if within(&workspace, &self.roots) {
            self.lower.push(Layer::Writable(workspace));
        } else {
            self.lay_view(denied, names, workspace);
        }
        let inner = self.roots.iter().filter(|root| *root != &self.site.workspace);
        self.upper.extend(inner.cloned().map(Layer::Writable));
        Ok(())
    }

    /// A workspace that is not written as a whole: names that are denied do not exist in it.
    fn lay_view(&mut self, denied: &Denied, names: &Names, at: PathBuf) {
        let discarded = self.site.view == View::Discarded;
        let mut hidden: BTreeSet<PathBuf> = BTreeSet::new();
        let mut hide = |path: &Path| {
            // What is ours is laid over in any case, and needs its place.
            if let Ok(inside) = path.strip_prefix(&at)
                && !path.starts_with(&self.site.state)
            {
                hidden.insert(inside.to_owned());
            }
        };
        let kept = |path: &Path| within(path, &self.roots);
        denied.there.iter().filter(|path| !kept(path)).for_each(|path| hide(path));
        for path in denied.missing.iter().filter(|path| !kept(path)) {
            // The first folder on the way that is missing: else nothing could be hidden in it.
            let first = path.ancestors().take_while(|path| path.symlink_metadata().is_err());
            first.last().into_iter().for_each(&mut hide);
        }
        for folder in names.folders() {
            let folder = at.join(folder);
            if !kept(&folder) {
                denied.everywhere.iter().for_each(|name| hide(&folder.join(name)));
            }
        }
        let below = |path: &Path| path.ancestors().skip(1).any(|above| hidden.contains(above));
        let shown: Vec<PathBuf> = hidden.iter().filter(|path| !below(path)).cloned().collect();
        let mut folders = Vec::new();
        if !discarded {
            let (there, missing) = build_output::folders(&at, names);
            let seen = |path: &PathBuf| !hidden.contains(path) && !below(path);
            for path in there.into_iter().filter(seen).filter(|path| !kept(&at.join(path))) {
                let names = shown.iter().filter_map(|name| name.strip_prefix(&path).ok());
                let scratch = Scratch {
                    at: at.join(&path),
                    hidden: names.map(Path::to_owned).collect(),
                    writable: true,
                    ..Scratch::default()
                };
                self.upper.push(Layer::Scratch(scratch));
            }
            for path in missing.into_iter().filter(seen) {
                self.upper.push(Layer::Private(at.join(&path)));
                folders.push(path);
            }
        }
        self.lower.push(Layer::Scratch(Scratch {
            at,
            hidden: shown,
            folders,
            writable: discarded,
        }));
    }

    fn finish(mut self) -> Files {
        let ours: Vec<PathBuf> = self.site.places.iter().chain(&self.site.shown).cloned().collect();
        let upper = order::laid(std::mem::take(&mut self.upper), &ours);
        self.files.layers = self.lower.into_iter().chain(upper).collect();
        order::close_around(&self.site.workspace, &self.empty, &mut self.files.layers);
        let layers = &self.files.layers;
        self.files.unshown.retain(|it| !is_seen(layers, &it.path));
        self.files.written =
            self.roots.into_iter().chain(self.site.places.iter().cloned()).collect();
        self.files.placeholders.sort();
        self.files.placeholders.dedup();
        self.files
    }
}
