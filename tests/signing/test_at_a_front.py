"""`prove` as a stranger runs it: the program, without jobs.yaml, over HTTP and at a target."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from urllib.parse import unquote

import pytest

from mirror_sync.domain.content.refs import STATEMENT, STATEMENT_SIGNATURE
from tests.published_files import read_manifest
from tests.servers.bucket import S3Server
from tests.servers.ports import LOOPBACK, free_port
from tests.signing.keys import ssh_key
from tests.signing.mirrors import SignedMirror

ROOT = Path(__file__).parents[2]


@dataclass
class Front:
    """Answers what a front answers to who proves, of bodies by their paths; `broken` is the status of all answers."""

    bodies: Mapping[str, bytes]
    broken: int = 0
    cut: set[str] = field(default_factory=set)  # whose bodies end too early
    endless: set[str] = field(default_factory=set)  # whose bodies do not end
    elsewhere: dict[str, str] = field(default_factory=dict)  # where a path is redirected to
    asked: list[str] = field(default_factory=list)
    url: str = ""

    @contextmanager
    def running(self) -> Iterator[Front]:
        front = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                path = unquote(self.path)
                front.asked.append(path)
                body, place = front.bodies.get(path), front.elsewhere.get(path)
                self.send_response(front.broken or (302 if place else 200 if body is not None else 404))
                if path in front.endless:
                    return self.go_on()
                if place:
                    self.send_header("Location", place)
                self.send_header("Content-Length", str(len(body or b"")))
                self.end_headers()
                self.wfile.write((body or b"")[: -1 if path in front.cut else None])
                return None

            def go_on(self) -> None:
                self.end_headers()
                with suppress(OSError):
                    while True:
                        self.wfile.write(bytes(1000))
                        time.sleep(0.05)

            def log_message(self, *_: object) -> None:
                """Nothing to the tests' own output."""

        with ThreadingHTTPServer((LOOPBACK, 0), Handler) as server:
            thread = Thread(target=server.serve_forever)
            thread.start()
            self.url = f"http://{LOOPBACK}:{server.server_port}"
            try:
                yield self
            finally:
                server.shutdown()
                thread.join()


def served(signed: SignedMirror, *, by_digest: bool) -> Front:
    refs, root = signed.refs(), signed.root()
    trust = "/-/trust/models/acme/one"
    bodies = {
        f"{trust}/statement.json": signed.body(refs.attachments[STATEMENT]),
        f"{trust}/statement.json.sig": signed.body(refs.attachments[STATEMENT_SIGNATURE]),
    }
    bodies |= {f"{trust}/{root.commit}/{name}": signed.body(one) for name, one in root.attachments.items()}
    manifest = read_manifest(signed.store, root)
    bodies |= {f"/acme/one/resolve/{root.commit}/{path}": signed.body(one.sha256) for path, one in manifest.items()}
    if by_digest:
        digests = (*root.documents, refs.snapshots[root.commit])
        bodies |= {f"/blobs/sha256/{one[:2]}/{one}": signed.body(one) for one in digests}
    return Front(bodies)


def prove(folder: Path, *words: str | Path, **environ: str) -> subprocess.CompletedProcess[str]:
    """In a folder that has no jobs.yaml."""
    command = [sys.executable, "-m", "mirror_sync", "prove", "acme/one", "--signers", "signers", *map(str, words)]
    plain = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "HF_"))}
    return subprocess.run(
        command,
        cwd=folder,
        env={**plain, "PYTHONPATH": str(ROOT), **environ},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )


@pytest.fixture
def stranger(signed: SignedMirror, tmp_path: Path) -> Path:
    """A stranger's folder: the public keys, and nothing else."""
    signed.sync()
    folder = tmp_path / "stranger"
    folder.mkdir()
    (folder / "signers").write_bytes(signed.signers.encode())
    return folder


@pytest.fixture
def signed(tmp_path: Path) -> SignedMirror:
    """Over a folder alone: what a front gives is the same over both."""
    return SignedMirror(tmp_path, {"url": (tmp_path / "mirror").as_uri()})


@pytest.mark.parametrize("by_digest", [False, True])
def test_over_http_all_bytes_are_proved_and_documents_where_the_front_gives_them(
    signed: SignedMirror, stranger: Path, by_digest: bool
) -> None:
    with served(signed, by_digest=by_digest).running() as front:
        found = prove(stranger, "--from", front.url, "--json", "--keep", "kept")
        assert found.returncode == 0, found.stdout + found.stderr
        told = json.loads(found.stdout)
        assert (told["proved"], told["files"], told["signer"]) == (True, 5, "Example-models")
        assert (told["documents"] > 0, told["remarks"] == []) == (by_digest, by_digest)
        assert (stranger / "kept").read_bytes() == front.bodies["/-/trust/models/acme/one/statement.json"]
        assert prove(stranger, "--from", front.url, "--since", "kept").returncode == 0


def test_what_a_front_changes_withholds_or_pairs_otherwise_is_not_proved(signed: SignedMirror, stranger: Path) -> None:
    whole = served(signed, by_digest=False)
    commit = signed.root().commit
    weights, sums = f"/acme/one/resolve/{commit}/weights.bin", f"/-/trust/models/acme/one/{commit}/SHA256SUMS"
    statement = "/-/trust/models/acme/one/statement.json"
    changed = {
        weights: (b"12346", "weights.bin: was changed: signed is "),
        sums: (b"", f"SHA256SUMS of {commit} is not the one that the statement names"),
        statement: (whole.bodies[statement].replace(b"main", b"niam"), "the statement: the signature is not of these"),
    }
    for path, (body, said) in changed.items():
        with Front({**whole.bodies, path: body}).running() as front:
            found = prove(stranger, "--from", front.url)
        assert found.returncode == 1, found.stderr
        (line,) = [one for one in found.stderr.splitlines() if "not proved" in one]
        assert line.startswith(f"mirror-sync: not proved: {said}")
    with Front({path: body for path, body in whole.bodies.items() if path != statement}).running() as front:
        found = prove(stranger, "--from", front.url)
    assert (found.returncode, "acme/one is not signed" in found.stderr) == (1, True)


def test_where_nobody_can_look_the_exit_code_is_2_and_nothing_is_said_to_be_wrong(
    signed: SignedMirror, stranger: Path
) -> None:
    whole = served(signed, by_digest=False)
    whole.cut.add(f"/acme/one/resolve/{signed.root().commit}/weights.bin")
    with whole.running() as front:
        cut = prove(stranger, "--from", front.url)
        whole.broken = 502
        broken = prove(stranger, "--from", front.url)
    silent = prove(stranger, "--from", f"http://{LOOPBACK}:{free_port()}")
    nowhere = prove(stranger, "--from", "file:///nowhere/at/all")
    (stranger / "signers").write_text("# nobody\n")
    nobody = prove(stranger, "--from", "file:///")
    (stranger / "signers").write_bytes(signed.signers.encode())
    place = (signed.folder / "mirror").as_uri()
    no_copy = prove(stranger, "--from", place, "--dir", "no-such-folder")
    never_kept = prove(stranger, "--from", place, "--since", "kept", "--keep", "kept")
    assert "the first time leave --since out" in never_kept.stderr
    for found in (cut, broken, silent, nowhere, nobody, no_copy, never_kept):
        assert found.returncode == 2, found.stdout + found.stderr
        assert found.stderr.startswith("mirror-sync: could not look: ")
        assert len(found.stderr.splitlines()) == 1
        assert "not proved" not in found.stdout + found.stderr


def test_no_mirror_leads_to_anything_but_http(signed: SignedMirror, stranger: Path) -> None:
    front = served(signed, by_digest=False)
    statement = "/-/trust/models/acme/one/statement.json"
    for place in (f"ftp://{LOOPBACK}:{free_port()}/a", (signed.folder / "jobs.yaml").as_uri()):
        front.elsewhere[statement] = place
        with front.running():
            found = prove(stranger, "--from", front.url)
        assert (found.returncode, f"{statement} answers 302" in found.stderr) == (2, True), found.stderr


def test_a_file_that_does_not_end_keeps_no_proof_alive_that_failed(signed: SignedMirror, stranger: Path) -> None:
    front, files = served(signed, by_digest=False), f"/acme/one/resolve/{signed.root().commit}"
    front.endless.add(f"{files}/weights.bin")
    front.cut.add(f"{files}/.gitattributes")
    with front.running():
        found = prove(stranger, "--from", front.url)
    assert (found.returncode, "/.gitattributes: the connection ended" in found.stderr) == (2, True), found.stderr


def test_a_folder_and_another_key_at_the_command_line(signed: SignedMirror, stranger: Path) -> None:
    place = (signed.folder / "mirror").as_uri()
    copy = signed.downloaded(stranger / "copy")
    found = prove(stranger, "--from", place, "--dir", copy)
    assert found.returncode == 0, found.stderr
    assert "signed by Example-models (SHA256:" in found.stdout
    assert "proved: acme/one at main, commit " in found.stdout
    other = ssh_key(stranger, "other").with_name("other.pub").read_text()
    (stranger / "signers").write_text(f"Example-models {other}")
    found = prove(stranger, "--from", place, "--dir", copy)
    assert found.returncode == 1
    assert found.stderr.startswith("mirror-sync: not proved: the statement: the key SHA256:")


def test_a_bucket_is_read_as_the_environment_says(tmp_path: Path, moto: S3Server) -> None:
    place = moto.place("some/prefix/")
    signed = SignedMirror(tmp_path, place)
    signed.sync()
    stranger = tmp_path / "stranger"
    stranger.mkdir()
    (stranger / "signers").write_bytes(signed.signers.encode())
    environ = {
        "AWS_ENDPOINT_URL": moto.endpoint_url,
        "AWS_ACCESS_KEY_ID": moto.access_key,
        "AWS_SECRET_ACCESS_KEY": moto.secret_key,
        "AWS_DEFAULT_REGION": moto.region,
    }
    found = prove(stranger, "--from", place["url"], **environ)
    assert found.returncode == 0, found.stdout + found.stderr
