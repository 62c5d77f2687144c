"""`token new`, `token list`, `token revoke`: who may read the mirror beside what everybody may."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mirror_sync.cli.invocation import Invocation
from mirror_sync.cli.options import Json, command
from mirror_sync.domain.access.access_tokens import (
    AccessToken,
    AccessTokens,
    SecureLink,
    digest_of,
    known_as,
    network,
    new_token,
)
from mirror_sync.domain.times import iso_utc
from mirror_sync.errors import UsageError

if TYPE_CHECKING:
    from mirror_sync.config.settings import Settings

Name = Annotated[str, typer.Argument(metavar="NAME", help="Whose it is, as logs and the audit say it.")]


@command
def new(
    invocation: Invocation,
    name: Name,
    role: Annotated[str, typer.Option("--role", metavar="ROLE", help="A role under access.roles of jobs.yaml.")],
    expires: Annotated[
        str | None,
        typer.Option("--expires", metavar="TIME", help="How long it is good, like 90d; for ever if left out."),
    ] = None,
    networks: Annotated[
        list[str] | None, typer.Option("--networks", metavar="NET", help="From where it is good, again for each more.")
    ] = None,
) -> None:
    """Make a token, and print it once.

    It is kept nowhere: tokens.yaml holds digests of it. Fronts know it within a second.
    """
    import secrets

    from mirror_sync.config.keys.values.scalars import name as word
    from mirror_sync.config.tokens.tokens_file import change_tokens_file

    settings = invocation.settings()
    path, now = _file(settings), datetime.now(UTC)
    if role not in settings.access.roles:
        from mirror_sync.domain.nearest import names_instead

        raise UsageError(f"{settings.path.name} has no role {role!r}{names_instead(role, settings.access.roles)}")
    try:
        within = tuple(network(part) for one in networks or () for part in one.split(",") if part)
        called, end = word(name), "" if expires is None else iso_utc(now + _length(expires))
    except ValueError as error:
        raise UsageError(str(error)) from None
    token = new_token(secrets.choice)
    by, link = known_as(str(invocation.actor)), SecureLink.of(token)
    made = AccessToken(called, role, digest_of(token), end, within, by=by, link=link)
    change_tokens_file(path, lambda known: _with(known, made, path))
    until = f", until {end}" if end else ""
    invocation.say(f"token {called}, role {role}{until}: it is shown this once; readers set HF_TOKEN to it")
    invocation.reveal(token)


@command
def show(invocation: Invocation, as_json: Json = False) -> None:
    """Show the tokens that there are: name, role, until when, from where.

    None of them can be read here: a token that is lost is revoked, and a new one made.
    """
    from mirror_sync.config.tokens.tokens_file import read_tokens_file

    settings = invocation.settings()
    every, now = read_tokens_file(_file(settings)).every, iso_utc(datetime.now(UTC))
    if as_json:
        invocation.print_json({"tokens": [_document(one, now, settings) for one in every]})
        return
    for one in every:
        end = f", until {one.expires}" if one.expires else ""
        within = f", from {' '.join(one.networks)}" if one.networks else ""
        invocation.print(f"{one.name}: {_state(one, now, settings)}, role {one.role}{end}{within}")
    if not every:
        invocation.print("no tokens: mirror-sync token new NAME --role ROLE makes one")


@command
def revoke(invocation: Invocation, name: Name) -> None:
    """End a token: a second later nobody reads by it."""
    from mirror_sync.config.tokens.tokens_file import change_tokens_file, read_tokens_file

    path = _file(invocation.settings())
    held = read_tokens_file(path).named(name)
    if held is None:
        raise UsageError(f"{path} has no token {name!r}; mirror-sync token list shows those that it has")
    if held.revoked:
        invocation.print(f"token {name} was revoked on {held.revoked} already")
        return
    at, by = iso_utc(datetime.now(UTC)), known_as(str(invocation.actor))
    change_tokens_file(path, lambda known: known.revoking(name, at, by))
    invocation.print(f"token {name} is revoked: fronts know it within a second")


def _with(known: AccessTokens, made: AccessToken, path: Path) -> AccessTokens:
    held = known.named(made.name)
    if held is not None and not held.revoked:
        raise UsageError(f"{path} has a token {made.name!r}: choose another name, or revoke that one first")
    return known.with_token(made)


def _file(settings: Settings) -> Path:
    if settings.tokens is None:
        raise UsageError(
            f"{settings.path.name} names no file for tokens; write access: {{roles: ..., tokens: ./tokens.yaml}} there"
        )
    return settings.tokens


def _length(text: str) -> timedelta:
    from mirror_sync.config.keys.values.time_values import interval

    return interval(text)


def _state(one: AccessToken, now: str, settings: Settings) -> str:
    if one.revoked:
        return f"revoked on {one.revoked}"
    if one.expires and one.expires <= now:
        return "expired"
    return "good" if one.role in settings.access.roles else "good for nothing, since jobs.yaml has no such role"


def _document(one: AccessToken, now: str, settings: Settings) -> dict[str, Any]:
    return {
        "name": one.name,
        "role": one.role,
        "state": "revoked" if one.revoked else "expired" if one.expires and one.expires <= now else "good",
        "expires": one.expires or None,
        "networks": list(one.networks),
        "by": one.by or None,
        "revoked": one.revoked or None,
        "revoked_by": one.revoked_by or None,
        "known_role": one.role in settings.access.roles,
    }
