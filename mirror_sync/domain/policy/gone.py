"""A repo that its upstream no longer gives, of which something is published: what is done, and what is remembered.

Nothing is done by one answer alone. What must be remembered between runs stands in refs.json, so that every machine
and a new one see it: `"absent": {"code": …, "since": …}`. Of a withdrawn repo, whose name anybody may take, `_id` and
`createdAt` stand there, too.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from mirror_sync.domain.policy.identity import Identity
from mirror_sync.domain.times import iso_utc

WITHDRAW_AFTER = timedelta(days=1)
DISABLED, PRIVATE = "disabled", "private"
_PLAIN = frozenset({DISABLED, PRIVATE})  # the upstream knows the repo and says what it is: no token makes it say so


class OnGone(StrEnum):
    """What a job wants, the mildest first."""

    KEEP = "keep"  # what is published stays, and the upstream is asked at every run
    FREEZE = "freeze"  # what is published stays, and the upstream is asked no more
    WITHDRAW = "withdraw"  # what is published is un-published once the same answer came a day later


class TokenStatus(StrEnum):
    """What is known of our token at an upstream, and so of what its refusals mean."""

    PROVED = "proved"  # an answer that only a valid token gets; of a folder, that it says it is whole
    ANONYMOUS = "anonymous"  # there is no token
    UNPROVEN = "unproven"  # nobody can tell


@dataclass(frozen=True, slots=True)
class Gone:
    """Remembered in refs.json: `code` says why, `since` (UTC) when it was first said, `identity` which repo it was."""

    code: str
    since: datetime
    identity: Identity = Identity()

    def of(self, identity: Identity) -> Gone:
        """The same of a repo with this identity."""
        return replace(self, identity=identity)

    def encode(self) -> dict[str, str]:
        """The value of `gone` in refs.json."""
        return {"code": self.code, "since": iso_utc(self.since), **self.identity.encode()}

    @classmethod
    def decode(cls, document: dict[str, str]) -> Gone:
        """ValueError, KeyError or TypeError for anything else."""
        since = datetime.fromisoformat(document["since"])
        if since.tzinfo is None:
            raise ValueError(f"a time without a zone: {document['since']!r}")
        return cls(str(document["code"]), since.astimezone(UTC), Identity.of(document))


@dataclass(frozen=True, slots=True)
class Cause:
    """Why a repo counts as gone: an error's code or one of ours, a sentence, and whether there is no other reading."""

    code: str
    reason: str
    certain: bool


@dataclass(frozen=True, slots=True)
class Ruling:
    """What follows: `note` is to be remembered, `withdraw` un-publishes, `reason` tells a person."""

    note: Gone | None
    reason: str
    withdraw: bool = False


def is_certain(code: str, standing: TokenStatus, *, was_open: bool) -> bool:
    """Whether an answer can only mean that the repo is gone for everybody in our place.

    Without a token, a repo that needed one would look the same: so only one that was open to all when it was
    published (`was_open`) is known to be gone.
    """
    if code in _PLAIN or standing is TokenStatus.PROVED:
        return True
    return standing is TokenStatus.ANONYMOUS and was_open


def rule(wish: OnGone, cause: Cause, noted: Gone | None, now: datetime) -> Ruling:
    """Decide for a repo of which something is published; `noted` is what refs.json remembers."""
    stays = f"{cause.reason}; the snapshot published before stays"
    if not cause.certain:
        return Ruling(noted, f"{stays}: nothing proves that it is gone, so that on_gone does not apply")
    if wish is OnGone.KEEP:
        return Ruling(None, stays)
    same = noted is not None and noted.code == cause.code and noted.since <= now  # a clock may have been ahead
    note = noted if noted is not None and same else Gone(cause.code, now.astimezone(UTC).replace(microsecond=0))
    if wish is OnGone.FREEZE:
        return Ruling(note, f"{stays}, and is not asked for again until on_gone is keep")
    if now - note.since >= WITHDRAW_AFTER:
        return Ruling(note, f"{cause.reason}, as on {iso_utc(note.since)}: withdrawn, as on_gone says", withdraw=True)
    until = iso_utc(note.since + WITHDRAW_AFTER)
    return Ruling(note, f"{stays}, and is withdrawn when the upstream says so again after {until}")


def frozen_reason(noted: Gone) -> str:
    """Why a repo that is frozen is not asked for, in one line."""
    since = iso_utc(noted.since)
    return f"frozen: gone upstream ({noted.code}) since {since}; on_gone: keep asks for it again"


def mildest(wishes: tuple[OnGone, ...]) -> OnGone:
    """What several jobs can agree on."""
    return min(wishes, key=list(OnGone).index, default=OnGone.KEEP)
