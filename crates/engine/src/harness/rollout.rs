//! Codex's records of conversations in its home: found, and continued under another name.

use std::path::{Path, PathBuf};

use botpipe_providers::codex;

use crate::plain;

/// Codex's record of a conversation.
///
/// # Source
/// Codex CLI 0.169.0: `sessions/YYYY/MM/DD/rollout-<when>-<thread>.jsonl` in its home.
pub(crate) fn rollout(home: &Path, thread: &str) -> Option<PathBuf> {
    let end = format!("-{thread}.jsonl");
    let mut folders = vec![home.join("sessions")];
    for _ in ["year", "month", "day"] {
        folders = folders.iter().flat_map(|folder| entries(folder)).collect();
        // The newest first.
        folders.sort_unstable_by(|one, other| other.cmp(one));
    }
    let mut files = folders.iter().flat_map(|folder| entries(folder));
    files.find(|file| file.to_str().is_some_and(|name| name.ends_with(&end)))
}

/// Whether words stand in Codex's record of a conversation; `None`: there is no record to read.
///
/// # Source
/// Codex CLI 0.169.0 begins a record (`session_meta`, `task_started`) some hundred milliseconds before it
/// writes down the first prompt. Killed between the two, it goes on with a conversation that holds nothing.
pub(crate) fn says(home: &Path, thread: &str, words: &str) -> Option<bool> {
    let record = kept_in(home, &rollout(home, thread)?)?;
    let bytes = plain::read(&record, LARGEST).ok()?;
    Some(String::from_utf8_lossy(&bytes).contains(words))
}

/// A file that lies in a home itself: agents write there, and could lead elsewhere, or to what never ends.
pub(crate) fn kept_in(home: &Path, path: &Path) -> Option<PathBuf> {
    let found = path.canonicalize().ok()?;
    (found.is_file() && found.starts_with(home.canonicalize().ok()?)).then_some(found)
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let entries = folder.read_dir().into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).collect()
}

/// Begins a conversation from a checkpoint of another, by a copy of its record as far as that: where
/// there is no app server to fork it. The checkpoint is how long the record was.
///
/// # Errors
/// In words: no such record, or it is not as it was.
pub(crate) fn branch(home: &Path, thread: &str, checkpoint: &str, new: &str) -> Result<(), String> {
    let path = rollout(home, thread)
        .ok_or_else(|| format!("there is no record of thread {thread} in `{}`", home.display()))?;
    let trouble = |error: std::io::Error| format!("`{}`: {error}", path.display());
    let length = checkpoint
        .parse()
        .map_err(|_| format!("the checkpoint `{checkpoint}` is not the length of a record"))?;
    let record = kept_in(home, &path)
        .ok_or_else(|| format!("`{}` is no file of that home", path.display()))?;
    let bytes = plain::read(&record, LARGEST).map_err(trouble)?;
    let copy = codex::branch(&bytes, length, thread, new)?;
    let name = path.file_name().unwrap_or_default().to_string_lossy().replace(thread, new);
    plain::show_as(0o600, &record.with_file_name(name), &copy).map_err(trouble)
}

/// More than any conversation has; an agent may write as much as it likes.
const LARGEST: u64 = 1 << 30;
