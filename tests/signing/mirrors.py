"""A mirror that signs, over a folder as upstream, and what a stranger is told of it."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from mirror_sync.config.load import load
from mirror_sync.domain.audit_record import BY_DAEMON
from mirror_sync.domain.content.keys import blob_key
from mirror_sync.domain.content.refs import Refs
from mirror_sync.domain.content.snapshot import Root
from mirror_sync.domain.digest import Sha256
from mirror_sync.domain.repo import Repo
from mirror_sync.engine.published import read_refs, read_root
from mirror_sync.ports.store import Store, read_all
from mirror_sync.signing.allowed_signers import ALLOWED_SIGNERS, AllowedSigners
from mirror_sync.signing.evidence import StoreEvidence
from mirror_sync.signing.proof import Asked, Proof, Prover
from mirror_sync.signing.sshsig import PublicKey
from mirror_sync.wiring.adapters import open_store
from mirror_sync.wiring.program import Mirror
from tests.published_files import read_manifest
from tests.signing.keys import elliptic_key, ssh_key

REPO = "acme/one"
FILES = {
    "weights.bin": "12345",
    "odd \\ name\nof two lines": "x",
    "sub/more.txt": "more",
    ".gitattributes": "* -text\n",
}
BOMS = ("bom.cdx.json", "bom.spdx3.json")
CARD = "---\nlicense: mit\nbase_model: acme/base\ndatasets: [acme/texts, acme/more]\n---\n"


@dataclass
class SignedMirror:
    """`trust` is what jobs.yaml says of it; `target` its target; `catalogue`, whether pages are published, too; `front`
    what is said of that, `access` who may read it.
    """

    folder: Path
    target: Mapping[str, str]
    trust: dict[str, Any] = field(default_factory=dict)
    catalogue: bool = False
    front: dict[str, Any] = field(default_factory=dict)
    access: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.key = ssh_key(self.folder)
        self.model_key = elliptic_key(self.folder)
        self.trust = {
            "key": str(self.key),
            "model_signing": {"key": str(self.model_key)},
            "bom": ["cyclonedx", "spdx3"],
        }
        self.add(REPO, FILES)

    def add(self, repo: str, files: Mapping[str, str]) -> None:
        """Files of a repo of the upstream."""
        folder = self.folder / "upstream" / repo
        folder.mkdir(parents=True, exist_ok=True)
        for path, text in {"README.md": CARD, **files}.items():
            (folder / path).parent.mkdir(exist_ok=True)
            (folder / path).write_text(text, encoding="utf-8")

    def jobs_yaml(self, repos: tuple[str, ...] = ("acme/*",)) -> Path:
        """What it goes by; JSON is YAML."""
        jobs = {
            "version": 1,
            "state_dir": "state",
            "upstreams": {"local": {"kind": "directory", "url": (self.folder / "upstream").as_uri()}},
            "targets": {"mirror": dict(self.target)},
            "licenses": {"allow": ["mit"]},
            "site": {"enabled": self.catalogue, "name": "Example models"},
            "jobs": [{"name": "all", "repos": list(repos), "retention": {"snapshots": 1, "days": 0}}],
            **({"trust": self.trust} if self.trust else {}),
            **({"front": self.front} if self.front else {}),
            **({"access": self.access} if self.access else {}),
        }
        path = self.folder / "jobs.yaml"
        path.write_text(json.dumps(jobs), encoding="utf-8")
        path.chmod(0o600)
        return path

    def mirror(self) -> Mirror:
        """The program; to be closed."""
        return Mirror(load(self.jobs_yaml(), {}))

    def wait(self) -> None:
        """Until what comes is later by clocks that have seconds, as a bucket's and that of a first serial."""
        time.sleep(1.1)

    def sync(self) -> None:
        with closing(self.mirror()) as mirror:
            report = mirror.sync(BY_DAEMON)
            assert report.ok, report

    @property
    def store(self) -> Store:
        return open_store(load(self.jobs_yaml(), {}).targets["mirror"])

    def refs(self, repo: str = REPO) -> Refs:
        return read_refs(self.store, Repo.parse(repo))

    def root(self, repo: str = REPO, revision: str = "main") -> Root:
        digest = self.refs(repo).root_of(revision)
        assert digest is not None
        return read_root(self.store, digest)

    def body(self, digest: Sha256) -> bytes:
        return read_all(self.store, blob_key(digest), 1 << 30)

    def attachment(self, name: str) -> bytes:
        return self.body(self.root().attachments[name])

    def blob_of(self, path: str) -> Sha256:
        return read_manifest(self.store, self.root())[path].sha256

    def overwrite(self, digest: Sha256, body: bytes) -> None:
        """Other bytes in the place of a blob's, as a broken disk or a stranger leaves them."""
        if self.target["url"].startswith("file:"):
            (self.folder / "mirror" / blob_key(digest)).write_bytes(body)
        else:
            self.store.put(blob_key(digest), body, Sha256.of(body))

    @property
    def signers(self) -> AllowedSigners:
        """Those that the mirror gives out."""
        return AllowedSigners.decode(read_all(self.store, ALLOWED_SIGNERS, 1 << 20))

    def prove(self, repo: str = REPO, signers: AllowedSigners | None = None, **asked: Any) -> Proof:
        """As a stranger with public keys alone, at the target itself."""
        prover = Prover(StoreEvidence(self.store), signers or self.signers, datetime.now(UTC))
        return prover.prove(Asked(Repo.parse(repo), **asked))

    def downloaded(self, folder: Path) -> Path:
        """All files of the snapshot in a folder, as a client brings them there."""
        for path, file in read_manifest(self.store, self.root()).items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_bytes(self.body(file.sha256))
        return folder


def another_signer(folder: Path) -> AllowedSigners:
    """A file of keys that names another mirror's key alone."""
    from mirror_sync.signing.private_keys import read_ed25519

    key = ssh_key(folder, "another.key")
    return AllowedSigners().with_key("Example-models", PublicKey.of(read_ed25519(key)))
