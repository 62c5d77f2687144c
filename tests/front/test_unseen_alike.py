"""What a reader may not see is answered as what is not there, header by header."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from mirror_sync.domain.job.targets import DirectoryTarget
from mirror_sync.stores.directory.directory_store import DirectoryStore
from tests.front.guarded import ACCESS, TOKENS, Guarded, bearer, write_tokens
from tests.front.mirrors import Reply, by_either

_OF_NOW = ("Date", "Server", "Connection")
PATHS = ("/api/models/{}", "/api/models/{}/tree/main", "/api/models/{}/refs", "/{}/resolve/main/README.md", "/{}")


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
