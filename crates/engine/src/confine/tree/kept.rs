//! What of the trees that are written nobody writes: how it is laid, and what stands in for what is missing.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use botpipe_sandbox::Layer;

use super::Work;
use crate::confine::links::follow;
use crate::confine::lookout::Lookout;
use crate::confine::placeholders::is_there;
use crate::confine::scan::{self, Names};
use crate::confine::{
    Placeholder, Refusal, Rules, covered, git, kept_links, place_taken, protected, record,
    unwritten, within,
};
use crate::workspace::layout::Layout;

impl Work<'_> {
    /// What nobody writes, in the trees that are written.
    pub(super) fn keep(&mut self, rules: &Rules<'_>, names: &Names) -> Result<(), Refusal> {
        let own = self.site.state.clone();
        if own.is_dir() {
            if !self.workspace().starts_with(&own) {
                // Of that git knows what the project keeps, and passes over the rest: else a commit would take that for
                // deleted, and this for new.
                let shown = Layout::IN_GIT.map(|name| own.join(name)).into_iter();
                let shown = shown.filter(|it| is_there(it) && !it.is_symlink());
                self.upper.extend(shown.map(Layer::Shown));
                self.upper.push(Layer::Empty(own.clone()));
            }
            if within(&own, &self.roots) {
                self.files.kept.insert(own, false);
            }
            self.upper.extend(self.site.shown.iter().cloned().map(Layer::Shown));
            self.upper.extend(self.site.places.iter().cloned().map(Layer::Writable));
            self.upper.extend(self.site.covered.iter().cloned().map(Layer::Masked));
        }
        let mut kept = match self.git.take() {
            Some(kept) => kept,
            None => git::kept(self.site, names, &self.roots)?,
        };
        kept.known.closed_before(&self.files.closed);
        let (mut there, mut missing) = protected::of(self.workspace());
        for home in &self.homes {
            let (also, never) = protected::of_home(home);
            there.extend(also);
            missing.extend(never);
        }
        there.extend(self.site.kept.iter().filter(|path| is_there(path)).cloned());
        self.files.gaps.extend(kept.gaps.into_iter().filter(|_| !self.roots.is_empty()));
        let mut there: BTreeSet<PathBuf> = kept.there.into_iter().chain(there).collect();
        for root in self.roots.iter().filter(|root| !root.starts_with(self.workspace())) {
            let (also, never) = protected::of(root);
            there.extend(also);
            missing.extend(never);
        }
        for own in place_taken::of(self.workspace(), &self.roots) {
            there.remove(&own);
            missing.remove(&own);
            self.take_place(own);
        }
        let links = kept_links::of(&there, self.workspace(), names);
        for target in links.values() {
            let list = if is_there(target) { &mut there } else { &mut missing };
            list.insert(target.clone());
        }
        // By every other name of theirs as well.
        let others = scan::other_names(&there, self.workspace(), &self.site.state, names);
        for path in there.iter().chain(&others).filter(|path| **path != self.site.state) {
            self.keep_one(path, true);
        }
        self.keep_records();
        let missing = missing.into_iter().chain(kept.named);
        // Also where a link that is there leads: one that a program makes is put aside itself.
        let roots = &self.roots;
        let mut tops: BTreeMap<PathBuf, bool> = BTreeMap::new();
        let mut led = |path: &PathBuf| {
            let root = roots.iter().find(|root| path.starts_with(root))?;
            let top = root.join(path.strip_prefix(root).ok()?.iter().next()?);
            let deep = top != *path;
            let may_lead = deep && *tops.entry(top).or_insert_with_key(|top| is_there(top));
            may_lead.then(|| follow(path).to)
        };
        let missing = missing.flat_map(|path| led(&path).into_iter().chain([path]));
        // An empty folder of Botpipe's own stands in for one that others have.
        let text = |path: &Path| path.ends_with(Layout::FOLDER).then(String::new);
        let missing = missing.filter(|path| within(path, roots));
        let mut missing: BTreeMap<PathBuf, Option<String>> =
            missing.map(|path| (path.clone(), text(&path))).collect();
        for placeholder in kept.missing {
            if within(&placeholder.path, &self.roots) {
                let contents = placeholder.contents.unwrap_or_default().to_owned();
                missing.insert(placeholder.path.clone(), Some(contents));
                self.stand_in(placeholder);
            }
        }
        if !self.roots.is_empty() || !self.site.places.is_empty() {
            let written = self.roots.iter().chain(&self.site.places);
            let beside = written.filter(|path| !path.starts_with(self.workspace()));
            self.files.lookout = Some(Lookout {
                workspace: self.workspace().to_owned(),
                written: beside.cloned().collect(),
                missing,
                repositories: Some(kept.known),
                kept: BTreeMap::new(),
            });
        }
        self.keep_unwritten(rules, names)
    }

    fn keep_unwritten(&mut self, rules: &Rules<'_>, names: &Names) -> Result<(), Refusal> {
        let found = unwritten::find(rules.deny_write, self.site, names, &self.lower)?;
        let open = found.there.iter().filter(|path| within(path, &self.roots));
        covered::few_enough("deny_write", open.count())?;
        for path in &found.there {
            self.keep_one(path, false);
        }
        for path in &found.missing {
            let missing = path.ancestors().take_while(|path| !is_there(path));
            if let Some(first) = missing.last().filter(|_| within(path, &self.roots)) {
                self.files.kept.entry(first.to_owned()).or_insert(false);
                self.stand_in(Placeholder { path: first.to_owned(), contents: None });
            }
        }
        self.files.gaps.extend(found.gaps);
        self.files.unwritten = found.there.into_iter().collect();
        Ok(())
    }

    /// Keeps one from being written, and from being moved away with a folder above it. `steers`: it has others run
    /// something.
    fn keep_one(&mut self, path: &Path, steers: bool) {
        for path in self.lay_kept(path) {
            *self.files.kept.entry(path).or_default() |= steers;
        }
    }

    /// Lays it; what was laid.
    fn lay_kept(&mut self, path: &Path) -> Vec<PathBuf> {
        let led = follow(path);
        let mut laid = Vec::new();
        // A link by its own name too, or it would be put to lead elsewhere.
        for path in led.links.into_iter().chain([led.to]) {
            if within(&path, &self.roots) && path.symlink_metadata().is_ok() {
                self.pin(&path);
                self.upper.push(unwritten::kept(path.clone()));
                laid.push(path);
            }
        }
        laid
    }

    /// Keeps the folder in which it is written down what is looked out for, where a policy opens what is around it.
    fn keep_records(&mut self) {
        if let Some(records) = record::folder_of_person()
            && within(&records, &self.roots)
            && record::made(&records).is_ok()
        {
            // All that Botpipe keeps there, where a program is given nothing of it.
            let all = records.parent().unwrap_or(&records).to_owned();
            let given = self.site.granted.iter().chain(&self.site.places);
            let none = within(&all, &self.roots) && !given.clone().any(|it| it.starts_with(&all));
            self.lay_kept(if none { &all } else { &records });
        }
    }

    /// Botpipe's own folder stands there, empty, where a first run may make it.
    fn take_place(&mut self, own: PathBuf) {
        self.pin(&own);
        self.upper.push(Layer::Empty(own.clone()));
        self.files.kept.insert(own.clone(), false);
        self.files.placeholders.push(Placeholder { path: own, contents: None });
    }

    fn stand_in(&mut self, placeholder: Placeholder) {
        self.pin(&placeholder.path);
        self.upper.push(Layer::Shown(placeholder.path.clone()));
        self.files.placeholders.push(placeholder);
    }

    /// Keeps every folder between a path and what is written in its place.
    pub(super) fn pin(&mut self, path: &Path) {
        let roots = self.roots.iter().filter(|root| path.starts_with(root));
        let Some(root) = roots.max_by_key(|root| root.components().count()) else { return };
        let between = path.ancestors().skip(1).take_while(|above| above != root);
        let between = between.filter(|above| above.starts_with(root));
        self.upper.extend(between.map(|above| Layer::Writable(above.to_owned())));
    }
}
