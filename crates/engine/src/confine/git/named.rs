//! Files and folders that git's settings name: what they include, and where hooks are.

use std::collections::{BTreeMap, BTreeSet};
use std::env;
use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use super::settings::{self, Links, Setting};

/// What files of settings name, with all that they include, whatever it depends on.
#[derive(Debug, Clone, Default)]
pub(super) struct Named {
    /// What was read, and whether it is there.
    pub(super) included: BTreeSet<PathBuf>,
    /// Folders of hooks, from the top of a work tree.
    pub(super) hooks: BTreeSet<PathBuf>,
    /// Other files and folders, from the top of a work tree.
    pub(super) others: BTreeSet<PathBuf>,
    /// Words of commands that git runs of its own accord: some may be files, from the top of a work tree.
    pub(super) commands: BTreeSet<PathBuf>,
    /// Those of them that git, or what it starts, takes from the work tree that it is in.
    pub(super) scripts: BTreeSet<PathBuf>,
    /// The top of the work tree, where that is said.
    pub(super) tree: Option<PathBuf>,
}

/// Settings that cannot be read, and why.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Unread {
    pub(super) path: PathBuf,
    pub(super) why: String,
    /// Git itself ends with an error.
    pub(super) ends_git: bool,
}

/// Git itself includes no deeper than this.
const DEEPEST: usize = 10;

impl Named {
    /// Adds what a file of settings names. One that is not there names nothing.
    pub(super) fn add(&mut self, file: &Path, home: Option<&Path>) -> Result<(), Unread> {
        self.add_all(file, home, 0)
    }

    fn add_all(&mut self, file: &Path, home: Option<&Path>, depth: usize) -> Result<(), Unread> {
        let unread = |why: String| Unread { path: file.to_owned(), why, ends_git: false };
        let bytes = match settings::bytes_of(file, Links::Followed) {
            Ok(Some(bytes)) => bytes,
            Ok(None) => return Ok(()),
            // Git goes on without it, or ends with an error.
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => return Ok(()),
            Err(error) => return Err(unread(format!("it cannot be read: {error}"))),
        };
        let read = settings::parse(&bytes);
        let read = read.map_err(|wrong| Unread {
            ends_git: true,
            ..unread(format!("line {} is not git's", wrong.0))
        })?;
        for Setting { name, value, .. } in read.all {
            let Some(value) = value.filter(|value| !value.is_empty()) else { continue };
            let path = || {
                expanded(&value, home).ok_or_else(|| {
                    let shown = String::from_utf8_lossy(&value);
                    unread(format!(
                        "it names `{shown}`, the home of somebody who is not known here"
                    ))
                })
            };
            match name.as_str() {
                "include.path" | "includeif.path" => {
                    let path = file.parent().unwrap_or(Path::new("/")).join(path()?);
                    if depth >= DEEPEST {
                        return Err(unread("it is included too deeply".to_owned()));
                    }
                    if self.included.insert(path.clone()) {
                        self.add_all(&path, home, depth + 1)?;
                    }
                }
                name if is_command(name) => {
                    self.commands.extend(words(&value));
                    self.scripts.extend(scripts(&value));
                }
                "core.hookspath" => drop(self.hooks.insert(path()?)),
                "core.attributesfile" | "core.excludesfile" | "init.templatedir" => {
                    self.others.insert(path()?);
                }
                "core.worktree" => {
                    self.tree = Some(file.parent().unwrap_or(Path::new("/")).join(path()?));
                }
                _ => {}
            }
        }
        Ok(())
    }
}

/// Settings that git runs without being asked for just that, as aliases are; by their section and name.
///
/// # Source
/// git-config(1) of git 2.47.
const COMMANDS: &[(&str, &[&str])] = &[
    (
        "core",
        &[
            "alternaterefscommand",
            "askpass",
            "editor",
            "fsmonitor",
            "gitproxy",
            "pager",
            "sshcommand",
        ],
    ),
    ("credential", &["helper"]),
    ("diff", &["command", "external", "textconv"]),
    ("filter", &["clean", "process", "smudge"]),
    ("gc", &["recentobjectshook"]),
    ("gpg", &["defaultkeycommand", "program"]),
    ("hook", &["command"]),
    ("interactive", &["difffilter"]),
    ("merge", &["driver"]),
    ("remote", &["receivepack", "uploadpack"]),
    ("sequence", &["editor"]),
    ("submodule", &["update"]),
    ("trailer", &["cmd", "command"]),
    ("uploadpack", &["packobjectshook"]),
];

fn is_command(name: &str) -> bool {
    let (section, key) = (name.split('.').next(), name.rsplit('.').next().unwrap_or_default());
    section == Some("pager")
        || COMMANDS.iter().any(|(of, keys)| section == Some(of) && keys.contains(&key))
}

/// The words of a command as a shell has them, roughly: one too many is no file.
fn words(command: &[u8]) -> impl Iterator<Item = PathBuf> {
    let ends = |byte: &u8| byte.is_ascii_whitespace() || b"\"'`!;|&()<>=$".contains(byte);
    command
        .split(ends)
        .filter(|word| !word.is_empty() && !word.starts_with(b"-"))
        .map(|word| PathBuf::from(OsStr::from_bytes(word)))
}

/// Those words that are taken from where git is: paths, and what is given to something that runs it. Others are found
/// among the programs of the person, or are no files.
fn scripts(command: &[u8]) -> impl Iterator<Item = PathBuf> {
    const RUN: [&str; 12] = [
        "sh", "bash", "dash", "zsh", "env", "python", "python3", "perl", "ruby", "node", "deno",
        "bun",
    ];
    let first = words(command).next();
    let runs = first
        .as_deref()
        .and_then(Path::file_name)
        .is_some_and(|it| RUN.iter().any(|run| it == *run));
    let is_one = move |(at, word): &(usize, PathBuf)| {
        let bytes = word.as_os_str().as_bytes();
        word.is_relative()
            && (bytes.contains(&b'/') || (*at > 0 && (runs || bytes.contains(&b'.'))))
    };
    let all = words(command).enumerate().filter(is_one).map(|(_, word)| word);
    all.map(|word| word.strip_prefix(".").map(Path::to_owned).unwrap_or(word))
}

/// A path of a setting, with its home.
fn expanded(value: &[u8], home: Option<&Path>) -> Option<PathBuf> {
    let value = value.strip_prefix(b":(optional)").unwrap_or(value);
    let path = Path::new(OsStr::from_bytes(value));
    match value.strip_prefix(b"~") {
        None => Some(path.to_owned()),
        Some(b"" | b"/") => home.map(Path::to_owned),
        Some(rest) => {
            let rest = rest.strip_prefix(b"/")?;
            home.map(|home| home.join(OsStr::from_bytes(rest)))
        }
    }
}

/// A person's own files of settings, and the machine's: they hold in every repository.
pub(super) fn of_person(home: Option<&Path>) -> Vec<PathBuf> {
    let set = |name: &str| env::var_os(name).filter(|it| !it.is_empty()).map(PathBuf::from);
    let settings = set("XDG_CONFIG_HOME").or_else(|| home.map(|home| home.join(".config")));
    let own = match set("GIT_CONFIG_GLOBAL") {
        Some(file) => vec![file],
        None => [settings.map(|it| it.join("git/config")), home.map(|it| it.join(".gitconfig"))]
            .into_iter()
            .flatten()
            .collect(),
    };
    let machine = set("GIT_CONFIG_SYSTEM").unwrap_or_else(|| PathBuf::from("/etc/gitconfig"));
    own.into_iter().chain([machine]).collect()
}

/// Work trees, by the folder of git's own whose settings hold in them.
pub(super) type Trees = BTreeMap<PathBuf, BTreeSet<PathBuf>>;

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn what_settings_name_is_found_through_all_that_they_include() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::create_dir_all(at("r/.git")).unwrap();
        let text = b"[user]\n name = J\xf6rg\n[include]\n path = ../one ; ours\n\
                     [includeIf \"gitdir:/nowhere\"]\n path = \"~/two\"\n";
        fs::write(at("r/.git/config"), text).unwrap();
        fs::write(at("r/one"), "[include] path = three\n").unwrap();
        fs::write(at("two"), "[core]\n hooksPath = .husky/_ # husky\n[include]\npath = r/one\n")
            .unwrap();
        let mut named = Named::default();
        named.add(&at("r/.git/config"), Some(folder.path())).unwrap();
        let included = [at("r/.git/../one"), at("two"), at("r/.git/../three"), at("r/one")];
        assert!(included[..2].iter().all(|path| named.included.contains(path)), "{named:?}");
        assert_eq!(named.hooks, BTreeSet::from([PathBuf::from(".husky/_")]));
        let text = "[filter \"A b\"]\n clean = sh -c './tools/c \"$1\"' --\n[alias]\n x = !run\n";
        fs::write(at("three"), text).unwrap();
        named.add(&at("three"), None).unwrap();
        let words = ["sh", "./tools/c", "1"].map(PathBuf::from);
        assert_eq!(named.commands, BTreeSet::from(words));
        let scripts = ["tools/c", "1"].map(PathBuf::from);
        assert_eq!(named.scripts, BTreeSet::from(scripts));
    }

    #[test]
    fn what_a_command_takes_from_a_work_tree_is_told_from_what_it_calls() {
        let found = |command: &str| -> Vec<String> {
            scripts(command.as_bytes()).map(|it| it.display().to_string()).collect()
        };
        for command in
            ["git-lfs clean -- %f", "less -FX", "true", "/usr/bin/x", "code --wait", "gpg"]
        {
            assert_eq!(found(command), Vec::<String>::new(), "{command}");
        }
        assert_eq!(found("tools/fsm"), ["tools/fsm"]);
        assert_eq!(found("./fsm --all"), ["fsm"]);
        assert_eq!(found("sh fsm"), ["fsm"]);
        assert_eq!(found("python3 -u filter.py clean"), ["filter.py", "clean"]);
        assert_eq!(found("uv run lint.py"), ["lint.py"]);
    }

    #[test]
    fn what_cannot_be_read_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("config");
        let why = |text: &str| {
            fs::write(&file, text).unwrap();
            Named::default().add(&file, None).unwrap_err().why
        };
        assert_eq!(why("[core]\n x\n ="), "line 3 is not git's");
        assert!(why("[include]\n path = ~nobody/x\n").contains("home of somebody"));
        assert!(why("[include]\n path = .\n").contains("cannot be read"));
    }
}
