//! Bounds of a process, and of what it starts, as the kernel counts them (setrlimit(2)).

use super::super::sys;
use super::refused;
use crate::{Bounds, Refused};

pub(super) fn apply(bounds: &Bounds) -> Result<(), Refused> {
    let limits = [
        // Whole seconds, and one more: init counts finer, and says what it ends for.
        ("limit cpu", libc::RLIMIT_CPU, bounds.cpu.map(|ms| ms.div_ceil(1000) + 1)),
        ("limit memory", libc::RLIMIT_DATA, bounds.memory),
        // Init is one of them.
        (
            "limit processes",
            libc::RLIMIT_NPROC,
            bounds.processes.map(|most| most.saturating_add(1)),
        ),
        ("limit file-size", libc::RLIMIT_FSIZE, bounds.file_size),
        // A core holds what the program had read.
        ("limit core", libc::RLIMIT_CORE, Some(0)),
    ];
    for (step, resource, most) in limits {
        if let Some(most) = most {
            sys::limit(resource, most).map_err(refused(step))?;
        }
    }
    Ok(())
}
