//! A listener with a thread for each connection, a bound on them, and an end to all at once.

use std::collections::HashMap;
use std::io;
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// A running listener; dropping it ends it, and every connection it carries.
#[derive(Debug)]
pub(crate) struct Serving {
    floor: Arc<Floor>,
    listener: TcpStream,
    acceptor: Option<JoinHandle<()>>,
}

/// What is going on behind one listener.
#[derive(Debug, Default)]
struct Floor(Mutex<Open>);

#[derive(Debug, Default)]
struct Open {
    stopped: bool,
    seats: usize,
    next: u64,
    sockets: HashMap<u64, TcpStream>,
}

impl Floor {
    fn open(&self) -> MutexGuard<'_, Open> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A connection's place; what it holds is closed when it leaves, or when the listener ends.
#[derive(Debug)]
pub(crate) struct Seat {
    floor: Arc<Floor>,
    held: Mutex<Vec<u64>>,
}

impl Seat {
    /// Takes a place, if the listener still serves and has fewer than `limit`.
    fn take(floor: &Arc<Floor>, limit: usize) -> Option<Self> {
        let mut open = floor.open();
        if open.stopped || open.seats >= limit {
            return None;
        }
        open.seats += 1;
        Some(Self { floor: Arc::clone(floor), held: Mutex::default() })
    }

    /// Binds a socket to this place. An error when the listener has ended meanwhile.
    pub(crate) fn hold(&self, socket: &TcpStream) -> io::Result<()> {
        let twin = socket.try_clone()?;
        let mut open = self.floor.open();
        if open.stopped {
            return Err(io::Error::new(io::ErrorKind::ConnectionAborted, "the listener has ended"));
        }
        let id = open.next;
        open.next += 1;
        open.sockets.insert(id, twin);
        self.held.lock().unwrap_or_else(PoisonError::into_inner).push(id);
        Ok(())
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let held = std::mem::take(&mut *self.held.lock().unwrap_or_else(PoisonError::into_inner));
        let mut open = self.floor.open();
        open.seats -= 1;
        for id in held {
            open.sockets.remove(&id);
        }
    }
}

impl Serving {
    /// Accepts on `listener` and gives every connection to `serve`, each on a thread of its own. `full`
    /// is called for those beyond `limit`, which are closed.
    pub(crate) fn start(
        listener: TcpListener,
        limit: usize,
        serve: impl Fn(TcpStream, Seat) + Send + Sync + 'static,
        full: impl Fn() + Send + 'static,
    ) -> io::Result<Self> {
        listener.set_nonblocking(false)?;
        // The same socket by another type: only a stream can be shut down, which ends a blocked accept.
        let handle = TcpStream::from(OwnedFd::from(listener.try_clone()?));
        let floor = Arc::new(Floor::default());
        let ours = Arc::clone(&floor);
        let serve = Arc::new(serve);
        let acceptor = thread::Builder::new()
            .name("egress".to_owned())
            .spawn(move || accept(&listener, &ours, limit, &serve, &full))?;
        Ok(Self { floor, listener: handle, acceptor: Some(acceptor) })
    }
}

fn accept<S: Fn(TcpStream, Seat) + Send + Sync + 'static>(
    listener: &TcpListener,
    floor: &Arc<Floor>,
    limit: usize,
    serve: &Arc<S>,
    full: &impl Fn(),
) {
    loop {
        let stream = match listener.accept() {
            Ok((stream, _)) => stream,
            Err(_) if floor.open().stopped => return,
            // Somebody else shut the listener down: nothing will come any more.
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => return,
            Err(_) => {
                // No descriptors or no memory left, for now.
                thread::sleep(Duration::from_millis(20));
                continue;
            }
        };
        let Some(seat) = Seat::take(floor, limit) else {
            full();
            continue;
        };
        if seat.hold(&stream).is_err() {
            continue;
        }
        let serve = Arc::clone(serve);
        // Without a thread the connection is closed here, with its place.
        let _ = thread::Builder::new()
            .name("egress connection".to_owned())
            .spawn(move || serve(stream, seat));
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let sockets = {
            let mut open = self.floor.open();
            open.stopped = true;
            std::mem::take(&mut open.sockets)
        };
        let _ = self.listener.shutdown(Shutdown::Both);
        for socket in sockets.into_values() {
            let _ = socket.shutdown(Shutdown::Both);
        }
        if let Some(acceptor) = self.acceptor.take() {
            let _ = acceptor.join();
        }
    }
}
