"""Repos from folders on disk and from a YAML file.

The file::

    repos:
      - {id: acme/tiny, kind: model, license: mit, folder: ./tiny}
      - id: acme/made
        gated: auto
        commits:
          - {title: first, files: {config.json: "{}", model.bin: {size: 20000, seed: 1, lfs: true}}}
        tags: [v1]
    tokens:
      hf_secret: {user: alice, approved: [acme/made]}
"""

from __future__ import annotations

from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import yaml

from .content import Disk
from .control import file_from_json
from .hub import Hub
from .repo import Repo
from .tree import File

LFS_FROM = 10 << 20
"""Bytes from which a file of any name is LFS."""
LFS_NAMES = (
    *("*.safetensors", "*.bin", "*.onnx", "*.parquet", "*.gz", "*.pt", "*.pth", "*.h5", "*.msgpack", "*.ot"),
    *("*.zip", "*.tar", "*.arrow", "*.gguf", "*.npy", "*.npz", "*.pkl", "*.model", "*.xz", "*.zst"),
)
"""What the Hub's usual .gitattributes stores as LFS."""


def folder_files(folder: Path) -> dict[str, File]:
    """Return the files below a folder by their POSIX path, LFS where the Hub would store them so."""
    if not folder.is_dir():
        raise NotADirectoryError(folder)
    found = sorted(path for path in folder.rglob("*") if path.is_file() and ".git" not in path.parts)
    return {path.relative_to(folder).as_posix(): _file(path) for path in found}


def add_folder(hub: Hub, spec: str) -> Repo:
    """Add a repo from ``[dataset:]org/name=DIR[,license=apache-2.0]``."""
    named, _, rest = spec.partition("=")
    folder, _, licence = rest.partition(",license=")
    kind, colon, repo_id = named.rpartition(":")
    facts: dict[str, Any] = {"id": repo_id, "kind": kind if colon else "model", "folder": folder}
    return add_repo(hub, facts | ({"license": licence} if licence else {}), Path())


def add_repo(hub: Hub, facts: dict[str, Any], base: Path) -> Repo:
    """Add a repo as the YAML file describes one; ``folder`` is relative to ``base``."""
    facts = dict(facts)
    repo_id, make = facts.pop("id"), hub.dataset if facts.pop("kind", "model") == "dataset" else hub.model
    folder, commits, tags = facts.pop("folder", None), facts.pop("commits", []), facts.pop("tags", [])
    repo = make(repo_id, **facts)
    if folder is not None:
        repo.commit(folder_files(base / folder), title="Initial commit")
    for commit in commits:
        files = {path: file_from_json(value) for path, value in commit.get("files", {}).items()}
        repo.commit(files, **{name: value for name, value in commit.items() if name != "files"})
    for tag in tags:
        repo.tag(tag)
    return repo


def add_spec(hub: Hub, path: Path) -> None:
    """Add the repos and tokens of a YAML file."""
    spec = yaml.safe_load(path.read_text())
    for facts in spec.get("repos", []):
        add_repo(hub, facts, path.parent)
    for secret, facts in (spec.get("tokens") or {}).items():
        hub.token(secret, **(facts or {}))


def _file(path: Path) -> File:
    big = path.stat().st_size > LFS_FROM
    return File(Disk(path), lfs=big or any(fnmatch(path.name, pattern) for pattern in LFS_NAMES))
