//! Reads worklists out of their artifact, and writes an item's status back.

use std::collections::HashMap;
use std::fmt;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use botpipe_kernel::ids::{Digest, ItemId};
use botpipe_kernel::plan::Worklist;
use botpipe_kernel::run::{FileStamp, ItemStatus};
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::artifacts::MAX_BYTES;
use super::files::{self, Fresh, NoFile, Opened};
use super::{Error, artifacts};

/// One item as its file has it.
#[derive(Debug, Clone, PartialEq)]
pub struct RawItem {
    pub id: ItemId,
    pub title: Option<String>,
    pub status: ItemStatus,
    /// The whole item.
    pub payload: Value,
}

/// Why a file gives no worklist. Goes to the step that wrote it, as feedback.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorklistProblem {
    /// The file, as the caller named it.
    pub file: PathBuf,
    /// Each thing wrong, with its place and what to do; at least one.
    pub problems: Vec<String>,
}

impl fmt::Display for WorklistProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`: {}", self.file.display(), self.problems.join("; "))
    }
}

impl std::error::Error for WorklistProblem {}

/// What became of a status to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatusWrite {
    /// The file as it is now; `None` when there is none.
    pub stamp: Option<FileStamp>,
    /// How the file differs from what was known of it, for a person.
    pub drift: Option<String>,
}

/// The items of a worklist in file order, and the digest of the bytes they were read from.
///
/// # Errors
/// All that is wrong with the file, so that one repair can mend it.
pub fn read_items(
    path: &Path,
    worklist: &Worklist,
) -> Result<(Digest, Vec<RawItem>), WorklistProblem> {
    let problem = |problems| WorklistProblem { file: path.to_owned(), problems };
    let one = |text: String| problem(vec![text]);
    let (text, _, _) = match load(path) {
        Ok(loaded) => loaded,
        Err(Unread::Missing) => {
            return Err(one(format!(
                "is missing: write it, with an array `{}`",
                worklist.collection
            )));
        }
        Err(Unread::Because(why)) => return Err(one(why)),
    };
    let document: Value = serde_json::from_str(&text)
        .map_err(|error| one(format!("is not JSON: {error}; write it again as valid JSON")))?;
    let key = &worklist.collection;
    let collection = document.as_object().and_then(|object| object.get(key)).ok_or_else(|| {
        one(format!("has no key `{key}`: write an object whose `{key}` is the array of items"))
    })?;
    let entries = collection.as_array().ok_or_else(|| {
        one(format!("`{key}` is {}: make it the array of items", kind(collection)))
    })?;
    let items = read_entries(entries, worklist, key).map_err(problem)?;
    Ok((files::digest_of(text.as_bytes()), items))
}

/// The items of a list that is data; `what` is how a person calls it: `params.modules`. There a text or a
/// number is an item too, by its id.
///
/// # Errors
/// All that is wrong with it, as one line.
pub fn read_value(value: &Value, worklist: &Worklist, what: &str) -> Result<Vec<RawItem>, String> {
    let entries = value
        .as_array()
        .ok_or_else(|| format!("{what} is {}: make it the array of items", kind(value)))?;
    let whole = |entry: &Value| match id_text(entry) {
        Some(id) => Value::Object([(worklist.id.clone(), Value::String(id))].into_iter().collect()),
        None => entry.clone(),
    };
    let entries: Vec<Value> = entries.iter().map(whole).collect();
    read_entries(&entries, worklist, what).map_err(|problems| problems.join("; "))
}

/// Most items whose problems are told one by one.
const MAX_PROBLEMS: usize = 20;

/// Every item, else what is wrong with those that cannot be read.
fn read_entries(
    entries: &[Value],
    worklist: &Worklist,
    what: &str,
) -> Result<Vec<RawItem>, Vec<String>> {
    let mut items = Vec::with_capacity(entries.len());
    let mut problems = Vec::new();
    let mut first: HashMap<String, usize> = HashMap::new();
    for (index, entry) in entries.iter().enumerate() {
        let place = format!("`{what}[{index}]`");
        match read_item(entry, worklist) {
            Ok(item) => {
                if let Some(before) = first.insert(item.id.to_string(), index) {
                    problems.push(format!(
                        "{place} has the id `{}` of `{what}[{before}]`: give each item its own",
                        item.id
                    ));
                }
                items.push(item);
            }
            Err(why) => problems.push(format!("{place} {why}")),
        }
    }
    if problems.is_empty() {
        return Ok(items);
    }
    let more = problems.len().saturating_sub(MAX_PROBLEMS);
    problems.truncate(MAX_PROBLEMS);
    if more > 0 {
        problems.push(format!("and {more} more items like these"));
    }
    Err(problems)
}

fn read_item(entry: &Value, worklist: &Worklist) -> Result<RawItem, String> {
    let object = entry
        .as_object()
        .ok_or_else(|| format!("is {}: make it an object with `{}`", kind(entry), worklist.id))?;
    let key = &worklist.id;
    let id = match object.get(key) {
        None => return Err(format!("has no `{key}`: give it one")),
        Some(value) => id_text(value)
            .ok_or_else(|| format!("has {} as `{key}`: make it a string", kind(value)))?,
    };
    let id: ItemId = id.parse().map_err(|error| format!("has a bad `{key}`: {error}"))?;
    let text = |key: &Option<String>| match key.as_ref().and_then(|key| object.get(key)) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(other) => Err(format!(
            "(`{id}`) has {} as `{}`: make it a string",
            kind(other),
            key.as_deref().unwrap_or_default()
        )),
    };
    let title = text(&worklist.title)?;
    let status = text(&worklist.status)?.map_or(ItemStatus::Planned, |word| status_of(&word));
    Ok(RawItem { id, title, status, payload: entry.clone() })
}

/// An id is a string; a number is taken as its text.
fn id_text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

fn status_of(word: &str) -> ItemStatus {
    match word.trim().to_ascii_lowercase().as_str() {
        "completed" | "done" => ItemStatus::Completed,
        _ => ItemStatus::Planned,
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

/// Tells the file an item's status: only that value's characters change, all else stays as written.
///
/// The file is a projection of the journal: when it is gone, is no worklist any more or lost the
/// item, nothing is written and the drift says so. When it differs from `expected` but still has the
/// item, the status is written and the drift says so. A file that says it already is left alone.
///
/// # Order
/// `recorded` is called once the new content is ready beside the file, and the file changes only after
/// it: that is when the status must be on record.
///
/// # Errors
/// [`Error::Io`] when the file cannot be written; those of `recorded`.
pub fn write_status<E: From<Error>>(
    path: &Path,
    worklist: &Worklist,
    item: &ItemId,
    status: ItemStatus,
    expected: Option<&Digest>,
    recorded: impl FnOnce() -> Result<(), E>,
) -> Result<StatusWrite, E> {
    let (text, metadata, digest) = match load(path) {
        Ok(loaded) => loaded,
        Err(unread) => {
            let why = match unread {
                Unread::Missing => "is gone".to_owned(),
                Unread::Because(why) => why,
            };
            let drift = format!(
                "`{}` {why}; item `{item}` is {status}",
                path.display(),
                status = status.as_str()
            );
            return Ok(StatusWrite { stamp: artifacts::stamp(path), drift: Some(drift) });
        }
    };
    let changed = expected.is_some_and(|expected| *expected != digest);
    let drift = changed
        .then(|| format!("`{}` was changed since the items were read from it", path.display()));
    let stamp = files::stamp_of(&metadata, digest);
    let Some(key) = &worklist.status else { return Ok(StatusWrite { stamp: Some(stamp), drift }) };
    match edit(&text, worklist, key, item, status) {
        Edit::None => Ok(StatusWrite { stamp: Some(stamp), drift }),
        Edit::Lost(why) => {
            let drift = format!("`{}` {why}; item `{item}` is {}", path.display(), status.as_str());
            Ok(StatusWrite { stamp: Some(stamp), drift: Some(drift) })
        }
        Edit::Text(text) => {
            let wrong = || Error::io("write an item's status to", path);
            let fresh = Fresh::write(path, text.as_bytes(), metadata.mode()).map_err(wrong())?;
            recorded()?;
            fresh.put().map_err(wrong())?;
            Ok(StatusWrite { stamp: artifacts::stamp(path), drift })
        }
    }
}

enum Unread {
    Missing,
    Because(String),
}

fn load(path: &Path) -> Result<(String, std::fs::Metadata, Digest), Unread> {
    let because = |why: &str| Unread::Because(why.to_owned());
    let Opened { file, metadata } = match files::open(path) {
        Ok(opened) => opened,
        Err(NoFile::Missing) => return Err(Unread::Missing),
        Err(NoFile::Other(what)) => {
            return Err(Unread::Because(format!("{what}: write a regular file there")));
        }
        Err(NoFile::Failed(error)) => {
            return Err(Unread::Because(format!("cannot be read ({error}): mend its permissions")));
        }
    };
    let mut bytes = Vec::new();
    file.take(MAX_BYTES + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| Unread::Because(format!("cannot be read ({error})")))?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(because("is larger than a worklist may be (64 MiB): write a smaller one"));
    }
    let digest = files::digest_of(&bytes);
    let text = String::from_utf8(bytes)
        .map_err(|_| because("is not UTF-8 text: write it again as UTF-8"))?;
    Ok((text, metadata, digest))
}

enum Edit {
    /// It says so already.
    None,
    Text(String),
    Lost(String),
}

/// The text with the item's status changed in place.
fn edit(text: &str, worklist: &Worklist, key: &str, item: &ItemId, status: ItemStatus) -> Edit {
    let lost = |why: &str| Edit::Lost(why.to_owned());
    let Ok(document) = serde_json::from_str::<Members<'_>>(text) else {
        return lost("is no JSON object any more");
    };
    let Some(collection) = document.get(&worklist.collection) else {
        return Edit::Lost(format!("has no `{}` any more", worklist.collection));
    };
    let Ok(entries) = serde_json::from_str::<Vec<&RawValue>>(collection.get()) else {
        return Edit::Lost(format!("has no array in `{}` any more", worklist.collection));
    };
    let found = entries.iter().find_map(|entry| {
        let members: Members<'_> = serde_json::from_str(entry.get()).ok()?;
        let id = members.get(&worklist.id)?;
        let same = id_text(&serde_json::from_str(id.get()).ok()?)? == item.as_str();
        same.then_some((members, id))
    });
    let Some((members, id)) = found else { return lost("has lost the item") };
    let word = format!("\"{}\"", status.as_str());
    let start_of = |part: &RawValue| part.get().as_ptr().addr() - text.as_ptr().addr();
    let mut edited = text.to_owned();
    if let Some(now) = members.get(key) {
        let told = serde_json::from_str::<String>(now.get()).map(|word| status_of(&word));
        if told.is_ok_and(|told| told == status) {
            return Edit::None;
        }
        let start = start_of(now);
        edited.replace_range(start..start + now.get().len(), &word);
    } else {
        // After the id, set out as the id is.
        let end = start_of(id) + id.get().len();
        let lead = space_before_key(text, start_of(id));
        let name = Value::String(key.to_owned());
        edited.insert_str(end, &format!(",{lead}{name}: {word}"));
    }
    Edit::Text(edited)
}

/// The white space before the key whose value starts at `value`; one space when there is none.
fn space_before_key(text: &str, value: usize) -> &str {
    let before = text.get(..value).unwrap_or_default();
    let before = before.trim_end().trim_end_matches(':').trim_end();
    // The key's opening quote: the last bare one before its closing quote.
    let bare =
        |at: &usize| before[..*at].bytes().rev().take_while(|byte| *byte == b'\\').count() % 2 == 0;
    let inside = &before[..before.len().saturating_sub(1)];
    let key_start = inside.rmatch_indices('"').map(|(at, _)| at).find(bare).unwrap_or(before.len());
    let lead = &before[before[..key_start].trim_end().len()..key_start];
    if lead.is_empty() { " " } else { lead }
}

/// An object's members in the order written; a key given twice counts as given last.
struct Members<'t>(Vec<(String, &'t RawValue)>);

impl<'t> Members<'t> {
    fn get(&self, key: &str) -> Option<&'t RawValue> {
        self.0.iter().rev().find(|(name, _)| name == key).map(|(_, value)| *value)
    }
}

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> serde::de::Visitor<'de> for Visitor {
            type Value = Members<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: serde::de::MapAccess<'de>>(
                self,
                mut map: A,
            ) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        from.deserialize_map(Visitor)
    }
}
