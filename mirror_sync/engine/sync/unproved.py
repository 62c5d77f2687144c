"""Files of which an upstream tells no digest: a commit with one is refused, or two downloads that agree are believed.

The first is made while the commit is listed, and kept nowhere: its digest is the promise by which the second, which
goes into the target, is proved as any other file.
"""

from __future__ import annotations

from collections.abc import Callable

from mirror_sync.domain.content.manifest import OnUnproved, RemoteFile, spoken_paths
from mirror_sync.domain.digest import CommitId, ContentHash
from mirror_sync.domain.policy.rules import Judgement, Outcome, Verdict
from mirror_sync.domain.repo import Repo
from mirror_sync.errors import IntegrityError
from mirror_sync.ports.source import Bytes

UNPROVED = "unproved"
_READ = 1024 * 1024  # bytes between two checks of the stop event
_NAMED = 3  # paths that a verdict names


class Unproved:
    """What was met of such files in one commit. `go_on` raises Interrupted after a stop."""

    def __init__(self, source: Bytes, repo: Repo, commit: CommitId, go_on: Callable[[], None]) -> None:
        self._source, self._repo, self._commit, self._go_on = source, repo, commit, go_on
        self._paths: list[str] = []
        self._count = 0
        self._refused = False

    def promised(self, file: RemoteFile) -> RemoteFile:
        """One without a digest, with what a download promises where that is accepted. UpstreamError, IntegrityError."""
        self._count += 1
        self._paths += [file.path] * (self._count <= _NAMED)
        if file.unproved is OnUnproved.REFUSE:
            self._refused = True
            return file
        return self._downloaded(file)

    def joined(self, judgement: Judgement) -> Judgement:
        """With a verdict more, where there was any."""
        if not self._count:
            return judgement
        named, has = spoken_paths(self._paths, self._count), "has" if self._count == 1 else "have"
        if self._refused:
            why = f"{named} {has} no SHA-256 at the upstream, so that nothing proves what is downloaded; leave out what"
            return judgement.joined(
                Verdict(UNPROVED, Outcome.REFUSED, f"{why} is not needed, or set unproved: accept on the upstream")
            )
        agree = "two downloads over two connections agree, or one and what is here"
        why = f"{named} {has} no SHA-256 at the upstream: {agree}"
        return judgement.joined(Verdict(UNPROVED, Outcome.ALLOWED, why))

    def _downloaded(self, file: RemoteFile) -> RemoteFile:
        content, left = ContentHash(file.size, file.promise), file.size
        chunk = memoryview(bytearray(min(file.size, _READ)))
        with self._source.fetch(self._repo, self._commit, file) as stream:
            while left:
                self._go_on()
                count = stream.readinto(chunk[: min(left, _READ)])
                if not count:
                    raise IntegrityError(file.path, f"{file.size} bytes", "fewer")
                content.update(chunk[:count])
                left -= count
        return RemoteFile.of_digest(file.path, file.size, content.sha256)
