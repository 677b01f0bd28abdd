//! Listeners of the host: TCP, UDP, unix sockets and ICMP on the loopback; what they get goes to files.

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::{self, Read, Write};
use std::net::{TcpListener, UdpSocket};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{SocketAddr, UnixDatagram, UnixListener};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use nix::sys::socket::{AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, recv, socket};

/// One listener.
enum Ear {
    Tcp(TcpListener),
    Unix(UnixListener),
    Udp(UdpSocket),
    UnixDatagram(UnixDatagram),
    Icmp(OwnedFd),
}

/// A connection that is read from.
trait Stream: Read + Write + Send {}
impl<T: Read + Write + Send> Stream for T {}

/// A connection, whose it is, and what came so far.
struct Line {
    name: String,
    stream: Box<dyn Stream>,
    came: Vec<u8>,
    answered: usize,
}

/// The listeners of one trial. They end when this is dropped.
pub(super) struct Listeners {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
    /// The ports, by name; the name of the abstract socket.
    pub(super) places: BTreeMap<String, String>,
}

/// TCP listeners and where they listen.
const TCP: &[(&str, &str)] = &[
    ("tcp", "127.0.0.1:0"),
    ("tcp2", "127.0.0.2:0"),
    ("tcp6", "[::1]:0"),
    ("any", "0.0.0.0:0"),
    ("foreign", "127.0.0.1:0"),
    ("allowed", "127.0.0.1:0"),
];

impl Listeners {
    /// Starts those that `wanted` says yes to, with their files in `heard` and their sockets in `ground`.
    pub(super) fn start(
        ground: &Path,
        mark: &str,
        wanted: impl Fn(&str) -> bool,
    ) -> io::Result<Self> {
        let mut ears = Vec::new();
        let mut places = BTreeMap::new();
        for (name, address) in TCP.iter().filter(|it| wanted(it.0)) {
            let ear = TcpListener::bind(address)?;
            ear.set_nonblocking(true)?;
            places.insert((*name).to_owned(), ear.local_addr()?.port().to_string());
            ears.push(((*name).to_owned(), Ear::Tcp(ear)));
        }
        for (name, address) in [("udp", "127.0.0.1:0"), ("udp6", "[::1]:0")] {
            if wanted(name) {
                let ear = UdpSocket::bind(address)?;
                ear.set_nonblocking(true)?;
                places.insert(name.to_owned(), ear.local_addr()?.port().to_string());
                ears.push((name.to_owned(), Ear::Udp(ear)));
            }
        }
        if wanted("abstract") || wanted("abstract-dgram") {
            let name = format!("botpipe-{mark}");
            let ear = UnixListener::bind_addr(&SocketAddr::from_abstract_name(&name)?)?;
            ear.set_nonblocking(true)?;
            ears.push(("abstract".to_owned(), Ear::Unix(ear)));
            let ear =
                UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(format!("{name}-dgram"))?)?;
            ear.set_nonblocking(true)?;
            ears.push(("abstract-dgram".to_owned(), Ear::UnixDatagram(ear)));
            places.insert("abstract".to_owned(), name);
        }
        for (name, path) in [
            ("tmp", PathBuf::from(format!("/tmp/botpipe-{mark}"))),
            ("home", ground.join("home/agent.sock")),
            ("outside", ground.join("outside/daemon.sock")),
            ("docs", ground.join("work/docs/host.sock")),
            ("src", ground.join("work/src/host.sock")),
        ] {
            if wanted(name) {
                let ear = UnixListener::bind(&path)?;
                fs::set_permissions(&path, fs::Permissions::from_mode(0o777))?;
                ear.set_nonblocking(true)?;
                ears.push((name.to_owned(), Ear::Unix(ear)));
            }
        }
        if wanted("icmp") && nix::unistd::getuid().is_root() {
            let flags = SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC;
            let ear = socket(AddressFamily::Inet, SockType::Raw, flags, SockProtocol::Icmp)?;
            ears.push(("icmp".to_owned(), Ear::Icmp(ear)));
        }
        let stop = Arc::new(AtomicBool::new(false));
        let thread = (!ears.is_empty()).then(|| {
            let (stop, heard, mark) = (stop.clone(), ground.join("heard"), mark.to_owned());
            thread::spawn(move || hear(&ears, &heard, &mark, &stop))
        });
        Ok(Self { stop, thread, places })
    }
}

impl Drop for Listeners {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

fn note(folder: &Path, name: &str, bytes: &[u8]) {
    let file = OpenOptions::new().create(true).append(true).open(folder.join(name));
    if let Ok(mut file) = file {
        drop(file.write_all(bytes));
    }
}

/// Takes what comes until it is told to stop.
fn hear(ears: &[(String, Ear)], folder: &Path, mark: &str, stop: &AtomicBool) {
    let mut lines: Vec<Line> = Vec::new();
    let mut buffer = vec![0; 65536];
    while !stop.load(Ordering::Relaxed) {
        for (name, ear) in ears {
            let stream: Option<Box<dyn Stream>> = match ear {
                Ear::Tcp(ear) => ear.accept().ok().and_then(|(it, _)| {
                    it.set_nonblocking(true).ok()?;
                    Some(Box::new(it) as Box<dyn Stream>)
                }),
                Ear::Unix(ear) => ear.accept().ok().and_then(|(it, _)| {
                    it.set_nonblocking(true).ok()?;
                    Some(Box::new(it) as Box<dyn Stream>)
                }),
                Ear::Udp(ear) => {
                    if let Ok(count) = ear.recv(&mut buffer) {
                        note(folder, name, &buffer[..count]);
                    }
                    None
                }
                Ear::UnixDatagram(ear) => {
                    if let Ok(count) = ear.recv(&mut buffer) {
                        note(folder, name, &buffer[..count]);
                    }
                    None
                }
                Ear::Icmp(ear) => {
                    if let Ok(count) = recv(ear.as_raw_fd(), &mut buffer, MsgFlags::empty())
                        && buffer[..count].windows(mark.len()).any(|part| part == mark.as_bytes())
                    {
                        note(folder, name, &buffer[..count]);
                    }
                    None
                }
            };
            if let Some(stream) = stream {
                note(folder, name, b"[connected]\n");
                lines.push(Line { name: name.clone(), stream, came: Vec::new(), answered: 0 });
            }
        }
        lines.retain_mut(|line| line.read(folder, &mut buffer));
        thread::sleep(Duration::from_millis(4));
    }
}

impl Line {
    /// Reads what is there; answers each head of a request; whether the line still stands.
    fn read(&mut self, folder: &Path, buffer: &mut [u8]) -> bool {
        match self.stream.read(buffer) {
            Ok(0) => false,
            Ok(count) => {
                note(folder, &self.name, &buffer[..count]);
                self.came.extend_from_slice(&buffer[..count]);
                let heads = self.came.windows(4).filter(|part| *part == b"\r\n\r\n").count();
                while self.answered < heads {
                    self.answered += 1;
                    let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
                    drop(self.stream.write_all(answer));
                }
                true
            }
            Err(error) => error.kind() == io::ErrorKind::WouldBlock,
        }
    }
}
