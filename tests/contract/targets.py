"""What lies in a directory target and in the state folder after the small world's runs."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from pathlib import Path

from mirror_sync.domain.catalogue.page_data import FEED, TUNASYNC
from mirror_sync.domain.catalogue.rows import LARGEST
from mirror_sync.ports.store import read_site
from mirror_sync.stores.directory.directory_store import DirectoryStore
from tests.contract.inside import state_files
from tests.contract.world import World

_TIME = re.compile(
    r"\b(?!2026-01-01T08:)\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z|\b\d{4}-\d\d-\d\d \d\d:\d\d:\d\d \+0000"
)
_PATTERNS = (
    (_TIME, "<time>"),
    (re.compile(r'(_ts":)-?\d+'), r"\1<seconds>"),
    (re.compile(r'(_seconds":)[\d.]+'), r"\1<seconds>"),
    (re.compile(r'("machine":")[0-9a-f]+'), r"\1<machine>"),
    (re.compile(r'("mirrors":\[")[0-9a-f]{16}'), r"\1<mirror>"),
    (re.compile(r'(\["[0-9a-f]{12}","[\w./-]+",")[0-9a-f]{64}'), r"\1<digest>"),  # of a feed: refs.json has times
    (re.compile(r'("refs":")[0-9a-f]{64}'), r"\1<digest>"),
    (re.compile(r"http://127\.0\.0\.1:\d+"), "<upstream>"),
)
_LOG = re.compile(r'(?<="log":\[)\{.*?\}(?=\])')  # of a refs.json: two names of a repo are brought side by side
_PASSING = ("-wal", "-shm", "-journal")  # files that SQLite has while it is open


def settled(text: str) -> str:
    """A text without what differs from run to run: times of now, ids, ports. What the Hub dates is left as it is."""
    for pattern, instead in _PATTERNS:
        text = pattern.sub(instead, text)
    return _LOG.sub(lambda found: "},{".join(sorted(found[0][1:-1].split("},{"))).join("{}"), text)


def keys(world: World) -> Iterator[str]:
    """Every key in the target. AssertionError for a blob that is not what its name says."""
    for path in _files(world.mirror):
        name = str(path.relative_to(world.mirror))
        if name.startswith("blobs/"):
            assert hashlib.sha256(path.read_bytes()).hexdigest() == path.name, name
        name = re.sub(r"(site/assets/\w+)\.[0-9a-f]{8}\.", r"\1.<digest>.", name)
        name = re.sub(r"^(audit/)[0-9a-f]{12}/", r"\1<machine>/", name)
        yield re.sub(r"^(prunes/)[^.]+", r"\1<id>", name)


def documents(world: World) -> Iterator[str]:
    """The bytes of every document: refs and aliases, roots and what they name, the catalogue's lists."""
    for path in _files(world.mirror / "hub"):
        yield from _document(path, world.mirror)
        for commit, root in json.loads(path.read_bytes()).get("snapshots", {}).items():
            yield f"snapshot {commit}"
            yield from _snapshot(world.mirror, root)
    for path in _files(world.mirror / "site"):
        if path.suffix == ".json":
            yield from _document(path, world.mirror)
    store = DirectoryStore(world.mirror)
    pages = [f"list/{path.stem}.json" for path in _files(world.mirror / "site" / "list")]
    for name in (*pages, FEED, TUNASYNC):  # the others are in the order of times; fronts have their shape
        yield f"site/{name}"
        yield from (f"  {line}" for line in settled(read_site(store, name, LARGEST).decode()).split("\n"))


def state_names(world: World) -> Iterator[str]:
    """The names of all files of the state folder, also those of a daemon that runs, and of what fails there."""
    names = set(state_files()) | {
        re.sub(r"^(audit|locks)/[0-9a-f]{12}/", r"\1/<place>/", name) for name in world.running.files
    }
    yield from sorted(name for name in names if not name.endswith(_PASSING))
    yield f"daemon.sock is {world.running.mode}"


def _snapshot(mirror: Path, root: str) -> Iterator[str]:
    document = json.loads(_blob(mirror, root).read_bytes())
    shards = [digest for _, digest in document["shards"]]
    for digest in (root, document["info"], document["commits"], *shards):
        yield from _document(_blob(mirror, digest), mirror)


def _blob(mirror: Path, digest: str) -> Path:
    return mirror / "blobs/sha256" / digest[:2] / digest


def _document(path: Path, mirror: Path) -> Iterator[str]:
    yield f"{path.relative_to(mirror)}"
    yield from (f"  {line}" for line in settled(path.read_bytes().decode()).split("\n"))


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())
