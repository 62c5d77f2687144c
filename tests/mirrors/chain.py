"""A hub, a mirror of it that signs, and an edge: each by a jobs.yaml of its own."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from mirror_sync.config.load import load
from mirror_sync.domain.audit_record import BY_DAEMON, Actor, ActorKind
from mirror_sync.domain.content.keys import blob_key
from mirror_sync.domain.content.refs import Refs
from mirror_sync.domain.content.snapshot import Root
from mirror_sync.domain.digest import Sha256
from mirror_sync.domain.outcome.report import RepoReport
from mirror_sync.domain.repo import Repo
from mirror_sync.engine.published import read_refs, read_root
from mirror_sync.ports.store import Store, read_document
from mirror_sync.wiring.adapters import open_store
from mirror_sync.wiring.program import Mirror

PERSON = Actor(ActorKind.USER, "alice@here")


class Node:
    """A mirror in a folder of its own; `upstream` and `job` are entries of its jobs.yaml, `more` other keys."""

    def __init__(self, folder: Path, upstream: dict[str, Any], **more: Any) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self.upstream = folder, upstream
        self.job: dict[str, Any] = {"name": "all", "repos": ["*/*"], **more.pop("job", {})}
        self.target: dict[str, Any] = more.pop("target", {"url": (folder / "bucket").as_uri(), "grace": "0s"})
        self.more = more
        self.environ: dict[str, str] = {}

    def jobs_yaml(self) -> Path:
        settings = {
            "state_dir": str(self.folder / "state"),
            "upstreams": {"up": self.upstream},
            "targets": {"it": self.target},
            "licenses": {"allow": ["mit", "apache-2.0"]},
            "jobs": [self.job],
            **self.more,
        }
        path = self.folder / "jobs.yaml"
        path.write_text(json.dumps(settings), encoding="utf-8")
        path.chmod(0o600)
        return path

    @contextmanager
    def program(self) -> Iterator[Mirror]:
        with closing(Mirror(load(self.jobs_yaml(), self.environ))) as program:
            yield program

    def sync(self, *repos: str) -> dict[str, RepoReport]:
        """One run, as another process would make it; reports by the name of the repo and its revision."""
        with self.program() as program:
            only = frozenset(map(Repo.parse, repos))
            report = program.sync(BY_DAEMON, repos=only) if only else program.sync(BY_DAEMON)
        return {one.spoken: one for one in report.repos}

    @property
    def store(self) -> Store:
        return open_store(load(self.jobs_yaml(), self.environ).targets["it"])

    def refs(self, repo: str) -> Refs:
        return read_refs(self.store, Repo.parse(repo))

    def root(self, repo: str, revision: str = "main") -> Root:
        digest = self.refs(repo).root_of(revision)
        assert digest is not None
        return read_root(self.store, digest)

    def document(self, digest: Sha256) -> bytes:
        return read_document(self.store, digest)

    def damage(self, digest: Sha256, body: bytes) -> None:
        """Lay other bytes where a blob lies."""
        (self.folder / "bucket" / blob_key(digest)).write_bytes(body)
