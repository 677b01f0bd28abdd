//! A thread of Codex's begun from within another, where there is no app server to fork it: a copy of the
//! record as far as it goes.

/// The first `length` bytes of a thread's record as the record of another thread.
///
/// # Source
/// Codex CLI 0.169.0: a record is a file of JSON lines that is only ever appended to, and names its thread
/// in several of them; `exec resume` finds a copy by its file's name. `exec fork` would take it whole.
///
/// # Errors
/// In words: the record does not reach as far, or does not end a line there.
pub fn branch(record: &[u8], length: usize, thread: &str, new: &str) -> Result<Vec<u8>, String> {
    let part = record.get(..length).filter(|part| part.ends_with(b"\n")).ok_or_else(|| {
        format!("the record of {} bytes has no line that ends at {length}", record.len())
    })?;
    let text = std::str::from_utf8(part).map_err(|error| format!("the record: {error}"))?;
    if !text.contains(thread) {
        return Err(format!("the record is not of thread {thread}"));
    }
    Ok(text.replace(thread, new).into_bytes())
}

#[cfg(test)]
mod tests {
    use super::branch;

    const RECORD: &[u8] = b"{\"id\":\"a-1\"}\n{\"said\":1}\n{\"said\":2}\n{\"sa";

    #[test]
    fn a_branch_has_what_came_before_and_another_name() {
        assert_eq!(branch(RECORD, 24, "a-1", "b-2").unwrap(), b"{\"id\":\"b-2\"}\n{\"said\":1}\n");
        for (length, thread) in [(23, "a-1"), (0, "a-1"), (38, "a-1"), (99, "a-1"), (24, "c-3")] {
            branch(RECORD, length, thread, "b-2").unwrap_err();
        }
    }
}
