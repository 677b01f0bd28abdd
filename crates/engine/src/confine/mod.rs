//! The policy compiler: what a resolved policy says becomes what the operating system is told.

mod build_output;
pub(crate) mod canary;
mod certificates;
pub(crate) mod command;
mod covered;
mod deep;
pub(crate) mod denied;
mod elsewhere;
mod eyes;
mod git;
mod git_contents;
mod git_files;
mod git_keys;
mod git_settings;
pub(crate) mod guard;
mod hints;
mod history;
pub(crate) mod home;
mod host;
mod kept_links;
mod keys;
#[cfg(test)]
mod laws;
pub(crate) mod left_out;
mod links;
mod logins;
mod lookout;
pub(crate) mod merged;
mod order;
mod others;
mod paths;
mod pattern;
pub(crate) mod person;
mod place_taken;
mod placeholders;
mod protected;
mod record;
pub(crate) mod refused;
pub(crate) mod registries;
mod replaced;
pub(crate) mod report;
mod scan;
mod side_by_side;
pub(crate) mod site;
mod sockets;
mod toolchains;
mod tree;
mod unwritten;
mod view;
pub(crate) mod whole;
mod work_trees;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use botpipe_kernel::ids::Role;
use botpipe_kernel::plan::SandboxMode;
use botpipe_sandbox::{Account, Layer};

use crate::policy::Resolved;
use crate::process::StopSwitch;
pub(crate) use paths::is_theirs;
pub(crate) use placeholders::Placeholders;

/// What a policy says about files.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rules<'a> {
    pub(crate) sandbox_mode: SandboxMode,
    pub(crate) allow_read: &'a [String],
    pub(crate) deny_read: &'a [String],
    pub(crate) allow_write: &'a [String],
    pub(crate) deny_write: &'a [String],
}

impl<'a> Rules<'a> {
    /// Those of a policy.
    fn of(policy: &'a Resolved) -> Self {
        Self {
            sandbox_mode: policy.sandbox_mode,
            allow_read: &policy.allow_read,
            deny_read: &policy.deny_read,
            allow_write: &policy.allow_write,
            deny_write: &policy.deny_write,
        }
    }
}

/// Where a program runs and what it must have to do its work there.
#[derive(Debug, Clone)]
pub(crate) struct Site {
    /// The workspace, without links in its path.
    pub(crate) workspace: PathBuf,
    /// The home of whoever runs it, without links in its path.
    pub(crate) home: Option<PathBuf>,
    /// The folder that is Botpipe's own: nothing of it is seen but what follows.
    pub(crate) state: PathBuf,
    /// Of that, what is written whatever the policy says: where artifacts go.
    pub(crate) places: Vec<PathBuf>,
    /// Of that, what is read.
    pub(crate) shown: Vec<PathBuf>,
    /// Of that, what nobody sees although it lies in the others.
    pub(crate) covered: Vec<PathBuf>,
    /// What of the workspace is not written although its name steers nobody: what says what the run does.
    pub(crate) kept: Vec<PathBuf>,
    /// What is written outside the workspace whatever the policy says.
    pub(crate) granted: Vec<PathBuf>,
    /// What is read outside the workspace whatever the policy says.
    pub(crate) readable: Vec<PathBuf>,
    /// Whether changes of the workspace stay.
    pub(crate) view: View,
    /// Folders of programs, to be found by the `PATH`.
    pub(crate) path: Vec<PathBuf>,
    /// Tool chains, to be found by variables.
    pub(crate) tools: Vec<toolchains::Tool>,
    /// Files and folders of certificates, by the variables that name them.
    pub(crate) certificates: Vec<certificates::Named>,
    /// Thrown, what is looked for is looked for no longer, and nothing starts.
    pub(crate) stop: StopSwitch,
}

/// What becomes of changes that a program makes in the workspace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum View {
    /// They stay, where the policy allows them.
    Kept,
    /// It may make any, and they are gone with it: how a verifier or a check looks at the work.
    Discarded,
}

impl View {
    /// Of a turn: who judges the work looks at it as it is.
    pub(crate) fn of(role: Role) -> Self {
        if role == Role::Verifier { Self::Discarded } else { Self::Kept }
    }
}

/// What the files of a program are, as the operating system is told.
#[derive(Debug, Clone, Default)]
pub(crate) struct Files {
    /// For [`botpipe_sandbox::Confinement::files`].
    pub(crate) layers: Vec<Layer>,
    /// What has to be there on the host while it runs, so that something can be laid over it.
    pub(crate) placeholders: Vec<Placeholder>,
    /// What must not come to be, and is looked for afterwards.
    pub(crate) lookout: Option<lookout::Lookout>,
    /// What of the trees that are written is kept from being written, and whether it has others run something.
    pub(crate) kept: BTreeMap<PathBuf, bool>,
    /// What is covered by hand when it turns up: patterns in trees that are written.
    pub(crate) watched: Option<denied::Watched>,
    /// What was found that may not be read.
    pub(crate) denied: Vec<PathBuf>,
    /// Folders of the workspace that whoever runs this may not look into, and no program either.
    pub(crate) closed: Vec<PathBuf>,
    /// What may be written and stays.
    pub(crate) written: Vec<PathBuf>,
    /// What of that is kept by `deny_write`, by all its names.
    pub(crate) unwritten: Vec<PathBuf>,
    /// Who it runs as; `None`: whoever runs Botpipe.
    pub(crate) account: Option<Account>,
    /// What the layers leave open.
    pub(crate) gaps: Vec<Gap>,
    /// What of a person's settings means nothing to it.
    pub(crate) unshown: Vec<Unshown>,
}

/// Something that a person's settings name and that programs do not see: tools pass over it without a word.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Unshown {
    pub(crate) path: PathBuf,
    /// What it means, with what to do.
    pub(crate) what: String,
    /// It matters to who reaches hosts only.
    pub(crate) of_network: bool,
}

/// A file or folder that is made for the time being.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Placeholder {
    pub(crate) path: PathBuf,
    /// `None`: a folder.
    pub(crate) contents: Option<&'static str>,
}

/// Something that a control leaves open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Gap {
    /// The control, as a policy names it.
    pub(crate) control: &'static str,
    /// What is open, as a sentence.
    pub(crate) what: String,
}

/// A policy that cannot be enforced here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The control, as a policy names it.
    pub control: &'static str,
    /// What cannot be, and why.
    pub what: String,
    /// The one line that would permit it.
    pub permit: String,
}

impl std::error::Error for Refusal {}

/// In one line, whatever a program called its files.
impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&guard::in_one_line(&format!("{}; {}", self.what, self.permit)))
    }
}

/// Compiles what a policy says about the files of a site.
pub(crate) fn files(rules: &Rules<'_>, site: &Site) -> Result<Option<Files>, Refusal> {
    match rules.sandbox_mode {
        SandboxMode::DangerFullAccess => Ok(None),
        SandboxMode::ReadOnly | SandboxMode::WorkspaceWrite => tree::compile(rules, site).map(Some),
    }
}

/// What a policy comes to for a program in a workspace as it is now. What is not there is refused where the program
/// is the `first` one: others may make it, as Botpipe makes what is its own.
pub(crate) fn foresee(
    policy: &Resolved,
    workspace: &Path,
    view: View,
    first: bool,
) -> Result<whole::Compiled, Refusal> {
    let workspace = workspace.canonicalize().unwrap_or_else(|_| workspace.to_owned());
    let site = Site { view, ..site::of_person(workspace, None) };
    let mut policy = policy.clone();
    for list in [&mut policy.allow_read, &mut policy.allow_write] {
        list.retain(|written| {
            let path = paths::absolute(written, &site);
            let may_come = !first || path.starts_with(&site.state);
            !may_come || paths::is_pattern(written) || path.symlink_metadata().is_ok()
        });
    }
    whole::compile(&policy, &site, &whole::Surroundings::default())
}

/// Refuses to go on when whoever waits has asked to stop.
fn unless_stopped(site: &Site, control: &'static str) -> Result<(), Refusal> {
    match site.stop.requested() {
        None => Ok(()),
        Some(_) => Err(Refusal {
            control,
            what: "it was asked to stop before all was found that the policy names".to_owned(),
            permit: "begin again".to_owned(),
        }),
    }
}

/// What a path means by every link on its way: those, and where they lead.
pub(crate) fn by_all_links(path: &Path) -> Vec<PathBuf> {
    let led = std::path::absolute(path).map(|path| links::follow(&path)).unwrap_or_default();
    led.links.into_iter().chain([led.to]).collect()
}

/// Whether a path is one of these or below one.
fn within(path: &Path, roots: &[PathBuf]) -> bool {
    roots.iter().any(|root| path.starts_with(root))
}
