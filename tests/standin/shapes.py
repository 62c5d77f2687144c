"""The Hub's JSON: repos, tree entries, refs and commits. https://huggingface.co/docs/hub/api"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Any

from .repo import Commit, Repo
from .settings import Kind
from .tree import File, Node

Json = dict[str, Any]


def iso(moment: datetime) -> str:
    """Return a date as the Hub writes it: ``2026-11-20T08:00:00.000Z``."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"


def repo_tags(repo: Repo, card: Any) -> list[str]:
    """Return a repo's tags with the ones the Hub computes."""
    named = card.get("license")
    licenses = [named] if isinstance(named, str) else list(named or [])
    computed = repo.settings.license_tags
    shown = licenses if computed is None else computed
    return [*repo.settings.tags, *_base_tags(card), *(f"license:{name}" for name in shown), "region:us"]


def _base_tags(card: Any) -> list[str]:
    """Of what a repo was made, and how where its card says so: the Hub finds out by itself what is a GGUF, say."""
    named = card.get("base_model") or []
    bases, relation = [named] if isinstance(named, str) else named, card.get("base_model_relation")
    related = [f"base_model:{relation}:{name}" for name in bases] if relation else []
    return [*(f"base_model:{name}" for name in bases), *related]


def lfs_facts(file: File, digest_name: str) -> Json:
    """Return what is known of an LFS file; the digest is ``oid`` in trees and ``sha256`` in siblings."""
    return {digest_name: file.content.sha256, "size": file.size, "pointerSize": len(file.pointer)}


def sibling(path: str, file: File, *, blobs: bool) -> Json:
    """Return one entry of ``siblings``."""
    if not blobs:
        return {"rfilename": path}
    facts: Json = {"rfilename": path, "size": file.size, "blobId": file.oid}
    return facts | ({"lfs": lfs_facts(file, "sha256")} if file.lfs else {})


def entry(node: Node) -> Json:
    """Return one entry of a tree listing."""
    if node.file is None:
        return {"type": "directory", "oid": node.oid, "size": 0, "path": node.path}
    shown: Json = {"type": "file", "oid": node.oid, "size": node.file.size, "path": node.path}
    if node.file.lfs:
        shown["lfs"] = lfs_facts(node.file, "oid")
    if node.file.xet_hash:
        shown["xetHash"] = node.file.xet_hash
    return shown


def expanded_entry(repo: Repo, commit: Commit, node: Node) -> Json:
    """Return one entry of a tree listing with its last commit and, for files, the scanners' verdict."""
    last = commit.last_change(node.path)
    shown = entry(node) | {"lastCommit": {"id": last.id, "title": last.title, "date": iso(last.date)}}
    if node.file is not None:
        level = repo.scan_of(node.path)
        scan = {"status": level}
        shown["securityFileStatus"] = {"status": level, "avScan": scan, "pickleImportScan": None}
    return shown


def scan_facts(repo: Repo) -> Json:
    """Return the scanners' verdict on the newest commit of a repo."""
    newest = repo.find("main")
    there = set() if newest is None else set(newest.tree.files)
    told = [(path, level) for path, level in sorted(repo.scans.items()) if level != "safe" and path in there]
    issues = [{"path": path, "level": level} for path, level in told]
    return {"scansDone": repo.scans_done, "filesWithIssues": issues}


def commit_facts(commit: Commit) -> Json:
    """Return one entry of a list of commits."""
    return {
        "id": commit.id,
        "title": commit.title,
        "message": commit.message,
        "authors": [{"user": commit.author, "avatar": ""}],
        "date": iso(commit.date),
    }


def refs_facts(repo: Repo, *, pull_requests: bool) -> Json:
    """Return the refs of a repo by kind."""

    def below(prefix: str, name_prefix: str = "") -> list[Json]:
        return [
            {"name": name_prefix + ref.removeprefix(prefix), "ref": ref, "targetCommit": target}
            for ref, target in sorted(repo.refs.items())
            if ref.startswith(prefix)
        ]

    shown: Json = {
        "tags": below("refs/tags/"),
        "branches": below("refs/heads/"),
        "converts": below("refs/convert/"),
    }
    return shown | ({"pullRequests": below("refs/pr/", "refs/pr/")} if pull_requests else {})


Fact = Callable[[Repo, Commit | None], Any]


def _card(repo: Repo, commit: Commit | None) -> Any:
    return repo.settings.card if commit is None else repo.card_at(commit)


def _used_storage(_: Repo, commit: Commit | None) -> int:
    files = commit.tree.files.values() if commit else ()
    return sum({file.identity: file.size for file in files if file.lfs}.values())


def _siblings(_: Repo, commit: Commit | None) -> list[Json]:
    return [sibling(path, file, blobs=False) for path, file in sorted(commit.tree.files.items())] if commit else []


FACTS: dict[str, Fact] = {
    "author": lambda repo, _: repo.id.split("/")[0] if "/" in repo.id else None,
    "sha": lambda _, commit: commit.id if commit else None,
    "lastModified": lambda repo, _: iso(repo.last_modified),
    "private": lambda repo, _: repo.settings.private,
    "gated": lambda repo, _: repo.settings.gated,
    "disabled": lambda repo, _: repo.settings.disabled,
    "downloads": lambda repo, _: repo.settings.downloads,
    "downloadsAllTime": lambda repo, _: repo.settings.downloads,
    "likes": lambda repo, _: repo.settings.likes,
    "tags": lambda repo, commit: repo_tags(repo, _card(repo, commit)),
    "cardData": lambda repo, commit: dict(_card(repo, commit)),
    "siblings": _siblings,
    "createdAt": lambda repo, _: iso(repo.settings.created),
    "usedStorage": _used_storage,
    "trendingScore": lambda repo, _: repo.settings.trending,
    "pipeline_tag": lambda repo, commit: _card(repo, commit).get("pipeline_tag"),
    "library_name": lambda repo, commit: _card(repo, commit).get("library_name"),
    "description": lambda *_: "",
}
"""What can be asked of a repo with ``expand``, by name."""

UNKNOWN_FACTS = frozenset(
    {
        *("baseModels", "childrenModelCount", "config", "evalResults", "gguf", "inference", "inferenceProviderMapping"),
        *(
            "datasets",
            "mask_token",
            "model-index",
            "models",
            "resourceGroup",
            "safetensors",
            "sdk",
            "spaces",
            "transformersInfo",
            "widgetData",
        ),
        *("citation", "mainSize", "paperswithcode_id"),
    }
)
"""What the Hub knows and this stand-in leaves out of its answers."""

LACKING: dict[Kind, tuple[str, ...]] = {
    "model": (),
    "dataset": (),
    "space": ("gated", "downloads", "downloadsAllTime"),
    "kernel": (),
}
"""What a kind does not have: `ExpandSpaceProperty_T` of huggingface_hub 2.4."""

INFO_FACTS = (
    *("author", "sha", "lastModified", "private", "gated", "disabled", "downloads", "likes"),
    *("tags", "cardData", "siblings", "createdAt", "usedStorage"),
)
"""What one repo's answer holds when nothing is asked for."""

LIST_FACTS = {
    "model": ("likes", "private", "downloads", "tags", "createdAt"),
    "dataset": (
        *("author", "sha", "lastModified", "gated", "disabled", "description"),
        *("likes", "private", "downloads", "tags", "createdAt"),
    ),
    "space": ("likes", "private", "tags", "createdAt"),
    "kernel": ("author", "sha", "lastModified", "gated", "likes", "private", "downloads"),
}
"""What each entry of a list of repos holds when nothing is asked for."""


def repo_facts(repo: Repo, commit: Commit | None, wanted: Iterable[str]) -> Json:
    """Return a repo's id and the facts ``wanted``; a card that is empty is left out, as on the Hub."""
    number = hashlib.sha256(f"{repo.kind}:{repo.settings.created}:{repo.first_id}".encode()).hexdigest()[:24]
    facts = {name: FACTS[name](repo, commit) for name in wanted if name in FACTS and name not in LACKING[repo.kind]}
    if not facts.get("cardData", True):
        del facts["cardData"]
    return {"_id": number, "id": repo.id, **({"modelId": repo.id} if repo.kind == "model" else {}), **facts}
