"""Who asks, and whether they may: what every route of a front is behind.

See docs/design/decisions/0050-who-may-read-what.md, and 0051-how-fronts-know-tokens.md for the file of tokens.
What somebody may do with a repo is decided for each request; who they are is known for a second.
"""

from __future__ import annotations

import base64
import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from mirror_sync.domain.access.access_tokens import (
    LARGEST_FILE,
    AccessTokens,
    Badge,
    Reader,
    client_of,
    credential,
    in_cookie,
    is_within,
)
from mirror_sync.domain.access.rights import Need, Sight, kind_of
from mirror_sync.domain.repo import Kind, Repo
from mirror_sync.front.hub import answers
from mirror_sync.front.hub.answers import Refusal
from mirror_sync.front.hub.front_request import Fields, FrontRequest
from mirror_sync.front.hub.served import Served
from mirror_sync.logger import Logger

_LOCAL = ("127.0.0.1/32", "::1/128")  # a server before us on this machine, as one that ends TLS
UNREAD = "no token is known, and only what everybody may read is given"
_log = Logger()


class TokensFile:
    """The tokens of a file, as it is now: who changes it need not tell anybody. Safe for many threads.

    Of a file that is not there, or is broken, none is known; the log says so once for each state of it.
    """

    def __init__(self, path: Path) -> None:
        self._path, self._lock = path, threading.Lock()
        self._seen: tuple[int, ...] | None = None
        self._tokens = AccessTokens()
        self()

    def __call__(self) -> AccessTokens:
        """What is known now. Raises nothing."""
        with self._lock:
            try:
                found = self._path.stat()
                state: tuple[int, ...] = (found.st_ino, found.st_mtime_ns, found.st_ctime_ns, found.st_size)
            except OSError as error:
                state = (-(error.errno or 1),)
            if state != self._seen:
                self._tokens = self._read()
                self._seen = state
            return self._tokens

    def _read(self) -> AccessTokens:
        try:
            with self._path.open("rb") as file:
                return AccessTokens.decode(file.read(LARGEST_FILE + 1))
        except OSError as error:
            self._tell(os.strerror(error.errno or 0))
        except ValueError as error:
            self._tell(str(error))
        return AccessTokens()

    def _tell(self, why: str) -> None:
        _log.error("tokens.unread", file=str(self._path), reason=f"{why}: {UNREAD}")


def _no_tokens() -> AccessTokens:
    return AccessTokens()


_LONGEST_KEPT = 128  # characters of a header: spaces beside a token are none of it, and a signature comes once


@dataclass(frozen=True, slots=True)
class _Second:
    """Who was found in a second of the clock to bring a good token, by the Authorization header: not for strangers,
    who would fill it, nor for tokens with networks. Nothing expires in it that had not before.
    """

    number: int
    held: dict[str, Reader] = field(default_factory=dict)


class Doorkeeper:
    """Decides for each request; raises Refusal, StoreError, DocumentError. Safe for many threads."""

    def __init__(
        self,
        served: Served,
        tokens: Callable[[], AccessTokens] | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._served, self._access = served, served.access
        self._tokens, self._clock = tokens or _no_tokens, clock
        self._second = _Second(-1)
        self.knows_tokens = tokens is not None
        """Whether answers may depend on a token."""
        self.chooses = self.knows_tokens or bool(self._access.allow)
        """Whether answers may depend on who asks at all."""
        self.shares = not self._access.allow
        """Whether a cache may give others what is for everybody: not to those who may not ask at all."""

    def client(self, peer: str, forwarded: str) -> str:
        """The address of who asks."""
        return client_of(peer, forwarded, (*_LOCAL, *self._access.proxies))

    def reader(self, asked: FrontRequest, cookie_name: Callable[[], str] = str) -> Reader:
        """Who asks, by the address and the token, which may come in a cookie of that name where no other is sent."""
        if self._access.allow and not is_within(asked.client, self._access.allow):
            return Reader(Badge.OUTSIDE, said=asked.client)
        header, second = asked.headers.get("authorization", ""), self._this_second()
        known = second.held.get(header)
        if known is not None:
            return known
        token = credential(header, from_base64)
        if token is None and (cookie := cookie_name()):
            sent = (said for name, said in asked.headers.items() if name == "cookie")  # HTTP/2 may cut it up
            token = in_cookie("; ".join(sent), cookie)
        if token is None:
            return Reader()
        held = self._tokens().of(token) if token else None
        if held is None:
            return Reader(Badge.UNKNOWN)
        now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(second.number))
        reader = held.badge(now, asked.client, self._access.roles)
        if 0 < len(header) <= _LONGEST_KEPT and reader.badge is Badge.HELD and not held.networks:
            second.held[header] = reader
        return reader

    def _this_second(self) -> _Second:
        """The clock is looked at before the tokens are: what the file says when a second begins is known in it."""
        number, second = int(self._clock()), self._second
        if second.number != number:
            self._second = second = _Second(number)
        return second

    def admit(self, reader: Reader, need: Need | None, fields: Fields) -> bool:
        """Whether the answer is one for everybody, and may be kept for all. Refusal where it is not for this reader.

        `need` None: nothing is at that address. Of a repo that is not published nothing is decided here: see `unfound`.
        """
        if need is Need.NOTHING:
            return True
        if reader.is_barred:
            raise self._barred(reader)
        if need is None:
            return True
        if need is Need.ENTRY:
            if not self._access.may_enter(reader.role):
                raise self.wanted(reader)
            return not reader.role
        if need is Need.ALL:
            return self._admit_to_all(reader)
        return self._admit_to_repo(reader, need, fields)

    def sight(self, reader: Reader, repo: Repo) -> Sight:
        """What a reader may do with a repo; of one that is not published by its name alone."""
        return self._access.decide(reader.role, repo, closed=self._served.is_closed(repo))

    def unfound(self, reader: Reader, repo: Repo) -> Refusal:
        """What is answered of a repo that is not here, or that is not here for this reader: both are the same."""
        if not self._access.may_enter(reader.role):
            return self.wanted(reader)
        if reader.badge is Badge.UNKNOWN and not self._access.may_be_public(repo):
            return self.wanted(reader)
        return answers.repo_not_found(repo)

    def _admit_to_repo(self, reader: Reader, need: Need, fields: Fields) -> bool:
        repo = named_repo(fields)
        if repo is None:
            return True
        refs = self._served.snapshots.refs(repo)
        if refs is None:
            return True
        closed = self._served.closes(refs)
        sight = self._access.decide(reader.role, repo, closed=closed)
        if sight is Sight.HIDDEN:
            raise self.unfound(reader, repo)
        if sight is Sight.SEE and need is Need.READ and refs.snapshots:
            raise self._see_only(reader, repo)
        return self._access.is_public(repo, closed=closed)

    def _admit_to_all(self, reader: Reader) -> bool:
        if not self._access.reads_all(reader.role):
            if reader.badge is Badge.UNKNOWN:
                raise self.wanted(reader)
            raise Refusal(404, answers.NOT_ALL)
        return not reader.role or self._access.reads_all("")

    def _barred(self, reader: Reader) -> Refusal:
        if reader.badge is Badge.OUTSIDE:
            return Refusal(403, answers.OUTSIDE.format(client=reader.said))
        said = answers.BARRED[reader.badge].format(name=reader.name, said=reader.said)
        return unauthorized(f"{said}; ask {self._access.whom_to_ask}")

    def wanted(self, reader: Reader) -> Refusal:
        """That a token is wanted, or another one."""
        said = answers.WHOSE if reader.badge is Badge.NONE else answers.STRANGER
        return unauthorized(f"{said}; ask {self._access.whom_to_ask} for one")

    def _see_only(self, reader: Reader, repo: Repo) -> Refusal:
        message = answers.SEE_ONLY.format(repo=repo.id, role=reader.role, whom=self._access.whom_to_ask)
        return Refusal(403, message, "GatedRepo")


def unauthorized(message: str) -> Refusal:
    """401 in words of ours, without a code: every client shows it. A browser then asks for a name and a token."""
    return Refusal(401, message, WWW_Authenticate=answers.CHALLENGE)


def named_repo(fields: Fields) -> Repo | None:
    """The repo that an address names; None for what none can be called, and for kinds that are not mirrored."""
    kind = kind_of(fields.get("kinds") or (fields.get("place") or "").rstrip("/") or Kind.MODEL.plural)
    try:
        return None if kind is None or "id" not in fields else Repo(kind, fields["id"])
    except ValueError:
        return None


def from_base64(text: str) -> bytes:
    """What `credential` reads Basic with."""
    return base64.b64decode(text, validate=True)
