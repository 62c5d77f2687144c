"""The places of the drill: a main bucket, its replica, one behind an air gap and an edge, each as a machine of its own
with a front, and a reader that never rests."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Collection, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

from tests.chaos.actors import ROOT, Machine
from tests.chaos.inspector import Inspector, Problem, judge
from tests.chaos.ledger import Kept, Ledger
from tests.chaos.reader import Client, Reader, reading
from tests.chaos.shelf import BucketShelf, FolderShelf, Found, Shelf, Unreadable
from tests.chaos.tally import MIXED, STUCK, Finding, Tally
from tests.chaos.truth import Truth
from tests.chaos.upstream import ALLOWED, REPOS, REVISIONS
from tests.servers.bucket import S3Server
from tests.servers.child import Revivable
from tests.servers.ports import LOOPBACK, answers, free_port
from tests.signing.keys import ssh_key

MAIN, FAR, ISLAND, EDGE = "main", "far", "island", "edge"
NAMES = (MAIN, FAR, ISLAND, EDGE)
_KEPT = Kept(100, 1)
_NOBODY = [{"name": "none", "repos": ["nobody/nothing"]}]
_NONE = {"none": {"kind": "directory", "url": "file:///var/empty/models"}}


class DiskShelf(FolderShelf):
    """A directory target on a disk that may be pulled: what is not there then is not told to be missing."""

    def get(self, key: str) -> bytes | None:
        """A whole small object."""
        with self._plugged():
            return super().get(key)

    def marks(self, keys: Collection[str]) -> Mapping[str, str]:
        """Size, inode and time of the last write."""
        with self._plugged():
            return super().marks(keys)

    def found(self, key: str) -> Found | None:
        """An object, read to its end and hashed."""
        with self._plugged():
            return super().found(key)

    @contextmanager
    def _plugged(self) -> Iterator[None]:
        """Whoever plugs it in again does so between two looks: so it was there all the time if it is now."""
        with suppress(NotADirectoryError):
            yield
        if not self.root.is_dir():
            raise Unreadable(f"{self.root} is not there")


@dataclass
class Site:
    """One place. `front` is the process that serves it."""

    name: str
    machine: Machine
    port: int
    shelf: Shelf
    ledger: Ledger
    inspector: Inspector
    reader: Reader
    front: Revivable

    @property
    def looks(self) -> int:
        """Snapshots that its reader has checked."""
        return self.reader.tally.checks

    def check_current(self, truth: Truth) -> None:
        """Every name leads where it leads upstream, and all bytes behind it are right."""
        for repo in truth.repos():
            published = self.ledger.look(repo)
            for name, commit in truth.names(repo).items():
                if published.names.get(name) != commit:
                    self.ledger.say(STUCK, f"{repo.in_jobs} {name} is {published.names.get(name)}, not {commit}")
                else:
                    judge(self.ledger, self.inspector, repo, commit, all_bytes=True)

    def shows(self, truth: Truth) -> bool:
        """Whether its front gives every branch and tag as upstream has it, by now."""
        names = [(repo, name, commit) for repo in truth.repos() for name, commit in truth.names(repo).items()]
        try:
            return all(self.reader.client.read(repo, name) == commit for repo, name, commit in names)
        except Unreadable:
            return False
        except Problem as problem:
            self.ledger.say(problem.kind or MIXED, problem.seen)
            return True


@dataclass
class Sites:
    """All of them, in one folder; `findings` is what must not be, each with the name of its site."""

    folder: Path
    truth: Truth
    dice: Random
    findings: list[tuple[str, Finding]] = field(default_factory=list)
    scene: int = 0
    _all: dict[str, Site] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __getitem__(self, name: str) -> Site:
        return self._all[name]

    def __iter__(self) -> Iterator[Site]:
        return iter(self._all.values())

    @property
    def signers(self) -> Path:
        """The public key of the main site, as it was carried to the others."""
        return self.folder / "signers"

    def root(self, name: str) -> Path:
        """Where a site in a directory lies."""
        return self.folder / name / "mirror"

    def tell(self, site: str, kind: str, seen: str) -> None:
        """Note what must not be; once, however often it is seen again."""
        with self._lock:
            found = site, Finding(kind, 0, self.scene, seen)
            if all((known, one.key) != (site, found[1].key) for known, one in self.findings):
                self.findings.append(found)

    def add(self, stack: ExitStack, name: str, jobs: Mapping[str, Any], shelf: Shelf, front: Mapping[str, Any]) -> Site:
        """Write the jobs.yaml of a machine, and of the front beside it; start the front, and let a reader read."""
        machine = self.machine(name, jobs)
        port = free_port()
        server = stack.enter_context(self._front(name, front, port))
        ledger = Ledger(shelf, self.truth, lambda kind, seen: self.tell(name, kind, seen), kept=_KEPT)
        ledger.season.alone = True
        inspector = Inspector(shelf, self.truth, Random(self.dice.random()))
        client = Client(f"http://{LOOPBACK}:{port}", self.truth, Random(self.dice.random()))
        dice = Random(self.dice.random())
        reader = Reader(self.truth, ledger, inspector, client, dice, Tally(), patience=sys.maxsize)
        self._all[name] = Site(name, machine, port, shelf, ledger, inspector, reader, server)
        stack.enter_context(reading(reader))
        return self._all[name]

    def machine(self, name: str, jobs: Mapping[str, Any]) -> Machine:
        """A machine with this jobs.yaml, and a state folder of its own."""
        machine = Machine(name, self.folder / name / "jobs.yaml")
        machine.config.parent.mkdir(parents=True, exist_ok=True)
        _write(machine.config, jobs)
        return machine

    def _front(self, name: str, jobs: Mapping[str, Any], port: int) -> Revivable:
        machine = Machine(f"{name}-front", self.folder / f"{name}-front" / "jobs.yaml")
        machine.config.parent.mkdir(parents=True)
        _write(machine.config, {"upstreams": _NONE, "jobs": _NOBODY, **jobs})
        log = machine.config.with_name("serve.log")
        command = machine.command("serve", "--port", str(port))
        return Revivable(command, log, lambda: answers(port), {"PYTHONPATH": str(ROOT)})


def _write(path: Path, jobs: Mapping[str, Any]) -> None:
    """JSON is YAML."""
    common = {
        "version": 1,
        "state_dir": str(path.with_name("state")),
        "licenses": {"allow": [ALLOWED], "missing": "refuse"},
        "http": {"listen": "none"},
        "front": {"listen": f"{LOOPBACK}:{free_port()}"},
    }
    path.write_text(json.dumps(common | dict(jobs), indent=1), encoding="utf-8")
    path.chmod(0o600)


@contextmanager
def furnished(sites: Sites, hub: str, server: S3Server | None) -> Iterator[Sites]:
    """Build them; without a server the main site is a directory, too."""
    key = ssh_key(sites.folder)
    public = key.with_suffix(".key.pub").read_text(encoding="utf-8").split()[:2]
    sites.signers.write_text(f'mirror namespaces="mirror-sync" {" ".join(public)}\n', encoding="utf-8")
    with ExitStack() as stack:
        _add_main(sites, stack, hub, server)
        far = sites.add(stack, FAR, _receives(FAR, sites), DiskShelf(sites.root(FAR)), _serves(FAR, sites))
        sites.add(stack, ISLAND, _receives(ISLAND, sites), DiskShelf(sites.root(ISLAND)), _serves(ISLAND, sites))
        reads = {"kind": "mirror", "url": f"http://{LOOPBACK}:{far.port}", "signers": str(sites.signers)}
        edge = {
            "profile": "edge",
            "upstreams": {FAR: reads},
            "targets": {EDGE: _place(EDGE, sites)},
            "jobs": [{"name": "all", "repos": ["*/*", "dataset:*/*"], "revisions": list(REVISIONS)}],
        }
        front = {"profile": "edge", **_serves(EDGE, sites)}
        sites.add(stack, EDGE, edge, DiskShelf(sites.root(EDGE)), front)
        yield sites


def _add_main(sites: Sites, stack: ExitStack, hub: str, server: S3Server | None) -> None:
    target: dict[str, Any] = _place(MAIN, sites)
    shelf: Shelf = DiskShelf(sites.root(MAIN))
    if server is not None:
        bucket = server.make_bucket()
        shelf = BucketShelf(server, bucket)
        target = {**server.place(bucket=bucket)}
    replica = {"name": FAR, **_place(FAR, sites), "wait": "60s"}
    jobs = {
        "upstreams": {"hub": {"kind": "huggingface", "endpoints": [hub]}},
        "targets": {MAIN: {**target, "replicas": [replica]}},
        "jobs": [{"name": "all", "repos": [repo.in_jobs for repo in REPOS], "revisions": list(REVISIONS)}],
        "trust": {"key": str(sites.folder / "signing.key")},
    }
    sites.add(stack, MAIN, jobs, shelf, {"targets": {MAIN: target}})


def _place(name: str, sites: Sites) -> dict[str, Any]:
    sites.root(name).mkdir(parents=True, exist_ok=True)
    return {"url": sites.root(name).as_uri()}


def _serves(name: str, sites: Sites) -> dict[str, Any]:
    return {"targets": {name: _place(name, sites)}}


def _receives(name: str, sites: Sites) -> dict[str, Any]:
    """A machine that no run publishes from."""
    return {"upstreams": _NONE, "targets": {name: _place(name, sites)}, "jobs": _NOBODY}
