"""Things that stand between a client and a server: a forward proxy, an end of TLS, a gateway with a path of its own."""

from __future__ import annotations

import datetime
import ipaddress
import select
import socket
import socketserver
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True


@contextmanager
def _serving(server: _Server) -> Iterator[int]:
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()


class Proxy:
    """A forward proxy that remembers where it was asked to go, and with which credentials."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.credentials: list[str] = []
        self.url = ""

    @contextmanager
    def running(self) -> Iterator[Proxy]:
        proxy = self

        class Handler(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                proxy._pass_on(self.request)

        with _serving(_Server(("127.0.0.1", 0), Handler)) as port:
            self.url = f"http://127.0.0.1:{port}"
            yield self

    def _pass_on(self, client: socket.socket) -> None:
        head = _head(client)
        if not head:
            return
        line, _, rest = head.partition(b"\r\n")
        method, target, _ = line.decode().split(" ")
        self.credentials += [
            field.partition(b":")[2].strip().decode()
            for field in rest.split(b"\r\n")
            if field.lower().startswith(b"proxy-authorization:")
        ]
        self.asked.append(target)
        if method == "CONNECT":
            host, _, port = target.rpartition(":")
            with socket.create_connection((host, int(port))) as server:
                client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
                _join(client, server)
            return
        parts = urlsplit(target)
        with socket.create_connection((parts.hostname or "", parts.port or 80)) as server:
            path = f"{parts.path or '/'}{'?' if parts.query else ''}{parts.query}"
            server.sendall(_closing(f"{method} {path} HTTP/1.1\r\n".encode() + _with_body(client, rest)))
            client.sendall(_closing(_head(server)))
            _join(client, server)


@contextmanager
def tls_before(port: int, certificate: Path) -> Iterator[str]:
    """An https origin in front of a plain server on loopback."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            try:
                client = context.wrap_socket(self.request, server_side=True)
            except OSError:
                return  # the client did not trust us
            with client, socket.create_connection(("127.0.0.1", port)) as server:
                _join(client, server)

    with _serving(_Server(("127.0.0.1", 0), Handler)) as own:
        yield f"https://127.0.0.1:{own}"


@contextmanager
def below(url: str, path: str) -> Iterator[str]:
    """The address of a gateway that serves another server below a path of its own, and changes nothing in answers."""
    parts = urlsplit(url)

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            head = _head(self.request)
            with socket.create_connection((parts.hostname or "", parts.port or 80)) as server:
                server.sendall(_closing(head.replace(f" {path}/".encode(), b" /", 1)))
                self.request.sendall(_closing(_head(server)))
                _join(self.request, server)

    with _serving(_Server(("127.0.0.1", 0), Handler)) as port:
        yield f"http://127.0.0.1:{port}{path}"


def self_signed(folder: Path) -> Path:
    """A certificate for 127.0.0.1 and its key in one PEM file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "a test")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ) + made.public_bytes(serialization.Encoding.PEM)
    place = folder / "server.pem"
    place.write_bytes(pem)
    return place


def _head(client: socket.socket) -> bytes:
    head = b""
    while b"\r\n\r\n" not in head:
        chunk = client.recv(65536)
        if not chunk:
            return b""
        head += chunk
    return head


def _with_body(client: socket.socket, rest: bytes) -> bytes:
    """The headers of a request without the wish to be told to go on, and all of its body."""
    head, _, body = rest.partition(b"\r\n\r\n")
    lines = [line for line in head.split(b"\r\n") if not line.lower().startswith(b"expect:")]
    if len(lines) <= head.count(b"\r\n"):
        client.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
    size = next((int(line.partition(b":")[2]) for line in lines if line.lower().startswith(b"content-length:")), 0)
    while len(body) < size and (piece := client.recv(65536)):
        body += piece
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


def _closing(message: bytes) -> bytes:
    """The same message, saying that it is the connection's last."""
    head, blank, body = message.partition(b"\r\n\r\n")
    start, *fields = [line for line in head.split(b"\r\n") if not line.lower().startswith(b"connection:")]
    return b"\r\n".join([start, b"Connection: close", *fields]) + blank + body


def _join(one: socket.socket, other: socket.socket) -> None:
    """Carry bytes both ways until either side ends."""
    while True:
        waiting = select.select([one, other], [], [], 10)[0]
        if not waiting:
            return
        for ready in waiting:
            chunk = ready.recv(65536)
            if not chunk:
                return
            (other if ready is one else one).sendall(chunk)
