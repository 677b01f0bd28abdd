//! Looks at artifacts on disk: their stamp, whether they are valid, whether they are new.

use std::io::Read;
use std::path::Path;

use botpipe_kernel::ids::Digest;
use botpipe_kernel::plan::Format;
use botpipe_kernel::run::{FileStamp, FindingState};
use jsonschema::Validator;

use super::files::{self, NoFile, Opened};

/// Largest artifact accepted, in bytes.
pub const MAX_BYTES: u64 = 64 << 20;

/// The stamp of a regular file; `None` when there is none that can be read.
///
/// A symbolic link is not followed and has no stamp.
pub fn stamp(path: &Path) -> Option<FileStamp> {
    let Opened { file, metadata } = files::open(path).ok()?;
    // A longer one is no artifact, and may claim any length.
    let digest = files::digest_read(&mut file.take(MAX_BYTES + 1)).ok()?;
    Some(files::stamp_of(&metadata, digest))
}

/// When content is valid.
#[derive(Debug, Clone, Copy)]
pub struct Rule<'a> {
    pub format: Format,
    pub schema: Option<&'a Validator>,
}

/// What an artifact is worth: valid by its rule, and new against the baseline.
///
/// Without a baseline stamp (the file did not exist then) a valid file is always new. One written
/// again with the same bytes is new too: its time of change differs. Content that is `known` to be
/// valid by the same rule is not judged again.
pub fn inspect(
    path: &Path,
    rule: &Rule<'_>,
    baseline: Option<&FileStamp>,
    known: Option<&Digest>,
) -> FindingState {
    let opened = match files::open(path) {
        Ok(opened) => opened,
        Err(NoFile::Missing) => return FindingState::Missing,
        Err(NoFile::Other(what)) => return FindingState::Invalid { why: what.to_owned() },
        Err(NoFile::Failed(error)) => {
            return FindingState::Invalid { why: format!("cannot be read: {error}") };
        }
    };
    match content(opened, rule, known) {
        Err(why) => FindingState::Invalid { why },
        Ok(stamp) if baseline == Some(&stamp) => FindingState::Stale { digest: stamp.digest },
        Ok(stamp) => FindingState::Good { digest: stamp.digest },
    }
}

/// Reads and judges the content.
fn content(opened: Opened, rule: &Rule<'_>, known: Option<&Digest>) -> Result<FileStamp, String> {
    let Opened { file, metadata } = opened;
    let mut bytes = Vec::new();
    file.take(MAX_BYTES + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| format!("cannot be read: {error}"))?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(format!(
            "has {} bytes, more than the {MAX_BYTES} an artifact may have",
            metadata.len().max(bytes.len() as u64)
        ));
    }
    let digest = files::digest_of(&bytes);
    if known != Some(&digest) {
        match rule.format {
            Format::Json => json(&bytes, rule.schema)?,
            Format::Md | Format::Text => text(&bytes)?,
            Format::Raw => {}
        }
    }
    Ok(files::stamp_of(&metadata, digest))
}

fn text(bytes: &[u8]) -> Result<(), String> {
    let text = utf8(bytes)?;
    if text.trim().is_empty() { Err("is empty".to_owned()) } else { Ok(()) }
}

fn utf8(bytes: &[u8]) -> Result<&str, String> {
    std::str::from_utf8(bytes)
        .map_err(|error| format!("is not UTF-8 text (at byte {})", error.valid_up_to()))
}

fn json(bytes: &[u8], schema: Option<&Validator>) -> Result<(), String> {
    let text = utf8(bytes)?;
    if text.trim().is_empty() {
        return Err("is empty".to_owned());
    }
    let value: serde_json::Value =
        serde_json::from_str(text).map_err(|error| format!("is not JSON: {error}"))?;
    // The quick question first: what is right needs no list of errors.
    let Some(schema) = schema.filter(|schema| !schema.is_valid(&value)) else { return Ok(()) };
    let mut problems: Vec<String> = Vec::new();
    let mut more = 0;
    for error in schema.iter_errors(&value) {
        if problems.len() == MAX_PROBLEMS {
            more += 1;
            continue;
        }
        let place = error.instance_path().to_string();
        let place = if place.is_empty() { "the whole document".to_owned() } else { place };
        problems.push(format!("at {place}: {error}"));
    }
    if problems.is_empty() {
        return Ok(());
    }
    if more > 0 {
        problems.push(format!("and {more} more"));
    }
    Err(format!("breaks its schema: {}", problems.join("; ")))
}

/// Most schema errors told one by one.
const MAX_PROBLEMS: usize = 5;
