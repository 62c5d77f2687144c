"""The Hub's JSON, which may be anything, as domain values. ValueError, KeyError or TypeError for what does not fit.

Shapes: https://huggingface.co/.well-known/openapi.json and huggingface_hub.hf_api.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from huggingface_hub.hf_api import GitRefInfo, RepoFile

from mirror_sync.domain.digest import CommitId, GitOid, Sha256
from mirror_sync.domain.manifest import RemoteFile
from mirror_sync.domain.policy import Terms, terms_from_card
from mirror_sync.domain.refs import Ref
from mirror_sync.domain.repo import Kind, Repo
from mirror_sync.domain.upstream import Commit, Resolved

_COMMON = ("author", "cardData", "createdAt", "disabled", "gated", "lastModified", "private", "sha", "tags")
PROPERTIES: Mapping[Kind, tuple[str, ...]] = {
    Kind.MODEL: (
        *_COMMON,
        *("config", "gguf", "library_name", "mask_token", "model-index", "pipeline_tag"),
        *("safetensors", "transformersInfo", "widgetData"),
    ),
    Kind.DATASET: (*_COMMON, "citation", "description", "paperswithcode_id"),
}
"""What we ask of a repo, in lists and alone: all that clients want in an info answer, and no counters."""
_NAMES = ("_id", "id", "modelId")
_NOT_DESCRIBED = {"sha"}  # the front answers it from the revision that is asked of it
_T = TypeVar("_T")


def resolved_of(asked: Repo, item: Any) -> Resolved:
    """A repo's info answer, alone or out of a list."""
    item = _typed(item, dict)
    kept = [name for name in (*_NAMES, *PROPERTIES[asked.kind]) if name not in _NOT_DESCRIBED]
    return Resolved(
        asked=asked,
        current=Repo(asked.kind, _typed(item["id"], str)),
        commit=CommitId(_typed(item["sha"], str)),
        terms=_terms_of(item),
        described={name: item[name] for name in kept if name in item},
    )


def file_of(entry: RepoFile) -> RemoteFile:
    """A file of a tree listing. UnsafePath for a name that must not be published."""
    lfs, size = entry.lfs, _typed(entry.size, int)
    if lfs is not None and lfs.size != size:
        raise ValueError(f"a file of {size} bytes whose LFS object has {lfs.size!r}")
    return RemoteFile(
        path=_typed(entry.path, str),
        size=size,
        oid=GitOid(_typed(entry.blob_id, str)),
        sha256=None if lfs is None else Sha256(_typed(lfs.sha256, str)),
        pointer_size=None if lfs is None else _typed(lfs.pointer_size, int),
    )


def ref_of(group: str, entry: GitRefInfo) -> Ref:
    """A branch or a tag; `group` is the list it stands in."""
    return Ref(group, _typed(entry.name, str), _typed(entry.ref, str), CommitId(_typed(entry.target_commit, str)))


def commit_of(item: Any) -> Commit:
    """An entry of a repo's history."""
    return Commit(
        id=CommitId(_typed(item["id"], str)),
        title=_typed(item["title"], str),
        date=_typed(item["date"], str),
        message=_typed(item.get("message") or "", str),
        authors=tuple(_typed(author["user"], str) for author in item.get("authors") or ()),
    )


def _terms_of(item: dict[str, Any]) -> Terms:
    card, tags = item.get("cardData"), item.get("tags")
    return terms_from_card(
        _typed(card if card is not None else {}, dict),
        [_typed(tag, str) for tag in _typed(tags if tags is not None else [], list)],
        gated=bool(item.get("gated")),
        private=bool(item.get("private")),
        disabled=bool(item.get("disabled")),
    )


def _typed(value: Any, kind: type[_T]) -> _T:
    if not isinstance(value, kind) or isinstance(value, bool):
        raise TypeError(f"{kind.__name__} expected, got {str(value)[:80]!r}")
    return value
