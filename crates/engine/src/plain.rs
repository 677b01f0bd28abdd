//! Files and folders by paths on whose way no link is followed: what stands in a workspace is a program's
//! word, and Botpipe reads and writes outside of the sandbox that held it.

use std::ffi::{OsStr, OsString};
use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Component, Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use rustix::fs::{self, AtFlags, CWD, Mode, OFlags};
use rustix::io::Errno;

use crate::account;

/// A regular file, opened; its metadata are those of the open file.
pub(crate) struct Opened {
    pub(crate) file: File,
    pub(crate) metadata: Metadata,
}

/// Why a path gave no regular file.
pub(crate) enum NoFile {
    Missing,
    /// It is there and is this instead.
    Other(&'static str),
    Failed(io::Error),
}

impl From<NoFile> for io::Error {
    fn from(no: NoFile) -> Self {
        match no {
            NoFile::Missing => io::ErrorKind::NotFound.into(),
            NoFile::Other(what) => Self::new(io::ErrorKind::InvalidInput, format!("it {what}")),
            NoFile::Failed(error) => error,
        }
    }
}

/// Most of a file that is small where it is what it should be: settings, rules, names.
pub(crate) const SMALL: u64 = 4 << 20;

/// Opens a regular file for reading; never follows a link, never waits for a pipe.
pub(crate) fn open(path: &Path) -> Result<Opened, NoFile> {
    let (parent, name) = split(path).map_err(NoFile::Failed)?;
    let folder = match folder(parent) {
        Ok(folder) => folder,
        Err(error) if is_gone(&error) => return Err(NoFile::Missing),
        Err(error) => return Err(NoFile::Failed(error)),
    };
    open_at(&folder, name)
}

/// The same, of a name in an open folder.
pub(crate) fn open_at(folder: impl AsFd, name: &OsStr) -> Result<Opened, NoFile> {
    match fs::openat(&folder, name, FILE, Mode::empty()) {
        Ok(file) => regular(file.into()),
        Err(error) => Err(not_opened(folder, name, error)),
    }
}

/// All of a regular file on whose way no link is, if it has no more bytes than this.
///
/// # Errors
/// Where there is none, it is something else, or has more.
pub(crate) fn read(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    all_of(open(path)?, most)
}

/// The same where links may lead to it: for what only decides what is kept from programs, and is told to
/// nobody.
///
/// # Errors
/// As those of [`read`].
pub(crate) fn peek(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    all_of(follow(path)?, most)
}

/// No more than its first bytes.
///
/// # Errors
/// Where there is none, or it is something else.
pub(crate) fn peek_first(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    follow(path)?.file.take(most).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Opens a regular file that links may lead to; never waits for a pipe.
///
/// # Errors
/// Where there is none, or it is something else.
pub(crate) fn follow(path: &Path) -> io::Result<Opened> {
    let flags = i32::from_ne_bytes((OFlags::NONBLOCK | OFlags::NOCTTY).bits().to_ne_bytes());
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path)?;
    Ok(regular(file)?)
}

/// All of it as text; none of it where it cannot be read, or is no text.
pub(crate) fn peek_text(path: &Path) -> Option<String> {
    String::from_utf8(peek(path, SMALL).ok()?).ok()
}

fn all_of(opened: Opened, most: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    opened.file.take(most.saturating_add(1)).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > most {
        let text = format!("it has more than {most} bytes");
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, text));
    }
    Ok(bytes)
}

fn regular(file: File) -> Result<Opened, NoFile> {
    let metadata = file.metadata().map_err(NoFile::Failed)?;
    if metadata.is_file() {
        Ok(Opened { file, metadata })
    } else if metadata.is_dir() {
        Err(NoFile::Other("is a folder"))
    } else {
        Err(NoFile::Other("is not a regular file"))
    }
}

fn not_opened(folder: impl AsFd, name: &OsStr, error: Errno) -> NoFile {
    match fs::statat(folder, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(found) => match fs::FileType::from_raw_mode(found.st_mode) {
            fs::FileType::Symlink => NoFile::Other("is a symbolic link"),
            fs::FileType::RegularFile => NoFile::Failed(error.into()),
            _ => NoFile::Other("is not a regular file"),
        },
        Err(Errno::NOENT | Errno::NOTDIR) => NoFile::Missing,
        Err(_) => NoFile::Failed(error.into()),
    }
}

fn is_gone(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

/// Opens a folder on whose way there is no link, to find names in it.
///
/// # Errors
/// Where it is not there, or a link is on the way: the message names that.
pub(crate) fn folder(path: &Path) -> io::Result<OwnedFd> {
    match at_once(path) {
        // Older systems have no such call, and some sandboxes forbid it; a long path is taken in parts only.
        Err(Errno::NOSYS | Errno::PERM | Errno::NAMETOOLONG) => walk(path, Missing::Told),
        found => found,
    }
    .map_err(|error| told(path, error))
}

/// The same, and makes what is missing of it.
///
/// # Errors
/// As those of [`folder`], and where it cannot be made.
pub(crate) fn make(path: &Path) -> io::Result<OwnedFd> {
    match folder(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            walk(path, Missing::Made).map_err(|error| told(path, error))
        }
        found => found,
    }
}

/// The same, where what is made in a folder of somebody else's is theirs: programs write there.
///
/// # Errors
/// As those of [`make`].
pub(crate) fn make_theirs(path: &Path) -> io::Result<OwnedFd> {
    match folder(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            walk(path, Missing::Theirs).map_err(|error| told(path, error))
        }
        found => found,
    }
}

/// What becomes of a folder that is missing.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Missing {
    Told,
    Made,
    /// It is made, and is whose the one above it is.
    Theirs,
}

#[cfg(target_os = "linux")]
fn at_once(path: &Path) -> Result<OwnedFd, Errno> {
    let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
    loop {
        match fs::openat2(CWD, path, FOLDER, Mode::empty(), fs::ResolveFlags::NO_SYMLINKS) {
            // Something was renamed meanwhile.
            Err(Errno::AGAIN) => {}
            done => return done,
        }
    }
}

#[cfg(not(target_os = "linux"))]
fn at_once(_: &Path) -> Result<OwnedFd, Errno> {
    Err(Errno::NOSYS)
}

/// One folder after the other.
fn walk(path: &Path, missing: Missing) -> Result<OwnedFd, Errno> {
    let mut at =
        fs::openat(CWD, if path.is_absolute() { "/" } else { "." }, FOLDER, Mode::empty())?;
    for part in path.components() {
        let name = match part {
            Component::Normal(name) => name,
            Component::ParentDir => OsStr::new(".."),
            Component::RootDir | Component::CurDir | Component::Prefix(_) => continue,
        };
        let below = fs::openat(&at, name, FOLDER, Mode::empty());
        at = match below {
            Err(Errno::NOENT) if missing != Missing::Told => {
                let made = match fs::mkdirat(&at, name, Mode::from_raw_mode(0o777)) {
                    Ok(()) => true,
                    Err(Errno::EXIST) => false,
                    Err(error) => return Err(error),
                };
                let below = fs::openat(&at, name, FOLDER, Mode::empty())?;
                if made && missing == Missing::Theirs {
                    account::inherit(&at, &below);
                }
                below
            }
            below => below?,
        };
    }
    Ok(at)
}

/// An error that names the link on the way, where one is.
fn told(path: &Path, error: Errno) -> io::Error {
    match link_on(path) {
        Some(link) => io::Error::new(
            io::ErrorKind::InvalidInput,
            format!("`{}` is a symbolic link, and none is followed here", link.display()),
        ),
        None => error.into(),
    }
}

/// The first link on the way to a path, or at its end.
pub(crate) fn link_on(path: &Path) -> Option<PathBuf> {
    let mut ways: Vec<&Path> = path.ancestors().collect();
    ways.reverse();
    let link = |way: &&Path| std::fs::symlink_metadata(way).is_ok_and(|it| it.is_symlink());
    ways.into_iter().find(link).map(Path::to_owned)
}

/// The names in an open folder.
///
/// # Errors
/// Where it cannot be read.
pub(crate) fn names(folder: impl AsFd) -> io::Result<Vec<OsString>> {
    use std::os::unix::ffi::OsStringExt as _;
    let listed = fs::openat(folder, ".", LISTED, Mode::empty())?;
    let mut names = Vec::new();
    for entry in fs::Dir::new(listed)? {
        let name = entry?.file_name().to_bytes().to_vec();
        if name != b"." && name != b".." {
            names.push(OsString::from_vec(name));
        }
    }
    Ok(names)
}

/// A folder in an open folder, not through a link.
///
/// # Errors
/// Where it is none.
pub(crate) fn folder_at(folder: impl AsFd, name: &OsStr) -> io::Result<OwnedFd> {
    Ok(fs::openat(folder, name, FOLDER, Mode::empty())?)
}

/// Whether a folder is there, with no link on the way.
pub(crate) fn is_folder(path: &Path) -> bool {
    folder(path).is_ok()
}

/// Has the names in a folder on the disk.
///
/// # Errors
/// Where it cannot be opened or synced.
pub(crate) fn sync(folder: impl AsFd) -> io::Result<()> {
    Ok(fs::fsync(fs::openat(folder, ".", LISTED, Mode::empty())?)?)
}

/// New content beside a file, and not yet in its place. Dropped, it is removed: half a change is of use to
/// nobody.
pub(crate) struct Fresh {
    folder: OwnedFd,
    name: OsString,
    temporary: OsString,
    put: bool,
}

impl Fresh {
    /// Writes it, as a file that is there for this one alone. `mode`: exactly this, else what the umask leaves
    /// of that for everybody.
    pub(crate) fn write(path: &Path, bytes: &[u8], mode: Option<u32>) -> io::Result<(Self, File)> {
        static WRITTEN: AtomicU32 = AtomicU32::new(0);
        let (parent, name) = split(path)?;
        // A name of its own: others may write the same file at the same time.
        let number = WRITTEN.fetch_add(1, Ordering::Relaxed);
        let mut temporary = OsString::from(".");
        temporary.push(name);
        temporary.push(format!(".botpipe-{}-{number}", std::process::id()));
        let fresh = Self { folder: folder(parent)?, name: name.to_owned(), temporary, put: false };
        fresh.sweep();
        let file = fresh.create()?;
        account::inherit(&fresh.folder, &file);
        (&file).write_all(bytes)?;
        if let Some(mode) = mode {
            file.set_permissions(std::fs::Permissions::from_mode(mode & 0o777))?;
        }
        Ok((fresh, file))
    }

    /// Removes what processes that were killed left of the same file. What cannot be removed is left to the next.
    fn sweep(&self) {
        for found in names(&self.folder).unwrap_or_default() {
            let dead = |it: Half<'_>| {
                let of_this = it.of == self.name.as_encoded_bytes();
                of_this && rustix::process::test_kill_process(it.writer) == Err(Errno::SRCH)
            };
            if Half::named(&found).is_some_and(dead) {
                let _ = fs::unlinkat(&self.folder, &found, AtFlags::empty());
            }
        }
    }

    /// One that a killed process left, or a program made, is not written to.
    fn create(&self) -> io::Result<File> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        for _ in 0..TRIES {
            match fs::openat(&self.folder, &self.temporary, flags, Mode::from_raw_mode(0o666)) {
                Err(Errno::EXIST) => {
                    fs::unlinkat(&self.folder, &self.temporary, AtFlags::empty())
                        .or_else(|error| if error == Errno::NOENT { Ok(()) } else { Err(error) })?;
                }
                opened => return Ok(opened?.into()),
            }
        }
        Err(io::ErrorKind::AlreadyExists.into())
    }

    /// Puts it in the file's place.
    pub(crate) fn put(mut self) -> io::Result<()> {
        fs::renameat(&self.folder, &self.temporary, &self.folder, &self.name)?;
        self.put = true;
        Ok(())
    }
}

impl Drop for Fresh {
    fn drop(&mut self) {
        if !self.put {
            // What cannot be removed is removed by the next.
            let _ = fs::unlinkat(&self.folder, &self.temporary, AtFlags::empty());
        }
    }
}

/// What the name of a temporary file of [`Fresh`] says.
struct Half<'a> {
    of: &'a [u8],
    writer: rustix::process::Pid,
}

impl<'a> Half<'a> {
    fn named(name: &'a OsStr) -> Option<Self> {
        let name = name.as_encoded_bytes().strip_prefix(b".")?;
        let mut parts = name.rsplitn(3, |byte| *byte == b'-');
        let mut number = || str::from_utf8(parts.next()?).ok()?.parse().ok();
        let (_, writer) = (number()?, rustix::process::Pid::from_raw(number()?)?);
        Some(Self { of: parts.next()?.strip_suffix(b".botpipe")?, writer })
    }
}

/// Whether a file is one that is being written and not yet in its place.
pub(crate) fn is_half(name: &OsStr) -> bool {
    Half::named(name).is_some()
}

/// Puts text in a file's place at once, for people to read: a reader sees the old content or the new. Any
/// number of threads and processes may do so at once.
///
/// # Errors
/// Where the folder is not there or behind a link, or cannot be written.
pub(crate) fn show(path: &Path, text: &[u8]) -> io::Result<()> {
    let (fresh, _) = Fresh::write(path, text, None)?;
    fresh.put()
}

/// The same with exactly these permissions.
///
/// # Errors
/// As those of [`show`].
pub(crate) fn show_as(mode: u32, path: &Path, text: &[u8]) -> io::Result<()> {
    let (fresh, _) = Fresh::write(path, text, Some(mode))?;
    fresh.put()
}

/// Removes a file or link.
///
/// # Errors
/// Where it is not there, or behind a link.
pub(crate) fn remove(path: &Path) -> io::Result<()> {
    let (parent, name) = split(path)?;
    Ok(fs::unlinkat(folder(parent)?, name, AtFlags::empty())?)
}

/// A path's folder and its name in there.
pub(crate) fn split(path: &Path) -> io::Result<(&Path, &OsStr)> {
    match (path.parent(), path.file_name()) {
        (Some(folder), Some(name)) => Ok((folder, name)),
        _ => Err(io::ErrorKind::InvalidInput.into()),
    }
}

/// How often a name is tried that others take.
const TRIES: usize = 16;

const FILE: OFlags = OFlags::RDONLY
    .union(OFlags::NOFOLLOW)
    .union(OFlags::NONBLOCK)
    .union(OFlags::NOCTTY)
    .union(OFlags::CLOEXEC);

/// A folder that can be read; on Linux one to go through need not be.
const LISTED: OFlags =
    OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

#[cfg(target_os = "linux")]
const FOLDER: OFlags =
    OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);
#[cfg(not(target_os = "linux"))]
const FOLDER: OFlags = LISTED;

#[cfg(test)]
mod tests {
    #[test]
    fn what_a_killed_process_left_of_a_file_goes_with_the_next() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().canonicalize().unwrap().join(name);
        // No process has the first number; the second is this one's.
        let kept =
            [format!(".note.botpipe-{}-7", std::process::id()), ".note.botpipe-x".to_owned()];
        let gone = ".note.botpipe-2147483646-3".to_owned();
        for name in kept.iter().chain([&gone]) {
            std::fs::write(at(name), "half").unwrap();
        }
        super::show(&at("note"), b"whole").unwrap();
        assert_eq!(std::fs::read(at("note")).unwrap(), b"whole");
        assert!(kept.iter().all(|name| at(name).exists()) && !at(&gone).exists());
    }
}
