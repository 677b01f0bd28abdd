//! The hash chain: each event's hash covers the one before it, so that no row can change alone.

use botpipe_kernel::ids::RunId;
use sha2::{Digest as _, Sha256};

/// What the first event of a run is chained to.
pub(crate) const GENESIS: [u8; 32] = [0; 32];

/// The parts of an event that its hash covers.
pub(crate) struct Link<'a> {
    pub(crate) run: &'a RunId,
    pub(crate) seq: u64,
    pub(crate) version: u32,
    /// Milliseconds since the epoch.
    pub(crate) at: u64,
    pub(crate) body: &'a [u8],
}

impl Link<'_> {
    /// The hash of this event after `previous`.
    ///
    /// # Shape
    /// SHA-256 over: previous hash (32 bytes), length of the run id (8), run id, sequence (8),
    /// version (4), time (8), body. Numbers are big-endian.
    pub(crate) fn hash(&self, previous: &[u8; 32]) -> [u8; 32] {
        let run = self.run.as_str().as_bytes();
        Sha256::new()
            .chain_update(previous)
            .chain_update((run.len() as u64).to_be_bytes())
            .chain_update(run)
            .chain_update(self.seq.to_be_bytes())
            .chain_update(self.version.to_be_bytes())
            .chain_update(self.at.to_be_bytes())
            .chain_update(self.body)
            .finalize()
            .into()
    }
}
