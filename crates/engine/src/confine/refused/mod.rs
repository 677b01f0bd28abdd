//! Why a program was refused a file or a host: by the policy, in which case the one line that would permit it is
//! told, or by something else, in which case nothing is.

mod across;
mod bounds;
mod lines;
mod network;
mod reasons;
mod rights;
mod words;

#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use botpipe_egress::Rules;
use botpipe_sandbox::{Account, Layer, Text};
use rustix::fs::{Access, access};

use super::links::follow;
use super::paths::as_far_as_there;
use super::whole::{Compiled, Door};
use super::{Files, Site, within};
use crate::plain;
use crate::policy::{Resolved, lexical};
use rights::Listens;
use words::Kind;
pub(crate) use words::{Complaint, complaints, of_message};

/// What binds a program, to say why a file was refused to it.
#[derive(Debug, Clone)]
pub(crate) struct Reasons {
    policy: Resolved,
    site: Site,
    /// Whether files are kept from it at all.
    keeps_files: bool,
    layers: Vec<Layer>,
    denied: Vec<PathBuf>,
    closed: Vec<PathBuf>,
    written: Vec<PathBuf>,
    unwritten: Vec<PathBuf>,
    /// Who it runs as; `None`: whoever runs Botpipe.
    account: Option<Account>,
    /// What stands in the place of what is not there.
    placeholders: Vec<PathBuf>,
    /// What the proxy lets pass; `None`: the network is the host's.
    reached: Option<Rules>,
}

/// A refusal, as a sentence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Told {
    pub(crate) sentence: String,
    /// It says that the host has something where the program sees nothing: that is for people only, or
    /// programs would learn from it what is there.
    pub(crate) of_unseen: bool,
}

/// What a program can do with a path, by the layers in their order.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Effect {
    Read,
    Written,
    /// There, and closed, by a layer at this path.
    Masked(PathBuf),
    /// A name that does not exist for it.
    Hidden,
    /// Below a folder of its own, at this path: what the host has there is not seen.
    Private(PathBuf),
}

/// Refusals that are told of one program.
pub(crate) const MOST_TOLD: usize = 50;
/// What is told where there were more.
pub(crate) const MORE: &str = "more was refused than the 50 sentences that are told of one program";

impl Reasons {
    /// Of a program that is confined like this; `None`: it is not.
    pub(crate) fn of(compiled: &Compiled, policy: &Resolved, site: &Site) -> Option<Self> {
        compiled.confinement.as_ref()?;
        let none = Files::default();
        let files = compiled.files.as_ref().unwrap_or(&none);
        Some(Self {
            keeps_files: compiled.files.is_some(),
            policy: policy.clone(),
            site: site.clone(),
            layers: files.layers.clone(),
            denied: files.denied.clone(),
            closed: files.closed.clone(),
            written: files.written.clone(),
            unwritten: files.unwritten.clone(),
            account: files.account,
            placeholders: files.placeholders.iter().map(|it| it.path.clone()).collect(),
            reached: compiled.doors.iter().find_map(|door| match door {
                Door::Proxy(rules) => Some(rules.as_ref().clone()),
                Door::Address(_) | Door::Api(_) => None,
            }),
        })
    }

    /// A sentence, if it is the policy that refused what is complained of. Asked while the host is still as
    /// it was.
    pub(crate) fn told(&self, complaint: &Complaint) -> Option<Told> {
        let named = complaint.paths.first().map(String::as_str);
        match complaint.kind {
            Kind::NotStarted => {
                let sentence = self.not_started()?;
                return Some(Told { sentence, of_unseen: false });
            }
            Kind::Unreached(by) => return self.not_reached(by, named),
            Kind::Unanswered => return self.not_answered(named?),
            Kind::TooLarge => return self.not_longer(),
            Kind::NoMemory => return self.not_given(),
            Kind::NoKey => return self.not_signed(named?),
            Kind::Across => return self.not_across(complaint),
            _ => {}
        }
        let of_path = complaint.paths.iter().find_map(|path| self.of_path(complaint, path));
        // Git names paths from the top of its repository, wherever it was started.
        let of_path = of_path.or_else(|| {
            let cwd = self.repository_above().filter(|_| complaint.kind == Kind::ReadOnly);
            let from_top = Complaint { cwd: Some(cwd?), ..complaint.clone() };
            complaint.paths.iter().find_map(|path| self.of_path(&from_top, path))
        });
        // A script is there and what runs it is not.
        let of_path = of_path.or_else(|| {
            let missing = complaint.paths.iter().filter(|_| complaint.kind == Kind::Missing);
            let mut runs = missing.filter_map(|path| what_runs(&self.meant(complaint, path)?));
            runs.find_map(|path| self.of_path(complaint, &path))
        });
        of_path.or_else(|| {
            // `'standard output'` is no file.
            let is_file =
                |name: &String| name.contains('/') || is_there(&self.site.workspace.join(name));
            if complaint.kind == Kind::Full && self.keeps_files {
                return self.not_held_anywhere().filter(|_| !complaint.paths.iter().any(is_file));
            }
            let sentence = match (complaint.listens, self.policy.allow_local_binding) {
                (Listens::No, _) | (Listens::High, true) => None,
                (Listens::High | Listens::Low, false) => Some(self.not_listening()),
                (Listens::Low, true) => rights::not_listening_low(),
            };
            sentence.map(|sentence| Told { sentence, of_unseen: false })
        })
    }

    /// The same of a program that was to be executed; `missing`: it was not found, else it may not be.
    pub(crate) fn told_of_program(&self, program: &Path, missing: bool) -> Option<Told> {
        let paths = program.to_str().filter(|path| path.contains('/')).map(str::to_owned);
        let kind = if missing { Kind::Missing } else { Kind::Denied };
        self.told(&Complaint::of(kind, paths.into_iter().collect()))
    }

    /// The top of the repository that the workspace is a folder of.
    fn repository_above(&self) -> Option<PathBuf> {
        let mut above = self.site.workspace.ancestors();
        let top = above.find(|folder| is_there(&folder.join(".git")))?;
        (top != self.site.workspace).then(|| top.to_owned())
    }

    /// The path that a text of a complaint means, with its dots resolved as text.
    fn meant(&self, complaint: &Complaint, written: &str) -> Option<PathBuf> {
        if written.len() > LONGEST || written.chars().any(char::is_control) {
            return None;
        }
        let begins = complaint.cwd.as_deref().unwrap_or(&self.site.workspace);
        let path = match (written.strip_prefix("~/"), &self.site.home) {
            (Some(rest), Some(home)) => home.join(rest),
            _ => begins.join(written),
        };
        Some(lexical(&path))
    }

    fn of_path(&self, complaint: &Complaint, written: &str) -> Option<Told> {
        let path = self.meant(complaint, written)?;
        if complaint.kind == Kind::Missing
            && let Some(sentence) = self.of_links(&path)
        {
            return Some(Told { sentence, of_unseen: true });
        }
        // A link that is to go is meant itself.
        let itself = complaint.removes || complaint.kind == Kind::Busy;
        let path = match (path.parent(), path.file_name()) {
            (Some(folder), Some(name)) if itself => as_far_as_there(folder).join(name),
            _ => as_far_as_there(&path),
        };
        let effect = self.effect(&path);
        let sentence = match (complaint.kind, &effect) {
            (Kind::NotPermitted(tried), _) => self.not_permitted(&path, tried)?,
            _ if !self.keeps_files => return None,
            // Its name stood in front of what it said.
            (Kind::ReadOnly, _) if is_program_of_system(&path) => return None,
            (Kind::Full, _) if self.is_in_memory(&path) => self.not_held(&path),
            (Kind::NotMade | Kind::Unopened, Effect::Read)
                if may_write(&path) && !is_there(&path) =>
            {
                self.not_written(&path, false)
            }
            (Kind::ReadOnly | Kind::Busy, _) if complaint.by_git && self.is_kept_of_git(&path) => {
                self.not_set(&path)
            }
            (Kind::ReadOnly, Effect::Read | Effect::Masked(_)) if may_write(&path) => {
                self.not_written(&path, complaint.removes)
            }
            // Beside the workspace, where only the program would see what it writes, nothing is made.
            (Kind::ReadOnly, Effect::Private(_))
                if self.is_ours(&path)
                    || (may_write(&path)
                        && !self.is_in_memory(&path)
                        && !path.starts_with(&self.site.workspace)) =>
            {
                self.not_written(&path, complaint.removes)
            }
            (Kind::IsFolder, _) if self.placeholders.contains(&path) => {
                self.not_written(&path, false)
            }
            // It turned up while the program ran, and was covered then.
            (Kind::Denied | Kind::Busy, Effect::Read | Effect::Written)
                if may_read(&path) && self.is_denied(&path) =>
            {
                self.not_read(&path, &path)
            }
            (Kind::Denied | Kind::Unopened, Effect::Masked(by)) if may_read(&path) => {
                self.not_read(&path, by)
            }
            (Kind::Missing, Effect::Hidden) if may_read(&path) => self.not_read(&path, &path),
            (Kind::Missing, Effect::Private(_)) if may_read(&path) => self.not_shown(&path),
            (Kind::Busy, _) if self.is_ours(&path) => self.not_gone(&path),
            (Kind::Busy, _) if self.is_pinned(&path) && may_write(&path) => {
                self.not_moved(&path, &effect)
            }
            // Settings of a home, which are shown by themselves.
            (Kind::Busy, Effect::Read) if self.is_laid(&path) && may_write(&path) => {
                self.not_written(&path, false)
            }
            (Kind::Denied | Kind::Unopened, Effect::Written | Effect::Read) => {
                self.not_owned(&path, complaint.removes)?
            }
            _ => return None,
        };
        Some(Told { sentence, of_unseen: complaint.kind == Kind::Missing })
    }

    /// Of a link that programs do not see, whatever it leads to.
    fn of_links(&self, path: &Path) -> Option<String> {
        let led = follow(path);
        let unseen = led.links.iter().any(|link| self.is_unseen(link));
        (unseen && may_read(path)).then(|| self.link_not_shown(&led))
    }

    /// Whether it lies in a folder of the program's own.
    fn is_unseen(&self, path: &Path) -> bool {
        matches!(self.effect(path), Effect::Private(_))
    }

    fn effect(&self, path: &Path) -> Effect {
        let mut effect = Effect::Read;
        for layer in &self.layers {
            let (at, then) = match layer {
                Layer::Masked(at) => (at, Effect::Masked(at.clone())),
                Layer::Private(at) | Layer::Empty(at) => (at, Effect::Private(at.clone())),
                Layer::Shown(at) | Layer::Text(Text { at, .. }) => (at, Effect::Read),
                Layer::Writable(at) => (at, Effect::Written),
                Layer::Scratch(scratch) => {
                    let inside = path.strip_prefix(&scratch.at).ok();
                    let hidden =
                        inside.is_some_and(|it| scratch.hidden.iter().any(|h| it.starts_with(h)));
                    let there = if scratch.writable { Effect::Written } else { Effect::Read };
                    let own =
                        inside.is_some_and(|it| scratch.folders.iter().any(|f| it.starts_with(f)));
                    match (hidden, own) {
                        (true, _) => (&scratch.at, Effect::Hidden),
                        (false, true) => (&scratch.at, Effect::Private(scratch.at.clone())),
                        (false, false) => (&scratch.at, there),
                    }
                }
            };
            if path.starts_with(at) {
                effect = then;
            }
        }
        effect
    }

    /// Whether what is written there is kept in memory.
    fn is_in_memory(&self, path: &Path) -> bool {
        let mut held = false;
        for layer in &self.layers {
            let (at, holds) = match layer {
                Layer::Masked(at) | Layer::Empty(at) | Layer::Shown(at) | Layer::Writable(at) => {
                    (at, false)
                }
                Layer::Private(at) => (at, true),
                Layer::Scratch(scratch) => (&scratch.at, scratch.writable),
                Layer::Text(text) => (&text.at, false),
            };
            if path.starts_with(at) {
                held = holds;
            }
        }
        held
    }

    /// Whether something is laid at the path itself, inside of what is written: it cannot be moved.
    fn is_pinned(&self, path: &Path) -> bool {
        within(path, &self.written)
            && !self.written.iter().any(|root| root == path)
            && self.is_laid(path)
    }

    /// Whether something is laid at the path itself.
    fn is_laid(&self, path: &Path) -> bool {
        self.layers.iter().any(|layer| match layer {
            Layer::Masked(at) | Layer::Shown(at) | Layer::Writable(at) => at == path,
            Layer::Private(_) | Layer::Empty(_) | Layer::Scratch(_) | Layer::Text(_) => false,
        })
    }
}

/// Whether the host itself would let us write there, or make and remove names there.
fn may_write(path: &Path) -> bool {
    let there = path.ancestors().find(|path| path.symlink_metadata().is_ok());
    let may = |path: &Path| access(path, Access::WRITE_OK).is_ok();
    there.is_some_and(|there| may(there) || there.parent().is_some_and(may))
}

fn is_there(path: &Path) -> bool {
    path.symlink_metadata().is_ok()
}

/// Whether it is a program that came with the system.
fn is_program_of_system(path: &Path) -> bool {
    let folders = ["/usr", "/bin", "/sbin", "/lib", "/lib64", "/nix"];
    folders.iter().any(|folder| path.starts_with(folder))
        && path.is_file()
        && access(path, Access::EXEC_OK).is_ok()
}

/// What the first line of a script says that runs it.
fn what_runs(script: &Path) -> Option<String> {
    let first = plain::peek_first(script, 256).ok()?;
    let first = String::from_utf8_lossy(&first);
    let runs = first.strip_prefix("#!")?.split_whitespace().next()?;
    runs.starts_with('/').then(|| runs.to_owned())
}

/// Whether the host has it and would let us read it.
fn may_read(path: &Path) -> bool {
    access(path, Access::READ_OK).is_ok()
}

/// Longer ones are no paths.
const LONGEST: usize = 4096;
