"""Private keys in files: read with care, since who reads one can sign in the mirror's name.

An Ed25519 key (OpenSSH or PEM) signs statements and sums; a key on P-256, P-384 or P-521 (PEM or OpenSSH) signs model
bundles. A key with a passphrase is refused: nobody is there to type it.
"""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from mirror_sync.errors import SigningError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey, EllipticCurvePublicKey
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.x509 import Certificate

_LARGEST = 64 * 1024  # bytes of a file with a key
_OTHERS = 0o077
CURVES = ("secp256r1", "secp384r1", "secp521r1")
# Without the path that was read: openssl writes over what is there, without a question, and that may be another key.
_MADE = "ssh-keygen -t ed25519 -N '' -f FILE"
_MADE_ELLIPTIC = "openssl ecparam -name prime256v1 -genkey -noout -out FILE"
_NO_LIBRARY = "signatures need the library cryptography, which is not installed: pip install 'mirror-sync[sign]'"


def expect_library() -> None:
    """SigningError where `cryptography` is not installed."""
    try:
        import cryptography  # noqa: F401
    except ImportError:
        raise SigningError(_NO_LIBRARY) from None


def read_ed25519(path: Path) -> Ed25519PrivateKey:
    """The key that signs sums and statements. SigningError, in one line, for a file that may not be used as one."""
    key = _read(path)
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    if not isinstance(key, Ed25519PrivateKey):
        raise SigningError(
            f"{path}: holds {_kind(key)}, and an Ed25519 key is needed; make one in another file: {_MADE}"
        )
    return key


def read_elliptic(path: Path) -> EllipticCurvePrivateKey:
    """The key that signs model bundles. SigningError, in one line, for a file that may not be used as one."""
    key = _read(path)
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

    if not isinstance(key, EllipticCurvePrivateKey) or key.curve.name not in CURVES:
        raise SigningError(
            f"{path}: holds {_kind(key)}, and a key on P-256, P-384 or P-521 is needed; make one in another file: "
            f"{_MADE_ELLIPTIC}"
        )
    return key


def read_certificates(key: EllipticCurvePublicKey, certificate: Path, chain: Path | None) -> tuple[bytes, ...]:
    """A key's certificate and those that lead to its authority, in DER. SigningError where they are not its own."""
    from cryptography.hazmat.primitives.serialization import Encoding

    own = _certificates(certificate)[:1]
    if own[0].public_key() != key:
        raise SigningError(f"{certificate}: is of another key")
    if not _may_sign(own[0]):
        raise SigningError(f"{certificate}: may not sign, for whoever verifies: its key usage lacks digitalSignature")
    more = [] if chain is None else _certificates(chain)
    return tuple(one.public_bytes(Encoding.DER) for one in (*own, *more))


def _may_sign(certificate: Certificate) -> bool:
    """As model_signing asks: by its key usage, or its extended one."""
    from cryptography.x509 import ExtendedKeyUsage, ExtensionNotFound, KeyUsage
    from cryptography.x509.oid import ExtendedKeyUsageOID

    with suppress(ExtensionNotFound):
        if certificate.extensions.get_extension_for_class(KeyUsage).value.digital_signature:
            return True
    with suppress(ExtensionNotFound):
        usage = certificate.extensions.get_extension_for_class(ExtendedKeyUsage).value
        return ExtendedKeyUsageOID.CODE_SIGNING in usage
    return False


def _certificates(path: Path) -> list[Certificate]:
    from cryptography.x509 import load_pem_x509_certificates

    try:
        return load_pem_x509_certificates(path.read_bytes())
    except OSError as error:
        raise SigningError(f"{path}: {error.strerror}") from None
    except ValueError:
        raise SigningError(f"{path}: holds no certificate in PEM") from None


def _read(path: Path) -> object:
    body = private_bytes(path)
    expect_library()
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_ssh_private_key

    load = load_ssh_private_key if b"BEGIN OPENSSH PRIVATE KEY" in body else load_pem_private_key
    try:
        return load(body, password=None)
    except TypeError:  # what both loaders raise for a key that is encrypted
        unlock = f"ssh-keygen -p -N '' -f {path}"
        raise SigningError(f"{path}: has a passphrase, and nobody is there to type it; take it off: {unlock}") from None
    except (ValueError, UnsupportedAlgorithm):
        raise SigningError(f"{path}: holds no private key in OpenSSH's format or PEM") from None


def private_bytes(path: Path) -> bytes:
    """Of a file that its owner alone may read; SigningError for another.

    The descriptor is asked, not the name: it cannot be changed between.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    except OSError as error:
        raise SigningError(f"{path}: {error.strerror}") from None
    try:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            raise SigningError(f"{path}: is no file")
        if found.st_mode & _OTHERS:
            mode = f"mode {stat.S_IMODE(found.st_mode):04o}"
            raise SigningError(f"{path}: others may use it ({mode}), so that a signature proves nothing; chmod 600 it")
        body = os.read(descriptor, _LARGEST + 1)
    finally:
        os.close(descriptor)
    if len(body) > _LARGEST:
        raise SigningError(f"{path}: is larger than any key")
    return body


def _kind(key: object) -> str:
    curve = getattr(getattr(key, "curve", None), "name", "")
    name = type(key).__name__.removesuffix("PrivateKey").lstrip("_") or "another key"
    return f"a key of another kind ({curve or name})"
