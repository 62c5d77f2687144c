"""`verify`: proves what is published."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from mirror_sync.cli.exits import end
from mirror_sync.cli.invocation import Invocation
from mirror_sync.cli.options import Json, OnlyRepo, command, repo_of
from mirror_sync.config.findings import quoted
from mirror_sync.config.keys.values import quantities
from mirror_sync.errors import UsageError

if TYPE_CHECKING:
    from mirror_sync.engine.upkeep.verify import Scope

Value = TypeVar("Value")
_DAY, _HOUR = timedelta(days=1), timedelta(hours=1)


@command
def verify(  # noqa: PLR0913, PLR0917  the options of a command
    invocation: Invocation,
    repo: OnlyRepo = None,
    repair: Annotated[bool, typer.Option("--repair", help="Fetch what is wrong from upstream again.")] = False,
    sample: Annotated[
        str, typer.Option("--sample", metavar="SHARE", help="Only a part of all files, like 5%: each time the next.")
    ] = "100%",
    since: Annotated[
        str | None,
        typer.Option("--since", metavar="TIME", help="Only what was published since a date, or in the last 7d."),
    ] = None,
    rate: Annotated[
        str | None, typer.Option("--rate", metavar="RATE", help="Read no faster than this, like 50MB/s.")
    ] = None,
    across: Annotated[
        bool, typer.Option("--across", help="Compare replicas with their targets, by lists and documents alone.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Prove by SHA-256 that what is published is whole.

    The same command goes on where an interrupted one had stopped. Documents are always read, whatever the sample.
    With --across no file is read: it says of each replica whether it publishes the same, and has all that it names.
    """
    if across:
        if repo is not None or repair or since is not None or rate is not None or sample != "100%":
            raise UsageError("--across compares all of each replica; leave the other options out")
        _compare(invocation, as_json=as_json)
        return
    from mirror_sync.cli.output.verify_text import verify_text

    scope = scope_of(sample, since, rate, datetime.now(UTC), repair=repair, repo=repo)
    with invocation.mirror("verifying") as mirror:
        report = mirror.verify(invocation.actor, scope)
    invocation.answer(report, lambda page: verify_text(report, page), as_json=as_json)
    end(report.ok)


def _compare(invocation: Invocation, *, as_json: bool) -> None:
    from mirror_sync.cli.output.replica_text import across_text

    with invocation.mirror("comparing", reading=True) as mirror:
        reports = [mirror.replicas.across(target, replica) for target, replica in mirror.replicas.named()]
    if as_json:
        invocation.print_json([report.encode() for report in reports])
    else:
        invocation.print(across_text(reports, invocation.page))
    end(all(report.ok for report in reports))


def scope_of(
    sample: str, since: str | None, rate: str | None, now: datetime, *, repair: bool, repo: str | None = None
) -> Scope:
    """What the options ask for. UsageError for the first that cannot be understood."""
    from mirror_sync.engine.upkeep.verify import Scope

    return Scope(
        repo=None if repo is None else repo_of(repo),
        sample=_option("--sample", quantities.part, sample),
        since=None if since is None else _option("--since", lambda text: moment_of(text, now), since),
        repair=repair,
        rate=None if rate is None else _option("--rate", _rate, rate),
    )


def _option(name: str, read: Callable[[str], Value], text: str) -> Value:
    try:
        return read(text)
    except ValueError as error:
        raise UsageError(f"{name}: {error}") from None


def _rate(text: str) -> float:
    """Bytes a second."""
    rate = quantities.rate(text)
    if not rate:
        raise ValueError(f"at {quoted(text)} nothing would ever be read; write 500B/s, 10KB/s or 50MB/s")
    return float(rate)


def moment_of(text: str, now: datetime) -> datetime:
    """A date or time, in UTC where it does not say, or a duration before now."""
    try:
        when = datetime.fromisoformat(text.strip())
    except ValueError:
        return _before(text, now)
    when = when if when.tzinfo else when.replace(tzinfo=UTC)
    if when > now:
        raise ValueError(f"{quoted(text)} is still to come; write a date that has been, like {now:%Y-%m-%d}, or 7d")
    return when


def _before(text: str, now: datetime) -> datetime:
    """Whole days or hours: the same words, a little later, must ask the same, or no verify could be gone on with."""
    from mirror_sync.config.keys.values.time_values import interval

    try:
        length = interval(text)
    except ValueError:
        raise ValueError(f"{quoted(text)} is no date and no duration; write {now:%Y-%m-%d}, 7d or 12h") from None
    step = _DAY if length >= _DAY else _HOUR
    epoch = datetime.fromtimestamp(0, UTC)
    try:
        when = now - length
    except OverflowError:
        return epoch
    return max(epoch, when - (when - epoch) % step)
