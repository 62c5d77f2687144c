"""A bucket behind TLS: whose certificate is trusted, and what is left to TLS."""

from __future__ import annotations

import datetime
import ipaddress
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from mirror_sync.errors import StoreUnavailable
from mirror_sync.stores.s3 import S3Options, S3Store
from tests.servers.ports import LOOPBACK
from tests.stores.places import put
from tests.stores.scripted import Answer, Asked, Scripted, scripted


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with the key and the certificate of the loopback address, signed by itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "tests")])
    now = datetime.datetime.now(datetime.UTC)
    signed = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(LOOPBACK))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    file = tmp_path_factory.mktemp("tls") / "both.pem"
    encoding = serialization.Encoding.PEM
    secret = key.private_bytes(encoding, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    file.write_bytes(secret + signed.public_bytes(encoding))
    return file


@pytest.fixture
def server(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Scripted]:
    for name in ("AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE"):
        monkeypatch.delenv(name, raising=False)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with scripted(_begun, context) as running:
        yield running


def _begun(asked: Asked) -> Answer:
    return Answer(body=b"<R><UploadId>id</UploadId></R>" if asked.method == "POST" else b"", headers={"ETag": '"e"'})


def store_on(server: Scripted) -> S3Store:
    return S3Store("b", "", S3Options(endpoint_url=server.endpoint_url, access_key="a", secret_key="s", attempts=1))


def test_a_certificate_that_nobody_vouches_for_is_not_trusted(server: Scripted) -> None:
    with pytest.raises(StoreUnavailable, match="CERTIFICATE_VERIFY_FAILED"):
        put(store_on(server), "k", b"x")
    assert server.asked == []


@pytest.mark.parametrize("name", ["SSL_CERT_FILE", "AWS_CA_BUNDLE"])
def test_the_environment_says_whom_to_trust(
    server: Scripted, certificate: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(name, str(certificate))
    put(store_on(server), "k", b"x")
    assert server.asked[0].body == b"x"


def test_parts_are_left_to_tls(server: Scripted, certificate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    with store_on(server).begin("k", 5) as upload:
        upload.put(0, b"12345")
    assert server.asked[1].headers["x-amz-content-sha256"] == "UNSIGNED-PAYLOAD"
