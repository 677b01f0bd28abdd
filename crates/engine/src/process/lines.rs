//! Bytes as they arrive to lines: bounded, lossy, the same however the bytes are cut into pieces.

use super::output::whole_characters;

/// Puts lines together.
pub(super) struct Lines {
    limit: usize,
    line: Vec<u8>,
    /// Bytes of the present line over the limit.
    dropped: usize,
}

impl Lines {
    pub(super) fn new(limit: usize) -> Self {
        Self { limit, line: Vec::new(), dropped: 0 }
    }

    /// Takes a piece and hands out every line that it ends.
    pub(super) fn push(&mut self, piece: &[u8], deliver: &mut dyn FnMut(&str)) {
        let mut parts = piece.split(|b| *b == b'\n').peekable();
        while let Some(part) = parts.next() {
            let room = self.limit.saturating_sub(self.line.len()).min(part.len());
            self.line.extend_from_slice(&part[..room]);
            self.dropped += part.len() - room;
            if parts.peek().is_some() {
                self.deliver(deliver);
            }
        }
    }

    /// Hands out a last line that had no end.
    pub(super) fn finish(&mut self, deliver: &mut dyn FnMut(&str)) {
        if !self.line.is_empty() || self.dropped > 0 {
            self.deliver(deliver);
        }
    }

    fn deliver(&mut self, deliver: &mut dyn FnMut(&str)) {
        if self.dropped > 0 {
            let kept = whole_characters(&self.line);
            let total = self.line.len() + self.dropped;
            let text = String::from_utf8_lossy(kept);
            deliver(&format!("{text} [line cut: {} of {total} bytes]", kept.len()));
        } else {
            let line = self.line.strip_suffix(b"\r").unwrap_or(&self.line);
            deliver(&String::from_utf8_lossy(line));
        }
        self.dropped = 0;
        self.line.clear();
        // One giant line must not keep its memory for the rest of the run.
        self.line.shrink_to(KEPT_CAPACITY);
    }
}

const KEPT_CAPACITY: usize = 64 << 10;

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use botpipe_kernel::run::{Harness, Usage};
    use botpipe_providers::{
        Access, Asked, Codec, Heard, ProgramEnd, Report, Rules, SandboxMode, claude, codex,
    };

    use super::Lines;

    /// The lines of a text that arrives in pieces of this size.
    fn lines(text: &[u8], piece: usize, limit: usize) -> Vec<String> {
        let mut found = Vec::new();
        let mut lines = Lines::new(limit);
        for piece in text.chunks(piece) {
            lines.push(piece, &mut |l| found.push(l.to_owned()));
        }
        lines.finish(&mut |l| found.push(l.to_owned()));
        found
    }

    #[test]
    fn pieces_do_not_matter() {
        let text = "one\r\n\ntwo ä\nbad \u{fffd} end".as_bytes();
        let mut bad = text.to_vec();
        bad.extend_from_slice(b"\xff\xfe\nlast");
        for piece in 1..=bad.len() {
            assert_eq!(
                lines(&bad, piece, 100),
                ["one", "", "two ä", "bad \u{fffd} end\u{fffd}\u{fffd}", "last"]
            );
        }
    }

    /// Every recording of a real harness, in pieces of several sizes, comes to the same lines, and so to
    /// the same report of the turn.
    #[test]
    fn recordings_of_harnesses_come_to_the_same_in_any_pieces() {
        let tests = Path::new(env!("CARGO_MANIFEST_DIR")).with_file_name("providers").join("tests");
        let mut played = 0;
        for (folder, codec) in FOLDERS {
            for entry in fs::read_dir(tests.join(folder)).unwrap() {
                let path = entry.unwrap().path();
                if path.extension() != Some("jsonl".as_ref()) {
                    continue;
                }
                let bytes = fs::read(&path).unwrap();
                let whole = report(codec, &lines(&bytes, bytes.len().max(1), usize::MAX));
                for piece in [1, 2, 3, 7, 61, 1024, 65_536] {
                    let pieces = lines(&bytes, piece, usize::MAX);
                    assert_eq!(report(codec, &pieces), whole, "{} by {piece}", path.display());
                }
                played += 1;
            }
        }
        assert!(played > 40, "only {played} recordings");
    }

    type MakeCodec = fn(&Asked<'_>) -> Box<dyn Codec>;

    const FOLDERS: [(&str, MakeCodec); 3] = [
        ("codex/app_server", |asked| Box::new(codex::Protocol::new(asked))),
        ("codex/exec", |asked| Box::new(codex::Exec::new(asked))),
        ("claude", |asked| Box::new(claude::Protocol::new(asked))),
    ];

    /// All that follows from the lines, and the report of the turn.
    fn report(codec: MakeCodec, lines: &[String]) -> (Vec<Heard>, Report) {
        let access =
            Access { sandbox: SandboxMode::DangerFullAccess, writable: Vec::new(), network: true };
        let mut codec = codec(&Asked {
            harness: &Harness::default(),
            prompt: "Go.",
            cwd: "/work/repository",
            session: None,
            from: None,
            new_session: "0d9f6f0c-5f0e-4a55-8c35-3f3d1f1c0001",
            session_cost: 0,
            session_usage: &Usage::default(),
            access: &access,
            asks: false,
            rules: &Rules::NONE,
            has_login: true,
            has_variable: &|_| false,
        });
        codec.open();
        let heard = lines.iter().map(|line| codec.hear(line)).collect();
        (heard, codec.close(&ProgramEnd::Exited(0), ""))
    }

    #[test]
    fn a_line_over_the_limit_is_cut_and_says_so() {
        for piece in 1..=20 {
            assert_eq!(
                lines("short\n12345678ä90\nnext\n".as_bytes(), piece, 9),
                ["short", "12345678 [line cut: 8 of 12 bytes]", "next"]
            );
        }
    }
}
