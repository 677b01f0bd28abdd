//! Damaged files: whatever the damage, no panic, and every place lies inside the text.

use botpipe_lang::{InMemory, SourceFile, compile, metadata};

use crate::corpus::workflows;

/// A small generator of repeatable chance (xorshift).
struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % u64::try_from(bound.max(1)).unwrap()).unwrap()
    }
}

const PIECES: [&str; 26] = [
    ":", "- ", "{", "}", "[", "]", "\"", "'", "|\n", ">\n", "\t", "\n", "  ", "&a ", "*a", "!x ",
    "---\n", "...\n", "#", "? ", "<<: ", "{{ ", "}}", "é", "\u{feff}", "\u{0}",
];

fn judge(text: &str) {
    let source = SourceFile { name: "damaged".to_owned(), text: text.to_owned() };
    let compiled = compile(&source, &InMemory::default());
    for diagnostic in &compiled.diagnostics {
        for label in &diagnostic.labels {
            let shown = text.get(label.span.start..label.span.end);
            assert!(shown.is_some(), "{diagnostic:?} points outside of:\n{text}");
            assert!(label.line >= 1 && label.column >= 1);
        }
    }
    assert!(
        compiled.plan.is_some() || !compiled.diagnostics.is_empty(),
        "neither a plan nor a reason:\n{text}"
    );
    metadata(text);
}

/// Every beginning, in three parts that run side by side.
fn beginnings_are_judged(part: usize) {
    for (_, text) in workflows("ok").into_iter().chain(workflows("bad")) {
        for (end, _) in text.char_indices().skip(part).step_by(3) {
            judge(&text[..end]);
        }
    }
}

#[test]
fn every_beginning_of_a_file_is_judged_first_part() {
    beginnings_are_judged(0);
}

#[test]
fn every_beginning_of_a_file_is_judged_second_part() {
    beginnings_are_judged(1);
}

#[test]
fn every_beginning_of_a_file_is_judged_third_part() {
    beginnings_are_judged(2);
}

#[test]
fn damaged_files_are_judged() {
    let mut chance = Chance(0x9e37_79b9_7f4a_7c15);
    for (_, text) in workflows("ok").into_iter().chain(workflows("bad")) {
        for _ in 0..60 {
            let mut damaged: Vec<char> = text.chars().collect();
            for _ in 0..=chance.below(4) {
                let at = chance.below(damaged.len());
                let until = (at + chance.below(12)).min(damaged.len());
                let piece: Vec<char> = match chance.below(3) {
                    0 => Vec::new(),
                    1 => PIECES[chance.below(PIECES.len())].chars().collect(),
                    _ => damaged[at..until].repeat(2),
                };
                damaged.splice(at..until, piece);
            }
            judge(&damaged.into_iter().collect::<String>());
        }
    }
}
