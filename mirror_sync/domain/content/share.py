"""A grey release: a share of those who ask for main is given what a channel stands for.

It stands in refs.json as an attachment whose name says all that a front needs, `share.<channel>.<hundredths of a
percent>`, or with `.<seconds since 1970>` at its end: from then on. The document is the line of the history that began
it (versions.py). A share that is yet to begin lets fronts keep no answer for all readers that would outlast its
beginning: then all of them change over at one moment, in every answer. Which readers these are nobody writes
down: a digest of the repo and the reader says it, the same at every front and for every request. A larger share has
all readers of a smaller one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256
from ipaddress import ip_address
from typing import Any

from mirror_sync.domain.repo import Repo

SHARE = "share."  # begins the name of the attachment
WHOLE = 10_000  # hundredths of a percent
NOTICE = 5  # seconds before a share begins: what fronts keep for all, by what they knew before, is gone by then
_NAME = re.compile(r"share\.([a-z]{1,40})\.([1-9][0-9]{0,4})(?:\.([1-9][0-9]{0,11}))?", re.ASCII)
_DIGITS, _ALL = 8, 1 << 32  # of a digest in hexadecimal, as many as JavaScript counts exactly; and how many there are


@dataclass(frozen=True, slots=True)
class ReaderShare:
    """So many hundredths of a percent of the readers of main are given what a channel stands for.

    From `begins` on, in seconds since 1970; 0: at once.
    """

    channel: str
    hundredths: int
    begins: int = 0

    @property
    def name(self) -> str:
        """That of the attachment."""
        return f"{SHARE}{self.channel}.{self.hundredths}{f'.{self.begins}' if self.begins else ''}"

    @property
    def said(self) -> str:
        """As people write it: 10%, 0.5%."""
        return f"{self.hundredths / 100:g}%"

    def encode(self) -> dict[str, Any]:
        """As JSON."""
        return {"channel": self.channel, "percent": self.hundredths / 100}

    @classmethod
    def of(cls, attachments: Iterable[str]) -> ReaderShare | None:
        """The one that is on; None for none, and for a name that says none."""
        for name in sorted(attachments):
            found = _NAME.fullmatch(name)
            if found is not None and int(found[2]) <= WHOLE:
                return cls(found[1], int(found[2]), int(found[3] or 0))
        return None

    def takes(self, repo: Repo, reader: str) -> bool:
        """Whether a reader, as `reader_key` calls them, is among them."""
        digest = sha256(f"{repo.kind.plural}/{repo.id}\n{reader}".encode()).hexdigest()
        return bool(int(digest[:_DIGITS], 16) * WHOLE < self.hundredths * 16**_DIGITS)


def reader_key(token: str, client: str) -> str:
    """How a reader is told from others: by the name of their token, else by their address, however that is written."""
    if token:
        return f"token {token}"
    try:
        address = ip_address(client)
    except ValueError:
        return f"address {client}"
    mapped = getattr(address, "ipv4_mapped", None)
    return f"address {(mapped or address).packed.hex()}"
