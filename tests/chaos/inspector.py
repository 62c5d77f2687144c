"""Reads one published snapshot to its last byte and compares it with the truth."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Any

from tests.chaos.ledger import Ledger
from tests.chaos.shelf import Shelf
from tests.chaos.tally import LOST, MIXED, WRONG
from tests.chaos.truth import Bytes, Files, RepoName, Truth

REHASHED = 0.1
"""The share of contents that are hashed again although nothing has touched them since they were right."""
HISTORY = 50
"""The commits of a page of the Hub's."""


class Problem(Exception):
    """A snapshot is not what it must be: what kind of finding (empty: something is missing), and what was seen."""

    def __init__(self, kind: str, seen: str) -> None:
        super().__init__(kind, seen)
        self.kind, self.seen = kind, seen


@dataclass
class Inspector:
    """Reads snapshots of one target. `whole` are commits that were complete once. Safe for many threads."""

    shelf: Shelf
    truth: Truth
    dice: Random
    whole: set[tuple[RepoName, str]] = field(default_factory=set)
    _right: dict[str, str] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def read(self, repo: RepoName, commit: str, root: str, *, all_bytes: bool = False) -> None:
        """Raise Problem unless the snapshot under this root is the commit, whole and exact; Unreadable.

        `all_bytes`: trust nothing that was hashed before.
        """
        files = self.truth.files(repo, commit)
        if files is None:
            raise Problem(MIXED, f"{repo.in_jobs}: there never was a commit {commit}")
        place = f"{repo.in_jobs} at {commit}"
        listed = self._listing(place, commit, root)
        self._compare(place, listed, files)
        marks = self.shelf.marks([key_of(content.sha256) for content in files.values()])
        for path, content in files.items():
            mark = marks.get(key_of(content.sha256))
            if all_bytes or self._right.get(content.sha256, "") != mark or self.dice.random() < REHASHED:
                self._check(f"{place}, {path}", content)
        with self._lock:
            self.whole.add((repo, commit))

    def kind_of_gap(self, repo: RepoName, commit: str) -> str:
        """What it is called when something of a commit is not there."""
        return LOST if (repo, commit) in self.whole else MIXED

    def _listing(self, place: str, commit: str, root: str) -> Mapping[str, Bytes]:
        """What the documents of a snapshot say, each proved by its digest."""
        top = self._document(place, root)
        if top["commit"] != commit:
            raise Problem(MIXED, f"{place}: its root is of commit {top['commit']}")
        info = self._document(place, top["info"])
        self._check_history(place, commit, top["last"], self._document(place, top["commits"]))
        entries = [entry for _, digest in top["shards"] for entry in self._document(place, digest)]
        listed = {one["path"]: _listed(place, one) for one in entries if one["type"] == "file"}
        siblings = {one["rfilename"]: one for one in info["siblings"]}
        if info["sha"] != commit or siblings.keys() != listed.keys():
            seen = f"{info['sha']}, {siblings.keys() ^ listed.keys()}"
            raise Problem(MIXED, f"{place}: info and listing disagree ({seen})")
        other = [path for path, one in siblings.items() if "size" in one and _sibling(one) != _in_info(listed[path])]
        if other:
            raise Problem(WRONG, f"{place}: info and listing say different things of {other[:3]}")
        return listed

    def _check_history(self, place: str, commit: str, last: Mapping[str, str], commits: Any) -> None:
        """The newest commits, as they were made; where the upstream told of none, the commit alone, without a title."""
        told, true = [one["id"] for one in commits], self.truth.history(commit)[:HISTORY]
        untold = told == [commit] and not commits[0]["title"]
        if last["id"] != commit or (told != true and not untold):
            raise Problem(WRONG, f"{place}: its history is {told[:3]} ({len(told)}), last {last['id']}, not {true[:3]}")

    def _document(self, place: str, digest: str) -> Any:
        body = self.shelf.get(key_of(digest))
        if body is None:
            raise Problem("", f"{place}: its document {digest} is missing")
        if hashlib.sha256(body).hexdigest() != digest:
            raise Problem(WRONG, f"{place}: its document {digest} has other bytes")
        return json.loads(body)

    def _compare(self, place: str, listed: Mapping[str, Bytes], files: Files) -> None:
        if listed == files:
            return
        more, fewer = sorted(listed.keys() - files.keys()), sorted(files.keys() - listed.keys())
        other = [path for path in listed.keys() & files.keys() if listed[path] != files[path]]
        if not more and not fewer and all(_same_bytes(listed[path], files[path]) for path in other):
            path = other[0]
            raise Problem(WRONG, f"{place}: git's words of {path} are {listed[path]}, not {files[path]}")
        raise Problem(MIXED, f"{place}: too many {more[:3]}, missing {fewer[:3]}, of another commit {other[:3]}")

    def _check(self, place: str, content: Bytes) -> None:
        found = self.shelf.found(key_of(content.sha256))
        if found is None:
            raise Problem("", f"{place}: its blob {content.sha256} is missing")
        if (found.size, found.sha256) != (content.size, content.sha256):
            raise Problem(WRONG, f"{place}: {found.size} bytes, {found.sha256}, instead of {content}")
        with self._lock:
            self._right[content.sha256] = found.mark


def _listed(place: str, entry: Mapping[str, Any]) -> Bytes:
    """What an entry of the tree says; its `lfs` must say the same again."""
    lfs = entry.get("lfs")
    if lfs is not None and (lfs["oid"], lfs["size"]) != (entry["sha256"], entry["size"]):
        raise Problem(WRONG, f"{place}: {entry['path']} is another file by its lfs: {entry}")
    return Bytes(entry["size"], entry["sha256"], entry["oid"], None if lfs is None else lfs["pointerSize"])


def _sibling(entry: Mapping[str, Any]) -> tuple[object, ...]:
    lfs = entry.get("lfs")
    return entry["size"], entry["blobId"], lfs and (lfs["sha256"], lfs["size"], lfs["pointerSize"])


def _in_info(content: Bytes) -> tuple[object, ...]:
    """What the info of a snapshot says of a content: the SHA-256 of LFS files alone."""
    lfs = None if content.pointer_size is None else (content.sha256, content.size, content.pointer_size)
    return content.size, content.oid, lfs


def _same_bytes(one: Bytes, other: Bytes) -> bool:
    return (one.size, one.sha256) == (other.size, other.sha256)


def key_of(digest: str) -> str:
    """Where a target keeps the content with this digest."""
    return f"blobs/sha256/{digest[:2]}/{digest}"


def judge(ledger: Ledger, inspector: Inspector, repo: RepoName, commit: str, *, all_bytes: bool = False) -> bool:
    """Whether a published commit is whole. What is not is said, unless it was un-published, rightly, meanwhile."""
    root = ledger.look(repo).roots.get(commit)
    if root is None:
        return False
    try:
        inspector.read(repo, commit, root, all_bytes=all_bytes)
    except Problem as problem:
        if ledger.look(repo).roots.get(commit) == root:
            ledger.say(problem.kind or inspector.kind_of_gap(repo, commit), problem.seen)
        return False
    return True
