"""A target with a replica, over stores that are watched: a reader looks at the replica after each write there."""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from mirror_sync.app.places.replicating import Replicas
from mirror_sync.config.load import load
from mirror_sync.domain.audit_record import BY_DAEMON
from mirror_sync.domain.content.keys import blob_key
from mirror_sync.domain.content.refs import Refs
from mirror_sync.domain.job.targets import Replica
from mirror_sync.domain.outcome.replicas import ReplicaStatus
from mirror_sync.domain.repo import Repo
from mirror_sync.engine.places.replica_pass import Replicated
from mirror_sync.engine.published import mirrored_repos, read_refs
from mirror_sync.engine.walk import Place, Walk
from mirror_sync.errors import MirrorError, StoreUnavailable
from mirror_sync.ports.store import Store, Upload, read_document
from mirror_sync.stores.wrapped_store import WrappedStore
from mirror_sync.wiring.adapters import open_store
from mirror_sync.wiring.assembly import Assembly
from mirror_sync.wiring.program import Mirror

_T = TypeVar("_T")
WRITES = frozenset({"put", "begin", "complete", "touch", "delete"})


class Died(BaseException):
    """The process, in the midst of a call."""


class _WatchedUpload:
    """Completing is a write of its own."""

    def __init__(self, upload: Upload, complete: Callable[[Callable[[], None]], None]) -> None:
        self._upload, self._complete = upload, complete

    def __getattr__(self, name: str) -> Any:
        return getattr(self._upload, name)

    def __enter__(self) -> _WatchedUpload:
        self._upload.__enter__()
        return self

    def __exit__(self, *exc: object) -> None:
        self._upload.__exit__(*exc)

    def complete(self) -> None:
        self._complete(self._upload.complete)


class Watched(WrappedStore):
    """Counts calls; looks after each write; dies before the `dies`th write; drops what `lies` says."""

    def __init__(self, store: Store, look: Callable[[], None] = lambda: None) -> None:
        super().__init__(store)
        self.calls: Counter[str] = Counter()
        self.look, self.dies = look, -1
        self.lies: Callable[[str], bool] = lambda key: False
        self.fails: Callable[[str, str], bool] = lambda verb, key: False
        self.writes: list[str] = []
        self._turn = threading.Lock()

    def around(self, verb: str, key: str, call: Callable[[Store], _T]) -> _T:
        with self._turn:
            self.calls[verb] += 1
        if self.fails(verb, key):
            raise StoreUnavailable(f"{verb} {key}: no answer")
        if verb not in WRITES:
            return call(self.store)
        with self._turn:
            if 0 <= self.dies <= len(self.writes):
                raise Died
            if verb == "put" and self.lies(key):
                return None  # type: ignore[return-value]  # a put returns nothing
            found = call(self.store)
            self.writes.append(f"{verb} {key}")
            if verb == "delete" or key.startswith("hub/"):  # nothing else can leave anything dangling
                self.look()
        if verb == "begin":
            return _WatchedUpload(found, partial(self._complete, key))  # type: ignore[arg-type, return-value]
        return found

    def _complete(self, key: str, done: Callable[[], None]) -> None:
        self.around("complete", key, lambda _: done())


def dangling(store: Store) -> Iterator[str]:
    """All that a reader who follows what is published would miss."""
    for repo in mirrored_repos(store):
        missed: list[str] = []

        def fault(place: Place, digest: str, error: MirrorError) -> None:
            missed.append(f"{place}: {digest}: {error}")  # noqa: B023  used within the turn

        walk = Walk(lambda digest: read_document(store, digest), fault)
        for node in walk.repo(repo, read_refs(store, repo)):
            stat = store.stat(blob_key(node.digest))
            if stat is None or (node.file is not None and stat.size != node.file.size):
                missed.append(f"{node.place}: {node.digest}")
        yield from missed


class Site:
    """Folders of repos, a target, a replica of it. `target` and `replica` are entries of jobs.yaml."""

    def __init__(
        self, folder: Path, target: dict[str, Any] | None = None, replica: dict[str, Any] | None = None
    ) -> None:
        self.folder = folder
        self.upstream = folder / "upstream"
        self.upstream.mkdir()
        self.target = {"url": str(folder / "main"), "grace": "0s", **(target or {})}
        self.replica: dict[str, Any] = {"name": "far", "url": str(folder / "far"), "grace": "0s", **(replica or {})}
        self.more: dict[str, Any] = {}
        self.job: dict[str, Any] = {"name": "all", "repos": ["acme/*"]}

    def write(self, repo: str, **files: str | bytes) -> None:
        """What upstream has of a repo now; a name has _ in the place of its dot."""
        folder = self.upstream / repo
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "README.md").write_text("---\nlicense: mit\n---\n", encoding="utf-8")
        for name, text in files.items():
            body = text if isinstance(text, bytes) else text.encode()
            (folder / name.replace("_", ".")).write_bytes(body)

    def jobs_yaml(self, *, replicated: bool = True) -> Path:
        target = {**self.target, "replicas": [self.replica]} if replicated else self.target
        settings = {
            "state_dir": str(self.folder / "state"),
            "upstreams": {"up": {"kind": "directory", "url": str(self.upstream)}},
            "targets": {"main": target},
            "licenses": {"allow": ["mit"]},
            "jobs": [self.job],
            **self.more,
        }
        path = self.folder / ("jobs.yaml" if replicated else "alone.yaml")
        path.write_text(json.dumps(settings), encoding="utf-8")
        path.chmod(0o600)
        return path

    @contextmanager
    def program(self, *, replicated: bool = False) -> Iterator[Mirror]:
        """Without its replicas the target alone is written."""
        with closing(Mirror(load(self.jobs_yaml(replicated=replicated), {}))) as program:
            yield program

    def sync(self) -> None:
        with self.program() as program:
            report = program.sync(BY_DAEMON)
            assert report.repos, report
            assert not [one for one in report.repos if one.code], report

    def withdraw(self, repo: str) -> None:
        with self.program() as program:
            assert program.taking_down.withdraw(BY_DAEMON, "main", Repo.parse(repo), why="a court order").ok

    def prune(self) -> None:
        with self.program() as program:
            assert program.prune(BY_DAEMON).ok

    def main(self) -> Store:
        return self._store("main")

    def far(self) -> Store:
        return self._store("far")

    def refs(self, store: Store) -> dict[str, bytes]:
        return {str(repo): read_refs(store, repo).encode() for repo in mirrored_repos(store)}

    def published(self, store: Store, repo: str) -> Refs:
        return read_refs(store, Repo.parse(repo))

    def _store(self, name: str) -> Store:
        settings = load(self.jobs_yaml(), {})
        place = settings.targets["main"]
        return open_store(place if name == "main" else place.replicas[0].at)

    @contextmanager
    def copying(self) -> Iterator[Copying]:
        """A process that copies, over stores that are watched."""
        with self.program(replicated=True) as program:
            assembly = Assembly(program.settings, program.stop)
            context = assembly.context(lambda event: None, lambda report: None)
            made = Copying(context.targets["main"].store)

            def places(target: str, replica: Replica) -> Replicated:
                found = assembly.replicated(context.targets[target], replica)
                made.far = Watched(found.replica.store, lambda: made.look(found.replica.store))
                made.settings_of_far = replica
                main = replace(found.main, store=made.main)
                return replace(found, main=main, replica=replace(found.replica, store=made.far))

            made.replicas = Replicas(program.settings, lambda: context, places, lambda: program.history)
            made.open()
            yield made


class Copying:
    """`main` and `far` are the watched stores. The reader asserts that nothing dangles, as often as it looks."""

    replicas: Replicas
    far: Watched
    settings_of_far: Replica

    def __init__(self, main: Store) -> None:
        self.main, self.looks, self.reading = Watched(main), 0, False

    def open(self) -> None:
        ((target, replica),) = self.replicas.named()
        self.replicas.places(target, replica)

    def look(self, store: Store) -> None:
        if self.reading:
            assert list(dangling(store)) == []
            self.looks += 1

    def copy(self, *, anew: bool = False) -> ReplicaStatus:
        """One pass; counts begin anew with it."""
        self.main.calls.clear()
        self.far.calls.clear()
        self.far.writes.clear()
        return self.replicas.copy("main", self.settings_of_far, anew=anew)

    def soon(self) -> bool:
        """As after a run: by what is known, and by its feed."""
        self.main.calls.clear()
        self.far.calls.clear()
        self.far.writes.clear()
        return self.replicas._try("main", self.settings_of_far, None)
