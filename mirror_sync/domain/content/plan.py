"""What must happen so that the mirror holds what is desired: a pure comparison of two manifests."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace

from mirror_sync.domain.content.manifest import Content, Manifest, MirroredFile, RemoteFile
from mirror_sync.domain.digest import Sha256


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

    @property
    def fetch_bytes(self) -> int:
        """The size of all files to fetch."""
        return sum(file.size for file in self.fetch)

    @property
    def reuse_bytes(self) -> int:
        """The size of all files that are here already."""
        return sum(file.size for file in self.reuse)

    @property
    def delete_bytes(self) -> int:
        """The size of all files that go."""
        return sum(file.size for file in self.delete)

    def beside(self) -> Plan:
        """The same, where the current manifest stays published under its own name: nothing leaves it."""
        return replace(self, delete=())


def plan(current: Manifest, desired: Iterable[RemoteFile], present: Mapping[Content, Sha256]) -> Plan:
    """Compare; `present` maps contents to digests of blobs that the target is known to hold."""
    fetch: dict[Content, RemoteFile] = {}
    reuse: list[RemoteFile] = []
    gone = dict(current)
    held = {file.content for file in current.values()}
    for file in desired:
        gone.pop(file.path, None)
        known = fetch.get(file.content)
        if file.content in held or file.content in present:
            reuse.append(file)
        elif known is None:
            fetch[file.content] = file
        else:  # whichever has the bytes brings them
            fetch[file.content], other = (file, known) if known.pointer_only else (known, file)
            reuse.append(other)
    return Plan(tuple(fetch.values()), tuple(reuse), tuple(gone.values()))


def unknown(current: Manifest, desired: Collection[RemoteFile]) -> list[RemoteFile]:
    """Desired files whose content the current manifest does not hold: those worth a question to the target."""
    held = {file.content for file in current.values()}
    return [file for file in desired if file.content not in held]


def carry_out(done: Plan, current: Manifest, proved: Mapping[Content, Sha256]) -> Manifest:
    """The manifest after a plan was carried out; `proved` gives the digests of what was present or fetched.

    KeyError when a content was neither held, present nor fetched: such a manifest must never be published.
    """
    held: dict[Content, Sha256] = {file.content: file.sha256 for file in current.values()} | dict(proved)
    return {file.path: _proved(file, current.get(file.path), held[file.content]) for file in (*done.fetch, *done.reuse)}


def _proved(file: RemoteFile, before: MirroredFile | None, digest: Sha256) -> MirroredFile:
    """The very object where nothing has changed: of a hundred thousand files nearly all stay as they were."""
    proved = file.proved(digest)
    return before if before is not None and before == proved else proved
