//! What is kept of a stream: its head and its tail, and how much there was.

use std::collections::VecDeque;

/// What a program wrote to one stream.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Output {
    /// The text; where something was cut out of the middle, a line in its place says how much.
    /// Bytes that are not UTF-8 are replaced.
    pub text: String,
    /// Bytes in all.
    pub bytes: u64,
    /// Bytes that were cut out.
    pub cut: u64,
}

/// Keeps the head and the tail of a stream.
pub(crate) struct Capture {
    head_limit: usize,
    tail_limit: usize,
    head: Vec<u8>,
    tail: VecDeque<u8>,
    bytes: u64,
}

impl Capture {
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            head_limit: limit / 2,
            tail_limit: limit - limit / 2,
            head: Vec::new(),
            tail: VecDeque::new(),
            bytes: 0,
        }
    }

    pub(crate) fn push(&mut self, piece: &[u8]) {
        self.bytes += piece.len() as u64;
        let room = (self.head_limit - self.head.len()).min(piece.len());
        let (head, rest) = piece.split_at(room);
        self.head.extend_from_slice(head);
        let rest = &rest[rest.len().saturating_sub(self.tail_limit)..];
        let over = (self.tail.len() + rest.len()).saturating_sub(self.tail_limit);
        self.tail.drain(..over);
        self.tail.extend(rest);
    }

    pub(crate) fn finish(self) -> Output {
        let bytes = self.bytes;
        let mut kept = self.head;
        let tail: Vec<u8> = self.tail.into();
        if bytes == (kept.len() + tail.len()) as u64 {
            kept.extend(tail);
            return Output { text: String::from_utf8_lossy(&kept).into_owned(), bytes, cut: 0 };
        }
        let head = whole_characters(&kept);
        let tail = from_a_character(&tail);
        let cut = bytes - (head.len() + tail.len()) as u64;
        let (head, tail) = (String::from_utf8_lossy(head), String::from_utf8_lossy(tail));
        Output { text: format!("{head}\n[{cut} bytes cut]\n{tail}"), bytes, cut }
    }
}

/// The bytes without a character at their end that is only begun.
pub(super) fn whole_characters(bytes: &[u8]) -> &[u8] {
    let longest = bytes.len().min(3);
    for back in 1..=longest {
        let start = bytes.len() - back;
        match bytes[start] {
            0x80..=0xbf => {}
            0xc0..=0xdf if back < 2 => return &bytes[..start],
            0xe0..=0xef if back < 3 => return &bytes[..start],
            0xf0..=0xf7 => return &bytes[..start],
            _ => break,
        }
    }
    bytes
}

/// The bytes without the rest of a character at their start.
fn from_a_character(bytes: &[u8]) -> &[u8] {
    let rest = bytes.iter().take(3).take_while(|b| matches!(b, 0x80..=0xbf)).count();
    &bytes[rest..]
}

#[cfg(test)]
mod tests {
    use super::Capture;

    /// What is kept of a text that arrives in pieces of this size.
    fn kept(text: &str, piece: usize, limit: usize) -> (String, u64) {
        let mut capture = Capture::new(limit);
        text.as_bytes().chunks(piece).for_each(|p| capture.push(p));
        let output = capture.finish();
        assert_eq!(output.bytes, text.len() as u64);
        (output.text, output.cut)
    }

    #[test]
    fn what_fits_is_kept_whole() {
        for piece in 1..=8 {
            assert_eq!(kept("ab ä ö", piece, 8), ("ab ä ö".into(), 0));
        }
    }

    #[test]
    fn head_and_tail_stay_and_the_cut_is_counted() {
        for piece in 1..=14 {
            assert_eq!(kept("0123456789abcd", piece, 6), ("012\n[8 bytes cut]\nbcd".into(), 8));
        }
    }

    #[test]
    fn a_cut_splits_no_character() {
        for piece in 1..=10 {
            assert_eq!(kept("aääxxxxxxääb", piece, 8), ("aä\n[10 bytes cut]\näb".into(), 10));
        }
    }

    #[test]
    fn nothing_is_kept_under_a_limit_of_nothing() {
        assert_eq!(kept("abc", 2, 0), ("\n[3 bytes cut]\n".into(), 3));
    }
}
