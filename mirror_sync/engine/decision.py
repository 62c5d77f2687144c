"""What a decision is, before anything of it is done."""

from __future__ import annotations

from dataclasses import dataclass

from mirror_sync.domain.content.manifest import Content, Manifest
from mirror_sync.domain.content.plan import Plan
from mirror_sync.domain.content.refs import Refs
from mirror_sync.domain.content.selection import LeftOut
from mirror_sync.domain.content.snapshot import Root
from mirror_sync.domain.content.upstream import Resolved
from mirror_sync.domain.digest import Sha256
from mirror_sync.domain.outcome.report import SECOND_HAND, RepoOutcome
from mirror_sync.domain.policy.rules import Verdict
from mirror_sync.errors import MirrorError


@dataclass(frozen=True, slots=True)
class Edit:
    """A change of refs.json that publishes nothing: it is made only where `before` still stands there."""

    before: Refs
    after: Refs

    @classmethod
    def between(cls, before: Refs, after: Refs) -> Edit | None:
        return None if before == after else cls(before, after)


@dataclass(frozen=True, slots=True)
class NoChange:
    """Nothing to transfer: unchanged, refused or held, with the reason."""

    outcome: RepoOutcome
    commit: str | None
    reason: str
    code: str
    files: int = 0
    size: int = 0  # bytes of all files
    edit: Edit | None = None


@dataclass(frozen=True, slots=True)
class Seen:
    """A revision that has to be compared: what the upstream said of it, and what refs.json said then."""

    resolved: Resolved
    refs: Refs


@dataclass(frozen=True, slots=True)
class Base:
    """The published snapshot that a commit is compared with; `digest` is that of its root."""

    digest: Sha256
    root: Root
    manifest: Manifest

    @property
    def digests(self) -> frozenset[Sha256]:
        """All that it names, itself included."""
        return frozenset((self.digest, *self.root.documents, *(file.sha256 for file in self.manifest.values())))


@dataclass(frozen=True, slots=True)
class Change:
    """A commit to be published, of `files` and `size` bytes in all.

    `root` is set when its snapshot exists already and only a ref must move.

    `relies_on` is the published snapshot whose blobs are taken for granted: the base, or the commit's own. `left` is
    what the selection leaves out, `remark` what a report should say of the change, in one line.
    """

    resolved: Resolved
    verdict: Verdict
    base: Manifest
    plan: Plan
    present: dict[Content, Sha256]
    known_documents: frozenset[Sha256]
    root: Sha256 | None = None
    files: int = 0
    size: int = 0
    relies_on: Base | None = None
    left: tuple[LeftOut, ...] = ()
    remark: str = ""

    @property
    def reuse_files(self) -> int:
        return self.files - len(self.plan.fetch)

    @property
    def reuse_bytes(self) -> int:
        return self.size - self.plan.fetch_bytes


def held(commit: str | None, why: str, code: str) -> NoChange:
    return NoChange(RepoOutcome.HELD, commit, f"{why}; the snapshot published before stays", code)


def failure(error: MirrorError) -> NoChange:
    return NoChange(RepoOutcome.FAILED, None, str(error), error.code)


def internal_failure(error: Exception) -> NoChange:
    reason = f"internal error, a fault of this program ({type(error).__name__}: {error}); --debug logs its traceback"
    return NoChange(RepoOutcome.FAILED, None, reason, "internal")


def remarks(resolved: Resolved) -> str:
    """What a report adds of a repo that is well."""
    renamed = f"renamed upstream to {resolved.current}" if resolved.renamed else ""
    stead = resolved.stead
    told = f"as {stead.endpoint} has it, while the first of endpoints did not answer" if stead and stead.silent else ""
    return "; ".join(filter(None, (renamed, resolved.remark, told)))


def second_hand(resolved: Resolved) -> str:
    """The code of a report of what the first endpoint, which alone knows, could not be asked for."""
    return SECOND_HAND if resolved.stead is not None and resolved.stead.silent else ""
