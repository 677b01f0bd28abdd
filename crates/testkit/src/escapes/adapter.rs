//! How a command is started: without a sandbox, or in ours.

use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::attempt::{Attempt, Bare};

/// What stands around a command.
#[derive(Clone, Debug)]
pub enum Adapter {
    /// Nothing.
    Bare,
    /// `botpipe sandbox`, by the path of the binary.
    Botpipe(PathBuf),
}

/// Who starts the command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Caller {
    /// Root.
    Root,
    /// An ordinary user of this number: our own, or one that root becomes.
    User(u32),
    /// Root in a workspace that is the user's of this number.
    RootFor(u32),
}

impl Caller {
    /// Whoever this process is.
    pub fn own() -> Self {
        let uid = nix::unistd::getuid();
        if uid.is_root() { Self::Root } else { Self::User(uid.as_raw()) }
    }

    /// Whether root starts the command.
    pub(super) fn is_root(self) -> bool {
        !matches!(self, Self::User(_))
    }

    /// What must stand before a command so that the caller runs it.
    pub fn words(self) -> Vec<String> {
        match self {
            Self::User(uid) if nix::unistd::getuid().is_root() => {
                let (uid, gid) = (format!("--reuid={uid}"), format!("--regid={uid}"));
                ["setpriv", &uid, &gid, "--clear-groups", "--inh-caps=-all"]
                    .map(str::to_owned)
                    .to_vec()
            }
            _ => Vec::new(),
        }
    }
}

/// Root in the workspace of an ordinary user, where this process is root.
pub fn for_others() -> Option<Caller> {
    (Caller::own() == Caller::Root).then_some(Caller::RootFor(65533))
}

/// Root and an ordinary user where this process is root, else itself.
///
/// # Errors
/// In words, when the user cannot be made here: `setpriv` is missing, or the user cannot reach `program` or `base`.
pub fn callers(program: &Path, base: &Path) -> Result<Vec<Caller>, String> {
    if Caller::own() != Caller::Root {
        return Ok(vec![Caller::own()]);
    }
    let user = Caller::User(65533);
    let mut words = user.words();
    words.extend(["sh", "-c", "test -x \"$0\" && test -x \"$1\""].map(str::to_owned));
    let mut command = Command::new(&words[0]);
    command.args(&words[1..]).args([program, base]);
    match command.status() {
        Ok(status) if status.success() => Ok(vec![Caller::Root, user]),
        Ok(_) => Err(format!(
            "an ordinary user cannot reach `{}` and `{}`: build where everybody may look",
            program.display(),
            base.display()
        )),
        Err(error) => {
            Err(format!("`setpriv` of util-linux is needed to become an ordinary user: {error}"))
        }
    }
}

impl fmt::Display for Caller {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Root => "root",
            Self::User(_) => "user",
            Self::RootFor(_) => "root_for_user",
        })
    }
}

/// What the suite's policy says of the network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Network {
    /// Nothing.
    None,
    /// Hosts by name, through the proxy.
    Limited,
}

impl fmt::Display for Network {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::None => "none",
            Self::Limited => "limited",
        })
    }
}

impl Adapter {
    /// The words that start the shell text `inside` for this attempt.
    pub(super) fn words(
        &self,
        attempt: &Attempt,
        caller: Caller,
        policy: &Path,
        workspace: &Path,
        resolve: &[String],
        inside: &str,
    ) -> Vec<String> {
        let mut words: Vec<String> = Vec::new();
        let mut add = |more: &[&str]| words.extend(more.iter().map(ToString::to_string));
        match self {
            Self::Bare => {
                if attempt.bare == Some(Bare::OwnPids) {
                    add(&["unshare", "--pid", "--fork", "--mount-proc", "--kill-child"]);
                    if caller != Caller::Root {
                        add(&["--map-root-user"]);
                    }
                }
                // Two shells, so that the parent is one of ours too.
                add(&["sh", "-c", "sh -c \"$1\"; exit $?", "bare", inside]);
            }
            Self::Botpipe(program) => {
                let [program, policy, workspace] =
                    [program, policy, workspace].map(|it| it.display().to_string());
                add(&[&program, "sandbox", "--policy", &policy, "--workspace", &workspace]);
                for entry in resolve {
                    add(&["--resolve", entry]);
                }
                add(&["--", "sh", "-c", inside]);
            }
        }
        words
    }
}
