"""Addresses of keys in hardware: `pkcs11:token=NAME;object=NAME?module-path=/usr/lib/...so&pin-source=/etc/...`.

Source: RFC 7512. Of its attributes those are known that find one key; a PIN stands in a file, never in the address.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self
from urllib.parse import unquote, unquote_to_bytes

_PREFIX = "pkcs11:"
_OF_KEY = ("token", "serial", "object", "id", "type")
_OF_WAY = ("module-path", "pin-source")
_STRAY = re.compile(r"%(?![0-9A-Fa-f]{2})|[^\x21-\x7e]")


@dataclass(frozen=True, slots=True)
class Pkcs11Uri:
    """A private key by its token's label or serial number, and by its own label or id; `pin` is the file of the PIN.

    `module` is the library of the hardware's maker.
    """

    module: Path
    token: str | None = None
    serial: str | None = None
    label: str | None = None
    id: bytes | None = None
    pin: Path | None = None

    @classmethod
    def parse(cls, text: str) -> Self:
        """ValueError, in one line without what may be secret, for what is no such address, or names no one key."""
        if not text.lower().startswith(_PREFIX):
            raise ValueError("is no address of a key in hardware; write pkcs11:token=NAME;object=NAME?module-path=FILE")
        path, _, query = text[len(_PREFIX) :].partition("?")
        found = _attributes(path.split(";"), _OF_KEY) | _attributes(query.split("&"), _OF_WAY)
        module, pin = _file(found, "module-path"), _file(found, "pin-source")
        if module is None:
            raise ValueError("names no module-path; write ?module-path=FILE, the library of the hardware's maker")
        if not (found.get("token") or found.get("serial")):
            raise ValueError("names no token; write token=NAME, as pkcs11-tool --list-slots shows it")
        if not (found.get("object") or found.get("id")):
            raise ValueError("names no key; write object=NAME or id=%01, as pkcs11-tool --list-objects shows it")
        if found.get("type", "private") != "private":
            raise ValueError("names what is no private key; write type=private, or leave it out")
        token, serial, label = (_word(found, name) for name in ("token", "serial", "object"))
        return cls(module, token, serial, label, unquote_to_bytes(found["id"]) if "id" in found else None, pin)

    def __str__(self) -> str:
        """For messages: which key of which token."""
        told = {"object": self.label, "id": self.id and self.id.hex(), "token": self.token, "serial": self.serial}
        return " ".join(f"{name} {value}" for name, value in told.items() if value)


def _attributes(written: Iterable[str], known: tuple[str, ...]) -> dict[str, str]:
    found: dict[str, str] = {}
    for one in filter(None, written):
        name, equals, value = one.partition("=")
        if name == "pin-value":
            raise ValueError("holds a PIN, which stands in a file: write ?pin-source=FILE, and chmod 600 the file")
        if not equals or name not in known:
            raise ValueError(f"has an attribute that is not known, {name[:40]!r}; known here: {', '.join(known)}")
        if name in found:
            raise ValueError(f"says {name} twice")
        if _STRAY.search(value):
            raise ValueError(f"{name} has a letter that an address writes as %20 and the like")
        found[name] = value
    return found


def _word(found: Mapping[str, str], name: str) -> str | None:
    return unquote(found[name]) if name in found else None


def _file(found: Mapping[str, str], name: str) -> Path | None:
    """An absolute path, or `file:` and one."""
    if name not in found:
        return None
    said = unquote(found[name])
    path = Path(said.removeprefix("file://").removeprefix("file:"))
    if not path.is_absolute() or "\0" in said:
        raise ValueError(f"{name} is no absolute path of a file")
    return path
