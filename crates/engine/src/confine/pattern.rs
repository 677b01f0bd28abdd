//! A path or pattern of a policy, name by name: so it can be followed through links, and asked of
//! repositories, whose patterns have no braces.

use std::ffi::{OsStr, OsString};
use std::path::{Component, Path, PathBuf};

use globset::{GlobBuilder, GlobMatcher};

/// One of the patterns that a text stands for, from `/` on.
#[derive(Debug, Clone)]
pub(super) struct Pattern {
    names: Vec<Name>,
}

#[derive(Debug, Clone)]
enum Name {
    /// `**`: any folders.
    Any,
    Is(OsString),
    Like(GlobMatcher),
}

/// Where a path has come to in a pattern: how many of its names are behind it.
pub(super) type Reached = Vec<usize>;

/// More are a mistake.
const MOST: usize = 1000;

impl Pattern {
    /// The patterns that a text below a folder stands for, one for each of what its braces hold.
    ///
    /// # Errors
    /// In words: why it is none.
    pub(super) fn all(folder: &Path, text: &str) -> Result<Vec<Self>, String> {
        let mut texts = Vec::new();
        expand(text, &mut texts)?;
        let above: Vec<Name> = names_of(folder).map(Name::Is).collect();
        let mut all = Vec::with_capacity(texts.len());
        for text in &texts {
            let below = text.split('/').filter(|it| !it.is_empty()).map(read);
            let names = above.iter().cloned().map(Ok).chain(below).collect::<Result<_, _>>()?;
            all.push(Self { names });
        }
        Ok(all)
    }

    /// A path as it stands.
    pub(super) fn of_path(path: &Path) -> Self {
        Self { names: names_of(path).map(Name::Is).collect() }
    }

    pub(super) fn begin(&self) -> Reached {
        self.and_next(vec![0])
    }

    /// Where one name more leads.
    pub(super) fn then(&self, reached: &[usize], name: &OsStr) -> Reached {
        let next = reached.iter().filter_map(|at| match self.names.get(*at)? {
            Name::Any => Some(*at),
            Name::Is(text) => (text == name).then_some(at + 1),
            Name::Like(glob) => glob.is_match(name).then_some(at + 1),
        });
        self.and_next(next.collect())
    }

    /// Where a path leads from there.
    pub(super) fn after(&self, reached: Reached, path: &Path) -> Reached {
        path.components().fold(reached, |reached, part| match part {
            Component::Normal(name) if !reached.is_empty() => self.then(&reached, name),
            _ => reached,
        })
    }

    /// Whether it means what was reached.
    pub(super) fn means(&self, reached: &[usize]) -> bool {
        reached.contains(&self.names.len())
    }

    /// Whether it means an absolute path, or a folder above it.
    pub(super) fn covers(&self, path: &Path) -> bool {
        let mut reached = self.begin();
        path.components().any(|part| {
            if let Component::Normal(name) = part {
                reached = self.then(&reached, name);
            }
            self.means(&reached)
        })
    }

    /// What is left of it from there: as globs have it, in git as well. Empty: nothing is.
    pub(super) fn rest(&self, at: usize) -> String {
        let texts = self.names.iter().skip(at).map(|name| match name {
            Name::Any => "**".to_owned(),
            Name::Is(text) => globset::escape(&text.to_string_lossy()),
            Name::Like(glob) => glob.glob().glob().to_owned(),
        });
        texts.collect::<Vec<_>>().join("/")
    }

    /// What is left of it from there, where that is a path as it stands.
    pub(super) fn rest_of_path(&self, at: usize) -> Option<PathBuf> {
        let texts = self.names.iter().skip(at).map(|name| match name {
            Name::Is(text) => Some(text),
            Name::Any | Name::Like(_) => None,
        });
        texts.collect()
    }

    /// Whether any folders may follow.
    pub(super) fn is_any(&self, at: usize) -> bool {
        matches!(self.names.get(at), Some(Name::Any))
    }

    /// `**` may stand for none.
    fn and_next(&self, mut reached: Reached) -> Reached {
        let mut n = 0;
        while let Some(at) = reached.get(n).copied() {
            if self.is_any(at) {
                reached.push(at + 1);
            }
            n += 1;
        }
        reached.sort_unstable();
        reached.dedup();
        reached
    }
}

fn names_of(path: &Path) -> impl Iterator<Item = OsString> {
    path.components().filter_map(|part| match part {
        Component::Normal(name) => Some(name.to_owned()),
        _ => None,
    })
}

fn read(name: &str) -> Result<Name, String> {
    if name == "**" {
        Ok(Name::Any)
    } else if name.contains(['*', '?', '[', '\\']) {
        let glob = GlobBuilder::new(name).literal_separator(true).build();
        Ok(Name::Like(glob.map_err(|error| error.to_string())?.compile_matcher()))
    } else {
        Ok(Name::Is(name.into()))
    }
}

/// One text for each of what the first braces hold, and so on.
fn expand(text: &str, into: &mut Vec<String>) -> Result<(), String> {
    let Some((from, parts, to)) = first_braces(text) else {
        if into.len() == MOST {
            return Err(format!("it stands for more than {MOST} patterns"));
        }
        into.push(text.to_owned());
        return Ok(());
    };
    for part in parts {
        expand(&format!("{}{part}{}", &text[..from], &text[to..]), into)?;
    }
    Ok(())
}

/// Where the first braces begin, what they hold, and where they have ended.
fn first_braces(text: &str) -> Option<(usize, Vec<&str>, usize)> {
    let (mut begin, mut depth, mut part, mut parts) = (0, 0, 0, Vec::new());
    let mut in_class = false;
    let mut rest = text.char_indices();
    while let Some((at, c)) = rest.next() {
        match c {
            '\\' => drop(rest.next()),
            // The first one in a class is of it.
            '[' if !in_class => {
                in_class = true;
                let after = text[at + 1..].trim_start_matches(['!', '^']);
                if after.starts_with(']') {
                    rest.find(|(_, c)| *c == ']');
                }
            }
            ']' => in_class = false,
            '{' if !in_class => {
                if depth == 0 {
                    (begin, part) = (at, at + 1);
                }
                depth += 1;
            }
            ',' if depth == 1 && !in_class => {
                parts.push(&text[part..at]);
                part = at + 1;
            }
            '}' if depth > 0 && !in_class => {
                depth -= 1;
                if depth == 0 {
                    parts.push(&text[part..at]);
                    return Some((begin, parts, at + 1));
                }
            }
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn covers(text: &str, path: &str) -> bool {
        let all = Pattern::all(Path::new("/a [b]"), text).unwrap();
        all.iter().any(|it| it.covers(&Path::new("/a [b]").join(path)))
    }

    /// Name by name it means what the whole text means as a glob.
    #[test]
    fn it_means_what_a_glob_means() {
        let texts = [
            "**/*.{env,key}",
            "x/**/y",
            "{a,b/c}/x",
            "[{]x",
            "*/y",
            "**/x/*",
            ".env",
            "a?[!c]",
            "{a,{b,x}}",
            "[]x]",
            "\\{a",
            "**/a/**/x",
        ];
        let paths = [
            "x", "y", "x/y", "x/a/b/y", "a/x", "b/c/x", "{x", ".env", "d/.env", "k.key", "aab",
            "aac", "d/x/z", "b", "]", "{a", "a/b/x", "d/a/x",
        ];
        for text in texts {
            let glob = |text: &str| {
                GlobBuilder::new(text).literal_separator(true).build().unwrap().compile_matcher()
            };
            let (glob, below) = (glob(text), glob(&format!("{text}/**")));
            for path in paths {
                let whole = glob.is_match(path) || below.is_match(path);
                assert_eq!(covers(text, path), whole, "{text} of {path}");
            }
        }
    }

    #[test]
    fn braces_without_end_are_refused() {
        let many = "{a,b}".repeat(11);
        assert!(Pattern::all(Path::new("/"), &many).unwrap_err().contains("more than 1000"));
    }

    #[test]
    fn what_is_left_is_a_pattern_again() {
        let all = Pattern::all(Path::new("/w"), "c/**/*.{a,b}").unwrap();
        let reached = all[1].after(all[1].begin(), Path::new("/w/c/d"));
        let rests: Vec<String> = reached.iter().map(|at| all[1].rest(*at)).collect();
        assert_eq!(rests, ["**/*.b", "*.b"]);
        assert_eq!(all[0].rest_of_path(1), None);
    }
}
