//! Paths of a policy: plain ones that are allowed, and patterns that are denied.

use globset::GlobBuilder;

use super::{each, shown};
use crate::diagnostic::{Code, Problem, Report};
use crate::source::Span;
use crate::yaml::Entry;

/// Paths that mean just what they say.
pub(super) fn plain(entry: &Entry, report: &mut Report<'_>) -> Vec<String> {
    each(entry, "paths", report, |path| {
        fault(path).or_else(|| {
            path.contains(['*', '?', '{', '}']).then(|| {
                let message =
                    format!("`{}` is a pattern, and what is allowed is named", shown(path));
                Problem::new(Code::PolicyPath, Span::default(), message)
                    .help("name the folder; patterns are read in `deny_read` and `deny_write`")
            })
        })
    })
}

/// Paths that may be globs.
pub(super) fn patterns(entry: &Entry, report: &mut Report<'_>) -> Vec<String> {
    each(entry, "paths", report, |path| {
        fault(path).or_else(|| {
            let why = GlobBuilder::new(path).literal_separator(true).build().err()?;
            let message = format!("`{}` is no pattern: {}", shown(path), why.kind());
            Some(Problem::new(Code::PolicyPath, Span::default(), message).help(
                "`*` and `?` stay in one folder, `**` stands for any folders; `[…]` and `{…,…}` are \
                 closed",
            ))
        })
    })
}

/// What is wrong with a path of either kind.
fn fault(path: &str) -> Option<Problem> {
    let problem = |message: String, help: &str| {
        Some(Problem::new(Code::PolicyPath, Span::default(), message).help(help))
    };
    if path.contains(char::is_control) {
        let message = format!("`{}` holds a control character", shown(path));
        return problem(message, "a path is one line of text");
    }
    if path != path.trim() {
        let message = format!("`{}` begins or ends with a space", shown(path));
        return problem(message, "leave the space out");
    }
    if path.starts_with('~') && path != "~" && !path.starts_with("~/") {
        let message = format!("`{}` names the home of somebody else", shown(path));
        return problem(
            message,
            "`~/…` is in the home of whoever runs it; else write the whole path",
        );
    }
    if path.starts_with('$') {
        let message = format!("`{}` names a variable, which is not read here", shown(path));
        return problem(message, "write the path itself, or `~/…` for what is in the home");
    }
    if path.starts_with('!') {
        let message = format!("`{}` would be an exception, and there are none", shown(path));
        return problem(message, "deny only what is meant: names one by one, or `{a,b}`");
    }
    if path.contains('\\') {
        let message = format!("`{}` holds a backslash", shown(path));
        return problem(message, "folders are parted by `/`; a `*` that is meant itself is `[*]`");
    }
    None
}
