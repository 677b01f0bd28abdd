//! What programs print when the system refuses them a file, and the path that is meant.
//!
//! Nothing is believed of it: [`super::Reasons`] looks whether the policy is why.

use std::path::PathBuf;

use serde_json::Value;

use super::bounds;
use super::network::{self, By};
use super::rights::{self, Listens, Tried};

/// A refusal as a program told it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Complaint {
    pub(super) kind: Kind,
    /// What may be meant, the likeliest first.
    pub(super) paths: Vec<String>,
    /// It was to be removed, moved or replaced: its folder is what has to be written.
    pub(super) removes: bool,
    /// Where relative paths begin, if that was told.
    pub(super) cwd: Option<PathBuf>,
    /// It may have been a server that was not to be one.
    pub(super) listens: Listens,
    /// They are settings that git itself was to write.
    pub(super) by_git: bool,
}

impl Complaint {
    pub(super) fn of(kind: Kind, paths: Vec<String>) -> Self {
        Self { kind, paths, removes: false, cwd: None, listens: Listens::No, by_git: false }
    }
}

/// The kernel's reason, by the words of strerror(3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    /// EROFS.
    ReadOnly,
    /// EACCES.
    Denied,
    /// ENOENT.
    Missing,
    /// EBUSY.
    Busy,
    /// Of a folder that was to be made.
    NotMade,
    /// Of a database, which is no more than that.
    Unopened,
    /// ENOSPC.
    Full,
    /// EISDIR: a folder of ours may stand in the place of a file.
    IsFolder,
    /// EAGAIN, of a process or a thread: no path belongs to it.
    NotStarted,
    /// A host with no way to it; in the place of a path stands its name, if that was told.
    Unreached(By),
    /// ECONNREFUSED, of a port of the program's own machine, in the place of a path.
    Unanswered,
    /// EXDEV.
    Across,
    /// EPERM.
    NotPermitted(Tried),
    /// EFBIG: no path belongs to it, as to what follows.
    TooLarge,
    /// ENOMEM.
    NoMemory,
    /// A key to sign with; in the place of a path stands the folder of keys in the home.
    NoKey,
}

/// Without their first letter, which some write small.
const WORDS: [(&str, Kind); 19] = [
    ("ead-only file system", Kind::ReadOnly),
    ("ermission denied", Kind::Denied),
    ("o such file or directory", Kind::Missing),
    ("evice or resource busy", Kind::Busy),
    ("esource busy or locked", Kind::Busy),
    ("nable to open database file", Kind::Unopened),
    ("o space left on device", Kind::Full),
    ("nvalid cross-device link", Kind::Across),
    ("ross-device link not permitted", Kind::Across),
    ("s a directory", Kind::IsFolder),
    ("llegal operation on a directory", Kind::IsFolder),
    ("annot fork", Kind::NotStarted),
    ("an't start new thread", Kind::NotStarted),
    ("nable to create native thread", Kind::NotStarted),
    ("ailed to create new OS thread", Kind::NotStarted),
    ("spawn EAGAIN", Kind::NotStarted),
    ("esource temporarily unavailable", Kind::NotStarted),
    ("peration not permitted", Kind::NotPermitted(Tried::Unknown)),
    ("nvalid argument", Kind::NotPermitted(Tried::Owner)),
];

/// Words by which programs say that a name is to go.
const REMOVING: [&str; 8] =
    ["remov", "unlink", "renam", "mov", "rmdir", "delet", "replac", "write config file"];

/// How small shells (`dash`, `busybox`) and linkers begin what they say of a file.
const OF_SHELLS: [&str; 6] = [
    "cannot open output file ",
    "cannot create ",
    "cannot open ",
    "can't create ",
    "can't open ",
    "unable to create file ",
];

/// What is started, by the words of those who say that it could not be.
const STARTED: [&str; 4] = ["fork", "thread", "clone", "spawn"];

/// What shells say at the end of a line of a program that they do not find, or of a script whose program that is.
const NO_PROGRAM: [&str; 2] = [": not found", ": cannot execute: required file not found"];

/// What git says of a folder that has something laid in it, without a reason.
const NOT_REMOVED: &str = "fatal: could not remove '";

/// Between which words git names a folder of another repository that it does not find.
const NO_REPOSITORY: [(&str, &str); 3] = [
    ("error: unable to normalize alternate object path: ", ""),
    ("fatal: '", "' does not appear to be a git repository"),
    ("fatal: repository '", "' does not exist"),
];

/// What git says where `core.sharedRepository` has it give its own folders to a group, of the bit that would.
const NOT_SHARED: &str = "error: unable to create temporary file: Operation not permitted";

/// Longer lines are data.
const LONGEST_LINE: usize = 8 << 10;

/// Complaints in what a program printed.
pub(crate) fn complaints(text: &str) -> Vec<Complaint> {
    if !complains(text) {
        return Vec::new();
    }
    let mut found = Vec::new();
    let lines: Vec<&str> = text.lines().collect();
    for (n, line) in lines.iter().enumerate() {
        if line.len() <= LONGEST_LINE
            && let Some(complaint) = of_line(&plain(line), &lines[..n])
            && !found.contains(&complaint)
        {
            found.push(complaint);
        }
    }
    found
}

/// Complaints in a message of a harness, wherever it tells what a command printed.
pub(crate) fn of_message(line: &str) -> Vec<Complaint> {
    let mut found = Vec::new();
    if complains(line)
        && let Ok(message) = serde_json::from_str(line)
    {
        of_value(&message, None, &mut found);
    }
    found
}

fn of_value(value: &Value, cwd: Option<&str>, found: &mut Vec<Complaint>) {
    match value {
        Value::String(text) => {
            found.extend(complaints(text).into_iter().map(|complaint| Complaint {
                cwd: cwd.filter(|cwd| cwd.starts_with('/')).map(PathBuf::from),
                ..complaint
            }));
        }
        Value::Array(all) => all.iter().for_each(|value| of_value(value, cwd, found)),
        Value::Object(all) => {
            let cwd = all.get("cwd").and_then(Value::as_str).or(cwd);
            all.values().for_each(|value| of_value(value, cwd, found));
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

fn complains(text: &str) -> bool {
    WORDS.iter().any(|(words, _)| text.contains(words))
        || NO_PROGRAM.iter().any(|words| text.contains(words))
        || text.contains(NOT_REMOVED)
        || NO_REPOSITORY.iter().any(|(begin, end)| text.contains(begin) && text.contains(end))
        || network::complains(text)
        || bounds::complains(text)
        || rights::NO_KEYS.iter().any(|words| text.contains(words))
}

/// Without what colours it.
fn plain(line: &str) -> String {
    let mut parts = line.split('\x1b');
    let mut plain = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let end = part.strip_prefix('[').and_then(|it| it.find(|c: char| c.is_ascii_alphabetic()));
        plain.push_str(end.map_or(part, |end| &part[end + 2..]));
    }
    plain
}

fn of_line(line: &str, before: &[&str]) -> Option<Complaint> {
    if let Some(keys) = rights::keys_of(line) {
        return Some(Complaint::of(Kind::NoKey, vec![keys.to_owned()]));
    }
    of_file(line, before).or_else(|| {
        let pathless = || Some((bounds::of_line(line)?, Vec::new()));
        network::of_line(line).or_else(pathless).map(|(kind, paths)| Complaint::of(kind, paths))
    })
}

fn of_file(line: &str, before: &[&str]) -> Option<Complaint> {
    if let Some(head) = NO_PROGRAM.iter().find_map(|words| line.strip_suffix(words)) {
        let name = head.rsplit(": ").next().filter(|name| name.contains('/'))?;
        return Some(Complaint::of(Kind::Missing, vec![name.to_owned()]));
    }
    let mut no_repository = NO_REPOSITORY.iter();
    if let Some(folder) =
        no_repository.find_map(|(begin, end)| line.strip_prefix(begin)?.strip_suffix(end))
    {
        return Some(Complaint::of(Kind::Missing, vec![folder.to_owned()]));
    }
    if line == NOT_SHARED {
        let folder = vec![".git/objects".to_owned()];
        return Some(Complaint::of(Kind::NotPermitted(Tried::Mode), folder));
    }
    let not_removed = line.strip_prefix(NOT_REMOVED).and_then(|name| name.strip_suffix('\''));
    if let Some(name) = not_removed {
        return Some(Complaint {
            removes: true,
            ..Complaint::of(Kind::Busy, vec![name.to_owned()])
        });
    }
    let (at, words, kind) =
        WORDS.iter().find_map(|(words, kind)| line.find(words).map(|at| (at, words, *kind)))?;
    if kind == Kind::NotStarted {
        let said = line.to_lowercase();
        let started = STARTED.iter().any(|word| said.contains(word));
        return started.then(|| Complaint::of(kind, Vec::new()));
    }
    let kind = match kind {
        // The kernel's word for a user that there is not.
        Kind::NotPermitted(Tried::Owner) if rights::tried(line) != Tried::Owner => return None,
        Kind::NotPermitted(_) => Kind::NotPermitted(rights::tried(line)),
        kind => kind,
    };
    let first = line[..at].chars().next_back()?;
    let head = line[..at - first.len_utf8()].trim_end();
    let tail = &line[at + words.len()..];
    // An error of Rust as it is printed for programmers: `/srv/x: Os { code: 30, …, message: "…" }`.
    let (head, tail) = match head.find(" Os { code: ") {
        Some(end) => (&head[..end], ""),
        None => (head, tail),
    };
    // `tar: x: Cannot change mode to …`.
    let changes = [": Cannot change ownership to ", ": Cannot change mode to "];
    let changes = changes.iter().find_map(|words| head.find(words));
    let head = changes.map_or(head, |at| &head[..=at]);
    let made = kind == Kind::Missing && tail.starts_with(", mkdir '");
    let kind = if made { Kind::NotMade } else { kind };
    let mut said = line;
    let mut paths = after(tail);
    if paths.is_empty() {
        paths = match head.strip_suffix('(') {
            Some(head) => in_front(head.trim_end()),
            None => head.strip_suffix(':').map(in_front).unwrap_or_default(),
        };
    }
    // A chain of causes: the one above says of what.
    let bare = head.is_empty() || head.trim_start().trim_end_matches(':').parse::<u32>().is_ok();
    if paths.is_empty()
        && bare
        && let Some(above) = cause_above(before)
    {
        said = above;
        paths = in_front(above.trim_end());
    }
    let removes = removes(said) || tail.contains("' -> '");
    let listens = if kind == Kind::Denied { rights::listens(line, before) } else { Listens::No };
    let by_git = said.contains("write config file ") || said.contains("lock config file ");
    // Where nothing has room, programs often name nothing.
    let is_one = !paths.is_empty() || listens != Listens::No || kind == Kind::Full;
    is_one.then(|| Complaint { removes, listens, by_git, ..Complaint::of(kind, paths) })
}

/// The line above `Caused by:`, or above the number of a cause.
fn cause_above<'a>(before: &[&'a str]) -> Option<&'a str> {
    let mut lines = before.iter().rev().filter(|line| !line.trim().is_empty());
    let last = lines.next()?;
    if last.trim() == "Caused by:" { lines.next().copied() } else { None }
}

/// A path that follows the words: `: '/x'`, `, open '/x'`, ` at path "/x"`, ` @ rb_sysopen - /x`.
fn after(tail: &str) -> Vec<String> {
    // Rust says the number as well.
    let tail = match tail.strip_prefix(" (os error ") {
        Some(rest) => rest.split_once(')').map_or("", |(_, rest)| rest),
        None => tail,
    };
    if let Some((_, rest)) = tail.strip_prefix(" @ ").and_then(|rest| rest.split_once(" - ")) {
        let path = rest.rsplit_once(" (").map_or(rest, |(path, _)| path);
        return vec![path.trim().to_owned()];
    }
    if !tail.starts_with([':', ',']) && !tail.starts_with(" at path ") {
        return Vec::new();
    }
    let mut quoted = quoted(tail);
    quoted.reverse();
    let rest = tail[1..].trim();
    if quoted.is_empty() && tail.starts_with(": ") && is_one(rest) {
        return vec![rest.to_owned()];
    }
    quoted
}

/// A path that stands before the words. Of two in quotes the last one is meant, unless both are to go.
fn in_front(head: &str) -> Vec<String> {
    let mut names = quoted(head);
    names.retain(|name| !names_a_thing(head, name) && !name.ends_with("()") && name != "Err");
    names.reverse();
    if !removes(head) && !head.contains("' => '") {
        names.truncate(1);
    }
    if !names.is_empty() {
        return names;
    }
    let mut segments: Vec<&str> = head.split(": ").collect();
    if segments.last() == Some(&"Cannot open") {
        segments.pop();
    }
    // `/usr/bin/ld: …`, `/w/run.sh: line 2: …`: who says it is not what it is said of.
    let by_path = segments.len() > 1 && segments[0].starts_with('/');
    let segments = if by_path { &segments[1..] } else { &segments[..] };
    // `open /srv/my file`: from the first name on that begins with `/`.
    for segment in segments.iter().rev() {
        if segment.starts_with('/') {
            return vec![(*segment).to_owned()];
        }
        if let Some(at) = segment.find(" /") {
            let whole = segment[at + 1..].to_owned();
            let last = segment.rsplit(' ').next().unwrap_or_default().to_owned();
            let mut paths = vec![whole];
            if last.starts_with('/') && !paths.contains(&last) {
                paths.push(last);
            }
            return paths;
        }
    }
    // A shell quotes nothing, spaces or not.
    let last = segments.last().copied().unwrap_or_default();
    if let Some(name) = OF_SHELLS.iter().find_map(|words| last.strip_prefix(words)) {
        return vec![name.to_owned()];
    }
    for (n, segment) in segments.iter().enumerate().rev() {
        let segment = segment.trim();
        let last = segment.rsplit(' ').next().unwrap_or_default();
        // What stands alone is a name where a program or a shell's line stands before it.
        let alone = (n > 0 || by_path) && n + 1 == segments.len() && last == segment;
        if (alone || last.contains(['/', '.'])) && is_one(last) {
            return vec![last.to_owned()];
        }
    }
    Vec::new()
}

/// Whether a name is to go, by the words of a line.
fn removes(said: &str) -> bool {
    let said = said.to_lowercase();
    REMOVING.iter().any(|word| said.contains(word))
}

/// `ref 'HEAD'`, `thread 'main'`: no file.
fn names_a_thing(head: &str, name: &str) -> bool {
    ["ref", "thread", "package", "module", "branch"].iter().any(|thing| {
        ["'", "`", "\""].iter().any(|quote| head.contains(&format!("{thing} {quote}{name}")))
    })
}

/// One word that is no error's name.
fn is_one(word: &str) -> bool {
    let known = ["error", "warning", "fatal", "panic", "oserror", "ioerror"];
    let lower = word.to_lowercase();
    !word.is_empty()
        && !word.contains([' ', '\'', '"', '=', '{', '('])
        && !word.contains("://")
        && !word.ends_with("Exception")
        && !word.ends_with("Error")
        && !known.contains(&lower.as_str())
}

/// What stands in quotes, in order. A quote opens after what is no letter, and closes before one.
fn quoted(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut open: Option<(char, usize)> = None;
    let mut before = ' ';
    let mut rest = text.char_indices().peekable();
    while let Some((at, c)) = rest.next() {
        let next = rest.peek().map_or(' ', |(_, c)| *c);
        match open {
            None if !before.is_alphanumeric() => {
                let closing = match c {
                    '\'' | '"' | '`' => Some(c),
                    '\u{2018}' => Some('\u{2019}'),
                    '\u{201c}' => Some('\u{201d}'),
                    _ => None,
                };
                open = closing.map(|closing| (closing, at + c.len_utf8()));
            }
            Some((closing, from)) if c == closing && !next.is_alphanumeric() => {
                if at > from {
                    found.push(text[from..at].to_owned());
                }
                open = None;
            }
            _ => {}
        }
        before = c;
    }
    found
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use super::{Complaint, complaints, of_message};

    fn shown(found: &[Complaint]) -> String {
        let mut text = String::new();
        for Complaint { kind, paths, removes, cwd, .. } in found {
            let removes = if *removes { ", its folder" } else { "" };
            let _ = write!(text, "=> {kind:?}{removes}: {}", paths.join(" | "));
            let _ = cwd.iter().try_for_each(|cwd| write!(text, " from {}", cwd.display()));
            text.push('\n');
        }
        text
    }

    /// What tools really print, made by running each in the sandbox; after `=>` what is made of it.
    #[test]
    fn every_tool_is_understood() {
        let known = include_str!("messages.txt");
        let mut blocks = known.split("\n$ ");
        let mut now = blocks.next().unwrap().to_owned();
        for block in blocks {
            let said: Vec<&str> = block.lines().filter(|line| !line.starts_with("=>")).collect();
            let _ = write!(now, "\n$ {}\n", said.join("\n").trim_end());
            let printed = said[1..].join("\n");
            now.push_str(&shown(&complaints(&printed)));
        }
        if std::env::var_os("UPDATE_SNAPSHOTS").is_some() {
            let path = concat!(env!("CARGO_MANIFEST_DIR"), "/src/confine/refused/messages.txt");
            std::fs::write(path, &now).unwrap();
            return;
        }
        for (now, known) in now.split("\n$ ").zip(known.split("\n$ ")) {
            assert_eq!(now.trim_end(), known.trim_end());
        }
    }

    #[test]
    fn what_names_no_file_is_no_complaint() {
        for text in [
            "java.io.IOException: Read-only file system",
            "OSError: [Errno 30] Read-only file system",
            "Error: Permission denied",
            "called `Result::unwrap()` on an `Err` value: Os { code: 30, message: \"Read-only file system\" }",
            "git@example.com: Permission denied (publickey).",
            "mount: it is a Read-only file system, I think",
        ] {
            let found = complaints(text);
            let paths: Vec<_> = found.iter().flat_map(|it| &it.paths).collect();
            assert!(paths.iter().all(|path| path.contains('@')), "{text}: {found:?}");
        }
    }

    #[test]
    fn a_harness_tells_what_its_commands_printed_and_where() {
        let line = r#"{"params":{"item":{"cwd":"/w/sub","aggregatedOutput":"touch: cannot touch 'x': Read-only file system\n"}}}"#;
        assert_eq!(shown(&of_message(line)), "=> ReadOnly: x from /w/sub\n");
        assert!(of_message("touch: cannot touch 'x': Read-only file system").is_empty());
    }

    #[test]
    fn nothing_that_is_printed_makes_it_stumble() {
        for text in [
            "\u{2018}: Read-only file system",
            ": Read-only file system: '",
            "ead-only file system",
            "äead-only file system",
            "\x1b[31m\x1b: Permission denied",
            "Caused by:\nNo such file or directory",
            "x (Permission denied",
            "Read-only file system @ ",
        ] {
            drop(complaints(text));
        }
    }
}
