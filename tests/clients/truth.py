"""What a client must find at a mirror. Crosses to the client's environment as JSON; standard library only."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

Kind = Literal["model", "dataset", "space", "kernel"]


@dataclass(frozen=True)
class FileTruth:
    """One file: its length in bytes, its content's SHA-256, and the ETag the Hub gives it."""

    size: int
    sha256: str
    etag: str
    """The SHA-256 for LFS files, else the git blob id: it becomes the file's name in a client's cache."""

    def check(self, path: Path) -> None:
        """Raises AssertionError, saying what differs, unless the file on disk is this one."""
        content = path.read_bytes()
        assert len(content) == self.size, f"{path.name}: {len(content)} bytes instead of {self.size}"
        actual = hashlib.sha256(content).hexdigest()
        assert actual == self.sha256, f"{path.name}: sha256 {actual} instead of {self.sha256}"


@dataclass(frozen=True)
class RepoTruth:
    """One repo at one revision, with the refs that the mirror offers of it."""

    id: str
    kind: Kind
    revision: str
    commit: str
    license: str
    files: Mapping[str, FileTruth]
    branches: Mapping[str, str] = field(default_factory=dict)
    """Name -> commit id."""
    tags: Mapping[str, str] = field(default_factory=dict)

    def folder(self, prefix: str) -> dict[str, FileTruth]:
        """The files below a folder."""
        return {path: file for path, file in self.files.items() if path.startswith(f"{prefix}/")}

    def folders(self) -> set[str]:
        """Every folder that has a file below it."""
        parents = (path.rpartition("/")[0] for path in self.files)
        return {folder for parent in parents if parent for folder in _self_and_above(parent)}

    def biggest(self) -> str:
        """The path of the biggest file."""
        return max(self.files, key=lambda path: self.files[path].size)


@dataclass(frozen=True)
class Truth:
    """Everything the client suite knows of a mirror."""

    model: RepoTruth
    """A model on main: a tokenizer, odd file names, one file of 24 MiB."""
    tagged: RepoTruth
    """The same model at a tag that names an older commit."""
    dataset: RepoTruth
    """The same small table as csv, jsonl and parquet; two configurations, of the parquet file."""
    many: RepoTruth
    """A model of more files than fit on one page of a listing."""
    rows: tuple[Mapping[str, Any], ...]
    """The rows of the table."""

    def to_json(self) -> str:
        """This truth as text."""
        return json.dumps(asdict(self), ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str) -> Truth:
        """The truth `to_json` wrote."""
        fields = json.loads(text)
        repos = {name: _repo(fields[name]) for name in ("model", "tagged", "dataset", "many")}
        return cls(**repos, rows=tuple(fields["rows"]))


def _repo(fields: dict[str, Any]) -> RepoTruth:
    files = {path: FileTruth(**file) for path, file in fields["files"].items()}
    return RepoTruth(**{**fields, "files": files})


def _self_and_above(folder: str) -> list[str]:
    parts = folder.split("/")
    return ["/".join(parts[: end + 1]) for end in range(len(parts))]
