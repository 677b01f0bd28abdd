//! Small pieces of text: what was perhaps meant, excerpts, fences.

/// "; did you mean `x`?", or, when nothing is near, "; known here: …"; empty without names.
pub(crate) fn did_you_mean<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> String {
    let known: Vec<&str> = known.collect();
    let near = known
        .iter()
        .map(|candidate| (strsim::damerau_levenshtein(name, candidate), *candidate))
        .filter(|(distance, candidate)| *distance <= candidate.len().max(name.len()) / 3)
        .min();
    if let Some((_, candidate)) = near {
        return format!("; did you mean `{candidate}`?");
    }
    if known.is_empty() {
        return String::new();
    }
    format!("; known here: {}", quoted(known))
}

/// "`a`, `b`".
pub(super) fn quoted(names: impl IntoIterator<Item = impl AsRef<str>>) -> String {
    names.into_iter().map(|name| format!("`{}`", name.as_ref())).collect::<Vec<_>>().join(", ")
}

/// The text, or its head and tail with a line between that says how much is left out.
///
/// # Units
/// `limit` is in bytes; the result may exceed it by that one line.
pub(super) fn excerpt(text: &str, limit: usize) -> String {
    if text.len() <= limit {
        return text.to_owned();
    }
    let head = text.floor_char_boundary(limit / 2);
    let tail = text.ceil_char_boundary(text.len() - limit / 2);
    format!(
        "{}\n… {} bytes left out …\n{}",
        text[..head].trim_end(),
        tail - head,
        text[tail..].trim_start()
    )
}

/// The text as one line of at most `limit` bytes.
pub(crate) fn one_line(text: &str, limit: usize) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.len() <= limit {
        return line;
    }
    format!("{}…", line[..line.floor_char_boundary(limit)].trim_end())
}

/// The text in a Markdown fence that nothing inside it can close.
pub(super) fn fenced(language: &str, text: &str) -> String {
    let mut longest = 0;
    let mut run = 0;
    for c in text.chars() {
        run = if c == '`' { run + 1 } else { 0 };
        longest = longest.max(run);
    }
    let fence = "`".repeat(3.max(longest + 1));
    format!("{fence}{language}\n{}\n{fence}\n", text.trim_end())
}
