//! Landlock: a second wall behind the mounts, where the kernel has it. It allows what the layers do and
//! cannot express what they cover; signals and abstract sockets end at the program's own.

use std::io;
use std::path::Path;

use landlock::{
    ABI, Access as _, AccessFs, AccessNet, BitFlags, CompatLevel, Compatible as _, PathBeneath,
    PathFd, Ruleset, RulesetAttr as _, RulesetCreated, RulesetCreatedAttr as _, RulesetError,
    Scope,
};

use super::refused;
use crate::{Confinement, Layer, Refused};

/// The newest of the kernel's interfaces that is asked for; an older kernel gives what it has.
const NEWEST: ABI = ABI::V7;

pub(super) fn apply(confinement: &Confinement) -> Result<(), Refused> {
    restrict(confinement).map_err(|e| refused("landlock")(io::Error::other(e)))
}

fn restrict(confinement: &Confinement) -> Result<(), RulesetError> {
    let layers = confinement.files.as_deref();
    let mut rules = Ruleset::default().set_compatibility(CompatLevel::BestEffort);
    if layers.is_some() {
        rules = rules.handle_access(AccessFs::from_all(NEWEST))?;
    }
    if confinement.no_listening {
        rules = rules.handle_access(AccessNet::BindTcp)?;
    }
    let mut rules = rules.scope(Scope::from_all(NEWEST))?.create()?;
    if let Some(layers) = layers {
        rules = allow(rules, Path::new("/"), AccessFs::from_read(NEWEST))?;
        let written = layers.iter().filter_map(|layer| match layer {
            Layer::Private(path) | Layer::Writable(path) => Some(path.as_path()),
            Layer::Scratch(scratch) if scratch.writable => Some(scratch.at.as_path()),
            Layer::Scratch(_)
            | Layer::Empty(_)
            | Layer::Shown(_)
            | Layer::Masked(_)
            | Layer::Text(_) => None,
        });
        for path in written.chain([Path::new("/dev"), Path::new("/proc")]) {
            rules = allow(rules, path, AccessFs::from_all(NEWEST))?;
        }
    }
    // A kernel without it has nothing to restrict with: the mounts hold by themselves.
    rules.restrict_self().map(drop)
}

fn allow(
    rules: RulesetCreated,
    path: &Path,
    access: BitFlags<AccessFs>,
) -> Result<RulesetCreated, RulesetError> {
    // What is covered by a later layer has nothing to allow.
    let Ok(place) = PathFd::new(path) else { return Ok(rules) };
    // Of a file only what files have is taken, since not all has to be there.
    rules.add_rule(PathBeneath::new(place, access))
}
