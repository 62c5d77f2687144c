"""allowed_signers: which keys may sign in whose name, as ssh-keygen(1) reads it, for Ed25519 keys.

One line a key: `principals [options] key-type key [comment]`. A rotation is a line more; a key that may sign no longer
gets a `valid-before`. Lines that say something else stay as they are.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from pathlib import Path

from mirror_sync.errors import SigningError, UsageError
from mirror_sync.signing.sshsig import KEY_TYPE, NAMESPACE, PublicKey, Signature

ALLOWED_SIGNERS = "trust/allowed_signers"
"""The key of the bucket under which a mirror says which keys are its own."""
LARGEST = 1024 * 1024  # bytes
_LINE = re.compile(
    r"""[ \t]*(?P<who>"[^"]*"|[^\s"]+)[ \t]+(?:(?P<options>[a-z-]+(?:="[^"]*")?(?:,[a-z-]+(?:="[^"]*")?)*)[ \t]+)?"""
    rf"""{KEY_TYPE}[ \t]+(?P<key>\S+)(?:[ \t].*)?\r?""",
    re.ASCII,  # what ssh-keygen takes for space, and no other
)
_OPTION = re.compile(r"""([a-z-]+)(?:="([^"]*)")?""")
_KNOWN = frozenset({"namespaces", "valid-after", "valid-before"})
_TIMES = ("%Y%m%d", "%Y%m%d%H%M", "%Y%m%d%H%M%S")


@dataclass(frozen=True, slots=True)
class Signer:
    """A line: who may sign, with which key, for what (all where `namespaces` is empty), from when until when."""

    principals: tuple[str, ...]
    key: PublicKey
    namespaces: tuple[str, ...] = (NAMESPACE,)
    after: datetime | None = None
    before: datetime | None = None

    def allows(self, signature: Signature, identity: str | None, at: datetime) -> str:
        """Why it does not allow a signature, in a few words; empty where it does."""
        if identity is not None and not _matches(identity, self.principals):
            return f"the key is of {','.join(self.principals)}, not of {identity}"
        if self.namespaces and not _matches(signature.namespace, self.namespaces):
            return f"the key may not sign for {signature.namespace}"
        if self.after is not None and at < self.after:
            return f"the key is not valid before {_moment(self.after)}"
        if self.before is not None and at >= self.before:
            return f"the key is not valid since {_moment(self.before)}"
        return ""

    def __str__(self) -> str:
        options = [f'namespaces="{",".join(self.namespaces)}"'] if self.namespaces else []
        options += [f'valid-after="{_moment(self.after)}"'] if self.after is not None else []
        options += [f'valid-before="{_moment(self.before)}"'] if self.before is not None else []
        return " ".join(filter(None, (",".join(self.principals), ",".join(options), KEY_TYPE, self.key.wire)))


@dataclass(frozen=True, slots=True)
class AllowedSigners:
    """A whole file: lines as they stand, and what those of Ed25519 keys say."""

    lines: tuple[str | Signer, ...] = ()

    @classmethod
    def decode(cls, body: bytes) -> AllowedSigners:
        """What cannot be read as a key is kept as it is, and allows nothing. SigningError for what is no text."""
        try:
            text = body.decode()
        except UnicodeDecodeError:
            raise SigningError("not a file of allowed signers: it is no text") from None
        return cls(tuple(_read(line) for line in text.removesuffix("\n").split("\n")) if text else ())

    def encode(self) -> bytes:
        """The file, one line each."""
        return "".join(f"{line}\n" for line in self.lines).encode()

    @property
    def signers(self) -> tuple[Signer, ...]:
        """Those that allow something."""
        return tuple(line for line in self.lines if isinstance(line, Signer))

    def with_key(self, principal: str, key: PublicKey) -> AllowedSigners:
        """The same with a key that may sign in this name from now on; itself where it may already."""
        if any(one.key == key and principal in one.principals and one.before is None for one in self.signers):
            return self
        return AllowedSigners((*self.lines, Signer((principal,), key)))

    def retired(self, fingerprint: str, at: datetime) -> AllowedSigners:
        """The same where a key is valid no longer."""
        lines = (
            replace(one, before=at)
            if isinstance(one, Signer) and one.key.fingerprint == fingerprint and one.before is None
            else one
            for one in self.lines
        )
        return AllowedSigners(tuple(lines))

    def expect(self, signature: Signature, message: bytes, at: datetime, identity: str | None = None) -> Signer:
        """Who signed these bytes. SigningError, in one line, where nobody did who may.

        As ssh-keygen does it, a key is judged as of now, not as of when it signed: no signature says its time.
        """
        if signature.namespace != NAMESPACE:
            raise SigningError(f"it was signed for {signature.namespace[:60]!r}, not for {NAMESPACE}")
        known = [one for one in self.signers if one.key == signature.key]
        if not known:
            raise SigningError(f"the key {signature.key.fingerprint} that signed it is not among the allowed signers")
        refusals = {one: one.allows(signature, identity, at) for one in known}
        signer = next((one for one, why in refusals.items() if not why), None)
        if signer is None:
            raise SigningError(next(iter(refusals.values())))
        signature.verify(message)
        return signer


def _read(line: str) -> str | Signer:
    match = _LINE.fullmatch(line)
    if match is None or match["who"].startswith("#"):
        return line
    try:
        found = _OPTION.findall(match["options"] or "")
        options = dict(found)
        if len(options) != len(found) or not _KNOWN.issuperset(options):
            return line
        return Signer(
            tuple(match["who"].strip('"').split(",")),
            PublicKey.parse(match["key"]),
            _words(options.get("namespaces", "")),
            _time(options.get("valid-after")),
            _time(options.get("valid-before")),
        )
    except (SigningError, ValueError):
        return line


def _matches(word: str, patterns: Iterable[str]) -> bool:
    """By ssh's lists of patterns: `*` and `?` alone are special, and what a `!` stands before must not match."""
    hits = {one for one in patterns if fnmatchcase(word, one.removeprefix("!").replace("[", "[[]"))}
    return bool(hits) and not any(one.startswith("!") for one in hits)


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split(",")) if text else ()


def _time(text: str | None) -> datetime | None:
    """YYYYMMDD[HHMM[SS]][Z], in the machine's zone without the Z. ValueError."""
    if text is None:
        return None
    figures = text.removesuffix("Z")
    form = {8: _TIMES[0], 12: _TIMES[1], 14: _TIMES[2]}[len(figures)] if len(figures) in (8, 12, 14) else ""
    if not form or not figures.isdigit():
        raise ValueError(f"no time: {text!r:.40}")
    plain = datetime.strptime(figures, form)  # noqa: DTZ007  its zone comes next
    return plain.replace(tzinfo=UTC) if text.endswith("Z") else plain.astimezone()


def _moment(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y%m%d%H%M%SZ")


def read_signers(path: Path) -> AllowedSigners:
    """A person's file of keys. UsageError where it cannot be read, is none, or names no key."""
    try:
        with path.open("rb") as file:
            known = AllowedSigners.decode(file.read(LARGEST))
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror or error}") from error
    except SigningError as error:
        raise UsageError(f"{path}: {error}") from error
    if not known.signers:
        raise UsageError(f'{path} names no key; a line is: NAME namespaces="mirror-sync" ssh-ed25519 AAAA...')
    return known
