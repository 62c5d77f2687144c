"""What a reader may not see is answered as what is not there, header by header."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from mirror_sync.domain.content.alias import encode as encode_alias
from mirror_sync.domain.content.keys import alias_key
from mirror_sync.domain.digest import Sha256
from mirror_sync.domain.job.targets import DirectoryTarget
from mirror_sync.domain.repo import Kind, Repo
from mirror_sync.stores.directory.directory_store import DirectoryStore
from tests.front.guarded import ACCESS, STRANGE, TOKENS, Guarded, bearer, write_tokens
from tests.front.mirrors import DOORS, Reply, by_either

_OF_NOW = ("Date", "Server", "Connection")
PATHS = ("/api/models/{}", "/api/models/{}/tree/main", "/api/models/{}/refs", "/{}/resolve/main/README.md", "/{}")
OTHER_DOORS = (
    *("/api/v1/models/{}", "/openapi/v1/models/{}", "/api/v1/models/{}/revisions", "/api/v1/models/{}/repo/files"),
    *("/api/v1/models/{}/repo?FilePath=README.md", "/v2/{}/tags/list", "/v2/{}/manifests/latest"),
    *("/models/{}/main/README.md?list-type=2", "/models?list-type=2&prefix={}/", "/models?list-type=2&prefix={}/main/"),
    *("/v2/{}/manifests/sha256:{manifest}", "/v2/{}/referrers/sha256:{manifest}", "/v2/{}/blobs/sha256:{blob}"),
    *("/-/torrents/models/{}/main.torrent", "/-/metalink/models/{}/main/README.md.meta4"),
)


def _said(reply: Reply, name: str) -> tuple[object, ...]:
    headers = sorted(
        (key, value) for key, value in reply.headers.items() if key.title() not in (*_OF_NOW, "Content-Length")
    )
    return (
        reply.status,
        [(key, value.replace(name, "NAME")) for key, value in headers],
        reply.body.replace(name.encode(), b"NAME"),
    )


@pytest.mark.parametrize("networks", [(), ("127.0.0.0/8", "::1/128")], ids=["tokens", "networks"])
@pytest.mark.parametrize("front", ["serve", "nginx"])
def test_no_header_tells_a_hidden_repo_from_an_unknown_one(
    front: str, networks: tuple[str, ...], tmp_path: Path
) -> None:
    target = DirectoryTarget(tmp_path / "bucket")
    target.root.mkdir()
    Guarded.filled(DirectoryStore(target.root))
    tokens, access = write_tokens(tmp_path / "tokens.yaml"), replace(ACCESS, allow=networks)
    with by_either(front, target, tmp_path / "front", access=access, tokens=tokens) as mirror:
        for method in ("GET", "HEAD"):
            for sent in ({}, bearer(TOKENS["nothings"]), {"If-None-Match": '"x"'}, {"Accept": "text/html"}):
                for path in PATHS:
                    told = {
                        str(_said(mirror.ask(method, path.format(name), sent), name))
                        for name in ("pub/gatedone", "pub/neverwas", "former/pub-gatedone")
                    }
                    assert len(told) == 1, (method, path, sent, told)


@pytest.mark.parametrize("front", ["serve", "nginx"])
def test_what_was_stated_of_a_closed_repo_is_told_to_nobody_else_when_it_is_withdrawn(
    front: str, tmp_path: Path
) -> None:
    target = DirectoryTarget(tmp_path / "bucket")
    target.root.mkdir()
    repo = Guarded.filled(DirectoryStore(target.root)).repos["pub/gatedone"]
    repo.attach("statement", b'{"stated": 1}')
    repo.refs = repo.refs.withdrawn(None)
    repo.write_refs(repo.refs.encode())
    tokens, asked = write_tokens(tmp_path / "tokens.yaml"), "/-/trust/models/{}/statement.json"
    with by_either(front, target, tmp_path / "front", access=ACCESS, tokens=tokens) as mirror:
        told, unknown = (mirror.get(asked.format(name)) for name in ("pub/gatedone", "pub/neverwas"))
        assert _said(told, "pub/gatedone") == _said(unknown, "pub/neverwas")
        assert (told.status, b"stated" in told.body) == (404, False)
        assert mirror.ask("GET", asked.format("pub/gatedone"), bearer(TOKENS["developers"])).status == 200


@pytest.mark.parametrize("doors", [DOORS, frozenset[str]()], ids=["open", "closed"])
@pytest.mark.parametrize("front", ["serve", "nginx"])
def test_no_door_tells_a_hidden_repo_from_an_unknown_one_whether_it_is_open_or_not(
    front: str, doors: frozenset[str], tmp_path: Path
) -> None:
    target = DirectoryTarget(tmp_path / "bucket")
    target.root.mkdir()
    guarded = Guarded.filled(DirectoryStore(target.root))
    digests = {"manifest": "oci_pinned", "blob": "oci_blob"}
    body = encode_alias(guarded.repos["pub/gatedone"].repo)
    guarded.store.put(alias_key(Repo(Kind.MODEL, "pub/gatedone-before")), body, Sha256.of(body))
    known = {word: guarded.registry_digest("pub/gatedone", route) for word, route in digests.items()}
    tokens = write_tokens(tmp_path / "tokens.yaml")
    with by_either(front, target, tmp_path / "front", access=ACCESS, tokens=tokens, doors=doors) as mirror:
        for sent in ({}, bearer(TOKENS["nothings"]), bearer(STRANGE), {"Cookie": f"m_session_id={TOKENS['nothings']}"}):
            for path in OTHER_DOORS:
                told = {
                    str(_said(mirror.ask("GET", path.format(name, **known), sent), name))
                    for name in ("pub/gatedone", "pub/neverwas", "pub/GatedOne", "pub/gatedone-before")
                }
                assert len(told) == 1, (path, sent, told)


@pytest.mark.parametrize("front", ["serve", "nginx"])
def test_without_a_catalogue_no_page_tells_a_hidden_repo_from_an_unknown_one(front: str, tmp_path: Path) -> None:
    target = DirectoryTarget(tmp_path / "bucket")
    target.root.mkdir()
    Guarded.filled(DirectoryStore(target.root))
    tokens = write_tokens(tmp_path / "tokens.yaml")
    with by_either(front, target, tmp_path / "front", access=ACCESS, tokens=tokens, site=False) as mirror:
        told = {str(_said(mirror.get(f"/{name}"), name)) for name in ("pub/gatedone", "pub/neverwas", "pub/GatedOne")}
        assert len(told) == 1, told
