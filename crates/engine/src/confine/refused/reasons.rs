//! The sentences: what was refused, by which control, and the line of policy that would permit it.

use std::os::unix::fs::FileTypeExt as _;
use std::path::{Component, Path, PathBuf};

use botpipe_kernel::plan::SandboxMode;
use botpipe_sandbox::Layer;

use super::{Effect, Reasons};
use crate::confine::home as homes;
use crate::confine::links::{Led, follow};
use crate::confine::paths::absolute;
use crate::confine::whole::{IN_MEMORY, Surroundings, compile};
use crate::confine::{View, denied, protected, within};
use crate::policy::{Control, Origin, size};
use crate::workspace::layout::Layout;

impl Reasons {
    pub(super) fn not_written(&self, path: &Path, removes: bool) -> String {
        let shown = self.shown(path);
        if within(path, &self.closed) {
            return self.not_looked_into(path);
        }
        if let Some(why) = self.nobodys(path) {
            return format!("`{shown}` is not written: {why}");
        }
        if let Some(text) = self.names(&self.policy.deny_write, path) {
            let mut permit = self.without(Control::DenyWrite, &self.policy.deny_write, path);
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
                self.line(Control::DenyWrite, &[])
            );
        }
        if within(path, &self.written) {
            return format!(
                "`{shown}` is not written: {KEPT}, and no policy permits it; write it yourself"
            );
        }
        let folder = to_grant(path, removes);
        if self.site.view == View::Discarded {
            return format!(
                "`{shown}` is not written: whoever judges the work writes in their own view of the \
                 workspace only, and no policy permits more; `BOTPIPE_ALLOW_WRITE={}` in Botpipe's own \
                 environment does",
                folder.display()
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
        let permit = self.to_write(path, removes).unwrap_or_else(|| self.with_more(&folder));
        format!("`{shown}` is not written: it is read only; {permit} permits it")
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
            "`{}` is not written: folders in memory hold {} at most, all together; `limits: {{ memory: {} }}` \
             permits it, up to half of the machine's memory",
            self.shown(path),
            size(Some(most)),
            size(Some(most.saturating_mul(2)))
        )
    }

    /// Of a process or thread that was one too many.
    pub(super) fn not_started(&self) -> Option<String> {
        let most = self.policy.limits.processes?;
        Some(format!(
            "a process or thread is not started: {most} may be there at a time; `limits: {{ processes: {} }}` \
             permits more",
            most.saturating_mul(2)
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

    /// Of a server.
    pub(super) fn not_listening(&self) -> String {
        let who = self.who(Control::LocalBinding);
        format!(
            "nothing listens here: `allow_local_binding: false` keeps servers from it; \
             `allow_local_binding: true`{who} permits it"
        )
    }

    fn denied_by_name(&self, path: &Path) -> Option<String> {
        let shown = self.shown(path);
        let text = self.names(&self.policy.deny_read, path)?;
        let permit = self.without(Control::DenyRead, &self.policy.deny_read, path);
        Some(format!("`{shown}` is not read: `deny_read: {text}` hides it; {permit} permits it"))
    }

    /// Why nobody writes it whatever a policy says, with what to do.
    fn nobodys(&self, path: &Path) -> Option<String> {
        if self.is_ours(path) {
            return Some(OURS.to_owned());
        }
        if ["/proc", "/sys", "/dev"].iter().any(|kernels| path.starts_with(kernels)) {
            return Some(KERNELS.to_owned());
        }
        let inside = path.strip_prefix(&self.site.workspace).ok()?;
        let steers = protected::names().any(|name| inside.starts_with(name));
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
    fn names(&self, list: &[String], path: &Path) -> Option<String> {
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

    /// A list that has all of the host means what programs are shown of it, and takes nothing more.
    fn to_read(&self, path: &Path) -> String {
        let path = with_its_own(path, self.site.home.as_deref());
        self.to_read_all(&[path.to_owned()])
    }

    fn to_read_all(&self, paths: &[PathBuf]) -> String {
        let list = &self.policy.allow_read;
        let has =
            |path: &PathBuf| list.iter().any(|text| path.starts_with(absolute(text, &self.site)));
        if paths.iter().any(has) {
            let paths: Vec<String> = paths.iter().map(|path| path.display().to_string()).collect();
            return format!(
                "`BOTPIPE_ALLOW_READ={}` in Botpipe's own environment",
                paths.join(":")
            );
        }
        let more: Vec<String> = paths.iter().map(|path| self.shown(path)).collect();
        let list = list.iter().filter(|text| !more.contains(text)).chain(&more);
        self.line(Control::AllowRead, &list.cloned().collect::<Vec<_>>())
    }

    fn mode(&self) -> String {
        let who = self.who(Control::SandboxMode);
        format!("`sandbox_mode: workspace_write`{who}")
    }

    /// The lists of what is written with one path more: where several narrow each other, all that lack it have to
    /// give, each with what it has already.
    fn with_more(&self, path: &Path) -> String {
        let layers = &self.policy.lists.allow_write;
        if layers.len() < 2 {
            return self.with(Control::AllowWrite, &self.policy.allow_write, path);
        }
        let has =
            |list: &[String]| list.iter().any(|it| path.starts_with(absolute(it, &self.site)));
        let lacking = layers.iter().filter(|(_, list)| !has(list));
        let more = self.shown(path);
        let lines = lacking.map(|(origin, list)| {
            let texts: Vec<String> = list.iter().chain([&more]).map(|it| in_yaml(it)).collect();
            let whose = match origin {
                Origin::Ceiling { path } => format!("in `{path}`, which narrows it,"),
                Origin::Repository { path } => format!("in `{path}`"),
                Origin::Default => "in the workflow".to_owned(),
                Origin::Workflow | Origin::Step | Origin::Turn => format!("of the {origin}"),
            };
            format!("`{}: [{}]` {whose}", Control::AllowWrite, texts.join(", "))
        });
        lines.collect::<Vec<_>>().join(" with ")
    }

    /// The line with one path more: lists are set as a whole.
    fn with(&self, control: Control, list: &[String], path: &Path) -> String {
        let more = self.shown(path);
        let list = list.iter().filter(|text| **text != more).cloned().chain([more.clone()]);
        self.line(control, &list.collect::<Vec<_>>())
    }

    /// The list without all that means the path.
    fn without(&self, control: Control, list: &[String], path: &Path) -> String {
        let means = |text: &&String| self.names(std::slice::from_ref(*text), path).is_some();
        let rest: Vec<String> = list.iter().filter(|text| !means(text)).cloned().collect();
        self.line(control, &rest)
    }

    fn line(&self, control: Control, list: &[String]) -> String {
        let texts: Vec<String> = list.iter().map(|text| in_yaml(text)).collect();
        format!("`{control}: [{}]`{}", texts.join(", "), self.who(control))
    }

    /// Authors permit nothing that an operator's file narrows.
    pub(super) fn who(&self, control: Control) -> String {
        match self.policy.origin(control) {
            Origin::Ceiling { path } => format!(" in `{path}`, which narrows it,"),
            _ => String::new(),
        }
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
const KERNELS: &str = "it is the kernel's, and no policy of a sandbox permits it; \
                       `sandbox_mode: danger_full_access` leaves the sandbox";
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

/// A program with what lies beside it, which it looks for: the folder that its `bin` is in.
fn with_its_own<'a>(path: &'a Path, home: Option<&Path>) -> &'a Path {
    let bin = path.parent().filter(|folder| folder.ends_with("bin") && path.is_file());
    let whole = bin.and_then(Path::parent);
    let wide = |folder: &Path| {
        home.is_some_and(|home| home.starts_with(folder)) || folder.ends_with(".local")
    };
    whole.filter(|folder| folder.components().count() > 2 && !wide(folder)).unwrap_or(path)
}

fn first_missing(path: &Path) -> PathBuf {
    let missing = path.ancestors().take_while(|path| path.symlink_metadata().is_err());
    missing.last().unwrap_or(path).to_owned()
}

fn is_socket(path: &Path) -> bool {
    path.symlink_metadata().is_ok_and(|it| it.file_type().is_socket())
}

/// A text as it stands in a list of YAML.
fn in_yaml(text: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "/._-~@+ ".contains(c);
    let begins = text.starts_with(|c: char| c.is_alphanumeric() || "/._".contains(c));
    if begins && text.chars().all(plain) && !text.ends_with(' ') {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', "''"))
    }
}
