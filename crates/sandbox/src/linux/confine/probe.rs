//! Trying what a confinement should refuse, and what it should not, from inside of it.

use std::fs;
use std::io::{self, Read as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::time::Duration;

use super::super::sys;
use crate::Probe;

/// A connection to a loopback is made or refused at once; one that is dropped on its way counts as such.
const PATIENCE: Duration = Duration::from_secs(1);

/// Tries each, and writes a line with the kernel's error number, or 0, to standard output.
pub(in super::super) fn answer(probes: &[&[u8]]) -> io::Result<()> {
    let mut lines = String::new();
    for words in probes {
        let tried = Probe::parse(words).ok_or(io::ErrorKind::InvalidData)?;
        let number = match attempt(&tried) {
            Ok(()) => 0,
            Err(e) => e.raw_os_error().unwrap_or(libc::EIO),
        };
        lines.push_str(&number.to_string());
        lines.push('\n');
    }
    io::Write::write_all(&mut io::stdout(), lines.as_bytes())?;
    io::Write::flush(&mut io::stdout())
}

fn attempt(probe: &Probe) -> io::Result<()> {
    match probe {
        Probe::Read(path) if path.is_dir() => fs::read_dir(path)?.next().transpose().map(drop),
        Probe::Read(path) => fs::File::open(path)?.read(&mut [0]).map(drop),
        Probe::Write(path) if path.is_dir() => make_a_file(path),
        Probe::Write(path) => fs::OpenOptions::new().append(true).open(path).map(drop),
        Probe::Connect(to) => TcpStream::connect_timeout(to, PATIENCE).map(drop).map_err(|e| {
            if e.kind() == io::ErrorKind::TimedOut {
                return io::Error::from_raw_os_error(libc::ETIMEDOUT);
            }
            e
        }),
        Probe::Listen => TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .map(drop)
            .or_else(|refused| sys::try_listening().map_err(|_| refused)),
        Probe::Family(family) => sys::try_socket(*family),
        Probe::Process(pid) => fs::read_dir(format!("/proc/{pid}")).map(drop),
        Probe::Namespace => sys::try_user_namespace(),
    }
}

/// One without a name, so that nothing is left of it whenever it is killed; where the file system knows no
/// such files, one that others of its kind do not have: they count their processes as it does.
fn make_a_file(folder: &Path) -> io::Result<()> {
    let unnamed = fs::OpenOptions::new().write(true).custom_flags(libc::O_TMPFILE).open(folder);
    match unnamed.map(drop).map_err(|error| error.raw_os_error()) {
        Err(Some(libc::EOPNOTSUPP | libc::EISDIR | libc::EINVAL)) => {}
        made => {
            return made.map_err(|error| io::Error::from_raw_os_error(error.unwrap_or(libc::EIO)));
        }
    }
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let moment = now.map_or(0, |now| now.as_nanos());
    let path = folder.join(format!(".botpipe-canary-{}-{moment}", std::process::id()));
    fs::OpenOptions::new().write(true).create_new(true).open(&path)?;
    fs::remove_file(path)
}
