//! Paths of a policy in one form, so that one layer's can be compared with another's.

use std::path::{Component, Path, PathBuf};

use super::hidden::{OF_OTHERS, SECRETS};

/// What paths of a policy are relative to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ground {
    /// Absolute.
    workspace: PathBuf,
    home: Option<PathBuf>,
}

impl Ground {
    /// `workspace` is made absolute as text; without a home, `~/…` covers nothing but itself.
    pub fn new(workspace: &Path, home: Option<&Path>) -> Self {
        let absolute = std::path::absolute(workspace).unwrap_or_else(|_| workspace.to_owned());
        Self { workspace: lexical(&absolute), home: home.map(lexical) }
    }

    /// That of this process.
    pub fn of_process(workspace: &Path) -> Self {
        let home = std::env::var_os("HOME").map(PathBuf::from);
        Self::new(workspace, home.as_deref().filter(|it| it.is_absolute()))
    }

    pub(super) fn workspace(&self) -> &Path {
        &self.workspace
    }

    /// The whole path, its dots resolved as text.
    fn whole(&self, path: &str) -> PathBuf {
        match (path.strip_prefix('~'), &self.home) {
            (Some(rest), Some(home)) => lexical(&home.join(rest.trim_start_matches('/'))),
            (Some(_), None) => lexical(Path::new(path)),
            (None, _) => lexical(&self.workspace.join(path)),
        }
    }

    /// The one form of a path or a pattern: relative to the workspace inside it, `.` for the whole of it,
    /// and absolute elsewhere.
    pub(super) fn normal(&self, path: &str) -> String {
        let whole = self.whole(path);
        match whole.strip_prefix(&self.workspace) {
            Ok(inside) if inside.as_os_str().is_empty() => ".".to_owned(),
            Ok(inside) => inside.display().to_string(),
            Err(_) => whole.display().to_string(),
        }
    }

    /// Whether one path is another, or lies below it. `/` does not stand for what is hidden in it.
    pub(crate) fn covers(&self, outer: &str, inner: &str) -> bool {
        let (outer, inner) = (self.whole(outer), self.whole(inner));
        let all = outer.parent().is_none() && inner.parent().is_some();
        inner.starts_with(&outer) && !(all && self.is_hidden(&inner))
    }

    /// Whether a path is seen only where it is named.
    fn is_hidden(&self, path: &Path) -> bool {
        let hidden = OF_OTHERS.iter().chain(&SECRETS).map(Path::new).chain(self.home.as_deref());
        let mut hidden = hidden.filter(|it| it.parent().is_some());
        !path.starts_with(&self.workspace) && hidden.any(|it| path.starts_with(it))
    }

    /// Whether one is `/` and the other has the workspace in it.
    fn is_around(&self, one: &str, other: &str) -> bool {
        let (one, other) = (self.whole(one), self.whole(other));
        let around =
            |all: &Path, it: &Path| all.parent().is_none() && self.workspace.starts_with(it);
        around(&one, &other) || around(&other, &one)
    }

    /// What lies below a path of each list: exact, since of two paths one covers the other, or they share
    /// nothing or the workspace.
    pub(super) fn both(&self, one: &[String], other: &[String]) -> Vec<String> {
        let pairs = one.iter().flat_map(|a| other.iter().map(move |b| (a, b)));
        let narrower = pairs.filter_map(|(a, b)| match (self.covers(a, b), self.covers(b, a)) {
            (true, _) => Some(b.clone()),
            (false, true) => Some(a.clone()),
            // `/` and a hidden folder around the workspace have that in common.
            (false, false) => self.is_around(a, b).then(|| ".".to_owned()),
        });
        self.least(narrower)
    }

    /// The paths in one form, sorted, without those that lie below another.
    pub(super) fn least(&self, paths: impl IntoIterator<Item = String>) -> Vec<String> {
        let mut all: Vec<String> = paths.into_iter().map(|it| self.normal(&it)).collect();
        all.sort();
        all.dedup();
        let covered = |path: &String| all.iter().any(|it| it != path && self.covers(it, path));
        all.iter().filter(|path| !covered(path)).cloned().collect()
    }
}

/// The path with its dots resolved as text.
pub(crate) fn lexical(path: &Path) -> PathBuf {
    let mut resolved = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => {
                resolved.pop();
            }
            Component::CurDir => {}
            part => resolved.push(part),
        }
    }
    resolved
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ground() -> Ground {
        Ground::new(Path::new("/home/me/project"), Some(Path::new("/home/me")))
    }

    #[test]
    fn every_path_has_one_form() {
        let of = |path: &str| ground().normal(path);
        let said = ["src/", "./src", "a/../src", "/home/me/project/src", "~/project/src/."];
        assert!(said.iter().all(|path| of(path) == "src"), "{:?}", said.map(of));
        assert_eq!([".", "./", "~/project", "../project"].map(of), [".", ".", ".", "."]);
        assert_eq!(of("../shared"), "/home/me/shared");
        assert_eq!(
            (of("~"), of("~/x"), of("/")),
            ("/home/me".into(), "/home/me/x".into(), "/".into())
        );
        assert_eq!((of(".env*"), of("**/*.pem")), (".env*".into(), "**/*.pem".into()));
        assert_eq!(Ground::new(Path::new("/w"), None).normal("~/x"), "~/x");
    }

    #[test]
    fn what_two_lists_have_in_common_is_exact() {
        let both = |one: &[&str], other: &[&str]| {
            let owned = |list: &[&str]| list.iter().map(ToString::to_string).collect::<Vec<_>>();
            ground().both(&owned(one), &owned(other))
        };
        assert_eq!(both(&["."], &["src", "/srv"]), ["src"]);
        assert_eq!(both(&["src", "tests"], &["src/a", "tests", "docs"]), ["src/a", "tests"]);
        assert_eq!(both(&["src"], &["~"]), ["src"]);
        assert_eq!(both(&["/srv/cache"], &["/"]), ["/srv/cache"]);
        assert_eq!(both(&["src"], &["srcs", "sr"]), [""; 0]);
        assert_eq!(both(&[], &["."]), [""; 0]);
    }
}
