//! What of the folders of tools proves who somebody is: known places, files whose names say it, lines of settings.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use botpipe_sandbox::{Layer, Text};

use super::logins::has_login;
use super::scan;

/// What of a folder of tools is not seen as the host has it, relative to it.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Known {
    /// What is not there, also where the host has it only later. By the first name of a path where the rest of
    /// that folder is of no use to a build: then no folder is made for it.
    pub(super) hidden: &'static [&'static str],
    /// Settings without what they say of keys; `*` stands for any name.
    pub(super) settings: &'static [&'static str],
    /// Whether files are looked for by their names. Not in what only holds what was fetched or built: it is large.
    pub(super) names: bool,
}

const fn known(hidden: &'static [&'static str], settings: &'static [&'static str]) -> Known {
    Known { hidden, settings, names: true }
}

const fn hidden(hidden: &'static [&'static str]) -> Known {
    known(hidden, &[])
}

pub(super) static NOTHING: Known = hidden(&[]);
pub(super) static CACHE: Known = Known { hidden: &[], settings: &[], names: false };
pub(super) static CARGO: Known =
    known(&["credentials", "credentials.toml"], &["config", "config.toml"]);
pub(super) static MAVEN: Known =
    hidden(&["settings.xml", "settings-security.xml", ".develocity", ".gradle-enterprise"]);
pub(super) static GRADLE: Known = known(
    &["gradle.properties", "develocity", "enterprise"],
    &["init.gradle", "init.gradle.kts", "init.d/*"],
);
pub(super) static IVY: Known =
    known(&[".credentials", "credentials"], &["ivysettings.xml", "ivysettings.properties"]);
pub(super) static SBT: Known =
    known(&[".credentials", "credentials"], &["repositories", "*.sbt", "*/*.sbt", "*/*/*.sbt"]);
pub(super) static GEM: Known = hidden(&["credentials", "config"]);
/// Its logs hold the words of whoever ran it, and the addresses that it asked.
pub(super) static NPM: Known = hidden(&["_logs"]);
pub(super) static DOTNET: Known = hidden(&["corefx"]);
pub(super) static CABAL: Known = known(&[], &["config"]);
pub(super) static STACK: Known = known(&["upload"], &["config.yaml"]);
pub(super) static JULIA: Known = known(&["servers", "logs"], &["config/startup.jl"]);
pub(super) static PIPX: Known = hidden(&["logs"]);
pub(super) static UV: Known = hidden(&["credentials"]);
pub(super) static CONDA: Known = known(&[], &[".condarc", "condarc", ".mambarc"]);

/// What was found of a folder.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// Relative to it.
    pub(super) hidden: Vec<PathBuf>,
    /// Settings without some lines.
    pub(super) texts: Vec<Layer>,
}

impl Known {
    /// Nothing of a folder is known for a key.
    pub(super) fn is_nothing(&self) -> bool {
        self.hidden.is_empty() && self.settings.is_empty()
    }
}

/// Looks for what is not seen of a folder.
pub(super) fn of(folder: &Path, known: &Known) -> Found {
    let mut found = Found::default();
    found.hidden.extend(known.hidden.iter().map(PathBuf::from));
    if known.names {
        found.hidden.extend(by_name(folder));
    }
    for pattern in known.settings {
        let names = those_that_are(folder, pattern).into_iter();
        let seen = |name: &PathBuf| !found.hidden.iter().any(|hidden| name.starts_with(hidden));
        for name in names.filter(seen).collect::<Vec<_>>() {
            match read(&folder.join(&name)).map(|text| without_keys(&text)) {
                Some(Told::Nothing) => {}
                Some(Told::Apart(text)) => {
                    found.texts.push(Layer::Text(Text { at: folder.join(name), text }));
                }
                Some(Told::Throughout) | None => found.hidden.push(name),
            }
        }
    }
    found.hidden.sort();
    found.hidden.dedup();
    // One below another is hidden with it.
    found.hidden.dedup_by(|inner, outer| inner.starts_with(&*outer));
    found
}

/// Files directly in a folder that holds no tool we know: those whose names say it, and settings that tell of keys.
pub(super) fn in_unknown(folder: &Path) -> Vec<PathBuf> {
    let mut found = by_name(folder);
    let entries = fs::read_dir(folder).into_iter().flatten().flatten().take(ENTRIES);
    for entry in entries.filter(|entry| entry.file_type().is_ok_and(|it| it.is_file())) {
        let name = PathBuf::from(entry.file_name());
        let kind = name.extension().and_then(|it| it.to_str()).unwrap_or_default();
        let of_settings =
            ["toml", "json", "yaml", "yml", "ini", "conf", "cfg", "properties", "xml"];
        let tells = || match read(&folder.join(&name)) {
            Some(text) => without_keys(&text) != Told::Nothing,
            None => true,
        };
        if of_settings.contains(&kind) && tells() {
            found.push(name);
        }
    }
    found.sort();
    found.dedup();
    found
}

/// How deep is looked for names, how many folders at most and how much of each: every start pays for it.
const DEEPEST: usize = 2;
const FOLDERS: usize = 24;
const ENTRIES: usize = 400;

/// Files whose names say that they hold keys. Programs and sources are called so as well.
fn by_name(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut left = std::collections::VecDeque::from([(PathBuf::new(), 1)]);
    let mut looked = 0;
    while let Some((inner, depth)) = left.pop_front() {
        looked += 1;
        if looked > FOLDERS {
            break;
        }
        let listed = listed(&folder.join(&inner));
        found.extend(listed.keys.iter().map(|name| inner.join(name)));
        if depth < DEEPEST {
            left.extend(listed.folders.iter().map(|name| (inner.join(name), depth + 1)));
        }
    }
    found
}

/// What of a folder's names matters here.
#[derive(Debug, Default)]
struct Listed {
    folders: Vec<String>,
    keys: Vec<String>,
}

/// What tells that the names of a folder are the same: its device and number, and when it changed.
type Stamp = (u64, u64, i64, i64);

static LISTED: Mutex<BTreeMap<PathBuf, (Stamp, Arc<Listed>)>> = Mutex::new(BTreeMap::new());

/// The names of a folder, as they are now: those that have not changed for a while are not read again.
fn listed(folder: &Path) -> Arc<Listed> {
    let known = || LISTED.lock().unwrap_or_else(PoisonError::into_inner);
    let Ok(status) = fs::metadata(folder) else { return Arc::default() };
    let stamp = (status.dev(), status.ino(), status.ctime(), status.ctime_nsec());
    if let Some((_, listed)) = known().get(folder).filter(|(read, _)| *read == stamp) {
        return Arc::clone(listed);
    }
    let mut listed = Listed::default();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten().take(ENTRIES) {
        let Ok(kind) = entry.file_type() else { continue };
        let Ok(name) = entry.file_name().into_string() else { continue };
        if kind.is_dir() {
            if name != "bin" {
                listed.folders.push(name);
            }
        } else if says_keys(&name) {
            listed.keys.push(name);
        }
    }
    let listed = Arc::new(listed);
    if scan::has_settled(&status) {
        known().insert(folder.to_owned(), (stamp, Arc::clone(&listed)));
    }
    listed
}

/// Whether a name is that of a file of keys, or of a copy of one.
fn says_keys(name: &str) -> bool {
    const WHOLE: [&str; 8] = [
        ".netrc",
        ".npmrc",
        ".pypirc",
        ".git-credentials",
        "keys.properties",
        "id_rsa",
        "id_ecdsa",
        "id_ed25519",
    ];
    const FIRST: [&str; 10] = [
        "auth",
        "credential",
        "credentials",
        "creds",
        "password",
        "passwords",
        "secret",
        "secrets",
        "token",
        "tokens",
    ];
    const LAST: [&str; 4] = ["pfx", "p12", "key", "ppk"];
    const SOURCES: [&str; 23] = [
        "rs", "go", "py", "pyc", "pyi", "js", "mjs", "cjs", "ts", "mts", "map", "rb", "java",
        "class", "jar", "so", "h", "c", "hs", "jl", "lua", "sh", "md",
    ];
    let name = name.to_lowercase();
    let plain = name.strip_prefix('.').unwrap_or(&name);
    let first = plain.split('.').next().unwrap_or_default();
    let last = plain.rsplit_once('.').map_or("", |(_, last)| last);
    let of_a_kind = FIRST.contains(&first) || first.ends_with("credentials");
    WHOLE.contains(&name.as_str())
        || LAST.contains(&last)
        || (of_a_kind && !SOURCES.contains(&last))
}

/// The files that a pattern means, relative to the folder; none behind a link, which leads nowhere inside.
fn those_that_are(folder: &Path, pattern: &str) -> Vec<PathBuf> {
    let mut found = vec![PathBuf::new()];
    for part in pattern.split('/') {
        let Some((before, after)) = part.split_once('*') else {
            for it in &mut found {
                it.push(part);
            }
            continue;
        };
        let inner = std::mem::take(&mut found).into_iter().flat_map(|it| {
            let entries = fs::read_dir(folder.join(&it)).into_iter().flatten().flatten();
            entries.take(ENTRIES).map(move |entry| it.join(entry.file_name()))
        });
        let meant = |it: &PathBuf| {
            let name = it.file_name().unwrap_or_default().to_string_lossy();
            name.starts_with(before) && name.ends_with(after)
        };
        found = inner.filter(meant).take(ENTRIES).collect();
    }
    found.retain(|it| folder.join(it).symlink_metadata().is_ok_and(|it| it.is_file()));
    found
}

/// A file that is longer is no file of settings.
const LONGEST: u64 = 256 << 10;

fn read(path: &Path) -> Option<String> {
    let short = path.metadata().is_ok_and(|it| it.len() <= LONGEST);
    let text = short.then(|| fs::read_to_string(path).ok()).flatten();
    text.filter(|text| !text.contains('\0'))
}

/// What settings tell of keys.
#[derive(Debug, PartialEq, Eq)]
enum Told {
    Nothing,
    /// In lines of their own; the other lines.
    Apart(String),
    /// No line can be taken away alone.
    Throughout,
}

/// Settings without the lines that tell of keys, where each of those stands for itself.
fn without_keys(text: &str) -> Told {
    let mut kept = String::with_capacity(text.len());
    let mut told = false;
    let mut section = Vec::new();
    for line in text.split_inclusive('\n') {
        if let Some(header) = line.trim().strip_prefix('[').filter(|_| !line.contains('=')) {
            section = names_of(header.split(']').next().unwrap_or_default());
        }
        let comment = ["#", "//", "--", ";"].iter().any(|it| line.trim_start().starts_with(it));
        // Settings that a program wrote for a person to fill in.
        let empty = comment && line.trim_end().ends_with([':', '=']);
        if empty || !(tells(line) || sets_a_secret(&section, line)) {
            kept.push_str(line);
            continue;
        }
        if !comment && !is_whole(line) {
            return Told::Throughout;
        }
        told = true;
        // The lines that follow keep their numbers, which programs tell.
        kept.push('\n');
    }
    match told {
        false => Told::Nothing,
        // What is said over several lines cannot be taken apart.
        true if text.contains("\"\"\"") || text.contains("'''") => Told::Throughout,
        true => Told::Apart(kept),
    }
}

/// Whether a line of Cargo's settings gives programs a variable that holds a secret by its name.
fn sets_a_secret(section: &[String], line: &str) -> bool {
    let line = line.trim().trim_start_matches(['#', ' ']);
    let (key, value) = line.split_once('=').unwrap_or(("", line));
    let key = if key.is_empty() { Vec::new() } else { names_of(key) };
    let all: Vec<&str> = section.iter().chain(&key).map(String::as_str).collect();
    match all[..] {
        // `env = { NAME = "value" }`
        ["env"] if !key.is_empty() => {
            let pieces = value.split(['{', ',']).filter_map(|it| it.split_once('='));
            pieces.flat_map(|(name, _)| names_of(name)).any(|name| says_secret(&name))
        }
        ["env", name, ..] => says_secret(name),
        _ => false,
    }
}

/// Whether the name of a variable says so by a whole word of it: builds read `GIT_AUTHOR_NAME`.
fn says_secret(name: &str) -> bool {
    const LONG: [&str; 5] = ["TOKEN", "SECRET", "PASSW", "CREDENTIAL", "APIKEY"];
    let name = name.to_ascii_uppercase();
    let is_word = |word: &str| ["KEY", "KEYS", "AUTH", "PASS", "PAT", "PW"].contains(&word);
    LONG.iter().any(|word| name.contains(word)) || name.split(['_', '-']).any(is_word)
}

/// The parts of a dotted name.
fn names_of(dotted: &str) -> Vec<String> {
    dotted.split('.').map(|it| it.trim().trim_matches(['"', '\'']).to_owned()).collect()
}

/// Whether a line of settings tells of a key.
pub(super) fn tells(line: &str) -> bool {
    const WORDS: [&str; 8] =
        ["token", "secret", "passw", "credential", "apikey", "api_key", "api-key", "authorization"];
    let line = line.trim().to_lowercase();
    // The name of a section, in which others follow.
    if line.starts_with('[') && line.ends_with(']') && !line.contains('=') {
        return false;
    }
    WORDS.iter().any(|word| line.contains(word)) || has_login(&line)
}

/// Whether nothing that begins in a line ends in another.
pub(super) fn is_whole(line: &str) -> bool {
    let line = line.trim();
    let count = |it: char| line.matches(it).count();
    let closed = [('(', ')'), ('[', ']'), ('{', '}')];
    closed.iter().all(|(open, close)| count(*open) == count(*close))
        && count('"').is_multiple_of(2)
        && !line.contains("/*")
        && !line.contains("*/")
        && !line.contains("<!--")
        && !line.ends_with(['=', ':', ',', '\\', '+', '|', '>'])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_say_keys_and_those_of_programs_and_sources_do_not() {
        for name in [
            "credentials.toml",
            ".credentials",
            "credentials.sbt",
            "credentials.json.bak",
            "auth.toml",
            "auth.json",
            "K.pfx",
            "keys.properties",
            "github_credentials",
            "token",
            ".npmrc",
        ] {
            assert!(says_keys(name), "{name}");
        }
        for name in [
            "cargo-credential-libsecret",
            "git-credential-manager",
            "tokenizers",
            "auth.py",
            "credentials.go",
            "authors.txt",
            "cacert.pem",
            "secrets.cpython-312.pyc",
        ] {
            assert!(!says_keys(name), "{name}");
        }
    }

    /// Of a folder one name stands for all that lies in it: nothing else could be laid there.
    #[test]
    fn what_is_hidden_is_named_once() {
        let folder = tempfile::tempdir().unwrap();
        let at = folder.path();
        for name in ["credentials/auth.toml", "1.0/credentials.sbt", "1.0/a.sbt", "bin/token"] {
            fs::create_dir_all(at.join(name).parent().unwrap()).unwrap();
            fs::write(at.join(name), "password = x\n").unwrap();
        }
        let found = of(at, &SBT);
        let hidden = [".credentials", "1.0/credentials.sbt", "credentials"].map(PathBuf::from);
        assert_eq!(found.hidden, hidden);
        let text = Text { at: at.join("1.0/a.sbt"), text: "\n".to_owned() };
        assert_eq!(found.texts, [Layer::Text(text)]);
    }

    #[test]
    fn settings_are_seen_without_lines_that_tell_keys() {
        let text = "[registries.ours]\nindex = \"sparse+https://x.test/\"\ntoken = \"hush\"\n\
                    [registries.token-shop]\nindex = \"y\"\n[build]\njobs = 2\n";
        let without = text.replace("token = \"hush\"\n", "\n");
        assert_eq!(without_keys(text), Told::Apart(without));
        assert_eq!(without_keys("[build]\njobs = 2\n"), Told::Nothing);
        assert_eq!(without_keys("-- password:\n-- token:\n"), Told::Nothing);
        let address = "proxy = \"http://me:hush@proxy.test:8080\"\njobs = 1\n";
        assert_eq!(without_keys(address), Told::Apart("\njobs = 1\n".to_owned()));
        assert_eq!(without_keys("url = \"https://x.test/a@b\"\n"), Told::Nothing);
        let address = "[http]\nproxy = \"bob:hush@proxy:3128\"\njobs = 1\n";
        assert_eq!(without_keys(address), Told::Apart("[http]\n\njobs = 1\n".to_owned()));
        for text in [
            "token = \"\"\"\nhush\n\"\"\"\n",
            "token =\n  \"hush\"\n",
            "credentials {\n  username 'a'\n  pass 'hush'\n}\n",
        ] {
            assert_eq!(without_keys(text), Told::Throughout, "{text}");
        }
    }

    #[test]
    fn variables_for_programs_are_judged_by_their_names() {
        for (text, seen) in [
            ("[env]\nMY_PW = \"hush\"\nGH_PAT='hush'\nCC = \"cc\"\n", "[env]\n\n\nCC = \"cc\"\n"),
            ("[env]\n\"API_KEY\" = { value = \"hush\", force = true }\n", "[env]\n\n"),
            ("[ env ] # own\nDB_PASS.value = \"hush\"\n", "[ env ] # own\n\n"),
            ("[env.GH_PAT]\nvalue = \"hush\"\n[build]\njobs = 1\n", "\n\n[build]\njobs = 1\n"),
            ("env.GH_PAT = \"hush\"\n", "\n"),
            ("env = { CC = \"cc\", GH_PAT = \"hush\" }\n", "\n"),
        ] {
            assert_eq!(without_keys(text), Told::Apart(seen.to_owned()), "{text}");
        }
        for text in [
            "[env]\nPATH_X = \"a\"\nPWD = \"b\"\nCOMPAT = \"c\"\n",
            "[build]\nMY_PW = \"x\"\n",
            "[env]\nA = \"b\"\n[net]\ngh-pat = true\n",
        ] {
            assert_eq!(without_keys(text), Told::Nothing, "{text}");
        }
    }
}
