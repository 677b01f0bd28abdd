//! The fake agent's ledger: what it was asked to do, by its own hand and outside the workspace.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// A ledger file.
///
/// # Shape
/// One JSON object a line, appended with one write each:
/// `{"began":{"turn":"plan/1/producer/1","rule":"plan: two items"}}`, and when the answer is given
/// `{"ended":{"turn":"plan/1/producer/1"}}`. Before the first, where the agent is to try a write that is forbidden:
/// `{"tried":{"turn":"plan/1/producer/1","error":"EROFS"}}`.
#[derive(Debug, Clone)]
pub struct Ledger {
    path: PathBuf,
}

/// A line of a ledger.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Entry {
    /// A turn is asked for, and a write was tried that the sandbox is to keep from the host.
    Tried {
        /// As in `began`.
        turn: String,
        /// What the system refused it with; `None` when the agent saw it done, be it to a copy.
        error: Option<String>,
    },
    /// A turn was asked for; nothing of it is done yet.
    Began {
        /// The turn's id as the prompt has it, `~2` for a second start included.
        turn: String,
        /// The rule that plays.
        rule: String,
    },
    /// All of the turn is done; the answer is printed next.
    Ended {
        /// As in `began`.
        turn: String,
    },
}

/// Why a ledger cannot be kept or read.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// The file cannot be read or written.
    #[error("ledger `{}` could not be kept", path.display())]
    File {
        /// The ledger.
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    /// A line is none of a ledger.
    #[error("line {line} of ledger `{}` could not be understood", path.display())]
    Line {
        /// The ledger.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
        #[source]
        source: serde_json::Error,
    },
}

impl Ledger {
    /// The ledger at this path; the file is made by the first entry.
    pub fn at(path: &Path) -> Self {
        Self { path: path.to_owned() }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Appends an entry, whole even when several agents write at once.
    pub fn enter(&self, entry: &Entry) -> Result<(), LedgerError> {
        let write = || {
            let mut line = serde_json::to_vec(entry)?;
            line.push(b'\n');
            OpenOptions::new().create(true).append(true).open(&self.path)?.write_all(&line)
        };
        write().map_err(|source| LedgerError::File { path: self.path.clone(), source })
    }

    /// All entries; none when there is no file.
    pub fn entries(&self) -> Result<Vec<Entry>, LedgerError> {
        let text = match fs::read_to_string(&self.path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(source) => return Err(LedgerError::File { path: self.path.clone(), source }),
        };
        let entry = |(index, line): (usize, &str)| {
            serde_json::from_str(line).map_err(|source| LedgerError::Line {
                path: self.path.clone(),
                line: index + 1,
                source,
            })
        };
        text.lines().enumerate().map(entry).collect()
    }
}
