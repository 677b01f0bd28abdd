"""Speaks to the proxy of `network: limited` as an attacker would: `via.py NAME ARGUMENTS`.

The proxy's address is taken from the environment. `open-proxy` is the double that lets everything pass: the
attempts are first made through it, to show that they reach the foreign host when nobody filters.
"""

import os
import re
import select
import socket
import struct
import sys
import threading


def proxy():
    for name in ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        found = re.search(r"://(?:[^@/]*@)?\[?([^/\]]+?)\]?:(\d+)", os.environ.get(name, ""))
        if found:
            return socket.create_connection((found[1], int(found[2])), 3)
    sys.exit("no proxy in the environment")


def plain(words):
    """`\\r\\n` and other escapes as they are in a string of Python."""
    return words.encode().decode("unicode_escape").encode("latin1")


def hear(it, seconds=1.0):
    it.settimeout(seconds)
    data = b""
    try:
        while more := it.recv(65536):
            data += more
            it.settimeout(0.4)
    except OSError:
        pass
    sys.stdout.write(data.decode(errors="replace") + "\n")
    sys.stdout.flush()
    return data


def raw(*parts):
    """Sends the parts one after the other on one connection, and listens after each."""
    it = proxy()
    for part in parts:
        it.sendall(plain(part))
        hear(it)


def connect(target, *parts):
    """CONNECT, then the parts through the tunnel whatever was answered."""
    it = proxy()
    it.sendall(plain(f"CONNECT {target} HTTP/1.1\\r\\nHost: {target}\\r\\n\\r\\n"))
    hear(it)
    for part in parts:
        it.sendall(plain(part))
        hear(it)


def socks(host, port, words, kind="name", version="5"):
    it = proxy()
    port = struct.pack("!H", int(port))
    if version == "5":
        it.sendall(b"\5\1\0")
        hear(it)
        if kind == "name":
            place = b"\3" + bytes([len(host)]) + host.encode()
        elif kind == "four":
            place = b"\1" + socket.inet_aton(host)
        else:
            place = b"\4" + socket.inet_pton(socket.AF_INET6, host)
        it.sendall(b"\5\1\0" + place + port)
    elif kind == "name":
        it.sendall(b"\4\1" + port + b"\0\0\0\1\0" + host.encode() + b"\0")
    else:
        it.sendall(b"\4\1" + port + socket.inet_aton(host) + b"\0")
    hear(it)
    it.sendall(plain(words))
    hear(it)


def hello(names, pad=0):
    """The first message of TLS, with these server names (none: without that extension)."""

    def sized(data, width):
        return len(data).to_bytes(width, "big") + data

    extensions = b""
    if pad:
        extensions += b"\xff\x77" + sized(bytes(pad), 2)
    for name in names:
        extensions += b"\0\0" + sized(sized(b"\0" + sized(name.encode(), 2), 2), 2)
    extensions += b"\0\x0a" + sized(sized(b"\0\x1d\0\x17", 2), 2)
    extensions += b"\0\x0d" + sized(sized(b"\4\3\x08\4\4\1", 2), 2)
    extensions += b"\0\x2b" + sized(b"\2\3\4", 2)
    body = b"\3\3" + bytes(32) + b"\0" + sized(b"\x13\1\x13\2", 2) + b"\1\0" + sized(extensions, 2)
    return b"\1" + sized(body, 3)


def record(data):
    return b"\x16\3\1" + len(data).to_bytes(2, "big") + data


def tls(target, how, *names):
    """CONNECT and a ClientHello: `whole`, in `bytes`, in `records`, `late` (names behind much padding)."""
    import time

    it = proxy()
    it.sendall(plain(f"CONNECT {target} HTTP/1.1\\r\\nHost: {target}\\r\\n\\r\\n"))
    hear(it)
    message = hello(names, 9000 if how == "late" else 0)
    if how == "records":
        parts = [record(message[at : at + 20]) for at in range(0, len(message), 20)]
    elif how == "bytes":
        parts = [bytes([byte]) for byte in record(message)]
    elif how == "twice":
        parts = [record(hello(names[:1])), record(hello(names[1:]))]
    else:
        parts = [record(message)]
    it.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for part in parts:
        it.sendall(part)
        time.sleep(0.005)
    hear(it)


# The double.


def open_proxy(ready, *table):
    """Lets everything pass. The table is `host=address:port`; an unknown host is looked up nowhere."""
    known = dict(entry.split("=", 1) for entry in table)

    def far(host, port):
        host = re.split(rb"[\0#%]", host.strip(b"[]"))[0].decode("latin1").split("@")[-1].rstrip(".").lower()
        if host == "localhost":
            address = "127.0.0.1"
        elif host in known:
            address, port = known[host].rsplit(":", 1)
        else:
            address = host if ":" in host else socket.inet_ntoa(socket.inet_aton(host))
            if address.startswith("::ffff:"):
                address = address[7:]
        if not (address.startswith("127.") or address == "::1"):
            raise OSError("only the loopback")
        return socket.create_connection((address, int(port)), 2)

    def pump(one, other):
        while True:
            for it in select.select([one, other], [], [], 5)[0] or [None]:
                data = it.recv(65536) if it else b""
                if not data:
                    return
                (other if it is one else one).sendall(data)

    def head(it, data):
        while b"\r\n\r\n" not in data:
            more = it.recv(65536)
            if not more:
                raise OSError("over")
            data += more
        return data

    def serve(it):
        data = it.recv(65536)
        if data[:1] == b"\5":
            it.sendall(b"\5\0")
            data = it.recv(65536)
            if data[3] == 3:
                host = data[5 : 5 + data[4]]
            else:
                host = socket.inet_ntop(2 if data[3] == 1 else 10, data[4:-2]).encode()
            out = far(host, struct.unpack("!H", data[-2:])[0])
            it.sendall(b"\5\0\0\1\0\0\0\0\0\0")
        elif data[:1] == b"\4":
            host = data.split(b"\0")[-2] if data[4:7] == b"\0\0\0" else socket.inet_ntoa(data[4:8]).encode()
            out = far(host, struct.unpack("!H", data[2:4])[0])
            it.sendall(b"\0\x5a" + bytes(6))
        else:
            data = head(it, data)
            method, target = data.split(b" ")[:2]
            if method == b"CONNECT":
                host, port = target.rsplit(b":", 1)
                out = far(host, port)
                it.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
            else:
                named = re.match(rb"\w+://(?:[^/]*@)?([^/]*)", target) or re.search(rb"(?i)\nhost: *([^\r\n]*)", data)
                again = re.findall(rb"\w+://(?:[^/ ]*@)?([^/ ]*)", data)
                for more in again[1:]:  # what was sent along in one piece
                    far(more.split(b":")[0], 80).sendall(data)
                host, _, port = named[1].partition(b":")
                out = far(host, port or 80)
                out.sendall(data)
                answer = out.recv(65536)
                it.sendall(answer)
                more = it.recv(65536)
                if more:
                    found = re.match(rb"\w+ \w+://(?:[^/]*@)?([^/ :]*)", more)
                    if found:
                        out = far(found[1], 80)
                    out.sendall(more)
        pump(it, out)

    def guarded(it):
        try:
            serve(it)
        except (OSError, IndexError, ValueError, TypeError):
            pass
        finally:
            it.close()

    server = socket.create_server(("127.0.0.1", 0))
    server.settimeout(30)
    with open(ready + ".new", "w") as file:
        file.write(str(server.getsockname()[1]))
    os.rename(ready + ".new", ready)
    try:
        while True:
            threading.Thread(target=guarded, args=(server.accept()[0],), daemon=True).start()
    except OSError:
        pass


if __name__ == "__main__":
    name = sys.argv[1].replace("-", "_")
    try:
        globals()[name](*sys.argv[2:])
    except OSError as error:
        sys.exit(f"{sys.argv[1]}: {error}")
