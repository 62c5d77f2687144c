"""refs.json, by which alone a repo is published: which commits are mirrored, and under which names.

It is the Hub's answer to `/api/{kind}s/{id}/refs`, restricted to what is mirrored, plus
`"snapshots": {"<commit>": "<SHA-256 of its root document>"}` and, for a repo that its upstream no longer gives,
`"gone"` (see gone.py). One PUT of it publishes or un-publishes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from mirror_sync.domain.bounds import text
from mirror_sync.domain.digest import CommitId, Sha256
from mirror_sync.domain.policy.gone import Gone
from mirror_sync.errors import DocumentError

DEFAULT_BRANCH = "main"
HEAD = "HEAD"  # git's name for the default branch, by which clients in JavaScript ask
_SHORT = ("branches", "tags")
_GROUPS = (*_SHORT, "converts", "pullRequests")
LONGEST_NAME = 255  # bytes: a client's cache has a file of that name, and most file systems know none longer
_NEVER = re.compile(r"[\x00-\x20\x7f~^:?*\[\\]|\.\.|@\{|//")
_FULL_NAMES = {"refs/heads/": "branches", "refs/tags/": "tags", "refs/convert/": "converts", "refs/pr/": "pullRequests"}


def name_fault(name: str) -> str:
    """Why no branch or tag may be called so, by a short name or a full one; empty where it may.

    The rules are those of git-check-ref-format(1) and, since a name is shown and stands in commands to copy, two more:
    every character can be seen, and it is no longer than LONGEST_NAME.
    """
    if len(name.encode(errors="replace")) > LONGEST_NAME:
        return f"it is longer than {LONGEST_NAME} bytes"
    if not name.isprintable():
        return "it has characters that nobody sees"
    parts = name.split("/")
    odd_part = any(not part or part.startswith(".") or part.endswith(".lock") for part in parts)
    if _NEVER.search(name) or odd_part or name.startswith("-") or name.endswith(".") or name == "@":
        return "git knows no such name (git check-ref-format)"
    return ""


@dataclass(frozen=True, slots=True, order=True)
class Ref:
    """A mutable name of a commit: `name` main, `ref` refs/heads/main; `group` is the Hub's list it stands in."""

    group: str
    name: str
    ref: str
    target: CommitId

    @property
    def shortest(self) -> str:
        """The shortest name that leads here: conversions and pull requests have their full one alone, as on the Hub."""
        return self.name if self.group in _SHORT else self.ref

    @classmethod
    def of_full_name(cls, ref: str, target: CommitId) -> Ref | None:
        """`refs/convert/parquet` and the like say by themselves what they are; None for a short name."""
        for prefix, group in _FULL_NAMES.items():
            if ref.startswith(prefix):
                return cls(group, ref.removeprefix(prefix), ref, target)
        return None


def refs_named(refs: Iterable[Ref], revision: str) -> list[Ref]:
    """What a name may stand for, the best first: a full name, a branch, a tag; see decision 0015."""
    asked = f"refs/heads/{DEFAULT_BRANCH}" if revision == HEAD else revision
    found = [ref for ref in refs if asked in (ref.ref, ref.shortest)]
    return sorted(found, key=lambda ref: (ref.ref != asked, _GROUPS.index(ref.group)))


@dataclass(frozen=True, slots=True)
class Refs:
    """The names and snapshots of one mirrored repo."""

    refs: tuple[Ref, ...] = ()
    snapshots: dict[CommitId, Sha256] = field(default_factory=dict)
    gone: Gone | None = None

    def commit_of(self, revision: str) -> CommitId | None:
        """The mirrored commit that a branch, tag, full ref name, HEAD or commit id stands for."""
        if CommitId.matches(revision):
            return CommitId(revision) if revision in self.snapshots else None
        return next((ref.target for ref in refs_named(self.refs, revision) if ref.target in self.snapshots), None)

    def root_of(self, revision: str) -> Sha256 | None:
        commit = self.commit_of(revision)
        return None if commit is None else self.snapshots[commit]

    def names_of(self, commit: CommitId) -> tuple[str, ...]:
        """The names that stand for a commit, and its id."""
        return (*(ref.shortest for ref in self.refs if ref.target == commit), commit)

    def with_snapshot(self, commit: CommitId, root: Sha256, ref: Ref | None) -> Refs:
        """Publish a snapshot, and move `ref` onto it; a mirrored commit stays readable by its id.

        A repo of which something is published anew is not gone.
        """
        kept = [known for known in self.refs if ref is None or (known.group, known.name) != (ref.group, ref.name)]
        refs = tuple(sorted(kept if ref is None else [*kept, ref]))
        return replace(self, refs=refs, snapshots={**self.snapshots, commit: root}, gone=None)

    def without(self, commits: Collection[CommitId]) -> Refs:
        """Un-publish some commits, and the names that stand for them."""
        kept = {commit: root for commit, root in self.snapshots.items() if commit not in commits}
        return replace(self, refs=tuple(ref for ref in self.refs if ref.target not in commits), snapshots=kept)

    def noting(self, gone: Gone | None) -> Refs:
        """Remember, or forget, that the upstream no longer gives the repo."""
        return replace(self, gone=gone)

    def withdrawn(self, gone: Gone | None) -> Refs:
        """Un-publish everything."""
        return Refs(gone=gone)

    def encode(self) -> bytes:
        """DocumentError for a name with half a character, which no file can hold."""
        document: dict[str, Any] = {group: [] for group in _GROUPS}
        for ref in self.refs:
            document[ref.group].append({"name": ref.name, "ref": ref.ref, "targetCommit": ref.target})
        document["snapshots"] = dict(sorted(self.snapshots.items()))
        if self.gone is not None:
            document["gone"] = self.gone.encode()
        try:
            return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()
        except UnicodeEncodeError as error:
            raise DocumentError(f"the name of a ref cannot be written: {ascii(error.object)[:120]}") from error

    @classmethod
    def decode(cls, body: bytes) -> Refs:
        """DocumentError when the bytes are no refs.json."""
        try:
            document = json.loads(body.decode())
            refs = tuple(
                Ref(group, text(item["name"]), text(item["ref"]), CommitId(item["targetCommit"]))
                for group in _GROUPS
                for item in document[group]
            )
            snapshots = {CommitId(commit): Sha256(root) for commit, root in document["snapshots"].items()}
            gone = Gone.decode(document["gone"]) if document.get("gone") else None
        except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
            raise DocumentError(f"not a refs.json: {error!r}") from error
        return cls(refs, snapshots, gone)
