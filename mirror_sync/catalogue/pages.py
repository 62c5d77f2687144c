"""The pages of the catalogue, in plain HTML. Links are relative, so that they work on a bare bucket website, too."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from hashlib import sha256
from html import escape

from mirror_sync.domain.catalogue import ListPage, Overview, RepoPage, RepoRow

_CSS = b"body { font-family: sans-serif }\n"
_CSS_NAME = f"catalogue.{sha256(_CSS).hexdigest()[:8]}.css"


def home(overview: Overview, pages: Sequence[ListPage]) -> bytes:
    rows = "".join(_row(row, "") for row in pages[0].rows) if pages else ""
    links = "".join(f'<a href="list/{page.name}.html">{escape(page.first)}</a>\n' for page in pages)
    return _page(overview.name or "mirror-sync", "", f"<table>{rows}</table>\n{links}")


def list_page(page: ListPage, previous: ListPage | None, following: ListPage | None) -> bytes:
    links = "".join(
        f'<a href="{other.name}.html">{escape(other.first)}</a>' for other in (previous, following) if other
    )
    return _page(page.first, "../", f"<table>{''.join(_row(row, '../') for row in page.rows)}</table>{links}")


def repo_page(page: RepoPage) -> bytes:
    files = "".join(f"<li>{escape(file.path)} {file.size} {file.sha256}</li>\n" for file in page.files)
    asked = "".join(f"<li>{escape(one.job)}: {escape(one.state)} {escape(one.reason)}</li>" for one in page.asked)
    return _page(page.row.repo, "../", f"<p>{escape(page.verdict)}</p><ul>{asked}</ul><ul>{files}</ul>")


def mirror_page(overview: Overview) -> bytes:
    jobs = "".join(f"<li>{escape(job.name)} {escape(job.last_state)} {job.next_run}</li>" for job in overview.jobs)
    return _page("Mirror", "", f"<p>{overview.at}</p><ul>{jobs}</ul>")


def assets() -> Mapping[str, bytes]:
    return {_CSS_NAME: _CSS}


def _row(row: RepoRow, up: str) -> str:
    href = f"{up}{row.kind.plural}/{row.repo.replace('/', '--')}.html"
    return f'<tr><td><a href="{href}">{escape(row.repo)}</a><td>{escape(row.state)}<td>{row.bytes}</tr>\n'


def _page(title: str, up: str, body: str) -> bytes:
    head = f'<meta charset="utf-8"><title>{escape(title)}</title><link rel="stylesheet" href="{up}assets/{_CSS_NAME}">'
    return f'<!doctype html><html lang="en">{head}<h1>{escape(title)}</h1>{body}</html>\n'.encode()
