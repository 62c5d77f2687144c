"""What must happen so that the mirror holds what is desired: a pure comparison of two manifests."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from mirror_sync.domain.digest import Promise, Sha256
from mirror_sync.domain.manifest import Manifest, MirroredFile, RemoteFile


@dataclass(frozen=True, slots=True)
class Plan:
    """Actions that turn a current manifest into the desired one.

    `fetch` holds one file for each content that must come over the wire; `reuse` every other desired file, its content
    being in the target already or brought by a fetch of this plan; `delete` the files that leave the manifest (their
    blobs stay until a prune).
    """

    fetch: tuple[RemoteFile, ...]
    reuse: tuple[RemoteFile, ...]
    delete: tuple[MirroredFile, ...]
    changes: int  # desired paths that are new or differ, plus deleted ones

    @property
    def fetch_bytes(self) -> int:
        return sum(file.size for file in self.fetch)

    @property
    def reuse_bytes(self) -> int:
        return sum(file.size for file in self.reuse)

    @property
    def delete_bytes(self) -> int:
        return sum(file.size for file in self.delete)


def plan(current: Manifest, desired: Iterable[RemoteFile], present: Mapping[Promise, Sha256]) -> Plan:
    """Compare; `present` maps promises to digests of blobs that the target is known to hold."""
    fetch: dict[Promise, RemoteFile] = {}
    reuse: list[RemoteFile] = []
    gone = dict(current)
    changes = 0
    held = {file.promise: file.sha256 for file in current.values()}
    for file in desired:
        before = gone.pop(file.path, None)
        changes += before is None or before.promise != file.promise
        if file.promise in held or file.promise in present or file.promise in fetch:
            reuse.append(file)
        else:
            fetch[file.promise] = file
    return Plan(tuple(fetch.values()), tuple(reuse), tuple(gone.values()), changes + len(gone))


def unknown(current: Manifest, desired: Collection[RemoteFile]) -> list[RemoteFile]:
    """Desired files whose content the current manifest does not hold: those worth a question to the target."""
    held = {file.promise for file in current.values()}
    return [file for file in desired if file.promise not in held]


def carry_out(done: Plan, current: Manifest, proved: Mapping[Promise, Sha256]) -> Manifest:
    """The manifest after a plan was carried out; `proved` maps the promises of what was present or fetched.

    KeyError when a content was neither held, present nor fetched: such a manifest must never be published.
    """
    held: dict[Promise, Sha256] = {file.promise: file.sha256 for file in current.values()} | dict(proved)
    files = [file.proved(held[file.promise]) for file in (*done.fetch, *done.reuse)]
    return {file.path: file for file in files}
