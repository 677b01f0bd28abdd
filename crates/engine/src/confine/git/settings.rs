//! Git's settings as git reads them: its syntax, byte by byte, so that nothing means one thing here and another
//! to git.

use std::fs::OpenOptions;
use std::io::{self, Read as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use rustix::fs::OFlags;

/// One setting of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Setting {
    /// Its section and its name, in small letters: `core.hookspath`.
    pub(super) name: String,
    /// What stands between them: `origin` of `remote.origin.url`.
    pub(super) of: Option<Vec<u8>>,
    /// `None`: it is only named, which means true.
    pub(super) value: Option<Vec<u8>>,
}

/// What a file says.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Settings {
    pub(super) all: Vec<Setting>,
    /// It is written as git itself writes: no line goes on in the next, and no byte is unseen.
    pub(super) plain: bool,
}

/// The text is not git's: the number of the line.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Wrong(pub(super) usize);

/// More than any real one, and little enough to be read whenever a program starts.
const LONGEST: u64 = 1 << 20;

/// Whether a link that stands in a file's place is followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Links {
    Followed,
    Refused,
}

/// What is in a file; `None` if it is not there. What is no file is not waited for.
pub(super) fn bytes_of(path: &Path, links: Links) -> io::Result<Option<Vec<u8>>> {
    // How git is told of none, as by `GIT_CONFIG_GLOBAL`.
    if path == Path::new("/dev/null") {
        return Ok(None);
    }
    let mut flags = OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOCTTY;
    if links == Links::Refused {
        flags |= OFlags::NOFOLLOW;
    }
    let flags = i32::try_from(flags.bits()).unwrap_or_default();
    let file = match OpenOptions::new().read(true).custom_flags(flags).open(path) {
        Ok(file) => file,
        Err(e) if matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            return Ok(None);
        }
        Err(error) => return Err(error),
    };
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("it is no file"));
    }
    let mut bytes = Vec::new();
    file.take(LONGEST + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > LONGEST {
        return Err(io::Error::other("it is longer than 1 MiB"));
    }
    Ok(Some(bytes))
}

/// Reads settings.
///
/// # Source
/// `git_parse_source` of git 2.47, `config.c`.
pub(super) fn parse(bytes: &[u8]) -> Result<Settings, Wrong> {
    let text = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let mut reader = Reader { text, at: 0, line: 1, goes_on: false };
    let mut settings = Settings { all: Vec::new(), plain: false };
    let (mut section, mut of): (Option<String>, Option<Vec<u8>>) = (None, None);
    while let Some(byte) = reader.next() {
        match byte {
            b'#' | b';' => while reader.next().is_some_and(|byte| byte != b'\n') {},
            byte if is_space(byte) => {}
            b'[' => {
                let (name, inner) = reader.section()?;
                (section, of) = (Some(name), inner);
            }
            byte if byte.is_ascii_alphabetic() => {
                let (name, value) = reader.setting(byte)?;
                let name = match &section {
                    Some(section) => format!("{section}.{name}"),
                    // Git takes it, and it means nothing.
                    None => name,
                };
                settings.all.push(Setting { name, of: of.clone(), value });
            }
            _ => return Err(Wrong(reader.line)),
        }
    }
    let unseen = |byte: &u8| byte.is_ascii_control() && !matches!(byte, b'\n' | b'\t');
    settings.plain = !reader.goes_on && text.len() == bytes.len() && !text.iter().any(unseen);
    Ok(settings)
}

fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r')
}

fn is_of_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'-'
}

struct Reader<'a> {
    text: &'a [u8],
    at: usize,
    line: usize,
    /// A line was seen that goes on in the next.
    goes_on: bool,
}

impl Reader<'_> {
    /// The next byte; a line that ends in two is one that ends in one.
    fn next(&mut self) -> Option<u8> {
        let byte = *self.text.get(self.at)?;
        self.at += 1;
        if byte == b'\r' && self.text.get(self.at) == Some(&b'\n') {
            return self.next();
        }
        self.line += usize::from(byte == b'\n');
        Some(byte)
    }

    /// The next byte of a line, which the end of the text ends as well.
    fn in_line(&mut self) -> u8 {
        self.next().unwrap_or(b'\n')
    }

    fn wrong(&self) -> Wrong {
        Wrong(self.line)
    }

    /// What follows `[`.
    fn section(&mut self) -> Result<(String, Option<Vec<u8>>), Wrong> {
        let mut name = String::new();
        loop {
            match self.next().ok_or(Wrong(self.line))? {
                b']' => break,
                byte if is_space(byte) => return Ok((name, Some(self.of_section(byte)?))),
                byte if is_of_name(byte) || byte == b'.' => {
                    name.push(char::from(byte.to_ascii_lowercase()));
                }
                _ => return Err(self.wrong()),
            }
        }
        // As it was written once: `[remote.origin]`.
        match name.split_once('.') {
            Some((name, of)) => Ok((name.to_owned(), Some(of.as_bytes().to_vec()))),
            None => Ok((name, None)),
        }
    }

    /// What follows the space in `[remote "origin"]`.
    fn of_section(&mut self, mut byte: u8) -> Result<Vec<u8>, Wrong> {
        while is_space(byte) {
            if byte == b'\n' {
                return Err(self.wrong());
            }
            byte = self.in_line();
        }
        if byte != b'"' {
            return Err(self.wrong());
        }
        let mut of = Vec::new();
        loop {
            match self.in_line() {
                b'\n' => return Err(self.wrong()),
                b'"' => break,
                b'\\' => match self.in_line() {
                    b'\n' => return Err(self.wrong()),
                    byte => of.push(byte),
                },
                byte => of.push(byte),
            }
        }
        if self.in_line() == b']' { Ok(of) } else { Err(self.wrong()) }
    }

    /// A name that begins with this byte, and what follows it.
    fn setting(&mut self, first: u8) -> Result<(String, Option<Vec<u8>>), Wrong> {
        let mut name = String::from(char::from(first.to_ascii_lowercase()));
        let mut byte = self.in_line();
        while is_of_name(byte) {
            name.push(char::from(byte.to_ascii_lowercase()));
            byte = self.in_line();
        }
        while matches!(byte, b' ' | b'\t') {
            byte = self.in_line();
        }
        match byte {
            b'\n' => Ok((name, None)),
            b'=' => Ok((name, Some(self.value()?))),
            _ => Err(self.wrong()),
        }
    }

    fn value(&mut self) -> Result<Vec<u8>, Wrong> {
        let (mut value, mut quoted, mut comment) = (Vec::new(), false, false);
        // Where the spaces begin that nothing has followed yet.
        let mut end = None;
        loop {
            let byte = self.in_line();
            match byte {
                b'\n' if quoted => return Err(self.wrong()),
                b'\n' => {
                    value.truncate(end.unwrap_or(value.len()));
                    return Ok(value);
                }
                _ if comment => {}
                byte if is_space(byte) && !quoted => {
                    end = end.or(Some(value.len()));
                    if !value.is_empty() {
                        value.push(byte);
                    }
                }
                b';' | b'#' if !quoted => comment = true,
                _ => {
                    end = None;
                    match byte {
                        b'\\' => match self.in_line() {
                            b'\n' => self.goes_on = true,
                            b't' => value.push(b'\t'),
                            b'b' => value.push(8),
                            b'n' => value.push(b'\n'),
                            byte @ (b'\\' | b'"') => value.push(byte),
                            _ => return Err(self.wrong()),
                        },
                        b'"' => quoted = !quoted,
                        byte => value.push(byte),
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    /// What the reader makes of the cases, as `git config --list` would show it.
    fn shown(settings: &Settings) -> Vec<Vec<u8>> {
        let all = settings.all.iter().map(|setting| {
            let (section, name) = setting.name.rsplit_once('.').unwrap_or(("", &setting.name));
            let of = setting.of.as_deref();
            let parts = [Some(section.as_bytes()), of, Some(name.as_bytes())];
            let parts = parts.into_iter().flatten().skip(usize::from(!setting.name.contains('.')));
            let mut line = parts.collect::<Vec<&[u8]>>().join(&b'.');
            if let Some(value) = &setting.value {
                line.push(b'\n');
                line.extend(value);
            }
            line
        });
        all.collect()
    }

    /// Each file of settings is read as git reads it, or is wrong to both.
    #[test]
    fn settings_are_read_as_git_reads_them() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("config");
        let cases = include_str!("settings.cases");
        let cases = cases.split("\n---\n").map(|case| case.trim_start_matches("---\n"));
        let mut seen = 0;
        for case in cases {
            // What an editor would not leave in a file of cases.
            let case = case.replace("<cr>", "\r").replace("<bom>", "\u{feff}");
            let case = case.replace("<tab>", "\t").replace("<bell>", "\u{7}");
            let mut bytes = case.into_bytes();
            while let Some(at) = bytes.windows(5).position(|it| it == b"<377>") {
                bytes.splice(at..at + 5, [0xff]);
            }
            std::fs::write(&file, &bytes).unwrap();
            let mut git = Command::new("git");
            let git = git.args(["config", "--null", "--list", "--file"]).arg(&file).output();
            let git = git.unwrap();
            let text = String::from_utf8_lossy(&bytes).into_owned();
            match parse(&bytes) {
                Ok(settings) => {
                    let theirs: Vec<&[u8]> =
                        git.stdout.split(|byte| *byte == 0).filter(|it| !it.is_empty()).collect();
                    assert!(git.status.success(), "only git finds fault with: {text}");
                    assert_eq!(shown(&settings), theirs, "{text}");
                }
                Err(_) => assert!(!git.status.success(), "only git can read: {text}"),
            }
            seen += 1;
        }
        assert!(seen > 40, "{seen}");
    }

    #[test]
    fn what_is_no_file_or_too_long_is_not_read() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        assert_eq!(bytes_of(&at("none"), Links::Refused).unwrap(), None);
        std::fs::write(at("file"), b"\xff").unwrap();
        std::os::unix::fs::symlink("file", at("link")).unwrap();
        assert_eq!(bytes_of(&at("link"), Links::Followed).unwrap().unwrap(), b"\xff");
        assert!(bytes_of(&at("link"), Links::Refused).is_err());
        assert!(bytes_of(folder.path(), Links::Refused).is_err());
        let pipe = rustix::fs::CWD;
        let kind = rustix::fs::FileType::Fifo;
        rustix::fs::mknodat(pipe, at("pipe"), kind, 0o600.into(), 0).unwrap();
        assert!(bytes_of(&at("pipe"), Links::Refused).is_err(), "and it did not wait for a writer");
        let long = usize::try_from(LONGEST).unwrap() + 1;
        std::fs::write(at("long"), vec![b'\n'; long]).unwrap();
        assert!(bytes_of(&at("long"), Links::Refused).is_err());
    }

    #[test]
    fn what_git_writes_is_plain_and_what_hides_is_not() {
        let plain = |text: &str| parse(text.as_bytes()).unwrap().plain;
        assert!(plain("[core]\n\tbare = false\n# a word\n[user]\n\tname = \"J\u{f6}rg\"\n"));
        for hides in ["[core]\n\ta = b\\\n c\n", "\u{feff}[core]\n", "[core]\n\ta = b\rc\n"] {
            assert!(!plain(hides), "{hides:?}");
        }
    }
}
