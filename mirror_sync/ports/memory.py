"""What a machine remembers of a target and of a verification. All of it may be lost: that costs time, nothing else."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, Protocol

from mirror_sync.domain.digest import GitOid, Sha256

FINDINGS = "inspection:"  # begins the names under which a read cache remembers what was found in files


class ContentIndex(Protocol):
    """What is known of a target's contents by git id: a cache, which may forget everything."""

    def known(self, oids: Iterable[GitOid], *, proved: bool) -> Mapping[GitOid, Sha256]:
        """The digests of those contents that are known in one of two ways, none in both.

        `proved`: this program has read the bytes, which had both the git id and the digest; that stays true whatever
        becomes of the target. Else a listing in the target claims it: to be proved before use.
        """
        ...

    def remember(self, pairs: Mapping[GitOid, Sha256], *, proved: bool) -> None:
        """Keep pairs that bytes have proved, or that a listing claims, which never take the place of a proved one."""
        ...

    @property
    def complete(self) -> bool:
        """Whether everything that the target publishes has been remembered once."""
        ...

    def mark_complete(self) -> None: ...


class ReadCache(Protocol):
    """What was read of small objects of a target: a cache, local to a machine, which may forget everything."""

    def recall(self, name: str, version: str) -> bytes | None:
        """What was remembered last under a name; None when that was of another version."""
        ...

    def remember(self, name: str, version: str, body: bytes) -> None: ...

    def recall_all(self, names: Collection[str]) -> Mapping[str, tuple[str, bytes]]:
        """What was remembered last under each of some hundred names: the version, and what was read."""
        ...

    def remember_all(self, kept: Mapping[str, tuple[str, bytes]]) -> None:
        """Remember some hundred at once, each under its name with its version."""
        ...


class NoReadCache:
    """Implements `ReadCache` by remembering nothing: everything is read again."""

    def recall(self, name: str, version: str) -> bytes | None:
        return None

    def remember(self, name: str, version: str, body: bytes) -> None:
        pass

    def recall_all(self, names: Collection[str]) -> Mapping[str, tuple[str, bytes]]:
        return {}

    def remember_all(self, kept: Mapping[str, tuple[str, bytes]]) -> None:
        pass


@dataclass(frozen=True, slots=True)
class UploadNote:
    """How far an upload got: its token, and the state of the hash over the parts that the token names.

    An empty `midstate`: no state could be saved, so that only a store that reads its kept parts can go on.
    """

    token: str
    midstate: bytes


class UploadNotes(Protocol):
    """What is noted, by key, of the uploads into one target: a cache, local to a machine, which may forget everything.

    Safe for many threads and processes. Raises StoreError where the notes cannot be kept.
    """

    def claim(self, key: str) -> AbstractContextManager[bool]:
        """Whether the block has the key for itself: false while another thread or process of this machine is in such
        a block. The claim ends with the block, and with the process however that ends.
        """
        ...

    def load(self, key: str) -> UploadNote | None: ...

    def save(self, key: str, note: UploadNote) -> None:
        """Replace what is noted of a key, in one step; it survives the end of the process at any moment."""
        ...

    def forget(self, key: str) -> None: ...

    def stale(self, older_than: float) -> tuple[str, ...]:
        """The keys whose notes were saved more than so many seconds ago."""
        ...


class NoNotes:
    """Implements `UploadNotes` by remembering nothing: every upload starts anew."""

    def claim(self, key: str) -> AbstractContextManager[bool]:
        return nullcontext(False)

    def load(self, key: str) -> UploadNote | None:
        return None

    def save(self, key: str, note: UploadNote) -> None:
        pass

    def forget(self, key: str) -> None:
        pass

    def stale(self, older_than: float) -> tuple[str, ...]:
        return ()


class Checkpoint(Protocol):
    """One small JSON document, and the notes that were taken on the way to it, local to a machine.

    It may be lost, which costs a verification from the start. A fault of the disk is not worth an exception: then the
    last document stands.
    """

    def load(self) -> Mapping[str, Any] | None:
        """What was saved last, with its notes under `notes` where there are some; None when there is nothing, or
        nothing readable. Never raises.
        """
        ...

    def begin(self, document: Mapping[str, Any]) -> None:
        """Replace the document, and forget all notes."""
        ...

    def save(self, document: Mapping[str, Any], notes: Sequence[Mapping[str, Any]]) -> None:
        """Add notes to those that are there, and replace the document, in one step."""
        ...


class NoCheckpoint:
    """Implements `Checkpoint` by forgetting."""

    def load(self) -> Mapping[str, Any] | None:
        return None

    def begin(self, document: Mapping[str, Any]) -> None:
        pass

    def save(self, document: Mapping[str, Any], notes: Sequence[Mapping[str, Any]]) -> None:
        pass
