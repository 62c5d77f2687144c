"""A mirror that signs, and mirrors that no network reaches."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import pytest

from mirror_sync.app.places.bundles import AskedBundle
from mirror_sync.app.versions.releasing import Wanted
from mirror_sync.domain.content.refs import Refs
from mirror_sync.domain.outcome.bundle_reports import ExportReport, ImportReport
from mirror_sync.domain.repo import Repo
from mirror_sync.engine.places.bundle_format import INDEX
from mirror_sync.wiring.program import Mirror
from tests.mirrors.chain import PERSON, Node
from tests.signing.keys import ssh_key

PART = 1024 * 1024
CARD = "---\nlicense: mit\n---\n"
NOTHING: dict[str, Any] = {"job": {"repos": ["nobody/nothing"]}}
LONG = f"dataset:{'o' * 40}/{'n' * 55}"  # its refs.json has a key that no plain tar name holds


@dataclass
class Site:
    """A mirror in a folder, and how its bundles are made and taken."""

    node: Node

    @property
    def folder(self) -> Path:
        return self.node.folder

    @contextmanager
    def program(self) -> Iterator[Mirror]:
        with self.node.program() as program:
            yield program

    def write(self, repo: str, **files: bytes | str) -> None:
        """Lay files into the upstream, and let a sync publish them."""
        kind, _, name = repo.rpartition(":")
        folder = self.folder / "upstream" / (f"{kind}s/{name}" if kind else name)
        folder.mkdir(parents=True, exist_ok=True)
        found: dict[str, bytes | str] = {"README.md": CARD, **files}
        for path, body in found.items():
            (folder / path).write_bytes(body.encode() if isinstance(body, str) else body)

    def publish(self) -> None:
        reports = self.node.sync()
        assert all(one.outcome in ("published", "unchanged") for one in reports.values()), reports

    def export(self, to: Path, *repos: str, part_size: int = PART, **more: Any) -> ExportReport:
        with self.program() as program:
            return program.bundles.export("it", AskedBundle(to, repos, part_size, **more))

    def take_in(self, folder: Path, **more: Any) -> ImportReport:
        with self.program() as program:
            return program.bundles.take_in(PERSON, "it", folder, **more)

    def refs(self, repo: str) -> Refs:
        return self.node.refs(repo)

    def outcomes(self, folder: Path, **more: Any) -> dict[str, str]:
        return {one.repo: one.outcome for one in self.take_in(folder, **more).repos}

    def wanted(self, repo: str) -> Wanted:
        return Wanted(PERSON, "it", Repo.parse(repo), "because", wait=False)

    def is_whole(self) -> bool:
        with self.program() as program:
            return program.verify(PERSON).ok


@dataclass
class Sites:
    """One that signs and has a network, and as many others as a test wants."""

    folder: Path
    sender: Site
    signers: Path
    made: list[Site] = field(default_factory=list)

    def receiver(self, **more: Any) -> Site:
        folder = self.folder / f"receiver-{len(self.made)}"
        self.made.append(
            Site(Node(folder, {"kind": "directory", "url": (folder / "none").as_uri()}, **{**NOTHING, **more}))
        )
        return self.made[-1]

    def bundle(self, name: str, *repos: str, **more: Any) -> Path:
        self.sender.export(self.folder / name, *repos, **more)
        return self.folder / name


def noise(seed: int, size: int) -> bytes:
    return Random(seed).randbytes(size)


def sender_in(folder: Path) -> Site:
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / "signing.key").exists():
        ssh_key(folder)
    job = {"repos": ["acme/*", LONG]}
    upstream = {"kind": "directory", "url": (folder / "upstream").as_uri()}
    return Site(Node(folder, upstream, job=job, trust={"key": str(folder / "signing.key")}))


@pytest.fixture(scope="session")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a mirror, which each test has a copy of: three repos, one with a file that no part takes whole."""
    folder = tmp_path_factory.mktemp("published") / "sender"
    sender = sender_in(folder)
    sender.write("acme/large", **{"weights.bin": noise(1, 3 * PART + 77)})
    small: dict[str, bytes | str] = {"config.json": "{}", "w.bin": noise(2, 300_000)}
    sender.write("acme/small", **small)
    sender.write(LONG, **{"rows.csv": "a,b\n1,2\n"})
    sender.publish()
    return folder


@pytest.fixture
def sites(published: Path, tmp_path: Path) -> Sites:
    shutil.copytree(published, tmp_path / "sender")
    sender = sender_in(tmp_path / "sender")
    public = (sender.folder / "signing.key.pub").read_text(encoding="utf-8").split()[:2]
    signers = tmp_path / "signers"
    signers.write_text(f'mirror namespaces="mirror-sync" {" ".join(public)}\n', encoding="utf-8")
    return Sites(tmp_path, sender, signers)


def resum(bundle: Path) -> None:
    """Let the sums and the index say what is in the parts now, as somebody would who forges a bundle."""
    lines = []
    for told in (bundle / INDEX).read_text(encoding="utf-8").splitlines():
        line, entry = told, told.removesuffix(",")
        if entry.startswith('{"name"'):
            part = json.loads(entry)
            path = bundle / part["name"]
            summed = subprocess.run(["sha256sum", path], check=True, capture_output=True, text=True).stdout[:64]
            line = line.replace(entry, json.dumps({**part, "bytes": path.stat().st_size, "sha256": summed}))
        lines.append(line)
    (bundle / INDEX).write_text("\n".join([*lines, ""]), encoding="utf-8")
    names = sorted(path.name for path in bundle.iterdir() if path.suffix in (".tar", ".json"))
    said = subprocess.run(["sha256sum", *names], check=True, capture_output=True, cwd=bundle).stdout
    (bundle / "SHA256SUMS").write_bytes(said)
