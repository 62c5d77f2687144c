"""A bucket behind TLS: whose certificate is trusted, and what is left to TLS."""

from __future__ import annotations

import ssl
from collections.abc import Iterator

import pytest

from mirror_sync.domain.job.targets import S3Target
from mirror_sync.errors import StoreUnavailable
from mirror_sync.stores.s3.bucket_store import S3Options, S3Store
from tests.servers.certificates import Authority
from tests.stores.places import put
from tests.stores.scripted import Answer, Asked, Scripted, scripted


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("tls"))


@pytest.fixture
def server(authority: Authority, monkeypatch: pytest.MonkeyPatch) -> Iterator[Scripted]:
    for name in ("AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE"):
        monkeypatch.delenv(name, raising=False)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    mine = authority.certify()
    context.load_cert_chain(mine.chain, mine.key)
    with scripted(_begun, context) as running:
        yield running


def _begun(asked: Asked) -> Answer:
    return Answer(body=b"<R><UploadId>id</UploadId></R>" if asked.method == "POST" else b"", headers={"ETag": '"e"'})


def store_on(server: Scripted) -> S3Store:
    return S3Store(S3Target("b", server.endpoint_url, access_key="a", secret_key="s"), S3Options(attempts=1))


def test_a_certificate_that_nobody_vouches_for_is_not_trusted(server: Scripted) -> None:
    with pytest.raises(StoreUnavailable, match="no answer: unable to get local issuer certificate"):
        put(store_on(server), "k", b"x")
    assert server.asked == []


@pytest.mark.parametrize("name", ["SSL_CERT_FILE", "AWS_CA_BUNDLE"])
def test_the_environment_says_whom_to_trust(
    server: Scripted, authority: Authority, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(name, str(authority.file))
    put(store_on(server), "k", b"x")
    assert server.asked[0].body == b"x"


def test_parts_are_left_to_tls(server: Scripted, authority: Authority, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.file))
    with store_on(server).begin("k", 5) as upload:
        upload.put(0, b"12345")
    assert server.asked[1].headers["x-amz-content-sha256"] == "UNSIGNED-PAYLOAD"
