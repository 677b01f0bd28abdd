//! What system calls are refused to a confined program, seen from inside.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use botpipe_sandbox::{Confinement, How, Network};

use super::confine::{Host, files};

/// Runs a script of Python's in a writable workspace; each line that it prints.
fn python(host: &Host, confinement: Confinement, script: &str) -> Vec<String> {
    let preface = "import ctypes, errno, os, socket\n\
        libc = ctypes.CDLL(None, use_errno=True)\n\
        def call(*words):\n    \
            done = libc.syscall(*words)\n    \
            return done if done >= 0 else errno.errorcode[ctypes.get_errno()]\n\
        def tried(what):\n    \
            try: what(); return 'done'\n    \
            except OSError as e: return errno.errorcode[e.errno]\n";
    fs::write(host.path("work/tried.py"), format!("{preface}{script}")).unwrap();
    let (how, said) = host.run(confinement, "exec python3 tried.py");
    assert_eq!(how, How::Exited(0), "{said}");
    said.lines().map(str::to_owned).collect()
}

/// A file that everybody would run as whoever runs Botpipe stays on the host when the sandbox is gone.
#[test]
fn no_program_is_made_that_others_run_as_its_maker() {
    let host = Host::new();
    let script = r"
for name in ('chmod', 'fchmod', 'fchmodat', 'fchmodat2', 'opened', 'nameless', 'noded', 'usual'):
    open(name, 'w').close()
print(tried(lambda: os.chmod('chmod', 0o4755)))
print(tried(lambda: os.fchmod(os.open('fchmod', os.O_WRONLY), 0o4755)))
print(tried(lambda: os.chmod('fchmodat', 0o4755, dir_fd=os.open('.', os.O_RDONLY))))
print(call(452, -100, b'fchmodat2', 0o4755, 0))
print(tried(lambda: os.open('made', os.O_CREAT | os.O_WRONLY, 0o4755)))
print(tried(lambda: os.open('.', os.O_TMPFILE | os.O_WRONLY, 0o4755)))
print(tried(lambda: os.mknod('node', 0o104755)))
print(call(437, -100, b'by-openat2', (ctypes.c_uint64 * 3)(os.O_CREAT | os.O_WRONLY, 0o4755, 0), 24))
print(tried(lambda: os.chmod('usual', 0o1755)), tried(lambda: os.open('x', os.O_CREAT, 0o755)))
";
    let said = python(&host, files(host.usual()), script);
    let refused = ["EPERM"; 7].into_iter().chain(["ENOSYS", "done done"]);
    assert_eq!(said, refused.collect::<Vec<_>>());
    for entry in fs::read_dir(host.path("work")).unwrap() {
        let entry = entry.unwrap();
        let mode = entry.metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o6000, 0, "{}", entry.path().display());
    }
    let unconfined = Confinement { files: None, ..files(Vec::new()) };
    let said = python(&host, unconfined, "print(tried(lambda: os.chmod('usual', 0o4755)))");
    assert_eq!(said, ["done"], "without a sandbox around files nobody is kept from it");
}

#[test]
fn a_group_is_given_away_by_nobody_who_is_the_hosts_root() {
    let host = Host::new();
    let script = "print(tried(lambda: os.chmod('src/main', 0o2755)), tried(lambda: os.chmod('src', 0o2775)))";
    let said = python(&host, files(host.usual()), script);
    let root = rustix::process::geteuid().is_root();
    assert_eq!(said, [if root { "EPERM EPERM" } else { "done done" }]);
}

/// Set by who does the work, it would hide a file from who judges it on an overlay.
#[test]
fn no_attribute_is_set() {
    let host = Host::new();
    let script = "print(tried(lambda: os.setxattr('src', 'user.overlay.opaque', b'x')))\n\
                  print(call(463, -100, b'src', 0, b'user.overlay.opaque', ctypes.c_char_p(b'x'), 0))";
    let said = python(&host, files(host.usual()), script);
    assert_eq!(said, ["ENOTSUP", "ENOTSUP"]);
}

/// By numbers that no rule of the filter knows.
#[cfg(target_arch = "x86_64")]
#[test]
fn no_system_call_is_made_by_its_number_of_x32() {
    let host = Host::new();
    let script = "print(call(0x40000000 | 39), call(0x40000000 | 547), call(39) > 0)";
    assert_eq!(python(&host, files(host.usual()), script), ["EPERM EPERM True"]);
}

#[test]
fn tcp_is_had_by_no_other_protocol() {
    let host = Host::new();
    let network = Network::Host;
    let confinement = Confinement { network, ..files(host.usual()) };
    let script = "
for protocol in (0, 6, 262, 256):
    print(tried(lambda: socket.socket(socket.AF_INET, socket.SOCK_STREAM, protocol)))";
    let said = python(&host, confinement, script);
    assert_eq!(said, ["done", "done", "EPROTONOSUPPORT", "EPROTONOSUPPORT"]);
}

#[test]
fn who_may_not_listen_has_no_server_of_any_kind() {
    let host = Host::new();
    let script = "
def server(family, kind, at=None):
    it = socket.socket(family, kind)
    if at: it.bind(at)
    it.listen()
inet = socket.AF_INET
print(tried(lambda: server(inet, socket.SOCK_STREAM)))
print(tried(lambda: server(inet, socket.SOCK_STREAM, ('127.0.0.1', 0))))
print(tried(lambda: server(socket.AF_UNIX, socket.SOCK_STREAM, '/tmp/s')))
print(tried(lambda: socket.socket(inet, socket.SOCK_DGRAM)))
print(tried(lambda: socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)))
print(tried(lambda: socket.socket(inet, socket.SOCK_STREAM)), tried(socket.socketpair))";
    let silent = Confinement { no_listening: true, ..files(host.usual()) };
    let said = python(&host, silent.clone(), script);
    assert_eq!(said, ["EACCES", "EACCES", "EACCES", "EACCES", "EACCES", "done done"]);
    // Names are asked for by datagrams.
    let open = Confinement { network: Network::Host, ..silent };
    let said = python(&host, open, script);
    assert_eq!(said, ["EACCES", "EACCES", "EACCES", "done", "done", "done done"]);
}

/// Whoever opens it, on the host too, would wait until the program gives it back.
#[test]
fn no_file_is_let() {
    let host = Host::new();
    let script = "import fcntl\nfile = open('src/main', 'r+')\n\
                  print(tried(lambda: fcntl.fcntl(file, 1024, fcntl.F_WRLCK)))\n\
                  print(tried(lambda: fcntl.fcntl(file, fcntl.F_GETFL)))";
    assert_eq!(python(&host, files(host.usual()), script), ["EINVAL", "done"]);
}
