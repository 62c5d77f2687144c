"""Documents as a program of format 1 wrote them: what is published, brought back to that format."""

from __future__ import annotations

import json
from typing import Any

from mirror_sync.domain.content.keys import blob_key, refs_key
from mirror_sync.domain.content.refs import GROUPS, Refs
from mirror_sync.domain.content.snapshot import Document, Root
from mirror_sync.domain.digest import CommitId, Sha256
from mirror_sync.domain.repo import Repo
from mirror_sync.ports.store import Store, read_document, read_refs_json


def first_root(root: Root) -> bytes:
    """A root document of format 1."""
    document: dict[str, Any] = json.loads(root.encode().body)
    document["format"] = 1
    (verdict,) = document.pop("verdicts")
    assert document.pop("attachments") == {}, "format 1 has none"
    before = ("format", "repo", "commit", "last", "info", "commits", "selection", "left")
    head = {name: document.pop(name) for name in before if name in document}
    return Document.of_json(
        head | {"license": {"outcome": verdict["outcome"], "reason": verdict["reason"]}} | document
    ).body


def first_refs(refs: Refs, snapshots: dict[CommitId, Sha256]) -> bytes:
    """A refs.json of format 1 with these snapshots."""
    document: dict[str, Any] = json.loads(refs.encode())
    assert document["channels"] == {}, "format 1 has none"
    first = {group: document[group] for group in GROUPS} | {"snapshots": dict(sorted(snapshots.items()))}
    if "absent" in document:
        first["gone"] = document["absent"]
    return json.dumps(first, ensure_ascii=False, separators=(",", ":")).encode()


def back_to_format_1(store: Store, repo: Repo) -> Refs:
    """Let a target publish a repo as a program of format 1 would have; returns the refs as they are read now."""
    refs = Refs.decode(read_refs_json(store, repo))
    snapshots = {}
    for commit, digest in refs.snapshots.items():
        root = Root.decode(read_document(store, digest))
        body = first_root(root)
        snapshots[commit] = Sha256.of(body)
        if root.format != 1:  # one that was brought back before keeps its age
            store.put(blob_key(snapshots[commit]), body, snapshots[commit])
            store.delete([blob_key(digest)])
    body = first_refs(refs, snapshots)
    store.put(refs_key(repo), body, Sha256.of(body))
    return Refs.decode(body)
