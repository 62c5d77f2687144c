"""What is odd about `access`: rules that nobody can meet, and a file of tokens that gives nobody anything."""

from __future__ import annotations

from collections.abc import Iterator

from mirror_sync.config.findings import Finding, listed, quoted
from mirror_sync.config.settings import Settings
from mirror_sync.config.tokens.tokens_file import read_tokens_file
from mirror_sync.errors import ConfigError

_PLACE = ("access", "tokens")


def doubts(settings: Settings) -> Iterator[Finding]:
    """What is odd, but usable: a front goes on by it, and gives less than may be meant."""
    roles, path = settings.access.roles, settings.tokens
    if path is None:
        if roles:
            message = "nobody can have one of these: write tokens: ./tokens.yaml beside them, for mirror-sync token"
            yield Finding(("access", "roles"), message)
    elif not path.exists():
        yield Finding(_PLACE, f"{quoted(path)} is not there: no token is known; mirror-sync token new NAME makes it")
    else:
        yield from _of_tokens(settings)
    if settings.front.by_digest and not any(map(settings.access.reads_all, roles)):
        opened = [settings.access_to(name).reads_all("") for name in settings.targets]
        if not all(opened):
            right = 'write readers: everyone in each job, or a role with read: ["*"]'
            message = f"nobody may read everything, and so nothing is given by its digest; {right}"
            yield Finding(("front", "by_digest"), message)


def _of_tokens(settings: Settings) -> Iterator[Finding]:
    if settings.tokens is None:
        return
    try:
        every = read_tokens_file(settings.tokens).every
    except ConfigError as error:
        said = "; ".join(fault.message for fault in error.faults)
        yield Finding(_PLACE, f"{quoted(settings.tokens)}: {said}: no token is known")
        return
    strange = sorted({one.role for one in every if not one.revoked and one.role not in settings.access.roles})
    if strange:
        yield Finding(
            _PLACE, f"has tokens of {listed(list(map(quoted, strange)), 'and')}, which is no role under roles"
        )
