"""Private keys in hardware, by PKCS#11: the key never leaves it, and signs model bundles there.

Source: PKCS#11 2.40, by python-pkcs11 0.10, which loads the maker's library into this process. A session stays open
until the process ends; one that the hardware has ended is opened anew, once.

Nothing is tried twice with a PIN that was wrong: three wrong ones lock most tokens for good.
"""

from __future__ import annotations

import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mirror_sync.domain.pkcs11_uri import Pkcs11Uri
from mirror_sync.errors import SigningError
from mirror_sync.signing.model_bundle import EllipticSigner
from mirror_sync.signing.private_keys import CURVES, expect_library, private_bytes, read_elliptic

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, EllipticCurve, EllipticCurvePublicKey
    from pkcs11 import PublicKey, Session, Token

_NO_LIBRARY = "keys in hardware need python-pkcs11, which is not installed: pip install 'mirror-sync[pkcs11]'"
_TRIED = b"whether the private key is that of the public one"


def open_elliptic(place: Path | Pkcs11Uri) -> EllipticSigner:
    """What signs model bundles, from a file or in hardware. SigningError, in one line, for what may not be used."""
    return HardwareKey(place) if isinstance(place, Pkcs11Uri) else read_elliptic(place)


class HardwareKey:
    """A key on P-256, P-384 or P-521. What of cryptography's keys a bundle needs. Safe for many threads."""

    def __init__(self, uri: Pkcs11Uri) -> None:
        """Opens it, and has it sign once. SigningError, in one line, for what cannot be used."""
        self._uri, self._lock = uri, threading.Lock()
        self._private, self._public = _opened(uri)
        self._expect_pair()

    @property
    def curve(self) -> EllipticCurve:
        """On which the key is."""
        return self._public.curve

    def public_key(self) -> EllipticCurvePublicKey:
        """The public half."""
        return self._public

    def sign(self, data: bytes, signature_algorithm: ECDSA) -> bytes:
        """A signature in DER, of `data` or of what it is the hash of. SigningError where the hardware gives none."""
        from cryptography.hazmat.primitives import hashes
        from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

        algorithm = signature_algorithm.algorithm
        if isinstance(algorithm, hashes.HashAlgorithm):
            hashing = hashes.Hash(algorithm)
            hashing.update(data)
            data = hashing.finalize()
        signed = self._signed(data)
        half = len(signed) // 2
        return encode_dss_signature(int.from_bytes(signed[:half], "big"), int.from_bytes(signed[half:], "big"))

    def _signed(self, digest: bytes) -> bytes:
        from pkcs11 import Mechanism, PKCS11Error

        with self._lock:
            try:
                return bytes(self._private.sign(digest, mechanism=Mechanism.ECDSA))
            except PKCS11Error:  # a token that was taken out and put back has ended the session
                private, public = _opened(self._uri)
            if public.public_numbers() != self._public.public_numbers():
                raise SigningError(f"{self._uri}: is another key than it was")
            self._private = private
            try:
                return bytes(private.sign(digest, mechanism=Mechanism.ECDSA))
            except PKCS11Error as error:
                raise SigningError(f"{self._uri}: does not sign: {_said(error)}") from None

    def _expect_pair(self) -> None:
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives.asymmetric.ec import ECDSA
        from cryptography.hazmat.primitives.hashes import SHA256

        signature = self.sign(_TRIED, ECDSA(SHA256()))
        try:
            self._public.verify(signature, _TRIED, ECDSA(SHA256()))
        except InvalidSignature:
            raise SigningError(f"{self._uri}: the public key beside it is of another key") from None


def _opened(uri: Pkcs11Uri) -> tuple[Any, EllipticCurvePublicKey]:
    """The private key, whose class is mixed of what it can do, and the public one."""
    expect_library()
    try:
        import pkcs11
    except ImportError:
        raise SigningError(_NO_LIBRARY) from None
    session = _session(_token(uri), uri)
    private = _key(session, uri, pkcs11.ObjectClass.PRIVATE_KEY)
    public = _key(session, uri, pkcs11.ObjectClass.PUBLIC_KEY)
    return private, _elliptic(public, uri)


def _token(uri: Pkcs11Uri) -> Token:
    import pkcs11

    try:
        library = pkcs11.lib(str(uri.module))
    except pkcs11.PKCS11Error as error:
        raise SigningError(f"{uri.module}: cannot be used as a PKCS#11 module: {_said(error)}") from None
    wanted: dict[str, Any] = {} if uri.token is None else {"token_label": uri.token}
    if uri.serial is not None:
        wanted["token_serial"] = uri.serial.encode()
    named = f"token {uri.token or uri.serial}"
    try:
        return library.get_token(**wanted)
    except pkcs11.NoSuchToken:
        shown = sorted({token.label for slot in library.get_slots(token_present=True) if (token := slot.get_token())})
        there = ", ".join(filter(None, shown)) or "none"
        raise SigningError(f"{uri.module} has no {named}; there: {there}") from None
    except pkcs11.MultipleTokensReturned:
        raise SigningError(f"{uri.module} has more than one {named}; add serial=NUMBER") from None
    except pkcs11.PKCS11Error as error:
        raise SigningError(f"{uri.module}: {named} cannot be read: {_said(error)}") from None


def _session(token: Token, uri: Pkcs11Uri) -> Session:
    """One in which the PIN of the file was given, where the address names one. Logins are of the whole process."""
    import pkcs11

    pin = None if uri.pin is None else _pin(uri.pin)
    named = f"token {token.label}"
    if pin is not None and pkcs11.TokenFlag.USER_PIN_FINAL_TRY in token.flags:
        raise SigningError(f"{named}: one more wrong PIN locks it, so that none is given: log in once by hand first")
    try:
        try:
            return token.open(user_pin=pin)
        except pkcs11.UserAlreadyLoggedIn:
            return token.open()
    except (pkcs11.PinIncorrect, pkcs11.PinInvalid, pkcs11.PinLenRange):
        raise SigningError(f"{named}: the PIN in {uri.pin} is wrong") from None
    except pkcs11.PinLocked:
        raise SigningError(f"{named}: is locked, after too many wrong PINs") from None
    except pkcs11.PKCS11Error as error:
        raise SigningError(f"{named}: cannot be opened: {_said(error)}") from None


def _pin(path: Path) -> str:
    """Without the end of its line."""
    try:
        pin = private_bytes(path).decode().rstrip("\r\n")
    except ValueError:
        pin = ""
    if not pin or not pin.isprintable():
        raise SigningError(f"{path}: holds no PIN; it is one line")
    return pin


def _key(session: Session, uri: Pkcs11Uri, of: Any) -> Any:
    import pkcs11

    kind = "public" if of is pkcs11.ObjectClass.PUBLIC_KEY else "private"
    wanted: dict[str, Any] = {} if uri.label is None else {"label": uri.label}
    if uri.id is not None:
        wanted["id"] = uri.id
    try:
        return session.get_key(object_class=of, **wanted)
    except pkcs11.NoSuchKey:
        hint = "" if uri.pin else "; without ?pin-source=FILE only what is public is seen"
        raise SigningError(f"there is no {kind} key {uri}{hint}") from None
    except pkcs11.MultipleObjectsReturned:
        raise SigningError(f"there is more than one {kind} key {uri}; add id=%NN") from None
    except pkcs11.PKCS11Error as error:
        raise SigningError(f"{kind} key {uri}: cannot be read: {_said(error)}") from None


def _elliptic(public: PublicKey, uri: Pkcs11Uri) -> EllipticCurvePublicKey:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
    from cryptography.hazmat.primitives.serialization import load_der_public_key
    from pkcs11 import KeyType, PKCS11Error
    from pkcs11.util.ec import encode_ec_public_key

    try:
        is_elliptic = public.key_type is KeyType.EC
        found = load_der_public_key(encode_ec_public_key(public)) if is_elliptic else None
    except (PKCS11Error, UnsupportedAlgorithm, ValueError, TypeError, KeyError):
        found = None
    if not isinstance(found, EllipticCurvePublicKey) or found.curve.name not in CURVES:
        raise SigningError(f"{uri}: is a key of another kind, and one on P-256, P-384 or P-521 is needed")
    return found


def _said(error: Exception) -> str:
    """In one line; many of them have a name, and no words."""
    return " ".join(str(error).split()) or type(error).__name__
