"""OpenSSF model signatures: a bundle made of the digests that a manifest has, without reading a file.

Source: model-signing 1.1.1. A Sigstore bundle v0.3 with a DSSE envelope over an in-toto Statement v1, whose predicate
names every file with its SHA-256. Not signed are the files of git, which `model_signing verify` never reads by itself,
and what `hf download --local-dir` leaves in a folder: `ignore_paths`, which is signed, says so.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Any, Protocol

from mirror_sync.domain.content.manifest import MirroredFile
from mirror_sync.scratch.spooled import spool
from mirror_sync.signing.long_json import Items, json_pieces

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, EllipticCurve, EllipticCurvePublicKey

MODEL_SIGNATURE = "model.sig"
IGNORED = (".cache", ".git", ".gitattributes", ".github", ".gitignore")
"""At the top of a folder: what no default verifier hashes, and huggingface_hub's own notes."""
_BUNDLE = "application/vnd.dev.sigstore.bundle.v0.3+json"
_PAYLOAD = "application/vnd.in-toto+json"
_STATEMENT = "https://in-toto.io/Statement/v1"
_HOLE = "<payload>"  # no base64, and in no key or certificate
_PREDICATE = "https://model_signing/signature/v1.0"


class EllipticSigner(Protocol):
    """A private key, in memory or in hardware."""

    @property
    def curve(self) -> EllipticCurve:
        """On which it is."""
        ...

    def public_key(self) -> EllipticCurvePublicKey:
        """The public half."""
        ...

    def sign(self, data: bytes, signature_algorithm: ECDSA) -> bytes:
        """A signature in DER. SigningError."""
        ...


@dataclass(frozen=True, slots=True)
class ModelKey:
    """What signs bundles; `certificates` in DER, the key's own first, where a bundle shall carry them."""

    private: EllipticSigner
    certificates: tuple[bytes, ...] = ()

    @property
    def material(self) -> dict[str, Any]:
        """By what a bundle says whose it is: the SHA-256 of the public key in PEM, or the certificates."""
        if self.certificates:
            chain = [{"rawBytes": base64.b64encode(one).decode()} for one in self.certificates]
            return {"x509CertificateChain": {"certificates": chain}, "tlogEntries": []}
        from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

        public = self.private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        return {"publicKey": {"hint": hashlib.sha256(public).hexdigest()}, "tlogEntries": []}

    def made(self, bundle: bytes) -> bool:
        """Whether a bundle says to be of this key, with these certificates."""
        try:
            return bool(json.loads(bundle)["verificationMaterial"] == self.material)
        except (ValueError, KeyError, TypeError, RecursionError):
            return False


def model_bundle(key: ModelKey, name: str, files: Iterable[MirroredFile]) -> Iterator[bytes]:
    """A signature of these files, in the order in which they come, as `model_signing sign` would write one; by pieces.

    `files` are gone over several times, `name` is informative. ECDSA is random: each call makes another signature of
    the same. Raises SigningError, and StoreError where the disk cannot be used on which a large one lies meanwhile.
    """
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.asymmetric.utils import Prehashed

    payload = spool(_payload(name, files))
    algorithm = {256: hashes.SHA256(), 384: hashes.SHA384()}.get(key.private.curve.key_size, hashes.SHA512())
    hashing = hashes.Hash(algorithm)
    for piece in chain((_preamble(payload.size),), payload.pieces()):
        hashing.update(piece)
    signature = key.private.sign(hashing.finalize(), ec.ECDSA(Prehashed(algorithm)))
    envelope = {
        "payload": _HOLE,
        "payloadType": _PAYLOAD,
        "signatures": [{"sig": base64.b64encode(signature).decode(), "keyid": ""}],
    }
    bundle = {
        "mediaType": _BUNDLE,
        "verificationMaterial": key.material,
        "dsseEnvelope": envelope,
    }
    before, behind = json.dumps(bundle, separators=(",", ":")).encode().split(_HOLE.encode())
    yield before
    yield from _in_base64(payload.pieces())
    yield behind


def _payload(name: str, files: Iterable[MirroredFile]) -> Iterator[bytes]:
    whole, count = hashlib.sha256(), 0
    for file in _signed(files):
        whole.update(bytes.fromhex(file.sha256))
        count += 1
    serialization = {
        "method": "files",
        "hash_type": "sha256",
        "allow_symlinks": False,
        "ignore_paths": list(IGNORED),
    }
    resources = [Items(lambda: map(_resource, _signed(files)))] if count else []
    statement = {
        "_type": _STATEMENT,
        "subject": [{"name": name, "digest": {"sha256": whole.hexdigest()}}],
        "predicateType": _PREDICATE,
        "predicate": {"serialization": serialization, "resources": resources},
    }
    return json_pieces(statement, ensure_ascii=True)


def _signed(files: Iterable[MirroredFile]) -> Iterator[MirroredFile]:
    return (file for file in files if file.path.partition("/")[0] not in IGNORED)


def _resource(file: MirroredFile) -> dict[str, str]:
    return {"name": file.path, "algorithm": "sha256", "digest": file.sha256}


def _preamble(size: int) -> bytes:
    """What stands before a payload in DSSE's pre-authentication encoding."""
    return b"DSSEv1 %d %b %d " % (len(_PAYLOAD), _PAYLOAD.encode(), size)


def _in_base64(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """As if all were one: each piece is cut where a group of three bytes ends."""
    left = b""
    for piece in pieces:
        whole = left + piece
        end = len(whole) - len(whole) % 3
        yield base64.b64encode(whole[:end])
        left = whole[end:]
    yield base64.b64encode(left)
