"""Whose pages may read the mirror in a browser: those of any origin, of the ones that are named, or of none."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from mirror_sync.domain.job.targets import DirectoryTarget
from mirror_sync.front.hub.cors import Cors
from mirror_sync.front.nginx.nginx_files import NginxOptions, write_nginx
from tests.front.bucket import model
from tests.front.mirrors import Mirror, Reply, by_either
from tests.front.test_headers import answers

PAGE = "https://app.example.org"
LONG = f"https://{'a' * 60}.{'b' * 60}.{'c' * 60}.example.org:8443"
FOREIGN = ("https://app.example.com", "http://app.example.org", f"{PAGE}:8443", f"{PAGE}.example", "null", "*", "")


@pytest.fixture(scope="module", params=["serve", "nginx"])
def named(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mirror]:
    folder = tmp_path_factory.mktemp("named")
    with by_either(
        request.param, DirectoryTarget(folder / "bucket"), folder / "nginx", cors=Cors((PAGE, LONG))
    ) as mirror:
        yield mirror


@pytest.fixture(scope="module", params=["serve", "nginx"])
def closed(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mirror]:
    folder = tmp_path_factory.mktemp("closed")
    with by_either(request.param, DirectoryTarget(folder / "bucket"), folder / "nginx", cors=Cors(())) as mirror:
        yield mirror


def _asked(mirror: Mirror, origin: str | None) -> Iterator[tuple[str, Reply]]:
    for status, method, target, headers in answers(mirror, model(mirror.store)):
        if "%zz" in target:
            continue  # nginx refuses it before it has read an Origin, and so can name nobody
        dashed = {name.replace("_", "-"): value for name, value in headers.items()}
        reply = mirror.ask(method, target, dashed | ({} if origin is None else {"Origin": origin}))
        if method != "OPTIONS":
            assert reply.status == status, (method, target, headers)
        yield f"{method} {target} {headers}", reply


@pytest.mark.parametrize("origin", [PAGE, LONG])
def test_a_page_of_an_origin_that_is_named_may_read_every_answer(named: Mirror, origin: str) -> None:
    for what, reply in _asked(named, origin):
        assert reply.headers.get_all("Access-Control-Allow-Origin") == [origin], what
        assert reply.header("Access-Control-Expose-Headers") is not None, what
        assert "Origin" in ", ".join(reply.headers.get_all("Vary") or ()).split(", "), what


@pytest.mark.parametrize("origin", [None, *FOREIGN])
def test_a_page_of_any_other_origin_may_not_and_caches_are_told(named: Mirror, origin: str | None) -> None:
    for what, reply in _asked(named, origin):
        assert reply.header("Access-Control-Allow-Origin") is None, what
        assert "Origin" in ", ".join(reply.headers.get_all("Vary") or ()).split(", "), what


def test_what_else_an_answer_varies_by_is_still_said(named: Mirror) -> None:
    repo = model(named.store)
    repo.publish({"f": b"1"})
    reply = named.head(f"{repo.at}/resolve/main/f", Origin=PAGE)
    assert reply.status == 307
    assert set(", ".join(reply.headers.get_all("Vary") or ()).split(", ")) == {"X-Forwarded-Prefix", "Origin"}


def test_no_page_is_told_anything_where_that_is_off(closed: Mirror) -> None:
    for what, reply in _asked(closed, PAGE):
        assert [name for name in reply.headers if name.lower().startswith("access-control-")] == [], what
        assert "Origin" not in ", ".join(reply.headers.get_all("Vary") or ()).split(", "), what
    for target in ("/acme/any/resolve/main/f", "/no/such/thing"):
        assert closed.ask("OPTIONS", target, {"Origin": PAGE}).status == 405


@pytest.mark.parametrize("origin", ["~.*", "default", "https://app.example.org;", "$http_origin", "*.example.org"])
def test_what_is_no_origin_is_not_written_into_a_configuration(origin: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"write https://app\.example\.org"):
        write_nginx(tmp_path / "nginx", NginxOptions(DirectoryTarget(tmp_path), cors=Cors((origin,))))
    assert not (tmp_path / "nginx").exists()
