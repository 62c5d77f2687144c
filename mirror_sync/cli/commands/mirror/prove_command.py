"""`prove`: whether what a mirror gives is what it has signed; for anybody who has its public key."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated

import typer

from mirror_sync.cli.exits import FAILED, MISUSED
from mirror_sync.cli.invocation import Invocation
from mirror_sync.cli.options import Json, RepoArgument, command, repo_of
from mirror_sync.domain.bounds import plain
from mirror_sync.errors import MirrorError, UsageError, cause_of

_STOPPED = 130  # as a shell calls a program that Ctrl-C ended

if TYPE_CHECKING:
    from mirror_sync.domain.repo import Repo
    from mirror_sync.signing.proof import Proof


@command
def prove(  # noqa: PLR0913, PLR0917  one parameter an option
    invocation: Invocation,
    repo: RepoArgument,
    source: Annotated[
        str, typer.Option("--from", metavar="URL", help="The mirror: https://..., s3://... or file:///...")
    ],
    signers: Annotated[
        Path, typer.Option("--signers", metavar="FILE", help="Its public keys, as ssh-keygen reads allowed_signers.")
    ],
    revision: Annotated[
        str, typer.Option("--revision", metavar="NAME", help="A channel, branch, tag or commit.")
    ] = "main",
    folder: Annotated[
        Path | None, typer.Option("--dir", metavar="DIR", help="Prove this copy; else all files are read there.")
    ] = None,
    since: Annotated[
        Path | None, typer.Option("--since", metavar="FILE", help="A statement of before: an older one is refused.")
    ] = None,
    keep: Annotated[
        Path | None, typer.Option("--keep", metavar="FILE", help="Where the statement is kept, once it is proved.")
    ] = None,
    identity: Annotated[
        str | None,
        typer.Option("--identity", metavar="NAME", help="Who must have signed; any in --signers if left out."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Prove that a mirror gives what it has signed.

    Needs no jobs.yaml. Exit codes: 0 proved, 1 not proved, 2 nobody could look, 130 stopped by Ctrl-C.
    """
    from mirror_sync.signing.proof import Asked
    from mirror_sync.wiring.proving import prove as proved

    signal.signal(signal.SIGINT, _stop)
    wanted = _named(repo)
    try:
        seen = _seen(since)
        if folder is not None and not folder.is_dir():
            raise UsageError(f"--dir: {folder} is no folder")
        found = proved(Asked(wanted, revision, folder, seen, identity), source, signers)
        if keep is not None and found.ok:
            _write(keep, found.statement)
    except MirrorError as error:
        invocation.say(f"could not look: {plain(str(error))}")
        raise typer.Exit(MISUSED) from None
    except OSError as error:
        place = f"{error.filename}: " if error.filename else ""
        invocation.say(f"could not look: {plain(place + cause_of(error))}")
        raise typer.Exit(MISUSED) from None
    invocation.answer(found, lambda page: _text(found), as_json=as_json)
    for problem in found.problems:
        invocation.say(f"not proved: {problem}")
    if not found.ok:
        raise typer.Exit(FAILED)


def _stop(_signal: int, _frame: FrameType | None) -> None:
    """Not with 1, as other commands end: here that says that it is not proved. Threads may be deep in an answer."""
    os.write(2, b"mirror-sync: stopped before it was proved\n")
    os._exit(_STOPPED)


def _named(text: str) -> Repo:
    """UsageError for what is no repo, and for one with a revision, which has an option of its own."""
    name, at, revision = text.partition("@")
    if at:
        raise UsageError(f"{text!r} names a revision; write {name} --revision {revision}")
    return repo_of(text)


def _seen(since: Path | None) -> bytes | None:
    """The statement of before. UsageError where none is there: never kept, or taken away, and nobody can tell which."""
    if since is None:
        return None
    try:
        return since.read_bytes()
    except FileNotFoundError:
        raise UsageError(f"--since: {since} is not there; the first time leave --since out: --keep writes it") from None


def _write(path: Path, body: bytes) -> None:
    """Whole, or not at all."""
    part = path.with_name(f".{path.name}.part")
    part.write_bytes(body)
    part.replace(path)


def _text(found: Proof) -> str:
    """What was found, in a few lines; what is wrong is told apart."""
    lines = []
    if found.signer is not None and found.stated is not None:
        who = f"{','.join(found.signer.principals)} ({found.signer.key.fingerprint})"
        lines.append(f"signed by {who}, serial {found.stated.serial}, {found.stated.issued}{_age(found)}")
    lines += [f"note: {remark}" for remark in found.remarks]
    if found.ok:
        told = f"{found.files:,} files, {found.bytes:,} bytes, {found.documents:,} documents"
        lines.append(f"proved: {found.asked.repo} at {found.asked.revision}, commit {found.commit}: {told}")
    return "\n".join(lines) or f"{found.asked.repo}: nothing that could be proved"


def _age(found: Proof) -> str:
    if found.age is None:
        return ""
    days, seconds = divmod(max(int(found.age.total_seconds()), 0), 86400)
    hours, minutes = divmod(seconds // 60, 60)
    spoken = f"{days} days" if days else f"{hours} h {minutes} min"
    return f", {spoken} old"
