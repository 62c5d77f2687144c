"""A mirror of a stand-in Hub by a jobs.yaml with a policy, into a directory or a bucket, every byte read on record."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

from mirror_sync.config.load import load
from mirror_sync.domain.audit_record import BY_DAEMON
from mirror_sync.domain.content.keys import blob_key
from mirror_sync.domain.content.manifest import Manifest
from mirror_sync.domain.content.snapshot import Root
from mirror_sync.domain.digest import Sha256
from mirror_sync.domain.formats.class_list import CLASSES, ClassList
from mirror_sync.domain.outcome.report import RepoPlan, RepoReport
from mirror_sync.domain.repo import Repo
from mirror_sync.engine.published import read_refs, read_root
from mirror_sync.ports.store import Store, read_document
from mirror_sync.wiring.program import Mirror
from tests.engine.workshop import Recording
from tests.published_files import read_manifest
from tests.standin import Hub

ACME = "acme/x"


class Site:
    """One job, which mirrors one repo."""

    def __init__(self, hub: Hub, folder: Path, target: dict[str, Any]) -> None:
        self.folder, self._target, self._hub = folder, target, hub
        self.store: Recording
        self.mirror: Mirror | None = None
        self.state = folder / "state"

    def set(self, policy: dict[str, Any] | None = None, /, **job: Any) -> Site:
        """Begin anew with this policy, as another process would."""
        self.close()
        settings: dict[str, Any] = {
            "state_dir": str(self.state),
            "upstreams": {"hub": {"kind": "huggingface", "endpoints": [self._hub.url]}},
            "targets": {"it": {**self._target, "grace": "0s"}},
            "licenses": {"allow": ["mit"]},
            "site": {"enabled": False},
            "jobs": [{"name": "a", "repos": [ACME], **job}],
        }
        if (self.folder / "decisions.yaml").exists():
            settings["decisions"] = "./decisions.yaml"
        path = self.folder / "jobs.yaml"
        path.write_text(json.dumps(settings if policy is None else {**settings, "policy": policy}), encoding="utf-8")
        self.mirror = Mirror(load(path, {}))
        context = self.mirror._context()
        target = context.targets["it"]
        self.store = Recording(target.store)
        object.__setattr__(target, "store", self.store)  # the very object that all parts were given
        return self

    def close(self) -> None:
        if self.mirror is not None:
            self.mirror.close()

    def sync(self) -> RepoReport:
        """Forgets what was read and written before."""
        assert self.mirror is not None
        self.store.written.clear()
        self.store.reads.clear()
        (report,) = self.mirror.sync(BY_DAEMON).repos
        return report

    def plan(self) -> RepoPlan:
        assert self.mirror is not None
        (found,) = self.mirror.plan().repos
        return found

    def prune(self) -> None:
        assert self.mirror is not None
        time.sleep(1.1 if "endpoint_url" in self._target else 0)  # a bucket's clock has seconds
        assert self.mirror.prune(BY_DAEMON, everything="it").ok

    def root(self) -> Root:
        digest = read_refs(self.plain, Repo.parse(ACME)).root_of("main")
        assert digest is not None
        return read_root(self.plain, digest)

    def manifest(self) -> Manifest:
        return read_manifest(self.plain, self.root())

    def classes(self) -> dict[str, str]:
        """By path, as the root's document says."""
        found = ClassList.decode(read_document(self.plain, self.root().attachments[CLASSES]))
        return {path: one.of.value for path, one in zip(self.manifest(), found.each(self.manifest()), strict=True)}

    def was_read(self, body: bytes) -> bool:
        """Whether the last run has read a content from the target."""
        return blob_key(Sha256.of(body)) in self.store.reads

    @property
    def plain(self) -> Store:
        """The target, whose reads are not counted."""
        return self.store.store
