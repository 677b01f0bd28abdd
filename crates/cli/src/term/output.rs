//! Standard output is the result, standard error everything else; a reader who left is no reason to fail.

use std::io::{self, IsTerminal as _, Write};
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::Value;

/// In which form a command gives its result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// For a person, at a terminal.
    Text,
    /// One JSON document, asked for with `--json`.
    Json,
    /// One JSON document, because standard output is no terminal; people read standard error.
    Piped,
}

impl Form {
    pub(crate) fn choose(json: bool) -> Self {
        if json {
            Self::Json
        } else if io::stdout().is_terminal() {
            Self::Text
        } else {
            Self::Piped
        }
    }

    pub(crate) fn is_json(self) -> bool {
        self != Self::Text
    }
}

/// Prints a result in the form that was chosen.
pub(crate) fn result(form: Form, text: impl FnOnce() -> String, json: impl FnOnce() -> Value) {
    if form.is_json() {
        let mut pretty = serde_json::to_string_pretty(&json()).unwrap_or_default();
        pretty.push('\n');
        say(&pretty);
    } else {
        say(&text());
    }
}

/// Writes to standard output; false when nothing of it arrives any more.
pub(crate) fn say(text: &str) -> bool {
    let mut out = anstream::stdout().lock();
    heard(out.write_all(text.as_bytes()).and_then(|()| out.flush())).is_ok()
}

/// A writer to standard output, whose faults are told as those of [`say`] are.
pub(crate) struct Stdout;

impl Write for Stdout {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        heard(io::stdout().write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        heard(io::stdout().flush())
    }
}

/// Something that was said on standard output could not be written.
static LOST: AtomicBool = AtomicBool::new(false);

/// Whether something of the result was lost, which nobody who reads it can see. A reader who left chose to.
pub(crate) fn is_lost() -> bool {
    LOST.load(Ordering::Relaxed)
}

/// Tells, once, that standard output takes no more, and remembers it.
pub(crate) fn heard<T>(written: io::Result<T>) -> io::Result<T> {
    if let Err(error) = &written {
        let chosen = [io::ErrorKind::BrokenPipe, io::ErrorKind::Interrupted];
        if !chosen.contains(&error.kind()) && !LOST.swap(true, Ordering::Relaxed) {
            tell(&format!("error: standard output cannot be written: {}", reason(error)));
        }
    }
    written
}

/// What the system says, without its number.
fn reason(error: &io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or_default().to_owned()
}

/// Writes bytes to standard output as they are; at a terminal they move no cursor.
pub(crate) fn say_bytes(bytes: &[u8]) -> bool {
    if io::stdout().is_terminal() {
        let mut text = printable(&String::from_utf8_lossy(bytes));
        if !text.ends_with('\n') {
            text.push('\n');
        }
        return say(&text);
    }
    let mut out = io::stdout().lock();
    heard(out.write_all(bytes).and_then(|()| out.flush())).is_ok()
}

/// Writes a line to standard error, if somebody reads it.
pub(crate) fn tell(text: &str) {
    let mut err = anstream::stderr().lock();
    // A closed terminal ends us by SIGHUP, and a closed pipe is the reader's choice.
    let _ = writeln!(err, "{text}");
}

/// Text from files and agents, made fit for a terminal: control characters can do nothing.
pub(crate) fn printable(text: &str) -> String {
    text.chars()
        .map(|c| match c {
            '\n' => '\n',
            '\t' => ' ',
            c if c.is_control() || is_direction(c) => '\u{fffd}',
            c => c,
        })
        .collect()
}

/// The same in one line of at most `width` characters.
pub(crate) fn one_line(text: &str, width: usize) -> String {
    let words = printable(text).split_whitespace().collect::<Vec<_>>().join(" ");
    if words.chars().count() <= width {
        return words;
    }
    let kept: String = words.chars().take(width.saturating_sub(1)).collect();
    format!("{kept}…")
}

/// Characters that change the direction of the text around them.
fn is_direction(c: char) -> bool {
    matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// A word of a command line, quoted where a shell would read more into it.
pub(crate) fn shell_word(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./=:@%+,".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_agent_says_moves_no_cursor() {
        assert_eq!(printable("a\u{1b}[2Jb\tc\u{202e}"), "a\u{fffd}[2Jb c\u{fffd}");
        assert_eq!(one_line("one\n two  three", 9), "one two …");
    }

    #[test]
    fn commands_can_be_pasted() {
        assert_eq!(shell_word("csv-export"), "csv-export");
        assert_eq!(shell_word("it's a dir"), r"'it'\''s a dir'");
    }
}
