"""Every error that leaves a layer of mirror-sync, and the facts it carries.

    MirrorError
    ├── ConfigError             jobs.yaml cannot be used: every fault with its place
    ├── UsageError              a name or an option that does not exist
    ├── UpstreamError           what an upstream answered about a repo
    │   ├── Unreachable         no answer, a time-out, a cut connection, 5xx        (retryable)
    │   │   └── FolderUnreadable  of this machine: it is not there, or not ours to read, whoever asks again
    │   ├── RateLimited         429, with the seconds to wait                       (retryable)
    │   ├── BadAnswer           an answer that is not what it claims to be          (retryable)
    │   │   └── ListedOtherwise a list that broke goes on as another one: what came of it does not count
    │   ├── Gated               terms not accepted, or access not granted
    │   ├── TokenRejected       the token is wrong or has expired
    │   ├── Disabled            the upstream has switched the repo off
    │   ├── NotFoundOrPrivate   no such repo, or not for us
    │   │   └── NotSeen         no such repo where one looked, which proves nothing
    │   ├── NoSuchCall          this upstream does not tell such a thing of any repo
    │   ├── RevisionNotFound    the repo has no such branch, tag or commit
    │   ├── FileNotFound        the commit has no such path
    │   ├── Unsigned            another mirror's word that nobody whom we believe has signed
    │   ├── MirrorLoop          another mirror that has from us what it gives
    │   └── PointerOnly         an LFS pointer lies where the file should
    ├── IntegrityError          bytes that are not the promised ones                (retryable)
    ├── UnsafePath              a path name that no mirror should publish
    ├── StoreError              what a target answered
    │   ├── StoreUnavailable    no answer, 5xx, SlowDown                            (retryable)
    │   │   └── PruneConflict   a prune removed what a snapshot needs that was being published
    │   ├── StoreDenied         credentials or permissions
    │   ├── StoreFull           no space, quota
    │   ├── Vanished            it lacks what was published there
    │   ├── BlobFrozen          it lies in a class that gives nothing before it is restored
    │   ├── NotRecorded         what was about to be done cannot be written into its audit
    │   └── KeyMissing          nothing is stored under that key
    ├── DocumentError           a stored document that cannot be read as one
    │   └── NewerFormat         it is of a format that this program does not know
    ├── SigningError            a key that cannot be used, a signature or statement that does not hold
    ├── ClusterError            no other machine could carry out a piece of work        (retryable)
    ├── SelectionConflict       two jobs want one commit of one target with different files
    └── Interrupted             the run was asked to stop

`code` is a short stable word for reports and metrics. `retryable` says whether the same call may succeed later.
`str(error)` is one line for a person, free of secrets.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

_SHOWN = 120  # characters of a hostile path name that a message repeats


class MirrorError(Exception):
    """The root of all errors that mirror-sync raises on purpose."""

    code: ClassVar[str] = "error"
    retryable: ClassVar[bool] = False


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing wrong in a configuration file; `line` and `column` count from 1, and are 0 for the file as a whole."""

    file: str
    line: int
    column: int
    where: str  # the place in the document: jobs[0].schedule.every
    message: str  # what is wrong and what would be right

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}:{self.column}" if self.line else self.file
        return f"{place}: {self.where}: {self.message}" if self.where else f"{place}: {self.message}"


class ConfigError(MirrorError):
    """A configuration that cannot be used, with all its faults at once, and what is odd in it beside them."""

    code = "config"

    def __init__(self, faults: tuple[Fault, ...], warnings: tuple[Fault, ...] = ()) -> None:
        super().__init__("\n".join(map(str, faults)))
        self.faults = faults
        self.warnings = warnings


class UsageError(MirrorError):
    code = "usage"


class UpstreamError(MirrorError):
    """Something an upstream answered, or did not."""

    code = "upstream"


class Unreachable(UpstreamError):
    code = "unreachable"
    retryable = True


class FolderUnreadable(Unreachable):
    """A folder of this machine is not there, or not ours to read: the same call a moment later finds the same. The
    next run may find it mounted.
    """


class RateLimited(UpstreamError):
    """The upstream asks to wait; `retry_after` in seconds, None when it does not say."""

    code = "rate-limited"
    retryable = True

    def __init__(self, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class BadAnswer(UpstreamError):
    code = "bad-answer"
    retryable = True


class ListedOtherwise(BadAnswer):
    """A list of files broke, and when it was asked for again, what had come of it came otherwise."""


class Gated(UpstreamError):
    code = "gated"


class TokenRejected(UpstreamError):
    code = "token-rejected"


class Disabled(UpstreamError):
    code = "disabled"


class NotFoundOrPrivate(UpstreamError):
    code = "not-found-or-private"


class NotSeen(NotFoundOrPrivate):
    """Not there, and the upstream cannot tell whether all that it has is there: a folder whose disk may be off.

    `doubt` is why, for whoever would take what is published for gone; whoever never had the repo need not know.
    """

    def __init__(self, message: str, doubt: str = "") -> None:
        super().__init__(message)
        self.doubt = doubt

    @property
    def with_doubt(self) -> str:
        return f"{self} ({self.doubt})" if self.doubt else str(self)


class NoSuchCall(UpstreamError):
    """Of something beside a repo's files, which mirrors of the Hub may not know: it says nothing of the repo."""

    code = "no-such-call"


class RevisionNotFound(UpstreamError):
    code = "revision-not-found"


class FileNotFound(UpstreamError):
    code = "file-not-found"


class Unsigned(UpstreamError):
    """What another mirror publishes is not signed, or not by a key that jobs.yaml names for it."""

    code = "unsigned"


class MirrorLoop(UpstreamError):
    """The upstream is this mirror itself, or mirrors it."""

    code = "loop"


class PointerOnly(UpstreamError):
    """The upstream knows what a file must be, and has an LFS pointer in its place."""

    code = "pointer-only"


class IntegrityError(MirrorError):
    """Bytes that are not the promised ones. `expected` and `actual` are digests or sizes in bytes."""

    code = "integrity"
    retryable = True

    def __init__(self, path: str, expected: str, actual: str) -> None:
        shown = path if path.isprintable() else ascii(path)[1:-1]
        super().__init__(f"{shown}: expected {expected}, got {actual}")
        self.path, self.expected, self.actual = path, expected, actual


class UnsafePath(MirrorError):
    code = "unsafe-path"

    def __init__(self, path: str, why: str) -> None:
        shown = ascii(path if len(path) <= _SHOWN else f"{path[:_SHOWN]}...")
        super().__init__(f"path name {shown}: {why}")
        self.path = path


class StoreError(MirrorError):
    """Something a target answered, or did not."""

    code = "target"


class StoreUnavailable(StoreError):
    code = "target-unavailable"
    retryable = True


class PruneConflict(StoreUnavailable):
    """`lost` blobs are gone, or with 0 the snapshot that this one builds on: the repo must be decided anew."""

    def __init__(self, repo: object, lost: int = 0) -> None:
        what = f"{lost} blobs" if lost else "the snapshot that it builds on"
        super().__init__(f"{repo}: a prune removed {what} while a snapshot was being published; try again")


class StoreDenied(StoreError):
    code = "target-denied"


class StoreFull(StoreError):
    code = "target-full"


class Vanished(StoreError):
    """The target answers, and what this machine remembers to have published in it is not there."""

    code = "vanished"


class NotRecorded(StoreError):
    """An act that cannot be written into the audit: it was not done."""

    code = "not-recorded"


class BlobFrozen(StoreError):
    """The blob is there, in a class of storage that gives no bytes before somebody has had it restored."""

    code = "target-frozen"

    def __init__(self, where: str) -> None:
        super().__init__(
            f"{where}: it lies in a class of storage that gives nothing before it is restored: mirror-sync thaw REPO"
        )


class KeyMissing(StoreError):
    code = "target-key-missing"

    def __init__(self, key: str) -> None:
        super().__init__(f"nothing is stored under {key}")
        self.key = key


class DocumentError(MirrorError):
    code = "document"


class NewerFormat(DocumentError):
    """Not a damaged document: nobody may write it anew, or take what it names for unused."""


class SigningError(MirrorError):
    code = "signing"


class ClusterError(MirrorError):
    code = "cluster"
    retryable = True


class SelectionConflict(MirrorError):
    code = "selection-conflict"


class Interrupted(MirrorError):
    code = "interrupted"


MAY_PASS = frozenset(
    error.code for error in (Unreachable, RateLimited, BadAnswer, IntegrityError, StoreUnavailable, ClusterError)
)
"""The codes of the errors after which the same may succeed later."""


def cause_of(error: BaseException) -> str:
    """Why a request got no answer, in a few words: what went wrong first in it.

    What is handled meanwhile, an error of ours, is of the request before, and has no part in this one.
    """
    while (deeper := error.__cause__ or error.__context__) is not None and not isinstance(deeper, MirrorError):
        error = deeper
    if isinstance(error, TimeoutError):
        return "timed out"
    if isinstance(error, ConnectionResetError | BrokenPipeError):
        return "it closed the connection"
    reason = getattr(error, "verify_message", None) or getattr(error, "strerror", None)
    return str(reason or type(error).__name__)
