//! Canaries: what is tried from inside a finished confinement, in place of its program.

use std::net::SocketAddr;
use std::path::PathBuf;

/// One thing to try. Nothing of the host is changed by it, whether it succeeds or not.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Probe {
    /// Reads a first byte of a file, or a first name in a folder.
    Read(PathBuf),
    /// Opens a file for writing, or makes a file in a folder and removes it.
    Write(PathBuf),
    /// Connects over TCP.
    Connect(SocketAddr),
    /// Listens on a TCP port of its loopback, one that it asks for or one that it is given.
    Listen,
    /// Makes a socket of a family of addresses (`AF_…`).
    Family(i32),
    /// Looks for a process by its number as the host counts.
    Process(u32),
    /// Makes a user namespace, from which mounts could be undone.
    Namespace,
}

/// What came of a probe: `Ok` if it succeeded, else the kernel's error number.
pub type Answer = Result<(), i32>;

impl Probe {
    /// As stage 1 is told.
    #[cfg(target_os = "linux")]
    pub(crate) fn words(&self) -> std::ffi::OsString {
        let path = |word: &str, path: &PathBuf| {
            let mut words = std::ffi::OsString::from(word);
            words.push(path);
            words
        };
        match self {
            Self::Read(at) => path("read ", at),
            Self::Write(at) => path("write ", at),
            Self::Connect(to) => format!("connect {to}").into(),
            Self::Listen => "listen -".into(),
            Self::Family(family) => format!("family {family}").into(),
            Self::Process(pid) => format!("process {pid}").into(),
            Self::Namespace => "namespace -".into(),
        }
    }

    /// Reads [`Probe::words`].
    #[cfg(target_os = "linux")]
    pub(crate) fn parse(words: &[u8]) -> Option<Self> {
        use std::os::unix::ffi::OsStrExt as _;
        let space = words.iter().position(|byte| *byte == b' ')?;
        let (word, rest) = (&words[..space], &words[space + 1..]);
        let path = || PathBuf::from(std::ffi::OsStr::from_bytes(rest));
        let text = str::from_utf8(rest).unwrap_or_default();
        Some(match word {
            b"read" => Self::Read(path()),
            b"write" => Self::Write(path()),
            b"connect" => Self::Connect(text.parse().ok()?),
            b"listen" => Self::Listen,
            b"family" => Self::Family(text.parse().ok()?),
            b"process" => Self::Process(text.parse().ok()?),
            b"namespace" => Self::Namespace,
            _ => return None,
        })
    }
}
