"""What must not be shown: secret values, and characters that would drive a terminal."""

from __future__ import annotations

import json
import re
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import quote

from mirror_sync.domain.bounds import plain

SHOWN = "[secret]"
_SHORTEST = 4  # characters; a shorter secret is part of too many words to be looked for
_ROTATED = 100  # of the newest keys that are renewed: a daemon of months would look for thousands that have ended

# What gives access wherever it stands, whether or not somebody told us of it. First the part that is kept.
_SUSPECT = re.compile(r"://|\burl: |[?&]|authorization|bearer|hf_|A[KS]IA", re.IGNORECASE)
_SHAPES = (
    re.compile(r"(\bhttps?://)[^\s/?#@\"'<>]+@"),  # a user in an address
    re.compile(r"(\bhttps?://[^\s?#\"'<>]*\?)[^\s#\"'<>]+"),  # a signed address is one by its query
    re.compile(r"(\burl: [^\s?\"'<>]*\?)[^\s\"'<>]+"),  # as urllib3's errors name what they asked for
    re.compile(
        r"([?&](?:X-Amz-[A-Za-z-]+|AWSAccessKeyId|Signature|Key-Pair-Id|Policy|sig|token)=)[^\s&\"'<>]+", re.IGNORECASE
    ),
    re.compile(r"(\bauthorization[\"']?\s*[:=]\s*)[^\r\n]{4,}", re.IGNORECASE),
    re.compile(r"(\bbearer\s+)[A-Za-z0-9._~+/-]{12,}", re.IGNORECASE),
    re.compile(r"(\b)hf_[A-Za-z0-9]{30,}"),  # a token of the Hub
    re.compile(r"(\b)A[KS]IA[A-Z0-9]{16}\b"),  # the name of a key of AWS
)


_TINT = re.compile(r"\x1b\[\d{1,2}m[a-z]+\x1b\[0m")  # what tables.py colours: a state


class Redaction:
    """Replaces every secret it was told of, also where it is quoted for a URL or JSON. Safe for many threads."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._secrets: tuple[str, ...] = ()
        self._lasting: frozenset[str] = frozenset()
        self._rotated: deque[str] = deque(maxlen=_ROTATED)
        self.learn(secrets)

    def learn(self, secrets: Iterable[str]) -> None:
        """Add secrets of at least four characters: without every "a" of a line nobody could read it.

        None is ever forgotten, since a log line may still come from an older configuration.
        """
        self._lasting |= frozenset(_spellings(secrets))
        self._sort()

    def rotate(self, secrets: Iterable[str]) -> None:
        """Add secrets that are renewed again and again, as those of a role: of these the newest are kept."""
        for secret in secrets:
            if secret not in self._rotated:
                self._rotated.append(secret)
        self._sort()

    def _sort(self) -> None:
        """The longest first: a secret may begin with another one."""
        known = self._lasting.union(_spellings(tuple(self._rotated)))
        self._secrets = tuple(sorted(known, key=len, reverse=True))

    def text(self, text: str) -> str:
        """The text without secrets, and without what is one by its shape: an address's query and user, a token."""
        for secret in self._secrets:
            text = text.replace(secret, SHOWN)
        if _SUSPECT.search(text):
            for shape in _SHAPES:
                text = shape.sub(rf"\1{SHOWN}", text)
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


def _spellings(secrets: Iterable[str]) -> Iterator[str]:
    """Each as it is, and as it stands in a URL and in JSON."""
    for secret in (secret for secret in secrets if len(secret.strip()) >= _SHORTEST):
        yield from {secret, quote(secret), quote(secret, safe=""), json.dumps(secret)[1:-1]}


def lines_shown(text: str) -> str:
    """Text of many lines as a terminal only shows it: the colour of a word at a line's beginning is ours, and stays."""
    return "\n".join(_line_shown(line) for line in text.split("\n"))


def json_shown(document: str) -> str:
    """A JSON document, all of whose characters that a terminal would obey are written as `\\uXXXX`."""
    if document.replace("\n", "").isprintable():
        return document
    return "".join(char if char == "\n" or char.isprintable() else _in_json(char) for char in document)


def _in_json(char: str) -> str:
    units = char.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[at]:02x}{units[at + 1]:02x}" for at in range(0, len(units), 2))


def _line_shown(line: str) -> str:
    tint = _TINT.match(line)
    start = tint.end() if tint else 0
    return line[:start] + "\t".join(map(plain, line[start:].split("\t")))
