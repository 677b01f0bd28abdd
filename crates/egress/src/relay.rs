//! Bytes from one socket to the other and back, until both are done or neither moves.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// How long nothing has moved on a connection, in either direction.
#[derive(Debug)]
pub(crate) struct Idle {
    began: Instant,
    /// Milliseconds from `began` on.
    moved: AtomicU64,
    limit: Duration,
}

impl Idle {
    pub(crate) fn new(limit: Duration) -> Self {
        Self { began: Instant::now(), moved: AtomicU64::new(0), limit }
    }

    fn now(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn touch(&self) {
        self.moved.store(self.now(), Ordering::Relaxed);
    }

    /// What is left of the time; nothing when it is over.
    fn left(&self) -> Option<Duration> {
        let still =
            Duration::from_millis(self.now().saturating_sub(self.moved.load(Ordering::Relaxed)));
        self.limit.checked_sub(still).filter(|it| !it.is_zero())
    }
}

/// A socket whose reads and writes end when the whole connection has been idle for too long.
#[derive(Debug)]
pub(crate) struct Watched<'a> {
    pub(crate) socket: &'a TcpStream,
    pub(crate) idle: &'a Idle,
}

impl Watched<'_> {
    fn patiently<T>(
        &self,
        set: impl Fn(Option<Duration>) -> io::Result<()>,
        mut once: impl FnMut() -> io::Result<T>,
    ) -> io::Result<T> {
        loop {
            let left = self.idle.left().ok_or(io::ErrorKind::TimedOut)?;
            set(Some(left.max(Duration::from_millis(1))))?;
            match once() {
                Ok(done) => {
                    self.idle.touch();
                    return Ok(done);
                }
                Err(error) if is_timeout(&error) => {}
                Err(error) => return Err(error),
            }
        }
    }
}

impl Read for Watched<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let mut socket = self.socket;
        self.patiently(|left| self.socket.set_read_timeout(left), || socket.read(into))
    }
}

impl Write for Watched<'_> {
    fn write(&mut self, from: &[u8]) -> io::Result<usize> {
        let mut socket = self.socket;
        self.patiently(|left| self.socket.set_write_timeout(left), || socket.write(from))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A socket that has to have said what is waited for at a certain time.
#[derive(Debug)]
pub(crate) struct Hurried<'a> {
    pub(crate) socket: &'a TcpStream,
    pub(crate) until: Instant,
}

impl Read for Hurried<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let left = self.until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        self.socket.set_read_timeout(Some(left))?;
        let mut socket = self.socket;
        socket.read(into)
    }
}

/// Whether an error says that the time of a socket is over.
pub(crate) fn is_timeout(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut)
}

/// How many bytes went through.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Carried {
    pub(crate) sent: u64,
    pub(crate) received: u64,
}

/// Carries bytes both ways until both ends are done.
pub(crate) fn both_ways(inside: &TcpStream, outside: &TcpStream, limit: Duration) -> Carried {
    let idle = Idle::new(limit);
    thread::scope(|scope| {
        let up = thread::Builder::new()
            .name("egress up".to_owned())
            .spawn_scoped(scope, || one_way(inside, outside, &idle));
        let Ok(up) = up else { return Carried::default() };
        let received = one_way(outside, inside, &idle);
        Carried { sent: up.join().unwrap_or(0), received }
    })
}

/// Carries bytes one way; an end is passed on, a failure ends both.
fn one_way(from: &TcpStream, to: &TcpStream, idle: &Idle) -> u64 {
    let mut count = 0;
    let mut buffer = vec![0; 32 * 1024];
    let (mut reader, mut writer) = (Watched { socket: from, idle }, Watched { socket: to, idle });
    loop {
        match reader.read(&mut buffer) {
            Ok(0) => {
                let _ = to.shutdown(Shutdown::Write);
                return count;
            }
            Ok(n) if writer.write_all(&buffer[..n]).is_ok() => count += n as u64,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            _ => {
                let _ = from.shutdown(Shutdown::Both);
                let _ = to.shutdown(Shutdown::Both);
                return count;
            }
        }
    }
}

/// Closes a connection so that the other end can still read what was written last.
///
/// A socket that is closed with unread bytes resets the connection, and the answer with it.
pub(crate) fn close_gently(socket: &TcpStream) {
    let _ = socket.shutdown(Shutdown::Write);
    let mut rest =
        Hurried { socket, until: Instant::now() + Duration::from_secs(1) }.take(256 * 1024);
    let _ = io::copy(&mut rest, &mut io::sink());
}
