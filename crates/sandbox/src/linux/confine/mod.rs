//! Confinement: the set-up of the namespaces by init, then the last steps of the agent before exec.

mod bounds;
mod bpf;
mod device;
mod filter;
pub(super) mod likely;
mod modes;
mod mounts;
mod network;
mod over;
mod place;
pub(super) mod probe;
mod rules;
pub(super) mod wire;

use std::io;
use std::net::TcpListener;

use super::sys;
use crate::{Confinement, Network, Proc, Refused};

pub(super) use filter::Filter;
pub(super) use mounts::Masks;

/// A step of the set-up as it names itself in a refusal.
fn refused(step: impl Into<String>) -> impl FnOnce(io::Error) -> Refused {
    let step = step.into();
    move |e| Refused { step, errno: e.raw_os_error().unwrap_or(libc::EIO) }
}

/// What init has once the namespaces are as they shall be.
pub(super) struct Built {
    pub(super) proc: Proc,
    /// One for each door, in order.
    pub(super) listeners: Vec<TcpListener>,
    /// What files are covered with later.
    pub(super) masks: Option<Masks>,
    pub(super) filter: Filter,
}

/// The namespaces that an init is born into.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Namespaces {
    /// Those that hold processes together.
    Plain,
    /// All, but for the network.
    Confined,
    /// All.
    ConfinedWithNetwork,
}

impl Namespaces {
    pub(super) fn of(confinement: Option<&Confinement>) -> Self {
        match confinement.map(|confinement| &confinement.network) {
            None => Self::Plain,
            Some(Network::Host) => Self::Confined,
            Some(Network::Own { .. }) => Self::ConfinedWithNetwork,
        }
    }

    /// For clone(2), by a user of this number. The host's root needs no user namespace to hold processes
    /// together, and one that maps a single id would cut it off from all others.
    pub(super) fn flags(self, user: u32) -> libc::c_int {
        let confined = sys::NEW_USER_PID_AND_MOUNT
            | libc::CLONE_NEWIPC
            | libc::CLONE_NEWUTS
            | libc::CLONE_NEWCGROUP;
        match self {
            Self::Plain if user == 0 => sys::NEW_PID_AND_MOUNT,
            Self::Plain => sys::NEW_USER_PID_AND_MOUNT,
            Self::Confined => confined,
            Self::ConfinedWithNetwork => confined | libc::CLONE_NEWNET,
        }
    }
}

/// What of a launch is made before it is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Kind {
    pub(super) namespaces: Namespaces,
    /// It sees files of its own.
    pub(super) files: bool,
}

impl Kind {
    pub(super) fn of(confinement: Option<&Confinement>) -> Self {
        let files = confinement.is_some_and(|confinement| confinement.files.is_some());
        Self { namespaces: Namespaces::of(confinement), files }
    }

    /// As one byte, from a stage 1 to the fork server.
    pub(super) fn byte(self) -> u8 {
        let byte = match self.namespaces {
            Namespaces::Plain => b'P',
            Namespaces::Confined => b'C',
            Namespaces::ConfinedWithNetwork => b'N',
        };
        if self.files { byte } else { byte.to_ascii_lowercase() }
    }

    /// Reads [`Kind::byte`].
    pub(super) fn from_byte(byte: u8) -> Option<Self> {
        let all = [Namespaces::Plain, Namespaces::Confined, Namespaces::ConfinedWithNetwork];
        let kinds = [false, true].map(|files| all.map(|namespaces| Self { namespaces, files }));
        kinds.into_iter().flatten().find(|kind| kind.byte() == byte)
    }
}

/// Whether this process sees the files of a confinement.
pub(crate) fn is_inside() -> bool {
    std::path::Path::new(device::MASK).exists()
}

/// The id that a user or group has inside: the host's root is an ordinary one there, since much is
/// allowed to the number 0 as such.
pub(crate) fn inside(id: u32) -> u32 {
    if id == 0 { ROOT_INSIDE } else { id }
}

const ROOT_INSIDE: u32 = 1000;

/// What is set up of namespaces before a launch is known.
pub(super) struct Ahead {
    files: Option<mounts::Ahead>,
    doors: Vec<u16>,
    listeners: Vec<TcpListener>,
}

/// Sets up what all launches of a kind have in common, as the first process of their namespaces, and what this one
/// will `likely` need.
pub(super) fn ahead(kind: Kind, likely: &[u8], host_root: bool) -> Result<Ahead, Refused> {
    let likely = likely::read(likely);
    let (mut doors, mut listeners) = (Vec::new(), Vec::new());
    if kind.namespaces == Namespaces::ConfinedWithNetwork {
        sys::loopback_up().map_err(refused("loopback-up"))?;
        // What cannot be had now is asked for again, and refused, by whoever wants it.
        if let Ok(had) = network::listen(likely::doors(&likely.network)) {
            (doors, listeners) = (likely::doors(&likely.network).to_vec(), had);
        }
    }
    let files = kind.files.then(|| mounts::Ahead::make(&likely, host_root)).transpose()?;
    sys::bound_capabilities();
    Ok(Ahead { files, doors, listeners })
}

/// Sets the rest of the namespaces up, with all powers in them.
pub(super) fn build(
    confinement: &Confinement,
    ahead: Ahead,
    host_root: bool,
) -> Result<Built, Refused> {
    let (proc, masks) = match (&confinement.files, ahead.files) {
        (Some(layers), Some(files)) => {
            let (proc, masks) = files.build(layers, confinement.bounds.in_memory)?;
            (proc, Some(masks))
        }
        (None, None) => (mounts::only_proc(host_root)?, None),
        // It is of another kind.
        _ => return Err(Refused { step: "set-up-ahead".to_owned(), errno: libc::EINVAL }),
    };
    let doors = likely::doors(&confinement.network);
    let listeners = if doors == ahead.doors {
        ahead.listeners
    } else {
        drop(ahead.listeners);
        network::listen(doors)?
    };
    let filter = Filter::new(confinement, host_root).map_err(refused("seccomp-filter"))?;
    sys::hide_from_debuggers().map_err(refused("not-dumpable"))?;
    Ok(Built { proc, listeners, masks, filter })
}

/// Gives up, for good, whatever the confinement does not allow, in the process that becomes the agent.
pub(super) fn give_up(confinement: &Confinement, filter: &Filter) -> Result<(), Refused> {
    bounds::apply(&confinement.bounds)?;
    sys::new_keyring();
    sys::no_new_privileges().map_err(refused("no-new-privileges"))?;
    rules::apply(confinement)?;
    sys::drop_capabilities().map_err(refused("capabilities"))?;
    filter.apply().map_err(refused("seccomp"))
}
