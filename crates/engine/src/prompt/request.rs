//! The request of a turn as a cassette knows it: independent of task, run and interruptions.

use std::sync::LazyLock;

use regex::{Captures, Regex};

/// A prompt with what differs from task to task replaced by placeholders; its digest keys a
/// recording.
///
/// `prompt` is the prompt rendered without its interruption; `folder` is the workflow's folder
/// relative to the workspace. The folder and the run's id are replaced wherever they stand, the
/// task's id (which may be a common word) only on lines that say nothing else: ``Task: `demo` ``.
pub fn request_text(prompt: &str, folder: &str, run: &str, task: &str) -> String {
    let text = replace_token(prompt, folder, "{{ workflow.folder }}");
    let text = replace_token(&text, run, "{{ run.id }}");
    let mut out = String::with_capacity(text.len());
    for line in text.split_inclusive('\n') {
        out += &request_line(line, task);
    }
    out
}

fn request_line(line: &str, task: &str) -> String {
    if line.starts_with("- Step: `") {
        return START.replace(line, "`").into_owned();
    }
    let stated = TASK_LINE.captures(line).is_some_and(|found| &found[2] == task);
    if stated {
        let put = |found: &Captures<'_>| format!("{}{{{{ task.id }}}}{}", &found[1], &found[3]);
        return TASK_LINE.replace(line, put).into_owned();
    }
    line.to_owned()
}

/// Replaces a name where it stands alone, not as a part of a longer one.
fn replace_token(text: &str, token: &str, by: &str) -> String {
    if token.is_empty() {
        return text.to_owned();
    }
    let part = |c: char| c.is_alphanumeric() || c == '_' || c == '-';
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(token) {
        let after = at + token.len();
        let alone = !rest[..at].chars().next_back().or(out.chars().next_back()).is_some_and(part)
            && !rest[after..].chars().next().is_some_and(part);
        out += &rest[..at];
        out += if alone { by } else { token };
        rest = &rest[after..];
    }
    out + rest
}

#[expect(clippy::expect_used, reason = "a constant pattern, compiled by every test")]
static START: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"~[0-9]+`").expect("the pattern of a start compiles"));

#[expect(clippy::expect_used, reason = "a constant pattern, compiled by every test")]
static TASK_LINE: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(
        r"(?i)^(\s*(?:[-*]\s+)?(?:the )?task(?: id)?(?: is)?\s*[:=]?\s*`?)([^`\s]+?)(`?\.?\s*)$",
    )
    .expect("the pattern of a task line compiles")
});
