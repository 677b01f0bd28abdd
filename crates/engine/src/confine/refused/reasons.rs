//! The sentences: what was refused, by which control, and the line of policy that would permit it.

use std::os::unix::fs::FileTypeExt as _;
use std::path::{Component, Path, PathBuf};

use botpipe_kernel::plan::{Policy, SandboxMode};
use botpipe_sandbox::Layer;
use rustix::fs::statvfs;

use super::lines::with_its_own;
use super::{Effect, Reasons, Told};
use crate::confine::home as homes;
use crate::confine::links::{Led, follow};
use crate::confine::paths::{absolute, in_shell};
use crate::confine::whole::{IN_MEMORY, Surroundings, compile};
use crate::confine::{View, denied, protected, within};
use crate::policy::{Control, size};
use crate::workspace::layout::Layout;

impl Reasons {
    pub(super) fn not_written(&self, path: &Path, removes: bool) -> String {
        let shown = self.shown(path);
        if within(path, &self.closed) {
            return self.not_looked_into(path);
        }
        if let Some(why) = self.nobodys(path) {
            let whole = self.whole_repository(path, removes);
            return whole.unwrap_or_else(|| format!("`{shown}` is not written: {why}"));
        }
        if let Some(text) = self.names(&self.policy.deny_write, path) {
            let mut permit = self.without(Control::DenyWrite, path);
            if let Some(more) = self.to_write(path, removes) {
                permit = format!("{permit} with {more}");
            }
            return format!(
                "`{shown}` is not written: `deny_write: {text}` keeps it; {permit} permits it"
            );
        }
        if within(path, &self.unwritten) {
            return format!(
                "`{shown}` is not written: it is another name of what `deny_write` keeps; {} permits it",
                self.lines(Control::DenyWrite, |list| (!list.is_empty()).then(Vec::new))
            );
        }
        if within(path, &self.written) {
            return self.whole_repository(path, removes).unwrap_or_else(|| {
                format!(
                    "`{shown}` is not written: {KEPT}, and no policy permits it; write it yourself"
                )
            });
        }
        let folder = to_grant(path, removes);
        if self.site.view == View::Discarded {
            return format!(
                "`{shown}` is not written: whoever judges the work writes in their own view of the \
                 workspace only, and no policy permits more; `BOTPIPE_ALLOW_WRITE={}` in Botpipe's own \
                 environment does",
                in_shell([folder.as_path()])
            );
        }
        if folder == Path::new("/") {
            return format!(
                "`{shown}` is not written: it is read only; `allow_write` takes what is there: make `{}` \
                 yourself, and name it there",
                first_missing(path).display()
            );
        }
        if !self.is_opened_by(&folder, path) {
            return format!(
                "`{shown}` is not written: {KEPT}, and no policy permits it; write it yourself"
            );
        }
        let permit = self.to_write(path, removes).unwrap_or_default();
        if permit.is_empty() {
            return format!(
                "`{shown}` is not written: {KEPT}, and no policy permits it; write it yourself"
            );
        }
        format!("`{shown}` is not written: it is read only; {permit} permits it")
    }

    /// Of what steers git in a repository and was to go with all of it: one sentence for whatever is left.
    fn whole_repository(&self, path: &Path, removes: bool) -> Option<String> {
        let repository = repository_of(path).filter(|_| removes)?;
        Some(format!(
            "nothing of `{}` that steers git (its settings and hooks) is removed or replaced, and no policy permits \
             it; do it yourself",
            self.shown(&repository)
        ))
    }

    /// Whether it is a repository's settings, and kept.
    pub(super) fn is_kept_of_git(&self, path: &Path) -> bool {
        let is_kept = self.nobodys(path).is_some() || within(path, &self.written);
        is_kept && !self.is_ours(path) && repository_of(path).is_some()
    }

    /// Of settings that a command of git was to write.
    pub(super) fn not_set(&self, path: &Path) -> String {
        format!(
            "`{}` is not written: {KEPT}, and no policy permits it; run this git command yourself, outside",
            self.shown(path)
        )
    }

    /// Whether a list has it denied by its name.
    pub(super) fn is_denied(&self, path: &Path) -> bool {
        self.names(&self.policy.deny_read, path).is_some()
    }

    /// Whether a path outside the workspace is written where a policy has the folder: settings of git and of shells in
    /// a home are kept all the same. What cannot be tried is taken to be.
    fn is_opened_by(&self, folder: &Path, path: &Path) -> bool {
        if path.starts_with(&self.site.workspace) {
            return true;
        }
        let mut wider = self.policy.clone();
        wider.sandbox_mode = SandboxMode::WorkspaceWrite;
        wider.allow_write.push(folder.display().to_string());
        let Ok(compiled) = compile(&wider, &self.site, &Surroundings::default()) else {
            return true;
        };
        let mut never = compiled.files.iter().filter_map(|files| files.lookout.as_ref());
        // Many folders are called so, and only workflows are kept of them.
        let meant = |it: &PathBuf| path.starts_with(it) && !it.ends_with("workflows");
        let never = never.any(|lookout| lookout.missing.keys().any(meant));
        let opened = Self::of(&compiled, &wider, &self.site);
        opened.is_none_or(|opened| !never && opened.effect(path) == Effect::Written)
    }

    /// What opens a path that is read only; `None`: it is open.
    fn to_write(&self, path: &Path, removes: bool) -> Option<String> {
        let allowed: Vec<PathBuf> =
            self.policy.allow_write.iter().map(|text| absolute(text, &self.site)).collect();
        let folder = to_grant(path, removes);
        let list = || self.with_more(&folder);
        match (self.policy.sandbox_mode, within(&folder, &allowed)) {
            (SandboxMode::ReadOnly, true) => Some(self.mode()),
            (SandboxMode::ReadOnly, false) => Some(format!("{} with {}", self.mode(), list())),
            (_, false) => Some(list()),
            (_, true) => None,
        }
    }

    /// Of what folders in memory have no room for.
    pub(super) fn not_held(&self, path: &Path) -> String {
        let most = self.policy.limits.memory.unwrap_or(IN_MEMORY);
        format!(
            "`{}` is not written: folders in memory hold {} at most, all together; {} permits it, up to half of the \
             machine's memory",
            self.shown(path),
            size(Some(most)),
            self.larger(Control::Memory, &size(Some(most.saturating_mul(2))))
        )
    }

    /// The same where no file is named, while the host has room.
    pub(super) fn not_held_anywhere(&self) -> Option<Told> {
        let has_room = |path: &Path| statvfs(path).is_ok_and(|it| it.f_bavail > 0);
        let mut places = self.written.iter().map(PathBuf::as_path).chain([&*self.site.workspace]);
        let most = self.policy.limits.memory.unwrap_or(IN_MEMORY);
        let permit = self.larger(Control::Memory, &size(Some(most.saturating_mul(2))));
        let sentence = format!(
            "a file is not written: folders in memory (such as `/tmp`) hold {} at most, all together; {permit} \
             permits it, up to half of the machine's memory",
            size(Some(most)),
        );
        places.all(has_room).then_some(Told { sentence, of_unseen: false })
    }

    /// Of a process or thread that was one too many.
    pub(super) fn not_started(&self) -> Option<String> {
        let most = self.policy.limits.processes?;
        Some(format!(
            "a process or thread is not started: {most} may be there at a time; {} permits more",
            self.larger(Control::Processes, &most.saturating_mul(2).to_string())
        ))
    }

    /// Of what is closed by a mask at `by`, or hidden.
    pub(super) fn not_read(&self, path: &Path, by: &Path) -> String {
        let shown = self.shown(path);
        // Closed within the places of a step too: by nothing but us, unless a list has its name.
        if self.is_ours(path)
            || (self.is_in_ours(path) && self.names(&self.policy.deny_read, path).is_none())
        {
            return format!("`{shown}` is not read: {OURS}");
        }
        if is_socket(path) {
            return format!("`{shown}` is not reached: {SOCKET}");
        }
        if within(path, &self.closed) {
            return self.not_looked_into(path);
        }
        if let Some(sentence) = self.denied_by_name(path) {
            return sentence;
        }
        if within(path, &self.denied) {
            return format!(
                "`{shown}` is not read: it is another name of what `deny_read` hides, or proves who \
                 somebody is, and no policy permits that in a workspace; work in a folder without it"
            );
        }
        let permit = self.to_read(by);
        format!("`{shown}` is not read: it is a secret of this machine; {permit} permits it")
    }

    /// Of what lies in a folder that whoever runs this may not look into.
    fn not_looked_into(&self, path: &Path) -> String {
        let folder = self.closed.iter().find(|folder| path.starts_with(folder));
        let folder = folder.map_or(path, PathBuf::as_path);
        let shown = self.shown(folder);
        format!(
            "`{shown}` is not opened: you have no right to read it yourself, and a program may no more than you; the \
             right to read and enter that folder (`chmod`, `chown`) permits it"
        )
    }

    /// Of what lies where the program has an empty folder of its own.
    pub(super) fn not_shown(&self, path: &Path) -> String {
        let shown = self.shown(path);
        if self.is_ours(path) {
            return format!("`{shown}` is not seen: {OURS}");
        }
        if is_socket(path) {
            return format!("`{shown}` is not reached: {SOCKET}");
        }
        if let Some(sentence) = self.denied_by_name(path) {
            return sentence;
        }
        let permit = self.to_read(path);
        format!("`{shown}` is not seen: programs have an empty folder there; {permit} permits it")
    }

    /// Of links on the way to what the host has: programs do not see them, nor perhaps where they lead.
    pub(super) fn link_not_shown(&self, led: &Led) -> String {
        let home = self.site.home.as_deref();
        let unseen: Vec<&PathBuf> = led.links.iter().filter(|link| self.is_unseen(link)).collect();
        let plain = |path: &PathBuf| {
            !self.is_ours(path) && !is_socket(path) && self.denied_by_name(path).is_none()
        };
        if let Some(other) = unseen.iter().copied().chain([&led.to]).find(|path| !plain(path)) {
            return self.not_shown(other);
        }
        let mut folders: Vec<PathBuf> = Vec::new();
        for link in &unseen {
            let own = with_its_own(link, home);
            let folder = if own == link.as_path() { link.parent().unwrap_or(own) } else { own };
            // It would show all that lies in a home, or what proves who somebody is.
            let is_a_root = self.layers.iter().any(
                |layer| matches!(layer, Layer::Private(at) | Layer::Empty(at) if at == folder),
            );
            if is_a_root || home.is_some_and(|home| homes::is_wide(home, folder)) {
                let (shown, to) = (self.shown(link), self.shown(&led.to));
                let more = if self.is_unseen(&led.to) {
                    format!(", which {} shows", self.to_read(&led.to))
                } else {
                    String::new()
                };
                return format!(
                    "`{shown}` is not seen: it is a link in a folder that is not shown; name `{to}` in its \
                     place{more}"
                );
            }
            if !within(folder, &folders) {
                folders.push(folder.to_owned());
            }
        }
        if self.is_unseen(&led.to) && !within(&led.to, &folders) {
            folders.push(with_its_own(&led.to, home).to_owned());
        }
        let shown = self.shown(unseen.first().map_or(&led.to, |link| link));
        let permit = self.to_read_all(&folders);
        format!("`{shown}` is not seen: programs have an empty folder there; {permit} permits it")
    }

    /// Of what cannot be renamed or removed, since something is laid over it.
    pub(super) fn not_moved(&self, path: &Path, effect: &Effect) -> String {
        let shown = self.shown(path);
        match effect {
            Effect::Masked(by) => self.not_read(path, by),
            Effect::Read => self.not_written(path, true),
            Effect::Written | Effect::Hidden | Effect::Private(_) => format!(
                "`{shown}` is not moved or removed: what lies in it is kept, and no policy permits it; do \
                 it yourself"
            ),
        }
    }

    /// Of our own folder, by those who clear up.
    pub(super) fn not_gone(&self, path: &Path) -> String {
        format!(
            "`{}` is not removed: {OURS}; leave it out, as `git clean -e {}` does",
            self.shown(path),
            Layout::FOLDER
        )
    }

    /// Of a server.
    pub(super) fn not_listening(&self) -> String {
        let denies = |it: &Policy| it.allow_local_binding == Some(false);
        let permit = self.word(Control::LocalBinding, "true", denies);
        format!(
            "nothing listens here: `allow_local_binding: false` keeps servers from it; {permit} permits it"
        )
    }

    fn denied_by_name(&self, path: &Path) -> Option<String> {
        let shown = self.shown(path);
        let text = self.names(&self.policy.deny_read, path)?;
        let permit = self.without(Control::DenyRead, path);
        Some(format!("`{shown}` is not read: `deny_read: {text}` hides it; {permit} permits it"))
    }

    /// Why nobody writes it whatever a policy says, with what to do.
    fn nobodys(&self, path: &Path) -> Option<String> {
        if self.is_ours(path) {
            return Some(OURS.to_owned());
        }
        if ["/proc", "/sys", "/dev"].iter().any(|kernels| path.starts_with(kernels)) {
            return Some(format!("{KERNELS}; {}", self.leaves()));
        }
        let inside = path.strip_prefix(&self.site.workspace).ok()?;
        let is_home = self.site.home.as_ref() == Some(&self.site.workspace);
        let of_home = || {
            let (there, missing) = protected::of_home(&self.site.workspace);
            there.into_iter().chain(missing).any(|it| path.starts_with(it))
        };
        let by_name = protected::names().any(|name| inside.starts_with(name));
        let steers = by_name || (is_home && of_home());
        let mut parts = inside.components().map(Component::as_os_str);
        let git = parts.any(|part| part == ".git")
            && parts.next().is_some_and(|part| {
                ["config", "config.worktree", "hooks"].iter().any(|it| part == *it)
            });
        (steers || git).then(|| format!("{KEPT}, and no policy permits it; write it yourself"))
    }

    /// The files of a branch lie in there, and are not.
    pub(super) fn is_ours(&self, path: &Path) -> bool {
        self.is_in_ours(path) && !within(path, &self.site.places)
    }

    fn is_in_ours(&self, path: &Path) -> bool {
        let of_branch = path.starts_with(&self.site.workspace);
        path.starts_with(self.site.workspace.join(Layout::FOLDER))
            || (path.starts_with(&self.site.state) && !of_branch)
    }

    /// The text of a list of paths and globs that means the path.
    pub(super) fn names(&self, list: &[String], path: &Path) -> Option<String> {
        let inside = path.strip_prefix(&self.site.workspace).ok();
        let means = |text: &&String| {
            let whole = text.strip_suffix("/**").unwrap_or(text);
            let matches = inside.is_some_and(|inside| {
                let patterns = denied::patterns(std::slice::from_ref(*text));
                inside.ancestors().any(|above| patterns.is_match(above))
            });
            let named = absolute(whole, &self.site);
            matches || path.starts_with(&named) || path.starts_with(follow(&named).to)
        };
        list.iter().find(means).cloned()
    }

    /// As a policy names it: relative in the workspace.
    pub(super) fn shown(&self, path: &Path) -> String {
        match path.strip_prefix(&self.site.workspace) {
            Ok(inside) if inside.as_os_str().is_empty() => ".".to_owned(),
            Ok(inside) => inside.display().to_string(),
            Err(_) => path.display().to_string(),
        }
    }
}

const KEPT: &str = "it steers git, Botpipe, or agents, editors and shells on this machine";
const OURS: &str = "it is Botpipe's own record, and no policy permits it; what a step may write there are \
                    its artifacts";
const KERNELS: &str = "it is the kernel's, and no policy of a sandbox permits it";
const SOCKET: &str = "it is a socket of this machine, and no policy of a sandbox permits it; its path in \
                      `BOTPIPE_ALLOW_WRITE` in Botpipe's own environment does";

/// What has to be named so that the path can be written: a file that is there by itself, unless its name is
/// to go, else the folder.
fn to_grant(path: &Path, removes: bool) -> PathBuf {
    let there = path.ancestors().find(|path| path.symlink_metadata().is_ok());
    let there = there.unwrap_or(Path::new("/"));
    let parent = there.parent().filter(|_| removes && there == path);
    parent.unwrap_or(there).to_owned()
}

/// The folder of git's own whose settings or hooks a path is of.
fn repository_of(path: &Path) -> Option<PathBuf> {
    let steers = ["config", "config.worktree", "commondir", "hooks"];
    let of = path.ancestors().find(|above| steers.iter().any(|name| above.ends_with(name)));
    let folder = of.and_then(Path::parent)?;
    folder.join("config").is_file().then(|| folder.to_owned())
}

fn first_missing(path: &Path) -> PathBuf {
    let missing = path.ancestors().take_while(|path| path.symlink_metadata().is_err());
    missing.last().unwrap_or(path).to_owned()
}

fn is_socket(path: &Path) -> bool {
    path.symlink_metadata().is_ok_and(|it| it.file_type().is_socket())
}
