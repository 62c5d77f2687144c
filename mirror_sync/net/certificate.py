"""When a certificate ends, read from it alone, without its key; and what a server speaks TLS with.

Source: RFC 5280, section 4.1; DER as in X.690. The standard library gives the fields of a peer's certificate alone.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

_LARGEST = 1 << 20  # bytes of a file of certificates
_BEGIN, _END = "-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----"
_SEQUENCE, _VERSION = 0x30, 0xA0
_LENGTHS = 4  # bytes that say the length of a value
_UTC_TIME, _TIME = 0x17, 0x18
_VERSIONS = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}


@dataclass(frozen=True, slots=True)
class ServerCertificate:
    """What a server proves with who it is: the files of its certificates and its key, and the oldest TLS it speaks."""

    certificate: Path
    key: Path
    min_version: str = "1.3"

    def context(self) -> ssl.SSLContext:
        """For a server. OSError, ssl.SSLError among them, where the files cannot be used or do not belong together."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = _VERSIONS[self.min_version]
        context.load_cert_chain(self.certificate, self.key, password=_nobody)
        return context

    def ends(self) -> datetime:
        """When the first certificate of the file ends. OSError, ValueError."""
        with self.certificate.open("rb") as file:
            return end_of(file.read(_LARGEST).decode("ascii", "replace"))


def end_of(text: str) -> datetime:
    """When the first of the certificates in a text ends. ValueError where there is none that can be read."""
    begin = text.find(_BEGIN)
    end = text.find(_END, begin)
    if begin < 0 or end < 0:
        raise ValueError("it holds no certificate in PEM")
    der = ssl.PEM_cert_to_DER_cert(text[begin : end + len(_END)])
    try:
        ((_, certificate),) = _values(der)
        _, to_be_signed = next(_values(certificate))
        fields = [field for field in _values(to_be_signed) if field[0] != _VERSION]
        validity = fields[3]  # after the serial, the algorithm and who issued it
        _, (kind, value) = _values(validity[1])
    except (ValueError, IndexError, StopIteration) as error:
        raise ValueError("its first certificate cannot be read") from error
    return _time(kind, value.decode("ascii", "replace"))


def _values(der: bytes) -> Iterator[tuple[int, bytes]]:
    """The tags and contents that stand one after the other. ValueError."""
    at = 0
    while at < len(der):
        if at + 2 > len(der):
            raise ValueError("cut short")
        tag, length, at = der[at], der[at + 1], at + 2
        if length & 0x80:
            more = length & 0x7F
            if not 1 <= more <= _LENGTHS:
                raise ValueError("a length that no certificate has")
            length, at = int.from_bytes(der[at : at + more]), at + more
        if at + length > len(der):
            raise ValueError("cut short")
        yield tag, der[at : at + length]
        at += length


def _time(kind: int, text: str) -> datetime:
    """In UTC. A year of two digits is of the years from 1950 on."""
    if kind == _UTC_TIME:
        text = f"{'19' if text[:2] >= '50' else '20'}{text}"
    elif kind != _TIME:
        raise ValueError("its first certificate says no end")
    return datetime.strptime(text, "%Y%m%d%H%M%SZ").replace(tzinfo=UTC)


def _nobody() -> str:
    """A key with a passphrase is no use to a server that starts by itself; OpenSSL would ask at the terminal."""
    raise ssl.SSLError("the key has a passphrase, which nobody would type")
