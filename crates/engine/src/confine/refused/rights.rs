//! What no program in a sandbox does, whatever its policy: with files, as another user would, and as somebody.

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use botpipe_sandbox::Account;
use rustix::process::geteuid;

use super::{Reasons, Told};
use crate::account;
use crate::confine::paths::in_shell;
use crate::confine::within;

/// What was tried with a file, by the words of who was refused it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Tried {
    /// A bit that runs it as somebody else.
    Mode,
    Owner,
    Device,
    Attribute,
    Unknown,
}

/// Words for what was tried, the likeliest first.
const WORDS: [(&str, Tried); 9] = [
    ("mknod", Tried::Device),
    ("ownership", Tried::Owner),
    ("chown", Tried::Owner),
    ("permissions of", Tried::Mode),
    ("chmod", Tried::Mode),
    ("change mode", Tried::Mode),
    ("setting attribute", Tried::Attribute),
    ("setfattr", Tried::Attribute),
    ("xattr", Tried::Attribute),
];

pub(super) fn tried(line: &str) -> Tried {
    let found = WORDS.iter().find(|(words, _)| line.contains(words));
    found.map_or(Tried::Unknown, |(_, tried)| *tried)
}

/// Whether a server was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Listens {
    No,
    High,
    /// On a port below 1024.
    Low,
}

/// Whether a server was refused: by its own words, or in the lines of Python above them, which tell a port where the
/// source has it.
pub(super) fn listens(line: &str, before: &[&str]) -> Listens {
    let said = line.to_lowercase();
    if ["listen", "bind:", "bind(", "net.bind"].iter().any(|word| said.contains(word)) {
        let named = [":", " port "].iter().any(|word| {
            said.split(word).skip(1).any(|rest| port(rest).is_some_and(|port| port < FIRST_HIGH))
        });
        return if named { Listens::Low } else { Listens::High };
    }
    let calls = ["bind(", "listen(", "socket("];
    let is_call = |line: &&&str| calls.iter().any(|call| line.contains(call));
    if !line.starts_with("PermissionError") {
        return Listens::No;
    }
    match before.iter().rev().take(3).find(is_call) {
        // Of a file Python tells the name; without its source it does not tell what else was refused.
        None if line.trim_end() == "PermissionError: [Errno 13] Permission denied" => Listens::High,
        None => Listens::No,
        Some(call) if call.split([',', ' ']).filter_map(port).any(|port| port >= FIRST_HIGH) => {
            Listens::High
        }
        Some(_) => Listens::Low,
    }
}

const FIRST_HIGH: u16 = 1024;

/// The port that a text begins with.
fn port(text: &str) -> Option<u16> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    text[..end].parse().ok().filter(|port| *port > 0)
}

/// Where the key would be that a line says is not there to sign with: of gpg, or of git that signs with a key of ssh.
pub(super) fn keys_of(line: &str) -> Option<&'static str> {
    let [gpg, public, private] = NO_KEYS;
    match line {
        line if line.starts_with("gpg: ") && line.contains(gpg) => Some(".gnupg"),
        line if line.starts_with("error: ")
            && [public, private].iter().any(|it| line.contains(it)) =>
        {
            Some(".ssh")
        }
        _ => None,
    }
}

pub(super) const NO_KEYS: [&str; 3] =
    ["No secret key", "load public key ", "No private key found for public key "];

/// Of a port that only root's programs have; there is no root in a sandbox.
pub(super) fn not_listening_low() -> Option<String> {
    geteuid().is_root().then(|| {
        "nothing listens here on a port below 1024, and no policy of a sandbox permits it; take a port from \
         1024 on"
            .to_owned()
    })
}

impl Reasons {
    /// Of a right that nobody has here; nothing where the host itself would refuse it.
    pub(super) fn not_permitted(&self, path: &Path, tried: Tried) -> Option<String> {
        let owner = path.metadata().ok().map(|it| it.uid());
        let root = geteuid().is_root();
        let (may, what) = match tried {
            Tried::Mode => (
                root || owner == Some(geteuid().as_raw()),
                "takes no setuid or setgid bit, which would run it as somebody else",
            ),
            Tried::Owner => (root, "is given to no other user: there is one only"),
            Tried::Device => (root, "is made no device"),
            Tried::Attribute => (root, "takes no attributes of the system"),
            Tried::Unknown => return None,
        };
        let shown = self.shown(path);
        may.then(|| {
            let leaves = self.leaves();
            format!("`{shown}` {what}, and no policy of a sandbox permits it; {leaves}")
        })
    }

    /// Of what is somebody else's than whom root's programs run as: files that root made before, most of all.
    pub(super) fn not_owned(&self, path: &Path, removes: bool) -> Option<String> {
        let account = self.account?;
        let path = if removes { path.parent()? } else { path };
        let path = path.ancestors().find(|path| path.symlink_metadata().is_ok())?;
        let there = path.symlink_metadata().ok()?;
        let Account { user, group } = account;
        let (shown, owner) = (self.shown(path), there.uid());
        let whose = format!("`{shown}` is user {owner}'s, and programs run as user {user}");
        if within(path, &self.written) && !account::writes(account, &there) {
            let typed = in_shell([path]);
            return Some(format!("{whose}; `chown -R {user}:{group} {typed}` gives it to them"));
        }
        let closed = !account::reads(account, &there);
        closed.then(|| format!("{whose}, who may not read it by its rights; no policy permits it"))
    }

    /// Of a signature, where the person has keys in this folder of the home.
    pub(super) fn not_signed(&self, keys: &str) -> Option<Told> {
        let sentence = "nothing is signed: keys stay outside of the sandbox, and no policy permits them; commit \
                        without (`--no-gpg-sign`), and sign outside";
        let has_keys = self.keeps_files && self.site.home.as_ref()?.join(keys).is_dir();
        has_keys.then(|| Told { sentence: sentence.to_owned(), of_unseen: true })
    }
}
