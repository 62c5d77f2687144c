"""A repo's page in a browser, at each front over each target: what its script asks for is what the front gives."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from mirror_sync.catalogue import pages
from mirror_sync.domain.catalogue.relations import encode_relations
from mirror_sync.domain.catalogue.rows import RepoPage, RepoRow, ShownFile, ShownSnapshot
from mirror_sync.domain.content.keys import site_key
from mirror_sync.domain.digest import Sha256
from mirror_sync.domain.repo import Kind
from tests.catalogue import examples
from tests.front.bucket import model
from tests.front.mirrors import Mirror
from tests.requirements import need

if TYPE_CHECKING:
    from tests.catalogue.reader import Reader

MOMENT = "2026-11-20T08:00:00Z"


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reader]:
    need("chromium")
    from tests.catalogue.browser import chromium
    from tests.catalogue.reader import Reader

    with chromium(tmp_path_factory.mktemp("chromium")) as running:
        yield Reader(running)


def put(mirror: Mirror, name: str, body: bytes) -> None:
    mirror.store.put(site_key(name), body, Sha256.of(body))


def test_a_page_looks_into_a_file_and_compares_two_versions_at_its_own_front(mirror: Mirror, reader: Reader) -> None:
    repo = model(mirror.store, "acme/looked-at")
    files = {"a b/config.json": b'{"n":1}', "old.txt": b"old"}
    before = repo.publish(files)
    after = repo.publish({"a b/config.json": b'{"n":2}', "new.txt": "中".encode() * 100_000})
    shots = tuple(ShownSnapshot(one, "0" * 64, (), "", None, MOMENT, 2, 9) for one in (after, before))
    shown = (ShownFile("a b/config.json", 7, "0" * 64), ShownFile("new.txt", 300_000, "0" * 64))
    row = RepoRow(Kind.MODEL, "acme/looked-at", "published", files=2, commit=after)
    page = RepoPage(row, "", "", "", (), shots, after, shown, ("0" * 64,))
    for name, body in pages.assets().items():
        put(mirror, f"assets/{name}", body)
    put(mirror, "mirror.html", pages.mirror_page(examples.overview(())))
    put(mirror, "relations.json", encode_relations([]))
    put(mirror, "models/acme--looked-at.html", pages.repo_page(page))
    reader.forget()
    reader.open(f"{mirror.url}/-/models/acme--looked-at.html")
    reader.run("document.querySelector('#look-1').click()")
    reader.wait(lambda: reader.seen("#preview pre") == '{\n  "n": 2\n}')
    reader.run("document.querySelector('#preview-close').click(); document.querySelector('#look-2').click()")
    reader.wait(lambda: reader.seen("#preview pre").startswith("中中"))
    reader.run("document.querySelector('#preview-close').click(); document.querySelector('#compare-do').click()")
    reader.wait(lambda: bool(reader.all("#compared ul")))
    told = [one for one in reader.seen("#compared").split("\n") if one]
    assert told == ["Added 1", "new.txt", "Removed 1", "old.txt", "Changed 1", "a b/config.json"]
    assert reader.complaints() == []
    assert reader.asked_elsewhere() == []
