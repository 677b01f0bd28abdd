//! What a program may touch beside its own processes: plain data, by absolute paths that cross no link.

use std::path::PathBuf;

use crate::Account;

/// What a program may touch. It takes namespaces of its own: where they are refused, nothing is started.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Confinement {
    /// The files it sees, over a read-only view of the host's, each laid over those before it; `None`:
    /// the host's as they are, `/dev` and `/proc` too.
    pub files: Option<Vec<Layer>>,
    /// What it can talk to.
    pub network: Network,
    /// Whether it is kept from being a server: of TCP and of unix sockets, and in a network of its own of
    /// datagrams. Without Landlock it may still bind a port of TCP, and not listen.
    pub no_listening: bool,
    /// How much it may take.
    pub bounds: Bounds,
    /// Who it is where root starts it; `None`: whoever starts it. What it makes is this one's, and what is root's
    /// alone is closed to it.
    pub account: Option<Account>,
}

/// One change of what the program sees.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Layer {
    /// An empty folder in memory that the program may fill; it is gone with the program.
    Private(PathBuf),
    /// An empty folder in which nothing can be made; what is laid in it later is there.
    Empty(PathBuf),
    /// What the host has there, to be read.
    Shown(PathBuf),
    /// What the host has there, to be read and written. Over a folder within another of this kind it
    /// keeps that folder from being moved away with what is laid over its files.
    Writable(PathBuf),
    /// What the host has in a folder, with changes of our own.
    Scratch(Scratch),
    /// A file or folder that is there but cannot be read or written.
    Masked(PathBuf),
    /// A file of these words, to be read.
    Text(Text),
}

impl Layer {
    /// Where it is laid.
    pub fn path(&self) -> &std::path::Path {
        match self {
            Self::Private(path)
            | Self::Empty(path)
            | Self::Shown(path)
            | Self::Writable(path)
            | Self::Masked(path) => path,
            Self::Scratch(scratch) => &scratch.at,
            Self::Text(text) => &text.at,
        }
    }
}

/// A file that the host does not have so.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Text {
    /// Where it is seen.
    pub at: PathBuf,
    /// What is in it; a zero byte is refused.
    pub text: String,
}

/// A folder as the host has it with changes that it never sees, in memory.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Scratch {
    /// The folder.
    pub at: PathBuf,
    /// Names, relative to it, that do not exist in it, whatever the host has there now or later.
    pub hidden: Vec<PathBuf>,
    /// Folders, relative to it, that are there even where the host has none.
    pub folders: Vec<PathBuf>,
    /// Whether the program may write; what it writes is gone with it.
    pub writable: bool,
}

/// What a program can talk to.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Network {
    /// Whatever the host can.
    #[default]
    Host,
    /// Itself only, over a loopback of its own. On each of these ports of its `127.0.0.1` Botpipe
    /// listens, outside ([`crate::Contained::take_listeners`]).
    Own {
        /// The ports.
        doors: Vec<u16>,
    },
}

/// How much a program may take; `None`: as much as Botpipe itself.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Bounds {
    /// Milliseconds on a processor, all together: looked at now and then, beyond it everything is ended.
    /// The kernel ends a single process a second later.
    pub cpu: Option<u64>,
    /// Bytes of memory that no file holds: an allocation of a single process beyond fails; all together it
    /// is looked at now and then, and beyond it everything is ended.
    pub memory: Option<u64>,
    /// Processes and threads, all together: one more cannot be started. For the host's root it is looked
    /// at now and then, and beyond it everything is ended.
    pub processes: Option<u64>,
    /// Bytes of a file it writes; beyond, a write fails or ends it by SIGXFSZ.
    pub file_size: Option<u64>,
    /// Bytes of what it writes to folders in memory, all together; beyond, a write fails (ENOSPC). Never more
    /// than half of the machine's memory.
    pub in_memory: Option<u64>,
}
