//! The files of a home that a person's settings of git name, so that git works inside as it does outside: what
//! they include, what is ignored and has attributes everywhere, and the person's own hooks.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use botpipe_sandbox::{Layer, Text};

use super::certificates::Named;
use super::paths::{in_shell, is_theirs};
use super::{Unshown, git_keys, home as homes, keys, within};
use crate::plain;
use crate::policy::lexical;

/// Where git looks for the settings of a person, and for the others without being told.
const FOUND: [(&str, Meant); 4] = [
    (".gitconfig", Meant::Settings),
    (".config/git/config", Meant::Settings),
    (".config/git/ignore", Meant::File),
    (".config/git/attributes", Meant::File),
];

/// As many includes within each other as git follows itself.
///
/// # Source
/// `config.c` of git 2.47: `MAX_INCLUDE_DEPTH`.
const DEEPEST: usize = 10;
/// A file that is longer is not looked into. Settings are not shown then, nor is anything behind a link.
const LONGEST: u64 = 256 << 10;
/// Files that are shown at most.
const MOST: usize = 50;

/// Layers that show them, to be read, without settings that tell of a key. Nothing of what programs write (`written`) is among them: it would name what
/// else they are to see.
pub(super) fn layers(
    home: &Path,
    written: &[PathBuf],
    unshown: &mut Vec<Unshown>,
    certificates: &mut Vec<Named>,
) -> Vec<Layer> {
    let secrets: Vec<PathBuf> = homes::all_secrets(home).collect();
    let mut seen = BTreeSet::new();
    let mut folders = BTreeSet::new();
    let found = FOUND.iter().map(|(name, meant)| (home.join(name), 0, *meant));
    let mut left: Vec<(PathBuf, usize, Meant)> = found.collect();
    let mut layers = Vec::new();
    while let Some((path, depth, meant)) = left.pop() {
        if seen.len() == MOST || !path.starts_with(home) || !seen.insert(path.clone()) {
            continue;
        }
        let Some(found) = found_by(&path, written) else { continue };
        if within(&path, &secrets) || within(&found, &secrets) {
            continue;
        }
        let bytes = plain::peek(&found, LONGEST);
        if meant != Meant::Settings {
            layers.extend(layer(path, &found, bytes.ok()));
            continue;
        }
        let bytes = match bytes {
            Ok(bytes) => bytes,
            Err(why) => {
                unshown.push(not_shown(&path, &why));
                continue;
            }
        };
        // Git takes any bytes.
        let text = String::from_utf8_lossy(&bytes);
        if depth < DEEPEST {
            for (meant, path) in named(&text, &path, home) {
                match meant {
                    Meant::Settings | Meant::File => left.push((path, depth + 1, meant)),
                    Meant::Hooks | Meant::Template => drop(folders.insert((meant, path))),
                    Meant::Certificates => {
                        certificates.push(Named { by: "http.sslCAInfo".to_owned(), path });
                    }
                }
            }
        }
        match git_keys::without_keys(&text) {
            Some(text) => {
                // Git ends a value there, and goes on.
                let text = text.replace('\0', " ");
                // By its own name too, where the folder that it lies in is shown.
                let own = (found != path && found.starts_with(home)).then_some(found);
                let all = [Some(path), own].into_iter().flatten();
                layers.extend(all.map(|at| Layer::Text(Text { at, text: text.clone() })));
            }
            None => layers.extend(layer(path, &found, Some(bytes))),
        }
    }
    for (meant, folder) in folders.into_iter().take(MOST) {
        match folder_of(meant, &folder, home, (written, &secrets)) {
            Ok(shown) => layers.extend(shown),
            // A template that is not found git tells itself.
            Err(_) if meant == Meant::Template => {}
            Err(why) => unshown.push(no_hooks(&folder, &why)),
        }
    }
    layers
}

/// The layer for a file as it is, found there or behind a link.
fn layer(path: PathBuf, found: &Path, bytes: Option<Vec<u8>>) -> Option<Layer> {
    if found == path {
        return Some(Layer::Shown(path));
    }
    // Behind a link, as who keeps all such files in one folder has them: the folder itself is not seen.
    let text = String::from_utf8(bytes?).ok().filter(|text| !text.contains('\0'))?;
    Some(Layer::Text(Text { at: path, text }))
}

/// Layers for a folder; `Err`: why there are none, in words.
fn folder_of(
    meant: Meant,
    path: &Path,
    home: &Path,
    (written, secrets): (&[PathBuf], &[PathBuf]),
) -> Result<Vec<Layer>, String> {
    // Nothing is there outside either, or it is seen.
    if !path.is_dir() || within(path, written) {
        return Ok(Vec::new());
    }
    if !path.starts_with(home) {
        return Err("it lies outside the home".to_owned());
    }
    let found = path.canonicalize().map_err(|error| error.to_string())?;
    if found != path {
        return Err(format!("a link is on the way to it; name `{}`", found.display()));
    }
    let holds = |inner: &PathBuf| inner.starts_with(path);
    if within(path, secrets) || secrets.iter().any(holds) || homes::is_wide(home, path) {
        return Err("it lies in, or holds, what proves who somebody is".to_owned());
    }
    let copied = ["hooks", "config"].map(|name| path.join(name));
    if meant == Meant::Template && copied.iter().any(|it| it.symlink_metadata().is_ok()) {
        // Each repository that a program makes would have hooks, and be put aside for that.
        return Err("repositories that programs make have no hooks".to_owned());
    }
    let mut layers = vec![Layer::Shown(path.to_owned())];
    layers.extend(keys::in_unknown(path).into_iter().map(|name| Layer::Masked(path.join(name))));
    // One that leads to where all such files are kept, which is not seen.
    let entries = fs::read_dir(path).into_iter().flatten().flatten().take(MOST);
    let links = entries.filter(|it| it.file_type().is_ok_and(|kind| kind.is_symlink()));
    for link in links.map(|entry| entry.path()) {
        let Some(found) = found_by(&link, written) else { continue };
        let text = plain::peek(&found, LONGEST).unwrap_or_default();
        let is_key = text.is_empty() || text.windows(KEY.len()).any(|part| part == KEY);
        if found.starts_with(home) && !within(&found, secrets) && !is_key {
            layers.push(Layer::Shown(found));
        }
    }
    Ok(layers)
}

const KEY: &[u8] = b"PRIVATE KEY";

/// That git passes over settings of a person's own.
fn not_shown(file: &Path, why: &io::Error) -> Unshown {
    let shown = file.display();
    let what = format!("`{shown}` is not shown, so git passes over the settings in it: {why}");
    Unshown { path: file.to_owned(), what, of_network: false }
}

/// That git passes over a person's own hooks.
fn no_hooks(folder: &Path, why: &str) -> Unshown {
    let (shown, typed) = (folder.display(), in_shell([folder]));
    let what = format!(
        "`{shown}` is not shown, so git passes over the hooks of your own in it (`core.hooksPath`): {why}; \
         `BOTPIPE_ALLOW_READ={typed}` in Botpipe's own environment shows a folder that no link leads to"
    );
    Unshown { path: folder.to_owned(), what, of_network: false }
}

/// The file that a path leads to, where that is no program's word.
pub(super) fn found_by(path: &Path, written: &[PathBuf]) -> Option<PathBuf> {
    path.symlink_metadata().ok()?;
    let found = path.canonicalize().ok()?;
    (found.is_file() && !is_theirs(path, written)).then_some(found)
}

/// What a setting names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Meant {
    /// More settings.
    Settings,
    /// Another file, which has none.
    File,
    /// A folder of hooks.
    Hooks,
    /// A folder that every new repository is a copy of.
    Template,
    /// By which a host is believed.
    Certificates,
}

/// What a file of settings names.
fn named(text: &str, file: &Path, home: &Path) -> Vec<(Meant, PathBuf)> {
    let mut section = String::new();
    let mut named = Vec::new();
    for line in text.lines().map(str::trim) {
        let mut setting = line;
        if let Some(head) = line.strip_prefix('[') {
            // A name in quotes may hold a bracket.
            let end = head.rfind(']').unwrap_or(head.len());
            section = head[..end].to_lowercase();
            setting = head.get(end + 1..).unwrap_or_default();
        }
        let Some((key, value)) = setting.split_once('=') else { continue };
        let of = section.split([' ', '\t', '"']).next().unwrap_or_default();
        let meant = match (of, key.trim().to_lowercase().as_str()) {
            ("include" | "includeif", "path") => Meant::Settings,
            ("core", "excludesfile" | "attributesfile")
            | ("commit", "template")
            | ("blame", "ignorerevsfile") => Meant::File,
            ("core", "hookspath") => Meant::Hooks,
            ("init", "templatedir") => Meant::Template,
            ("http", "sslcainfo" | "sslcapath") => Meant::Certificates,
            _ => continue,
        };
        // A relative folder is one of the work tree, not beside the settings.
        let path = absolute(value, file, home);
        let relative = !value.trim().trim_start_matches('"').starts_with(['/', '~']);
        let is_file = matches!(meant, Meant::Settings | Meant::File);
        named.extend(path.filter(|_| is_file || !relative).map(|it| (meant, it)));
    }
    named
}

/// A path as git reads it: of the home, or from the file that names it.
fn absolute(value: &str, file: &Path, home: &Path) -> Option<PathBuf> {
    let value = value.trim();
    let value = match value.strip_prefix('"') {
        Some(quoted) => quoted.split('"').next().unwrap_or_default(),
        None => value.split([';', '#']).next().unwrap_or_default().trim_end(),
    };
    let path = match value.strip_prefix("~/") {
        Some(inside) => home.join(inside),
        None if value.is_empty() || value.starts_with(['~', '%']) => return None,
        None => file.parent()?.join(value),
    };
    Some(lexical(&path))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(home: &Path, written: &[PathBuf]) -> Vec<String> {
        let at = |layer: Layer| match layer {
            Layer::Shown(at) => at,
            Layer::Text(text) => text.at,
            Layer::Masked(at) => at.join("(closed)"),
            other => panic!("{other:?}"),
        };
        let mut all: Vec<String> = layers(home, written, &mut Vec::new(), &mut Vec::new())
            .into_iter()
            .map(|layer| at(layer).strip_prefix(home).unwrap().display().to_string())
            .collect();
        all.sort();
        all
    }

    #[test]
    fn what_the_settings_name_is_shown_and_no_secret() {
        let folder = tempfile::tempdir().unwrap();
        let home = folder.path().canonicalize().unwrap();
        for name in [".ssh", "dots", ".config/git"] {
            fs::create_dir_all(home.join(name)).unwrap();
        }
        let files = [
            (
                "dots/gitconfig",
                "[core]\n\texcludesFile = ~/.ignored ; all\n[include] path = \"~/.local one\"\n\
                 [includeIf \"gitdir:~/a]b/\"]\n  path = .work\n[include]\npath = ~/.ssh/config\n\
                 path = /etc/passwd\npath=~/../outside\npath = ~/.git-credentials\npath = none\n",
            ),
            (".ignored", ""),
            (".local one", "[include]\n\tpath=dots/deep\n"),
            (".work", "[core]\nattributesfile = ~/.attributes\n[include]\npath = .gitconfig"),
            (".attributes", ""),
            ("dots/deep", ""),
            ("dots/other", ""),
            (".ssh/config", ""),
            (".git-credentials", ""),
            (".config/git/ignore", ""),
        ];
        for (name, text) in files {
            fs::write(home.join(name), text).unwrap();
        }
        std::os::unix::fs::symlink("dots/gitconfig", home.join(".gitconfig")).unwrap();
        let expected = [
            ".attributes",
            ".config/git/ignore",
            ".gitconfig",
            ".ignored",
            ".local one",
            ".work",
            "dots/deep",
        ];
        assert_eq!(shown(&home, &[]), expected);
    }

    /// The settings lie in a repository that an agent works on: they would show it what it names.
    #[test]
    fn what_programs_write_names_nothing_more() {
        let folder = tempfile::tempdir().unwrap();
        let home = folder.path().canonicalize().unwrap();
        fs::create_dir(home.join("dots")).unwrap();
        fs::write(home.join("dots/gitconfig"), "[include]\npath = ~/diary\n").unwrap();
        fs::write(home.join("diary"), "").unwrap();
        std::os::unix::fs::symlink("dots/gitconfig", home.join(".gitconfig")).unwrap();
        let written = [home.join("dots")];
        assert_eq!(shown(&home, &written), [""; 0]);
        // It leads on from there.
        fs::remove_file(home.join("dots/gitconfig")).unwrap();
        std::os::unix::fs::symlink("../diary", home.join("dots/gitconfig")).unwrap();
        assert_eq!(shown(&home, &[]), [".gitconfig"]);
        assert_eq!(shown(&home, &written), [""; 0]);
    }

    /// With what its links lead to, and never in what holds keys.
    #[test]
    fn the_hooks_of_a_person_are_shown_or_it_is_told_that_they_are_not() {
        let folder = tempfile::tempdir().unwrap();
        let home = folder.path().canonicalize().unwrap();
        for name in
            ["hooks", "dots/bin", ".ssh/hooks", ".config", "work/hooks", "plain", "full/hooks"]
        {
            fs::create_dir_all(home.join(name)).unwrap();
        }
        let link = |to: &str, name: &str| std::os::unix::fs::symlink(to, home.join(name)).unwrap();
        for name in ["hooks/pre-commit", "hooks/token", "dots/bin/push", ".ssh/id"] {
            fs::write(home.join(name), "#!/bin/sh\n").unwrap();
        }
        link("../dots/bin/push", "hooks/pre-push");
        link("../.ssh/id", "hooks/update");
        link("hooks", "by-link");
        let look = |settings: &str| {
            fs::write(home.join(".gitconfig"), settings).unwrap();
            let mut unshown = Vec::new();
            let written = [home.join("work")];
            drop(layers(&home, &written, &mut unshown, &mut Vec::new()));
            let told = unshown.into_iter().map(|it| it.what).collect::<Vec<_>>().join("\n");
            (shown(&home, &written), told)
        };
        let (all, told) = look("[core]\nhooksPath = ~/hooks\n");
        assert_eq!(all, [".gitconfig", "dots/bin/push", "hooks", "hooks/token/(closed)"]);
        assert_eq!(told, "");
        for hidden in ["~/.ssh/hooks", "~/.config", "~/by-link"] {
            let (all, told) = look(&format!("[core]\nhooksPath = {hidden}\n"));
            assert_eq!(all, [".gitconfig"], "{hidden}");
            assert!(told.contains("git passes over the hooks of your own"), "{hidden}: {told}");
        }
        for (seen, also) in [("~/work/hooks", None), ("hooks", None), ("~/none", None)]
            .into_iter()
            .chain([("\n[init]\ntemplateDir = ~/plain", Some("plain"))])
            .chain([("\n[init]\ntemplateDir = ~/full", None)])
        {
            let (all, told) = look(&format!("[core]\nhooksPath = {seen}\n"));
            assert_eq!(all, [Some(".gitconfig"), also].into_iter().flatten().collect::<Vec<_>>());
            assert_eq!(told, "", "{seen}");
        }
    }

    /// Settings that tell of a key are not seen, wherever they are; what only is ignored is no setting.
    #[test]
    fn keys_in_settings_are_not_shown() {
        let folder = tempfile::tempdir().unwrap();
        let home = folder.path().canonicalize().unwrap();
        for name in [".config/git", ".secrets", "dots"] {
            fs::create_dir_all(home.join(name)).unwrap();
        }
        let url = "[url \"https://oauth2:HUSH@x.test/\"]\n\tinsteadOf = https://x.test/\n";
        let files = [
            (".gitconfig", "[user]\n\tname = A\n[include]\n\tpath = .secrets/tok.inc\n"),
            (".secrets/tok.inc", "[github]\n\ttoken = HUSH\n[core]\n\texcludesFile = ~/ignored\n"),
            ("dots/config", url),
            ("ignored", "token=x\n"),
        ];
        for (name, text) in files {
            fs::write(home.join(name), text).unwrap();
        }
        std::os::unix::fs::symlink("../../dots/config", home.join(".config/git/config")).unwrap();
        let mut all = layers(&home, &[], &mut Vec::new(), &mut Vec::new());
        all.sort_by_key(|layer| format!("{layer:?}"));
        let text =
            |at: &str, text: &str| Layer::Text(Text { at: home.join(at), text: text.to_owned() });
        let expected = [
            Layer::Shown(home.join(".gitconfig")),
            Layer::Shown(home.join("ignored")),
            text(".config/git/config", "\n\n"),
            text(".secrets/tok.inc", "[github]\n\n[core]\n\texcludesFile = ~/ignored\n"),
            // By its own name too, where that folder is shown.
            text("dots/config", "\n\n"),
        ];
        assert_eq!(all, expected);
        // In settings that are no text of today's.
        fs::write(home.join(".gitconfig"), b"[user]\n\tname = M\xfcller\n[x]\ntoken = HUSH\n")
            .unwrap();
        let all = format!("{:?}", layers(&home, &[], &mut Vec::new(), &mut Vec::new()));
        assert!(!all.contains("HUSH") && all.contains("ller"), "{all}");
    }
}
