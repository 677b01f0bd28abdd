"""The attempts that need a system call of their own: `low.py NAME ARGUMENTS`, without any dependency.

It lies in the workspace under test, so that it is there inside; the host uses it too (`listen`, `victim`, ...).
A call that is refused ends the program with the kernel's reason; nothing is hidden.
"""

import ctypes
import mmap
import os
import socket
import struct
import sys
import time

LIBC = ctypes.CDLL(None, use_errno=True)
HERE = -100  # AT_FDCWD
CLONE_NEWNS, CLONE_NEWUSER = 0x20000, 0x10000000


def call(number, *words):
    """A system call by its number on x86-64."""
    turned = [ctypes.c_long(w) if isinstance(w, int) else w for w in words]
    got = LIBC.syscall(ctypes.c_long(number), *turned)
    if got < 0:
        code = ctypes.get_errno()
        raise OSError(code, f"system call {number}: {os.strerror(code)}")
    return got


def say(data):
    os.write(1, data if isinstance(data, bytes) else str(data).encode() + b"\n")


def text(path):
    return ctypes.c_char_p(os.fsencode(path))


def own_user():
    """Becomes root of a user namespace of its own, with mounts of its own; root needs no user namespace."""
    uid, gid = os.getuid(), os.getgid()
    call(272, CLONE_NEWNS | (CLONE_NEWUSER if uid else 0))
    if uid:
        for name, value in [("setgroups", "deny"), ("uid_map", f"0 {uid} 1"), ("gid_map", f"0 {gid} 1")]:
            with open(f"/proc/self/{name}", "w") as file:
                file.write(value)
    LIBC.mount(b"none", b"/", None, 0x44000, None)  # recursively private


# Files.


def exchange(one, other):
    call(316, HERE, text(one), HERE, text(other), 2)


def handle_of(path):
    """The kernel's handle of a file, as hex: what a host's helper may have left lying about."""
    buffer = ctypes.create_string_buffer(struct.pack("II", 128, 0) + bytes(128))
    mount = ctypes.c_int()
    call(303, HERE, text(path), buffer, ctypes.byref(mount), 0)
    say(buffer.raw[: 8 + struct.unpack("I", buffer.raw[:4])[0]].hex())


def by_handle(file):
    with open(file) as it:
        handle = ctypes.create_string_buffer(bytes.fromhex(it.read().strip()))
    root = os.open(".", os.O_RDONLY)
    say(os.read(call(304, root, handle, os.O_RDONLY), 4096))


def mapped(path):
    with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ) as view:
        say(bytes(view))


def open_tree(tree, path):
    """Reads a file in a copy of the mount that leaves out what is mounted below it."""
    own_user()
    say(os.read(os.open(path, os.O_RDONLY, dir_fd=call(428, HERE, text(tree), 1)), 4096))


def move_mount(tree, onto, path):
    own_user()
    fd = call(428, HERE, text(tree), 1)
    call(429, fd, ctypes.c_char_p(b""), HERE, text(onto), 4)
    with open(path, "rb") as file:
        say(file.read())


def remount(tree):
    """Takes the read-only flag off a mount by mount_setattr."""
    own_user()
    attributes = ctypes.create_string_buffer(struct.pack("QQQQ", 0, 1, 0, 0))
    call(442, HERE, text(tree), 0x8000, attributes, 32)


def openat2(path):
    how = ctypes.create_string_buffer(struct.pack("QQQ", 0, 0, 0))
    say(os.read(call(437, HERE, text(path), how, 24), 4096))


def io_uring(path):
    """Reads a file without a read or open of its own: the kernel's ring does both."""
    params = ctypes.create_string_buffer(120)
    ring = call(425, 4, params)
    sq = struct.unpack_from("10I", params.raw, 40)
    cq = struct.unpack_from("10I", params.raw, 80)
    rings = mmap.mmap(ring, max(sq[6] + 16, cq[5] + 4 * 32), offset=0)
    done = mmap.mmap(ring, cq[5] + 8 * 16, offset=0x8000000)
    entries = mmap.mmap(ring, 4 * 64, offset=0x10000000)
    buffer = ctypes.create_string_buffer(4096)
    name = ctypes.create_string_buffer(os.fsencode(path))

    def submit(code, fd, offset, address, length):
        tail = struct.unpack_from("I", rings, sq[1])[0]
        entries[0:64] = struct.pack("BBHiQQII", code, 0, 0, fd, offset, address, length, 0).ljust(64, b"\0")
        struct.pack_into("I", rings, sq[6] + 4 * (tail & 3), 0)
        struct.pack_into("I", rings, sq[1], tail + 1)
        call(426, ring, 1, 1, 1, 0, 0)
        head = struct.unpack_from("I", done, cq[0])[0]
        mask = struct.unpack_from("I", done, cq[2])[0]
        result = struct.unpack_from("i", done, cq[5] + 16 * (head & mask) + 8)[0]
        struct.pack_into("I", done, cq[0], head + 1)
        if result < 0:
            raise OSError(-result, os.strerror(-result))
        return result

    fd = submit(18, HERE, 0, ctypes.addressof(name), 0)
    length = submit(22, fd, 0, ctypes.addressof(buffer), 4096)
    say(buffer.raw[:length])


def int80(path):
    """Opens and prints a file by the system calls of 32-bit programs, which filters like to forget."""
    page = mmap.mmap(-1, 4096, flags=0x62, prot=7)  # private, anonymous, below 2 GiB
    at = ctypes.addressof(ctypes.c_char.from_buffer(page))
    if at >> 32:
        raise OSError("no memory below 4 GiB")
    name = os.fsencode(path) + b"\0"
    page[2048 : 2048 + len(name)] = name

    def old(number, one, two, three):
        code = b"\x53" + b"".join(
            op + struct.pack("I", value & 0xFFFFFFFF)
            for op, value in [(b"\xb8", number), (b"\xbb", one), (b"\xb9", two), (b"\xba", three)]
        )
        code += b"\xcd\x80\x5b\xc3"
        page[0 : len(code)] = code
        got = ctypes.CFUNCTYPE(ctypes.c_int)(at)()
        if got < 0:
            raise OSError(-got, os.strerror(-got))
        return got

    fd = old(5, at + 2048, 0, 0)
    length = old(3, fd, at + 3072, 1000)
    old(4, 1, at + 3072, length)


def x32(path):
    """The same by the numbers of x32."""
    fd = call(0x40000000 | 2, text(path), 0, 0)
    say(os.read(fd, 4096))


# Processes and the kernel.


def hold(seconds=1.0):
    """Says to the host that it may look now."""
    time.sleep(float(seconds))


def userfaultfd():
    call(323, 1)
    hold()


def bpf():
    attributes = ctypes.create_string_buffer(struct.pack("IIII", 2, 4, 4, 1).ljust(120, b"\0"))
    call(321, 0, attributes, 120)
    hold()


def perf():
    attributes = ctypes.create_string_buffer(struct.pack("IIQQQQQ", 1, 120, 0, 0, 0, 0, 0x61).ljust(120, b"\0"))
    call(298, attributes, 0, -1, -1, 0)
    hold()


def uring_held():
    call(425, 4, ctypes.create_string_buffer(120))
    hold()


def for_writing(path):
    """Opens a file for writing, writes nothing, and holds it."""
    os.open(path, os.O_WRONLY)
    hold()


def for_reading(path):
    os.open(path, os.O_RDONLY)
    hold()


def same_again(path):
    """Writes a setting's own value back."""
    with open(path) as file:
        value = file.read()
    with open(path, "w") as file:
        file.write(value)
        file.flush()
        hold()


def env_start(pid):
    with open(f"/proc/{pid}/stat") as file:
        fields = file.read().rsplit(")", 1)[1].split()
    return int(fields[47]), int(fields[48])


def ptrace_read(pid):
    """Attaches to a process and reads its environment word by word."""
    pid = int(pid)
    call(101, 16, pid, 0, 0)
    os.waitpid(pid, 0x40000000)
    start, end = env_start(pid)
    word = ctypes.c_long()
    out = b""
    for at in range(start, min(end, start + 4096), 8):
        call(101, 2, pid, at, ctypes.byref(word))
        out += struct.pack("l", word.value)
    call(101, 17, pid, 0, 0)
    say(out)


def vm_read(pid):
    """Reads a process's environment with process_vm_readv; its place is guessed from the stack's end."""
    pid = int(pid)
    start, end = env_start(pid)
    buffer = ctypes.create_string_buffer(end - start)
    near = ctypes.create_string_buffer(struct.pack("QQ", ctypes.addressof(buffer), end - start))
    far = ctypes.create_string_buffer(struct.pack("QQ", start, end - start))
    call(310, pid, near, 1, far, 1, 0)
    say(buffer.raw)


def mem_read(pid):
    start, end = env_start(pid)
    with open(f"/proc/{pid}/mem", "rb", 0) as file:
        file.seek(start)
        say(file.read(end - start))


def pidfd_signal(pid):
    import signal

    signal.pidfd_send_signal(os.pidfd_open(int(pid)), signal.SIGUSR1)


def pidfd_take(pid, fd):
    """Copies a descriptor out of another process."""
    got = call(438, os.pidfd_open(int(pid)), int(fd), 0)
    say(os.pread(got, 4096, 0))


def key_add(name, value):
    data = value.encode()
    key = call(248, text("user"), text(name), data, len(data), -4)
    call(250, 15, key, 30)
    call(250, 5, key, 0x3F3F0000)


def key_read(name):
    key = call(250, 10, -4, text("user"), text(name), 0)
    buffer = ctypes.create_string_buffer(256)
    length = call(250, 11, key, buffer, 256)
    say(buffer.raw[:length])


def key_keep(name):
    call(250, 15, call(248, text("user"), text(name), b"x", 1, -4), 30)


def tiocsti(words):
    """Types into the terminal it was started from."""
    import fcntl

    fd = os.open("/dev/tty", os.O_RDWR)
    for byte in words.encode():
        fcntl.ioctl(fd, 0x5412, bytes([byte]))


def tiocsti_high(words):
    """The same with garbage in the upper half of the request, which the kernel does not look at."""
    for byte in words.encode():
        call(16, 0, 0x100005412, ctypes.c_char_p(bytes([byte])))


def tioclinux(words):
    """Pastes the console's selection."""
    import fcntl

    fcntl.ioctl(os.open("/dev/tty", os.O_RDWR), 0x541C, b"\x03")
    tiocsti(words)


def daemon(mark, *how):
    """Lives on after the command: two forks, its own session, nothing open."""
    if os.fork():
        return
    os.setsid()
    if os.fork():
        os._exit(0)
    for fd in range(3):
        os.close(fd)
    for at in range(3):
        os.open("/dev/null", os.O_RDWR)
    if "deaf" in how:
        import signal

        for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
            signal.signal(number, signal.SIG_IGN)
    os.execv(sys.executable, [sys.executable, "-c", "import time; time.sleep(20)", mark])


def many(count, seconds, out):
    """Starts processes up to a bound and writes how many it came to."""
    count, pids = int(count), []
    try:
        for _ in range(count):
            pid = os.fork()
            if pid == 0:
                time.sleep(float(seconds))
                os._exit(0)
            pids.append(pid)
    except OSError as error:
        sys.stderr.write(f"{error}\n")
    with open(out, "w") as file:
        file.write(str(len(pids)))
    import signal

    for pid in pids:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def hog(megabytes, out, processes="1"):
    """Uses memory up to a bound, in one process or several, and writes a file when it has it all."""
    each = int(megabytes) // int(processes)
    pids = []
    for _ in range(int(processes)):
        pid = os.fork()
        if pid == 0:
            kept = bytearray(each << 20)
            for at in range(0, len(kept), 4096):
                kept[at] = 1
            time.sleep(1)
            os._exit(0)
        pids.append(pid)
    if all(os.waitpid(pid, 0)[1] == 0 for pid in pids):
        with open(out, "w") as file:
            file.write("had it")


def spin(seconds, out, processes="1"):
    """Uses the processor for so many seconds, then writes a file."""
    pids = []
    for _ in range(int(processes)):
        pid = os.fork()
        if pid == 0:
            while time.process_time() < float(seconds):
                pass
            os._exit(0)
        pids.append(pid)
    if all(os.waitpid(pid, 0)[1] == 0 for pid in pids):
        with open(out, "w") as file:
            file.write("done")


# Sockets.


def tcp(host, port, words, wait="1"):
    with socket.create_connection((host, int(port)), 2) as it:
        it.sendall(words.encode().decode("unicode_escape").encode("latin1"))
        it.settimeout(float(wait))
        try:
            say(it.recv(4096))
        except OSError:
            pass


def udp(host, port, words):
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    socket.socket(family, socket.SOCK_DGRAM).sendto(words.encode(), (host, int(port)))


def fast_open(port, words):
    """Connects by the datagram of a TCP socket: no connect() is called."""
    socket.socket().sendto(words.encode(), 0x20000000, ("127.0.0.1", int(port)))
    hold(0.3)


def mptcp(port, words):
    it = socket.socket(socket.AF_INET, socket.SOCK_STREAM, 262)
    it.settimeout(2)
    it.connect(("127.0.0.1", int(port)))
    it.sendall(words.encode())
    hold(0.3)


def sctp(port, words):
    socket.socket(socket.AF_INET, socket.SOCK_STREAM, 132)
    udp("127.0.0.1", port, words)


def unix(name, words, kind="stream"):
    """To a unix socket: `@name` is an abstract one. Prints what comes, and a file that is passed."""
    it = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM if kind == "dgram" else socket.SOCK_STREAM)
    it.connect("\0" + name[1:] if name.startswith("@") else name)
    it.sendall(words.encode())
    if kind == "dgram":
        return
    it.settimeout(1)
    data, fds, _, _ = socket.recv_fds(it, 4096, 4)
    say(data)
    for fd in fds:
        say(os.pread(fd, 4096, 0))


def vsock(port, words):
    it = socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM)
    it.settimeout(2)
    it.connect((1, int(port)))
    it.sendall(words.encode())
    hold(0.3)


def vsock_bound(port):
    """Holds a port that the whole machine has only once: a network namespace does not part it."""
    it = socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM)
    it.bind((0xFFFFFFFF, int(port)))
    it.listen()
    hold(1.5)


def sniff(seconds="2"):
    """Reads along on the loopback device."""
    it = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
    it.bind(("lo", 0))
    it.settimeout(0.2)
    until = time.monotonic() + float(seconds)
    print("listens", flush=True)
    while time.monotonic() < until:
        try:
            data = it.recv(4096)
            if b"caught" in data:
                say(data)
        except OSError:
            pass


def icmp(words, kind="raw"):
    """An echo request to the host."""
    it = socket.socket(socket.AF_INET, socket.SOCK_RAW if kind == "raw" else socket.SOCK_DGRAM, 1)
    body = struct.pack("!BBHHH", 8, 0, 0, 1, 1) + words.encode().ljust(64, b".")
    body += b"" if len(body) % 2 == 0 else b"."
    total = sum(struct.unpack(f"!{len(body) // 2}H", body))
    total = (total & 0xFFFF) + (total >> 16)
    total = ~((total & 0xFFFF) + (total >> 16)) & 0xFFFF
    it.sendto(body[:2] + struct.pack("!H", total) + body[4:], ("127.0.0.1", 0))


def address(last, remove=""):
    """Gives the loopback device one more address, 127.66.0.LAST, by netlink; or takes it away."""
    it = socket.socket(16, socket.SOCK_RAW, 0)
    packed = socket.inet_aton(f"127.66.0.{last}")
    body = struct.pack("BBBBI", 2, 32, 0, 0, 1) + b"".join(
        struct.pack("HH", 8, kind) + packed for kind in (1, 2)
    )
    kind, flags = (21, 5) if remove else (20, 0x605)
    it.send(struct.pack("IHHII", 16 + len(body), kind, flags, 1, 0) + body)
    code = struct.unpack_from("i", it.recv(4096), 16)[0]
    if code:
        raise OSError(-code, os.strerror(-code))


# What the host does.


def victim(ready, out, *secrets):
    """A process of the host: says when it is there, notes every signal, ends by itself."""
    import signal

    def note(number, _):
        with open(out, "a") as file:
            file.write(f"{signal.Signals(number).name}\n")

    for number in (signal.SIGUSR1, signal.SIGTERM, signal.SIGURG):
        signal.signal(number, note)
    with open(ready, "w") as file:
        file.write(str(os.getpid()))
    until = time.monotonic() + 60
    while time.monotonic() < until:
        time.sleep(0.1)


def gives(path, secret_file):
    """Serves one unix socket: whoever connects is given a descriptor of the secret file."""
    server = socket.socket(socket.AF_UNIX)
    server.bind(path)
    os.chmod(path, 0o777)
    server.listen()
    server.settimeout(20)
    while True:
        it, _ = server.accept()
        with open(secret_file, "rb") as file:
            socket.send_fds(it, [b"here it is"], [file.fileno()])
            time.sleep(0.2)


def terminal(out, *command):
    """Runs a command in a terminal of its own; what then waits to be read from it goes to a file."""
    import fcntl
    import pty
    import select
    import termios
    import tty

    ours, theirs = pty.openpty()
    pid = os.fork()
    if pid == 0:
        os.close(ours)
        os.setsid()
        fcntl.ioctl(theirs, termios.TIOCSCTTY, 0)
        tty.setraw(theirs)
        child = os.fork()
        if child == 0:
            os.dup2(theirs, 0)
            os.execvp(command[0], command)
        status = os.waitpid(child, 0)[1]
        if select.select([theirs], [], [], 0.2)[0]:
            with open(out, "wb") as file:
                file.write(os.read(theirs, 4096))
        os._exit(os.waitstatus_to_exitcode(status) & 0xFF)
    os.close(theirs)
    sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))


if __name__ == "__main__":
    name = sys.argv[1].replace("-", "_")
    try:
        globals()[name](*sys.argv[2:])
    except OSError as error:
        sys.exit(f"{sys.argv[1]}: {error}")
