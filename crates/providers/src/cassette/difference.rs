//! Where two prompts differ: the first lines of each that are not in the other, with their number.

use std::fmt::Write as _;

/// Says which lines of a prompt are not as they were recorded; nothing when none is.
///
/// What is the same before and after is left out, so a small change is shown whole and of a large one
/// the beginning.
pub(super) fn difference(recorded: &str, asked: &str) -> Option<String> {
    let was: Vec<&str> = recorded.lines().collect();
    let is: Vec<&str> = asked.lines().collect();
    let before = was.iter().zip(&is).take_while(|(a, b)| a == b).count();
    let rest = was.len().min(is.len()) - before;
    let after =
        was.iter().rev().zip(is.iter().rev()).take(rest).take_while(|(a, b)| a == b).count();
    let (was, is) = (&was[before..was.len() - after], &is[before..is.len() - after]);
    if was.is_empty() && is.is_empty() {
        return None;
    }
    let mut text = format!("line {} of the prompt (- recorded, + asked):", before + 1);
    for (mark, lines) in [('-', was), ('+', is)] {
        for line in lines.iter().take(SHOWN) {
            let shown: String = line.chars().take(WIDTH).collect();
            let cut = if shown.len() < line.len() { "…" } else { "" };
            let _ = write!(text, "\n    {mark} {shown}{cut}");
        }
        if lines.len() > SHOWN {
            let _ = write!(text, "\n    {mark} … and {} more lines", lines.len() - SHOWN);
        }
    }
    Some(text)
}

/// Lines shown of each side.
const SHOWN: usize = 5;
/// Characters shown of each line.
const WIDTH: usize = 160;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_word_a_line_more_and_a_line_less_are_shown_with_their_line() {
        let of = |was, is| difference(was, is).unwrap_or_default();
        assert_eq!(
            of("a\nb\nc\n", "a\nB\nc\n"),
            "line 2 of the prompt (- recorded, + asked):\n    - b\n    + B"
        );
        assert_eq!(of("a\nc", "a\nb\nc"), "line 2 of the prompt (- recorded, + asked):\n    + b");
        assert_eq!(of("a\na", "a"), "line 2 of the prompt (- recorded, + asked):\n    - a");
        assert_eq!(difference("a\n", "a\n"), None);
        let long = "x\n".repeat(9);
        assert!(of("", &long).ends_with("    + … and 4 more lines"), "{}", of("", &long));
    }
}
