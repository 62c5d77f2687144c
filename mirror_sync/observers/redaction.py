"""What must not be shown: secret values, and characters that would drive a terminal."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import quote

SHOWN = "[secret]"
_SHORTEST = 4  # characters; a shorter secret is part of too many words to be looked for


class Redaction:
    """Replaces every secret it was told of, also where it is quoted for a URL or JSON. Safe for many threads."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._secrets: tuple[str, ...] = ()
        self.learn(secrets)

    def learn(self, secrets: Iterable[str]) -> None:
        """Add secrets of at least four characters: without every "a" of a line nobody could read it.

        None is ever forgotten, since a log line may still come from an older configuration.
        """
        known = set(self._secrets)
        for secret in (secret for secret in secrets if len(secret.strip()) >= _SHORTEST):
            known |= {secret, quote(secret), quote(secret, safe=""), json.dumps(secret)[1:-1]}
        # the longest first: a secret may begin with another one
        self._secrets = tuple(sorted(known, key=len, reverse=True))

    def text(self, text: str) -> str:
        for secret in self._secrets:
            text = text.replace(secret, SHOWN)
        return text

    def value(self, value: Any) -> Any:
        """A JSON-like value, redacted all the way down; what JSON does not know becomes text."""
        match value:
            case str():
                return self.text(value)
            case None | bool() | int() | float():
                return value
            case Mapping():
                return {self.text(str(key)): self.value(item) for key, item in value.items()}
            case list() | tuple() | set() | frozenset():
                return [self.value(item) for item in value]
            case _:
                return self.text(str(value))


def harmless(text: str) -> str:
    """One line that a terminal only shows: nothing in it moves a cursor, changes a colour or turns the writing."""
    if text.isprintable():
        return text
    return "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in text)
