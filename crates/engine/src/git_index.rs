//! The names in an index of git's, read one after the other: a program may have written it, so it is as long as it likes.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Read as _, Take};
use std::os::unix::fs::FileExt as _;

use crate::plain::Opened;

/// The most that is read of one: an index of ten million files has about as much.
pub(crate) const LONGEST: u64 = 1 << 30;

/// No path leads as far. The kernel takes 4096 bytes in one piece, and git those of a folder that it has entered.
const LONGEST_NAME: usize = 16 << 10;

/// All names together have so many times the bytes of the file, where that is between these: in the fourth version an
/// entry of a few bytes takes over the name before it.
const MOST_OF_NAMES: u64 = 16;
const BETWEEN: (u64, u64) = (64 << 20, LONGEST);

/// What stands in an entry before its flags, but for the name of the object.
const FIXED: usize = 40;

/// Why nothing is known of what git reads there.
#[derive(Debug)]
pub(crate) enum Unread {
    /// Git takes it for no index.
    NoIndex,
    /// In words.
    Strange(String),
}

impl From<io::Error> for Unread {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::UnexpectedEof => strange(),
            _ => Self::Strange(format!("it cannot be read: {error}")),
        }
    }
}

fn strange() -> Unread {
    Unread::Strange("it is not written as git writes it".to_owned())
}

/// Reads all names, of which `each` gets one after the other. Names of objects have `hash` bytes.
///
/// # Errors
/// Where git might read other names than these, or there are more than anybody has.
///
/// # Source
/// gitformat-index(5) of git 2.47, and `create_from_disk`, `read_eoie_extension` and `read_ieot_extension`.
pub(crate) fn names(
    opened: Opened,
    hash: usize,
    each: &mut dyn FnMut(&[u8]),
) -> Result<(), Unread> {
    let Opened { file, metadata } = opened;
    let length = metadata.len();
    let mut first = [0; 12];
    file.read_exact_at(&mut first, 0).map_err(|_| Unread::NoIndex)?;
    let version = number(&first, 4);
    if !first.starts_with(b"DIRC") || !(2..=4).contains(&version) {
        return Err(Unread::NoIndex);
    }
    let end = length.checked_sub(hash as u64).ok_or_else(strange)?;
    if length > LONGEST {
        return Err(Unread::Strange(format!("it has more than {LONGEST} bytes")));
    }
    let most = (length * MOST_OF_NAMES).clamp(BETWEEN.0, BETWEEN.1);
    let last = last(&file, end, hash)?;
    let mut index = Reader { from: BufReader::new(file.take(length)), at: 0 };
    index.skip(12)?;
    let (mut name, mut of_names) = (Vec::new(), 0);
    // Where git may begin to read. Nowhere, which is zero, where there is only the rest of a name.
    let mut begins: Vec<u32> = Vec::new();
    for _ in 0..number(&first, 8) {
        let begun = index.at;
        let shared = index.entry(version, hash, &mut name)?;
        of_names += name.len() as u64;
        if of_names > most {
            return Err(Unread::Strange("its names are more than anybody has".to_owned()));
        }
        begins.push(if shared == 0 { u32::try_from(begun).unwrap_or(0) } else { 0 });
        each(&name);
    }
    if last.is_some_and(|last| last != index.at) {
        return Err(strange());
    }
    index.extensions(end, &begins)
}

/// Where the names are said to end, if that is said.
fn last(file: &File, end: u64, hash: usize) -> io::Result<Option<u64>> {
    let mut last = vec![0; 12 + hash];
    let Some(at) = end.checked_sub(last.len() as u64) else { return Ok(None) };
    file.read_exact_at(&mut last, at)?;
    Ok(last.starts_with(b"EOIE").then(|| number(&last, 8).into()))
}

struct Reader {
    from: BufReader<Take<File>>,
    at: u64,
}

impl Reader {
    fn take<const N: usize>(&mut self) -> io::Result<[u8; N]> {
        let mut bytes = [0; N];
        self.from.read_exact(&mut bytes)?;
        self.at += N as u64;
        Ok(bytes)
    }

    fn skip(&mut self, length: u64) -> io::Result<()> {
        let skipped = io::copy(&mut (&mut self.from).take(length), &mut io::sink())?;
        self.at += skipped;
        if skipped == length { Ok(()) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
    }

    /// Reads an entry, whose name takes the place of the one before; how much of that it takes over.
    fn entry(&mut self, version: u32, hash: usize, name: &mut Vec<u8>) -> Result<usize, Unread> {
        let begun = self.at;
        self.skip((FIXED + hash) as u64)?;
        let flags = u16::from_be_bytes(self.take()?);
        if flags & 0x4000 != 0 {
            self.skip(2)?;
        }
        let stripped = if version == 4 { self.varying()? } else { name.len() };
        let shared = name.len().checked_sub(stripped).ok_or_else(strange)?;
        name.truncate(shared);
        // One more than the longest, and the byte that ends it.
        let most = LONGEST_NAME + 2 - shared;
        let read = (&mut self.from).take(most as u64).read_until(0, name)?;
        self.at += read as u64;
        if name.len() > LONGEST_NAME + 1 {
            return Err(Unread::Strange("it names what is longer than any path".to_owned()));
        }
        if read == 0 || name.pop() != Some(0) {
            return Err(strange());
        }
        let length = usize::from(flags & 0xfff);
        if length < 0xfff && length != name.len() {
            return Err(strange());
        }
        if version != 4 {
            // Filled up with what ends the name, to eight bytes.
            let entry = self.at - begun;
            self.skip(entry.next_multiple_of(8) - entry)?;
        }
        Ok(shared)
    }

    /// A number of any length.
    ///
    /// # Source
    /// `decode_varint` of git 2.47, `varint.c`.
    fn varying(&mut self) -> Result<usize, Unread> {
        let [mut byte] = self.take()?;
        let mut value = usize::from(byte & 127);
        while byte & 128 != 0 {
            [byte] = self.take()?;
            let next = value.checked_add(1).and_then(|value| value.checked_mul(128));
            value = next.ok_or_else(strange)? + usize::from(byte & 127);
        }
        Ok(value)
    }

    /// Reads what follows the names up to `end`: it has git begin at no other places than these.
    fn extensions(&mut self, end: u64, begins: &[u32]) -> Result<(), Unread> {
        while self.at < end {
            let head: [u8; 8] = self.take()?;
            let size = u64::from(number(&head, 4));
            let after = self.at + size;
            if after > end {
                return Err(strange());
            }
            if head.starts_with(b"IEOT") {
                self.skip(size.min(4))?;
                let mut name = 0;
                while self.at < after {
                    let block: [u8; 8] = self.take()?;
                    let from = number(&block, 0);
                    if from == 0 || begins.get(name) != Some(&from) || self.at > after {
                        return Err(strange());
                    }
                    name += number(&block, 4) as usize;
                }
            } else {
                self.skip(size)?;
            }
        }
        if self.at == end { Ok(()) } else { Err(strange()) }
    }
}

fn number(bytes: &[u8], at: usize) -> u32 {
    bytes[at..at + 4].iter().fold(0, |number, byte| number << 8 | u32::from(*byte))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::plain;

    /// An index of the fourth version: a first name, and more, each of which takes over all but so much of the one before
    /// and is one byte longer than that.
    fn grown(first: &[u8], more: u32, without: u8) -> Vec<u8> {
        let mut bytes = [&b"DIRC"[..], &4_u32.to_be_bytes(), &(more + 1).to_be_bytes()].concat();
        let mut length = 0;
        for entry in 0..=more {
            let (without, rest) = if entry == 0 { (0, first) } else { (without, &b"b"[..]) };
            length += rest.len() - usize::from(without);
            bytes.extend([0; FIXED + 20]);
            bytes.extend(u16::try_from(length.min(0xfff)).unwrap().to_be_bytes());
            bytes.push(without);
            bytes.extend(rest);
            bytes.push(0);
        }
        bytes.extend([0; 20]);
        bytes
    }

    fn read(bytes: &[u8]) -> (usize, Result<(), Unread>) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().canonicalize().unwrap().join("index");
        fs::write(&path, bytes).unwrap();
        let mut given = 0;
        let opened = plain::open(&path).map_err(io::Error::from).unwrap();
        let done = names(opened, 20, &mut |_| given += 1);
        (given, done)
    }

    #[test]
    fn names_that_grow_out_of_each_other_are_read_up_to_where_no_path_goes() {
        let (given, done) = read(&grown(b"a", 3000, 0));
        assert!(done.is_ok() && given == 3001, "{given} {done:?}");
        let (given, done) = read(&grown(&vec![b'a'; 1_000_000], 3000, 0));
        assert!(matches!(&done, Err(Unread::Strange(why)) if why.contains("longer")), "{done:?}");
        assert_eq!(given, 0);
        let (given, done) = read(&grown(&[b'a'; LONGEST_NAME - 1], 3000, 0));
        assert!(matches!(&done, Err(Unread::Strange(why)) if why.contains("longer")), "{done:?}");
        assert_eq!(given, 2, "the last is as long as any may be");
    }

    #[test]
    fn names_that_are_more_than_a_file_has_room_for_are_not_read_on() {
        let (given, done) = read(&grown(&[b'a'; 4000], 10_000, 1));
        assert!(done.is_ok() && given == 10_001, "{given} {done:?}");
        let (given, done) = read(&grown(&[b'a'; 4000], 20_000, 1));
        assert!(matches!(&done, Err(Unread::Strange(why)) if why.contains("more")), "{done:?}");
        assert!(given as u64 * 4000 <= BETWEEN.0, "{given}");
    }

    #[test]
    fn what_ends_early_or_says_less_than_there_is_is_not_taken_for_an_index_of_gits() {
        let whole = grown(b"name", 3, 0);
        assert!(read(&whole).1.is_ok());
        for length in 12..whole.len() {
            let (_, done) = read(&whole[..length]);
            assert!(matches!(done, Err(Unread::Strange(_))), "{length} {done:?}");
        }
        assert!(matches!(read(b"DIRC").1, Err(Unread::NoIndex)));
    }
}
