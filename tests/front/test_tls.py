"""Both fronts speak TLS by themselves: no older than was said, with a header that keeps browsers to it."""

from __future__ import annotations

import datetime
import http.client
import json
import os
import shutil
import ssl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from mirror_sync.domain.job.targets import DirectoryTarget
from mirror_sync.front.nginx.nginx_files import NginxOptions, Tls, write_nginx
from mirror_sync.net.certificate import ServerCertificate, end_of
from mirror_sync.stores.directory.directory_store import DirectoryStore
from tests.front.bucket import model
from tests.requirements import need
from tests.servers.child import child
from tests.servers.nginx import nginx
from tests.servers.ports import LOOPBACK, answers, free_port
from tests.waiting import PATIENCE

BODY = bytes(range(256)) * 1000


def certificate(folder: Path, ends: datetime.datetime, name: str = "front") -> ServerCertificate:
    """For localhost, signed by itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    names = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    made = (
        x509.CertificateBuilder(names, names, key.public_key(), x509.random_serial_number())
        .not_valid_before(ends - datetime.timedelta(days=400))
        .not_valid_after(ends)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    files = ServerCertificate(folder / f"{name}.pem", folder / f"{name}.key")
    files.certificate.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    form = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    files.key.write_bytes(key.private_bytes(serialization.Encoding.PEM, *form))
    return files


def soon(days: float = 90) -> datetime.datetime:
    return (datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=days)).replace(microsecond=0)


@contextmanager
def by_nginx(folder: Path, mirror: Path, files: ServerCertificate) -> Iterator[int]:
    need("nginx")
    port = free_port()
    tls = Tls(files.certificate, files.key)
    user = "root" if os.geteuid() == 0 else None  # pytest's folders are for their owner alone
    options = NginxOptions(DirectoryTarget(mirror), port=port, tls=tls, user=user)
    configuration = write_nginx(folder / "front", options)
    with nginx(configuration, port):
        yield port


@contextmanager
def by_serve(folder: Path, mirror: Path, files: ServerCertificate) -> Iterator[int]:
    port, jobs = free_port(), folder / "jobs.yaml"
    document = {
        "version": 1,
        "state_dir": "state",
        "upstreams": {"hub": {"kind": "huggingface", "endpoints": [f"http://{LOOPBACK}:9"]}},
        "targets": {"mirror": {"url": mirror.as_uri()}},
        "licenses": {"allow": ["mit"]},
        "front": {"tls": {"certificate": files.certificate.name, "key": files.key.name}},
        "jobs": [{"name": "none", "repos": ["acme/x"]}],
    }
    jobs.write_text(json.dumps(document))
    program = Path(sys.executable).parent / "mirror-sync"
    with child([program, "-c", jobs, "serve", "--port", str(port)], folder / "log") as running:
        running.wait_until(lambda: answers(port), 60)
        yield port


def trusting(files: ServerCertificate, version: ssl.TLSVersion) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(files.certificate))
    context.maximum_version = version
    return context


@pytest.mark.parametrize("front", [by_nginx, by_serve])
def test_a_front_speaks_tls_no_older_than_was_said_and_gives_the_same(front: object, tmp_path: Path) -> None:
    repo = model(DirectoryStore(tmp_path / "mirror"))
    commit = repo.publish({"a.bin": BODY, "README.md": b"hello\n"})
    files = certificate(tmp_path, soon())
    with front(tmp_path, tmp_path / "mirror", files) as port:  # type: ignore[operator]  # one of the two above
        asking = http.client.HTTPSConnection("localhost", port, context=trusting(files, ssl.TLSVersion.TLSv1_3))
        for path, wanted in (
            (f"{repo.at}/resolve/{commit}/a.bin", BODY),
            (f"{repo.at}/resolve/main/README.md", b"hello\n"),
        ):
            asking.request("GET", path)
            answer = asking.getresponse()
            assert (answer.status, answer.read()) == (200, wanted)
            assert answer.headers.get_all("Strict-Transport-Security") == ["max-age=31536000"]
        asking.request("GET", f"{repo.api}/tree/{commit}")
        told = json.loads(asking.getresponse().read())
        assert {one["path"] for one in told} == {"a.bin", "README.md"}
        asking.close()
        older = http.client.HTTPSConnection("localhost", port, context=trusting(files, ssl.TLSVersion.TLSv1_2))
        with pytest.raises(ssl.SSLError):
            older.request("GET", "/healthz")


def test_nginx_speaks_http_2(tmp_path: Path) -> None:
    curl = shutil.which("curl")
    if curl is None:
        pytest.skip("curl is not installed")
    repo = model(DirectoryStore(tmp_path / "mirror"))
    commit = repo.publish({"a.bin": BODY})
    files = certificate(tmp_path, soon())
    with by_nginx(tmp_path, tmp_path / "mirror", files) as port:
        address = f"https://localhost:{port}{repo.at}/resolve/{commit}/a.bin"
        words = [curl, "-sS", "--http2", "--cacert", str(files.certificate), "-w", "%{http_version}"]
        words += ["-o", str(tmp_path / "got")]
        said = subprocess.run([*words, address], capture_output=True, text=True, check=True, timeout=PATIENCE)
    assert said.stdout == "2"
    assert (tmp_path / "got").read_bytes() == BODY


@pytest.mark.parametrize("year", [2031, 2049, 2050, 2099])
def test_the_end_of_a_certificate_is_read_whichever_way_it_is_written(tmp_path: Path, year: int) -> None:
    ends = datetime.datetime(year, 2, 3, 4, 5, 6, tzinfo=datetime.UTC)
    assert certificate(tmp_path, ends).ends() == ends


@pytest.mark.parametrize("cut", [0, 1, 40, 200])
def test_what_is_no_certificate_is_a_fault_in_one_line(tmp_path: Path, cut: int) -> None:
    text = certificate(tmp_path, soon()).certificate.read_text()
    lines = text.splitlines()
    inner = "".join(lines[1:-1])[:cut]
    inner = inner[: len(inner) // 4 * 4]
    for broken in ("", "hello", f"{lines[0]}\n{inner}\n{lines[-1]}\n"):
        with pytest.raises(ValueError, match="certificate"):
            end_of(broken)


@pytest.mark.parametrize("days", [-1, 3, 90])
def test_check_says_when_the_certificate_ends_soon_or_its_key_is_another_s(tmp_path: Path, days: int) -> None:
    files, other = certificate(tmp_path, soon(days)), certificate(tmp_path, soon(), "other")
    said = checked(tmp_path, files.certificate.name, files.key.name)
    wanted = {-1: "front.pem ended on", 3: "front.pem ends in", 90: ""}[days]
    assert wanted in said
    assert ("front.tls" in said) is (days < 30)
    assert "cannot be used" in checked(tmp_path, files.certificate.name, other.key.name)
    assert "cannot be used" in checked(tmp_path, "nothing.pem", files.key.name)


def checked(folder: Path, pem: str, key: str) -> str:
    """What `check` says of a jobs.yaml whose front has these files."""
    (folder / "jobs.yaml").write_text(
        "version: 1\nupstreams: {hub: {kind: huggingface}}\ntargets: {mirror: {url: file:///nowhere}}\n"
        f"licenses: {{allow: [mit]}}\nfront: {{tls: {{certificate: {pem}, key: {key}}}}}\n"
        "jobs: [{name: none, repos: [acme/x]}]\n"
    )
    program = Path(sys.executable).parent / "mirror-sync"
    words = [str(program), "-c", str(folder / "jobs.yaml"), "check"]
    found = subprocess.run(words, capture_output=True, text=True, check=True, timeout=PATIENCE)
    return found.stdout + found.stderr
