"""Proxies, certificates and the operator's shell: what is honoured, and what must not matter."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from huggingface_hub import close_session

from mirror_sync.domain.repo import Repo
from mirror_sync.domain.url import Url
from mirror_sync.errors import BadAnswer, Unreachable, UpstreamError
from mirror_sync.net.network import proxy_for, trusted
from mirror_sync.net.transport import Transport
from mirror_sync.sources.hub.hub_source import HubSource
from tests.sources.reading import FILES, TINY, fetched, fill_hub, published
from tests.sources.relays import Proxy, self_signed, tls_before
from tests.standin import Hub
from tests.waiting import PATIENCE

SMALL, LARGE = "config.json", "sub/model.safetensors"


@pytest.fixture
def proxy() -> Iterator[Proxy]:
    with Proxy().running() as running:
        yield running


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    return self_signed(tmp_path)


@pytest.fixture
def https(hub: Hub, certificate: Path) -> Iterator[str]:
    fill_hub(hub)
    with tls_before(urlsplit(hub.url).port or 0, certificate) as url:
        yield url


def test_http_proxy_carries_api_and_bytes(hub: Hub, proxy: Proxy, monkeypatch: pytest.MonkeyPatch) -> None:
    fill_hub(hub)
    monkeypatch.setenv("HTTP_PROXY", proxy.url)
    source = HubSource(hub.url, None, Transport())
    commit, files = published(source)
    assert fetched(source, TINY, commit, files[LARGE], 0, 99) == FILES[LARGE].read(0, 99)
    assert len(proxy.asked) == len(hub.log) == 4
    assert {f"http://{urlsplit(url).netloc}" for url in proxy.asked} == {hub.url, hub.cdn_url}


def test_https_proxy_is_a_tunnel(https: str, proxy: Proxy, certificate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", proxy.url)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    source = HubSource(https, None, Transport())
    commit, files = published(source)
    assert fetched(source, TINY, commit, files[SMALL]) == FILES[SMALL].read()
    assert set(proxy.asked) == {urlsplit(https).netloc}
    assert len(proxy.asked) == 1  # the API and the bytes share it


@pytest.mark.parametrize("target", ["http", "https"])
def test_a_proxy_may_be_spoken_to_by_tls_whatever_lies_in_it(
    hub: Hub, https: str, proxy: Proxy, certificate: Path, monkeypatch: pytest.MonkeyPatch, target: str
) -> None:
    url = {"http": hub.url, "https": https}[target]
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    with tls_before(urlsplit(proxy.url).port or 0, certificate) as secured:
        monkeypatch.setenv(f"{target.upper()}_PROXY", secured)
        source = HubSource(url, None, Transport())
        commit, files = published(source)
        assert fetched(source, TINY, commit, files[SMALL]) == FILES[SMALL].read()
    assert proxy.asked
    assert all(urlsplit(url).netloc in asked for asked in proxy.asked)


def test_no_proxy_goes_straight(hub: Hub, proxy: Proxy, monkeypatch: pytest.MonkeyPatch) -> None:
    fill_hub(hub)
    monkeypatch.setenv("ALL_PROXY", proxy.url)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    source = HubSource(hub.url, None, Transport())
    commit, files = published(source)
    assert fetched(source, TINY, commit, files[SMALL]) == FILES[SMALL].read()
    assert proxy.asked == []
    assert fetched(source, TINY, commit, files[LARGE], 0, 9) == FILES[LARGE].read(0, 9)
    assert len(proxy.asked) == 1  # the CDN has another name


@pytest.mark.parametrize(
    ("written", "said"), [("user:pass", "Basic dXNlcjpwYXNz"), ("user:p%40s%3As", "Basic dXNlcjpwQHM6cw==")]
)
def test_a_proxy_gets_its_credentials(
    hub: Hub, proxy: Proxy, monkeypatch: pytest.MonkeyPatch, written: str, said: str
) -> None:
    """As an address writes them, which cannot hold every letter."""
    fill_hub(hub)
    monkeypatch.setenv("HTTP_PROXY", proxy.url.replace("://", f"://{written}@"))
    source = HubSource(hub.url, None, Transport())
    commit, files = published(source)
    fetched(source, TINY, commit, files[SMALL])
    assert set(proxy.credentials) == {said}
    assert len(proxy.credentials) == len(proxy.asked)


def test_a_proxy_that_does_not_answer_is_no_answer(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    fill_hub(hub)
    commit, files = published(HubSource(hub.url, None, Transport()))
    monkeypatch.setenv("HTTP_PROXY", "http://user:hidden@127.0.0.1:9")
    with pytest.raises(Unreachable, match="refused") as raised:
        fetched(HubSource(hub.url, None, Transport()), TINY, commit, files[SMALL])
    assert "hidden" not in str(raised.value)


@pytest.mark.parametrize(
    ("no_proxy", "url", "proxied"),
    [
        ("", "http://hub.example/", True),
        ("hub.example", "http://hub.example/", False),
        (".example", "http://hub.example/", False),
        ("hub.example:81", "http://hub.example/", True),
        ("hub.example:80", "http://hub.example/", False),
        ("other.example, hub.example", "http://hub.example/", False),
        ("*", "http://hub.example/", False),
        ("10.0.0.0/8", "http://10.1.2.3/", False),
        ("10.0.0.0/8", "http://11.1.2.3/", True),
        ("10.0.0.0/8", "http://hub.example/", True),
        ("::1", "http://[::1]:8080/", False),
        ("hub.example", "http://HUB.example./", False),
        ("hub.example", "http://hub.example:80", False),
        ("hub.example", "http://other.example/?x=hub.example", True),
    ],
)
def test_no_proxy_is_read_as_everybody_writes_it(
    no_proxy: str, url: str, proxied: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "proxy.example:3128")
    monkeypatch.setenv("NO_PROXY", no_proxy)
    assert proxy_for(Url.parse(url)) == ("http://proxy.example:3128" if proxied else None)


def test_ssl_cert_file_is_trusted(https: str, certificate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    source = HubSource(https, None, Transport())
    commit, files = published(source)
    assert fetched(source, TINY, commit, files[SMALL]) == FILES[SMALL].read()


def test_a_certificate_that_nobody_vouches_for_is_no_answer(
    https: str, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    commit, files = published(HubSource(https, None, Transport()))
    monkeypatch.delenv("SSL_CERT_FILE")
    close_session()
    with pytest.raises(Unreachable, match="self-signed certificate"):
        HubSource(https, None, Transport()).resolve(TINY, "main")
    with pytest.raises(Unreachable, match="self-signed certificate"):
        fetched(HubSource(https, None, Transport()), TINY, commit, files[SMALL])


def test_a_file_without_certificates_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for place in (tmp_path / "missing.pem", tmp_path / "empty.pem"):
        (tmp_path / "empty.pem").write_text("nothing")
        monkeypatch.setenv("SSL_CERT_FILE", str(place))
        with pytest.raises(UpstreamError, match=f"SSL_CERT_FILE={place}"):
            trusted()


def test_bytes_promised_over_https_do_not_come_over_http(
    https: str, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    source = HubSource(https, None, Transport())
    commit, files = published(source)
    with pytest.raises(BadAnswer, match="unprotected"):
        fetched(source, TINY, commit, files[LARGE])


def test_the_operators_shell_does_not_change_what_the_mirror_asks(hub: Hub, tmp_path: Path) -> None:
    fill_hub(hub)
    script = (
        "import sys; from mirror_sync.sources.hub.hub_source import HubSource;"
        "from mirror_sync.net.transport import Transport;"
        "from mirror_sync.domain.repo import Repo;"
        "s = HubSource(sys.argv[1], None, Transport()); r = Repo.parse('acme/tiny'); c = s.resolve(r, 'main').commit;"
        "s.refs(r); s.authorize(r); s.history(r, c); print(len([*s.list(r, c)]))"
    )
    with Hub() as own:  # say, the mirror itself
        shell = {
            "HF_ENDPOINT": own.url,
            "HF_TOKEN": "hf_of-the-shell",
            "HF_HUB_OFFLINE": "1",
            "HF_HUB_USER_AGENT_ORIGIN": "somebody",
            "HF_DEBUG": "1",
            "HF_HOME": str(tmp_path / "hf"),
        }
        ran = subprocess.run(
            [sys.executable, "-c", script, hub.url],
            env={**os.environ, **shell},
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        assert ran.stdout == f"{len(FILES)}\n", ran.stderr
        assert len(own.log) == 0
    assert len(hub.log) == 5
    assert not any(record.had_authorization for record in hub.log)
    assert not any("somebody" in record.user_agent for record in hub.log)
    assert not (tmp_path / "hf").exists()


def test_two_endpoints_with_two_tokens_do_not_mix(hub: Hub) -> None:
    fill_hub(hub)
    with Hub() as second:
        fill_hub(second)
        tokens = (hub.token("hf_first"), second.token("hf_second"))
        sources = [HubSource(url, token, Transport()) for url, token in zip((hub.url, second.url), tokens, strict=True)]
        for source in sources * 2:
            source.resolve(Repo.parse("acme/tiny"), "main")
        for server, token in zip((hub, second), tokens, strict=True):
            assert {record.request.headers["authorization"] for record in server.log} == {f"Bearer {token}"}
