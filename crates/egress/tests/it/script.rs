//! Reads the text files of attacks: what is said, what is answered, and who was reached.
//!
//! ```text
//! == What is tried, in a sentence
//! > what is said; lines are joined; \r \n \0 \xff as in Rust, {trap} and {hello …} are put in
//! < how the answer begins (the same escapes)
//! good: 1             connections that this origin got; none where nothing is said
//! good hears: GET /   what it must have heard
//! good never hears: X what it must not
//! ```

use crate::hellos;

#[derive(Debug, Default)]
pub(crate) struct Case {
    pub(crate) title: String,
    pub(crate) said: Vec<u8>,
    pub(crate) answer: Vec<u8>,
    pub(crate) good: usize,
    pub(crate) trap: usize,
    pub(crate) hears: Vec<String>,
    pub(crate) never_hears: Vec<String>,
}

/// The cases of a file; `trap` is the port of the one who must not be reached.
pub(crate) fn cases(text: &str, trap: u16) -> Vec<Case> {
    let blocks = text.split("\n== ").map(|it| it.strip_prefix("== ").unwrap_or(it));
    blocks.skip(1).map(|block| case(block, trap)).collect()
}

fn case(block: &str, trap: u16) -> Case {
    let mut lines = block.lines();
    let mut case = Case { title: lines.next().unwrap().to_owned(), ..Case::default() };
    for line in lines.filter(|it| !it.is_empty()) {
        if let Some(said) = line.strip_prefix("> ") {
            case.said.extend(bytes(said, trap));
        } else if let Some(answer) = line.strip_prefix("< ") {
            case.answer.extend(bytes(answer, trap));
        } else if let Some(heard) = line.strip_prefix("good hears: ") {
            case.hears.push(String::from_utf8(bytes(heard, trap)).unwrap());
        } else if let Some(heard) = line.strip_prefix("good never hears: ") {
            case.never_hears.push(String::from_utf8(bytes(heard, trap)).unwrap());
        } else if let Some(count) = line.strip_prefix("good: ") {
            case.good = count.parse().unwrap();
        } else if let Some(count) = line.strip_prefix("trap: ") {
            case.trap = count.parse().unwrap();
        } else {
            panic!("`{}` has a line of no kind: `{line}`", case.title);
        }
    }
    assert!(!case.said.is_empty(), "`{}` says nothing", case.title);
    case
}

fn bytes(text: &str, trap: u16) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        if let Some(after) = rest.strip_prefix("\\x") {
            bytes.push(u8::from_str_radix(&after[..2], 16).unwrap());
            rest = &after[2..];
        } else if let Some(after) = rest.strip_prefix('\\') {
            bytes.push(match after.as_bytes()[0] {
                b'r' => b'\r',
                b'n' => b'\n',
                b'0' => 0,
                other => other,
            });
            rest = &after[1..];
        } else if first == '{' {
            let end = rest.find('}').unwrap();
            bytes.extend(put_in(&rest[1..end], trap));
            rest = &rest[end + 1..];
        } else {
            bytes.extend(first.to_string().bytes());
            rest = &rest[first.len_utf8()..];
        }
    }
    bytes
}

fn put_in(what: &str, trap: u16) -> Vec<u8> {
    match what.split_once(' ').unwrap_or((what, "")) {
        ("trap", _) => trap.to_string().into_bytes(),
        ("trap-as-two-bytes", _) => trap.to_be_bytes().to_vec(),
        ("hello", name) => hellos::named(name),
        ("hello-without-name", _) => hellos::nameless(),
        ("hello-misnamed", name) => hellos::misnamed(&bytes(name, trap)),
        ("hello-in-records", name) => hellos::in_records(&hellos::named(name), 16),
        ("hello-cut-short", name) => {
            let hello = hellos::named(name);
            hello[..hello.len() - 1].to_vec()
        }
        _ => panic!("nothing is called `{what}`"),
    }
}
