"""`list`, `search` and `info`: what a mirror has."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any

import typer

from mirror_sync.cli.at_a_mirror import From, NamedRepo, reading, repo_and_revision
from mirror_sync.cli.invocation import Invocation
from mirror_sync.cli.options import Json, command
from mirror_sync.errors import UsageError

_TOLD = ("sha", "lastModified", "pipeline_tag", "library_name", "private", "gated", "tags")
_LICENSE = "license:"


@command
def list_repos(invocation: Invocation, source: From = None, as_json: Json = False) -> None:
    """Name what a mirror has."""
    _answer(invocation, source, (), as_json=as_json)


@command
def search(
    invocation: Invocation,
    words: Annotated[list[str], typer.Argument(metavar="WORD", help="In the name, a tag, the task or the library.")],
    source: From = None,
    as_json: Json = False,
) -> None:
    """Name what a mirror has of which all words are said."""
    _answer(invocation, source, tuple(words), as_json=as_json)


@command
def info(invocation: Invocation, repo: NamedRepo, source: From = None, as_json: Json = False) -> None:
    """Say what a mirror has of a repo."""
    wanted, revision = repo_and_revision(repo)
    with reading(invocation, source) as mirror:
        opened = mirror.opened(wanted, revision)
        names = {ref.ref: ref.target for ref in mirror.refs(wanted)}
    root = opened.root
    found = _Found(
        {
            "repo": str(wanted),
            "revision": revision,
            "commit": root.commit,
            "root": opened.digest,
            "title": root.last.get("title", ""),
            "date": root.last.get("date", ""),
            "files": root.files,
            "bytes": root.size,
            "verdicts": [{"rule": one.rule, "outcome": one.outcome, "reason": one.reason} for one in root.verdicts],
            "attachments": sorted(root.attachments),
            "names": names,
        }
    )
    invocation.answer(found, lambda page: "\n".join(_lines(found.document)), as_json=as_json)


@dataclass(frozen=True, slots=True)
class _Found:
    document: dict[str, Any]

    def encode(self) -> dict[str, Any]:
        return self.document


def _answer(invocation: Invocation, source: str | None, words: tuple[str, ...], *, as_json: bool) -> None:
    if not all(words):
        raise UsageError("a word to search for is empty")
    with reading(invocation, source) as mirror:
        repos = [
            {"repo": str(repo), **{name: item[name] for name in _TOLD if name in item}}
            for repo, item in mirror.published(words)
        ]
    if repos or as_json:
        invocation.answer(_Found({"repos": repos}), lambda page: "\n".join(map(_line, repos)), as_json=as_json)
    else:
        invocation.say(f"nothing there has {' and '.join(words)}" if words else "nothing is published there")


def _line(item: Mapping[str, Any]) -> str:
    """The name first: scripts take that, people read on."""
    tags = item.get("tags")
    licences = (str(tag).removeprefix(_LICENSE) for tag in tags or () if str(tag).startswith(_LICENSE))
    said = (str(item.get("lastModified") or "")[:10], item.get("pipeline_tag"), item.get("library_name"), *licences)
    return "  ".join([str(item["repo"]), *(str(one) for one in said if one)])


def _lines(document: Mapping[str, Any]) -> Iterator[str]:
    yield f"{document['repo']} at {document['revision']}, commit {document['commit']}"
    yield f"{document['date']}  {document['title']}"
    yield f"{document['files']:,} files, {document['bytes']:,} bytes, root {document['root']}"
    yield from (f"{one['rule']}: {one['outcome']}, {one['reason']}" for one in document["verdicts"])
    if document["attachments"]:
        yield f"beside it: {', '.join(document['attachments'])}"
    yield from (f"{name}  {commit}" for name, commit in document["names"].items())
