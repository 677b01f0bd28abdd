//! The account-wide breaker: a limit that one turn met holds every run on the same login of this
//! machine until it is over.

use std::fs;
use std::io;
use std::path::PathBuf;

use botpipe_journal::digest_of;
use botpipe_kernel::run::{FailureClass, Harness};
use serde::{Deserialize, Serialize};

use crate::harness::{Kind, state_folder};
use crate::replace::{SHARED, replace};

/// A limit of a login, as it is shared between runs.
///
/// # Shape
/// A JSON file in `limits/` of the person's state folder, named after the login's digest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Limit {
    /// The login in words.
    pub(crate) login: String,
    pub(crate) class: FailureClass,
    pub(crate) message: String,
    /// Milliseconds since the epoch.
    pub(crate) since: u64,
    pub(crate) until: u64,
}

/// One login, and where its limit is noted.
pub(crate) struct Login {
    words: String,
    file: Option<PathBuf>,
}

impl Login {
    /// The login of a harness: where its home is and what model address it uses. A key's value never
    /// has a part in it.
    pub(crate) fn of(kind: Kind, harness: &Harness, key: Option<&str>) -> Self {
        let by = key.map_or_else(|| "its stored login".to_owned(), |name| format!("`{name}`"));
        let to = harness.base_url.as_ref().map(|url| format!(" at {url}")).unwrap_or_default();
        let of = match kind {
            Kind::Acp => format!("{} {}", kind.name(), harness.program),
            Kind::Codex | Kind::Claude => kind.name().to_owned(),
        };
        let words = format!("{of} with {by}{to}");
        let digest = digest_of(words.as_bytes());
        let file = state_folder().ok().map(|it| it.join("limits").join(&digest.as_str()[..16]));
        Self { words, file: file.map(|it| it.with_extension("json")) }
    }

    pub(crate) fn words(&self) -> &str {
        &self.words
    }

    /// The limit that holds now. A note that cannot be read holds nothing: the service has the last
    /// word anyway.
    pub(crate) fn held(&self, now: u64) -> Option<Limit> {
        let text = fs::read_to_string(self.file.as_ref()?).ok()?;
        serde_json::from_str(&text).ok().filter(|limit: &Limit| limit.until > now)
    }

    /// Notes a limit for every run on this login.
    ///
    /// # Errors
    /// When the note cannot be written: this run waits all the same.
    pub(crate) fn hold(&self, limit: &Limit) -> io::Result<()> {
        let Some(file) = &self.file else { return Ok(()) };
        if let Some(folder) = file.parent() {
            fs::create_dir_all(folder)?;
        }
        replace(file, &serde_json::to_vec(limit)?, SHARED)
    }
}
