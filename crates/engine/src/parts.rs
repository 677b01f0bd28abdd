//! What every run of a workspace shares: its places, its journal, its objects.

use std::path::PathBuf;

use botpipe_journal::{Journal, Objects};
use botpipe_kernel::ids::Digest;
use botpipe_kernel::run::Ref;

use crate::error::Error;
use crate::workspace::layout::Layout;

/// What every run of a workspace shares.
pub(crate) struct Parts {
    pub(crate) layout: Layout,
    pub(crate) journal: Journal,
    pub(crate) objects: Objects,
    /// The binary that becomes stage 1; without one, the running binary.
    pub(crate) stage1: Option<PathBuf>,
}

impl Parts {
    /// The text a reference stands for.
    pub(crate) fn text(&self, text: &Ref) -> Result<String, Error> {
        match text {
            Ref::Inline(text) => Ok(text.clone()),
            Ref::Object(digest) => self.text_of(digest),
        }
    }

    /// The text of an object.
    pub(crate) fn text_of(&self, digest: &Digest) -> Result<String, Error> {
        let bytes = self.objects.get(digest)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// Keeps a text: in place when small, else as an object.
    pub(crate) fn keep(&self, text: &str) -> Result<Ref, Error> {
        if text.len() <= INLINE_BYTES {
            return Ok(Ref::Inline(text.to_owned()));
        }
        Ok(Ref::Object(self.objects.put(text.as_bytes())?))
    }
}

/// The largest text kept in an event itself.
pub(crate) const INLINE_BYTES: usize = 512;
