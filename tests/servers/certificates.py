"""An authority of the tests' own, and the certificates that it signs."""

from __future__ import annotations

import datetime
import ipaddress
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tests.servers.ports import LOOPBACK

_PEM = serialization.Encoding.PEM


@dataclass(frozen=True)
class Certificate:
    """Files in PEM: a server's own certificate, and its key."""

    chain: Path
    key: Path


class Authority:
    """Whoever is told to trust `file` trusts what it has certified."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._name = folder, _named("tests' authority")
        self._key = ec.generate_private_key(ec.SECP256R1())
        signs = x509.KeyUsage(False, False, False, False, False, True, True, False, False)  # certificates
        itself = _unsigned(self._name, self._name, self._key)
        itself = itself.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        self.file = folder / "authority.pem"
        self.file.write_bytes(
            itself.add_extension(signs, critical=True).sign(self._key, hashes.SHA256()).public_bytes(_PEM)
        )

    def certify(self, *hosts: str, signs: bool = False) -> Certificate:
        """A certificate for the loopback address and these names; `signs`: whose key may sign more than a handshake."""
        key = ec.generate_private_key(ec.SECP256R1())
        names = [x509.IPAddress(ipaddress.ip_address(LOOPBACK)), *map(x509.DNSName, hosts)]
        asked = _unsigned(_named("tests"), self._name, key)
        asked = asked.add_extension(x509.SubjectAlternativeName(names), critical=False)
        if signs:
            usage = x509.KeyUsage(True, False, False, False, False, False, False, False, False)
            asked = asked.add_extension(usage, critical=True)
        issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        signed = asked.add_extension(issuer, critical=False).sign(self._key, hashes.SHA256())
        chain, secret = self._folder / "certificate.pem", self._folder / "key.pem"
        chain.write_bytes(signed.public_bytes(_PEM))
        secret.write_bytes(key.private_bytes(_PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))
        return Certificate(chain, secret)


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])


def _unsigned(subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
    """Good from yesterday to tomorrow."""
    now, day = datetime.datetime.now(datetime.UTC), datetime.timedelta(days=1)
    builder = x509.CertificateBuilder(issuer, subject, key.public_key(), x509.random_serial_number())
    identity = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    return builder.not_valid_before(now - day).not_valid_after(now + day).add_extension(identity, critical=False)
