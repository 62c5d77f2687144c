"""SSH signatures, as `ssh-keygen -Y sign` writes them and `ssh-keygen -Y verify` checks them, with Ed25519 keys.

Source: OpenSSH, PROTOCOL.sshsig (version 1). An Ed25519 signature has no randomness: who signs the same bytes with the
same key gets the same signature, byte for byte that of ssh-keygen.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mirror_sync.errors import SigningError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

NAMESPACE = "mirror-sync"
"""What our signatures are for: one that was made for git, or a file, is none of ours."""
LARGEST = 16 * 1024  # bytes of a signature; an Ed25519 one has some 300
KEY_TYPE = "ssh-ed25519"
_MAGIC, _VERSION = b"SSHSIG", 1
_HASHES = {b"sha256": hashlib.sha256, b"sha512": hashlib.sha512}
_BEGIN, _END = "-----BEGIN SSH SIGNATURE-----", "-----END SSH SIGNATURE-----"
_LINE = 70  # characters of base64 in a line
_RAW = 32  # bytes of an Ed25519 public key


@dataclass(frozen=True, slots=True)
class PublicKey:
    """An Ed25519 public key; `wire` as SSH sends it, in base64: the middle word of a .pub file."""

    wire: str

    @classmethod
    def of(cls, key: Ed25519PrivateKey) -> PublicKey:
        """The public half of a key."""
        return cls(base64.b64encode(_wire(key.public_key().public_bytes_raw())).decode())

    @classmethod
    def parse(cls, wire: str) -> PublicKey:
        """SigningError for what is no Ed25519 key."""
        try:
            kind, raw = _strings(base64.b64decode(wire, validate=True), 2)
        except (ValueError, struct.error):
            raise SigningError(f"no {KEY_TYPE} key: {wire[:40]!r}") from None
        if kind != KEY_TYPE.encode() or len(raw) != _RAW:
            raise SigningError(f"no {KEY_TYPE} key: {wire[:40]!r}")
        return cls(wire)

    @property
    def raw(self) -> bytes:
        """Its 32 bytes."""
        return base64.b64decode(self.wire)[-_RAW:]

    @property
    def fingerprint(self) -> str:
        """As `ssh-keygen -l` shows it: SHA256:..."""
        digest = hashlib.sha256(base64.b64decode(self.wire)).digest()
        return f"SHA256:{base64.b64encode(digest).decode().rstrip('=')}"


@dataclass(frozen=True, slots=True)
class Signature:
    """A signature that was read, and not checked yet: which key it says to be of, and for what."""

    key: PublicKey
    namespace: str
    hash_name: bytes
    body: bytes

    def verify(self, message: bytes) -> None:
        """SigningError where it is not of this message, by this key."""
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

        signed = _to_sign((message,), self.namespace.encode(), self.hash_name)
        try:
            Ed25519PublicKey.from_public_bytes(self.key.raw).verify(self.body, signed)
        except (InvalidSignature, ValueError):
            raise SigningError("the signature is not of these bytes") from None


def sign(key: Ed25519PrivateKey, message: bytes, namespace: str = NAMESPACE) -> bytes:
    """An armored signature: what `ssh-keygen -Y sign -n NAMESPACE -f KEY` writes of the same bytes."""
    return sign_pieces(key, (message,), namespace)


def sign_pieces(key: Ed25519PrivateKey, message: Iterable[bytes], namespace: str = NAMESPACE) -> bytes:
    """The same of a message that comes by pieces."""
    public = _wire(key.public_key().public_bytes_raw())
    signature = _string(KEY_TYPE.encode()) + _string(key.sign(_to_sign(message, namespace.encode(), b"sha512")))
    fields = (public, namespace.encode(), b"", b"sha512", signature)
    blob = _MAGIC + struct.pack(">I", _VERSION) + b"".join(map(_string, fields))
    text = base64.b64encode(blob).decode()
    lines = [text[start : start + _LINE] for start in range(0, len(text), _LINE)]
    return "\n".join((_BEGIN, *lines, _END, "")).encode()


def read_signature(armored: bytes) -> Signature:
    """SigningError for what is no SSH signature by an Ed25519 key."""
    try:
        return _decoded(armored)
    except (ValueError, struct.error, binascii.Error):
        raise SigningError(f"not an SSH signature by an {KEY_TYPE} key") from None


def _decoded(armored: bytes) -> Signature:
    lines = armored[:LARGEST].decode("ascii").split("\n")
    if lines[0] != _BEGIN or _END not in lines:
        raise ValueError("no armor")
    blob = base64.b64decode("".join(lines[1 : lines.index(_END)]), validate=True)
    if blob[:6] != _MAGIC or struct.unpack(">I", blob[6:10]) != (_VERSION,):
        raise ValueError("another version")
    public, namespace, _, hash_name, signature = _strings(blob[10:], 5)
    kind, body = _strings(signature, 2)
    if kind != KEY_TYPE.encode() or hash_name not in _HASHES:
        raise ValueError("another kind of key")
    try:
        key = PublicKey.parse(base64.b64encode(public).decode())
    except SigningError as error:
        raise ValueError(str(error)) from None
    return Signature(key, namespace.decode(), hash_name, body)


def _to_sign(message: Iterable[bytes], namespace: bytes, hash_name: bytes) -> bytes:
    hashing = _HASHES[hash_name]()
    for piece in message:
        hashing.update(piece)
    return _MAGIC + b"".join(map(_string, (namespace, b"", hash_name, hashing.digest())))


def _wire(raw: bytes) -> bytes:
    return _string(KEY_TYPE.encode()) + _string(raw)


def _string(body: bytes) -> bytes:
    """As SSH sends one: its length in four bytes, and it."""
    return struct.pack(">I", len(body)) + body


def _strings(blob: bytes, count: int) -> list[bytes]:
    """Exactly so many strings. ValueError, struct.error."""
    found = []
    for _ in range(count):
        (size,) = struct.unpack(">I", blob[:4])
        if len(blob) < 4 + size:
            raise ValueError("cut short")
        found.append(blob[4 : 4 + size])
        blob = blob[4 + size :]
    if blob:
        raise ValueError("more than there should be")
    return found
