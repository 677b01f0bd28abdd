//! What programs print at a limit that they live on beyond, and its name: they may end well all the same.

use super::words::Kind;
use super::{Reasons, Told};
use crate::policy::{Control, size};

/// Of a file that is longer than may be: the shell's words for SIGXFSZ, and EFBIG.
const TOO_LARGE: [&str; 3] = ["ile size limit exceeded", "ile too large", "EFBIG: "];

/// Of memory that was not given.
const NO_MEMORY: [&str; 9] = [
    "MemoryError",
    "annot allocate memory",
    "nsufficient memory for the Java",
    "heap out of memory",
    "java.lang.OutOfMemoryError",
    "runtime: out of memory",
    "std::bad_alloc",
    "emory exhausted",
    "bytes failed",
];

/// How those end that allocate in Rust: `memory allocation of 9 bytes failed`.
const OF_RUST: &str = "memory allocation of ";

pub(super) fn complains(text: &str) -> bool {
    TOO_LARGE.iter().chain(&NO_MEMORY).any(|words| text.contains(words))
}

pub(super) fn of_line(line: &str) -> Option<Kind> {
    let has = |words: &&&str| line.contains(**words);
    if TOO_LARGE.iter().any(|words| has(&words)) {
        return Some(Kind::TooLarge);
    }
    let words = NO_MEMORY.iter().find(has)?;
    (*words != "bytes failed" || line.contains(OF_RUST)).then_some(Kind::NoMemory)
}

impl Reasons {
    /// Of a file that is cut off.
    pub(super) fn not_longer(&self) -> Option<Told> {
        let most = self.policy.limits.file_size?;
        let sentence = format!(
            "a file is not written beyond {} (`{}`), and is cut off there; {} permits \
             more",
            size(Some(most)),
            Control::FileSize,
            self.larger(Control::FileSize, &size(Some(most.saturating_mul(2))))
        );
        Some(Told { sentence, of_unseen: false })
    }

    /// Of memory; what the machine itself does not have is nobody's limit.
    pub(super) fn not_given(&self) -> Option<Told> {
        let most = self.policy.limits.memory?;
        let sentence = format!(
            "a program is given no memory beyond {} (`{}`); {} permits more",
            size(Some(most)),
            Control::Memory,
            self.larger(Control::Memory, &size(Some(most.saturating_mul(2))))
        );
        Some(Told { sentence, of_unseen: false })
    }
}
