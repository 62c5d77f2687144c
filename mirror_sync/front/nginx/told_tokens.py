"""What the nginx front knows of tokens by its configuration alone: decision 85 (docs/design/decisions).

It is what stood in the file of tokens when the configuration was written, and is gone by for no longer than a second
after the script has looked at the file (`vouch` in readers.js). What is not here, the script decides.
"""

from __future__ import annotations

import secrets
from collections import Counter
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from mirror_sync.domain.access.access_tokens import LARGEST_FILE, AccessToken, AccessTokens, Badge, SecureLink
from mirror_sync.domain.access.rights import AccessRules
from mirror_sync.front.nginx.nginx_bucket import plain


@dataclass(frozen=True, slots=True)
class ToldToken:
    """A token by its first letters: what `secure_link` is given, and whose it is; by `reader_class` caches keep
    answers apart.
    """

    letters: str
    link: str
    reader_class: str
    name: str

    @property
    def said(self) -> str:
        """As readers.js joins badge, role, name and what is said of a token: nothing of a good one, so two spaces."""
        return f"{self.reader_class} {self.name}  ."


@dataclass(frozen=True, slots=True)
class ToldTokens:
    """All of them; below `folder` workers note for which of them the file still says the same.

    `writing` is in the name of each note, so that workers of an older configuration make none that others go by.
    """

    every: tuple[ToldToken, ...]
    folder: str
    writing: str = field(default_factory=lambda: secrets.token_hex(4))

    @classmethod
    def of(cls, path: Path | None, access: AccessRules, folder: Path) -> ToldTokens:
        """Of the file of tokens as it is now; none of one that cannot be read, or where networks are ruled."""
        return cls(() if path is None or access.allow else tuple(_told(_known(path), access)), f"{plain(folder)}/")


def _known(path: Path) -> tuple[AccessToken, ...]:
    try:
        with path.open("rb") as file:
            return AccessTokens.decode(file.read(LARGEST_FILE + 1)).every
    except (OSError, ValueError):
        return ()  # the script reads it, and says what is wrong with it


def _told(every: Iterable[AccessToken], access: AccessRules) -> Iterable[ToldToken]:
    linked = [(one, one.link) for one in every if one.link is not None and not one.networks]
    # nginx's maps do not tell capitals from small letters
    alike = Counter(link.told.lower() for _, link in linked)
    for one, link in linked:
        reader = one.badge("", "", access.roles)
        if reader.badge is Badge.HELD and alike[link.told.lower()] == 1:
            with suppress(ValueError):  # an end that is on no calendar: the script compares it as it stands
                yield ToldToken(link.told, _link(link, one.expires), f"{reader.badge.value} {reader.role}", reader.name)


def _link(link: SecureLink, expires: str) -> str:
    """As `secure_link` takes it: an MD5, and until when, a second in which the token is good. ValueError for none."""
    return f"{link.md5},{int(datetime.fromisoformat(expires).timestamp()) - 1}" if expires else link.md5
