"""A Source: an upstream that we read from. What it tells of its repos is a Catalogue, what is in their files Bytes."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import AbstractContextManager
from typing import Protocol

from mirror_sync.domain.attested import Attested
from mirror_sync.domain.content.manifest import RemoteFile
from mirror_sync.domain.content.refs import Ref
from mirror_sync.domain.content.upstream import BudgetState, Commit, Found, Heads, Resolved
from mirror_sync.domain.digest import CommitId
from mirror_sync.domain.job.ranking import Sought
from mirror_sync.domain.job.way_gauge import WayPace
from mirror_sync.domain.policy.gone import TokenStatus
from mirror_sync.domain.policy.scan_policy import ScannedFile
from mirror_sync.domain.repo import Repo
from mirror_sync.errors import NoSuchCall
from mirror_sync.ports.byte_stream import ByteStream


class Catalogue(Protocol):
    """What an upstream tells of its repos. All verbs raise UpstreamError; its subclasses tell cases apart.

    The verbs with an answer here are those that not every upstream knows: an adapter that inherits them may leave them.
    """

    def search(self, sought: Sought) -> Iterator[Found]:
        """The repos that a glob or a ranking stands for, each resolved at its default branch `main`.

        A bare repo is listed, too, but its entry cannot be read, or costs calls of its own: see `resolve`. A ranking
        comes in its order, and a Shortfall last where it was not filled; UpstreamError where nothing is counted.
        """
        ...

    def resolve(self, repo: Repo, revision: str) -> Resolved:
        """One call: the commit that a branch, tag or commit id stands for now, and the terms at it."""
        ...

    def list(self, repo: Repo, commit: CommitId) -> Iterator[RemoteFile]:
        """Every file of a commit, read as they are asked for: an error may leave when some have come.

        UnsafePath for a name that must not be published. ListedOtherwise: all that came does not count, list it anew.
        """
        ...

    def heads(self, repos: Collection[Repo]) -> Heads:
        """What lists tell of these repos, all of one kind and owner, in fewer calls than asking for each.

        It costs one call more than it saves, at the worst. A repo that is not found may be renamed, hidden, gone, or
        too deep in a long list: only `resolve` says. Nothing where no list tells of many.
        """
        return Heads()

    def refs(self, repo: Repo) -> tuple[Ref, ...]:
        """The branches and tags of a repo, also those whose names nobody should publish: see `name_fault`.

        NoSuchCall where the upstream tells them of none.
        """
        raise NoSuchCall(f"{self} tells no branches and tags of {repo}")

    def authorize(self, repo: Repo) -> None:
        """Return when the files of a (gated) repo may be read with our token; raise Gated or another refusal.

        NoSuchCall where only the files themselves can say.
        """
        raise NoSuchCall(f"{self} tells no access to {repo} before its files are read")

    def history(self, repo: Repo, commit: CommitId) -> tuple[Commit, ...]:
        """The newest commits up to and including `commit`, newest first, at least one. NoSuchCall: none is told."""
        raise NoSuchCall(f"{self} tells no history of commits of {repo} up to {commit}")

    def scans(self, repo: Repo, commit: CommitId, paths: Collection[str]) -> Mapping[str, ScannedFile]:
        """What the upstream's own scanners say of files, by path; what they say nothing of is left out.

        NoSuchCall where the upstream has none.
        """
        raise NoSuchCall(f"{self} tells no scans of files of {repo}")

    def attested(self, repo: Repo, commit: CommitId) -> Attested | None:
        """What another mirror says, and has signed, of a snapshot that it publishes; None of any other upstream."""
        return None

    def forget_lists(self, repos: Collection[Repo]) -> None:
        """Believe no list about these at the next question: somebody knows that they have moved. It asks nobody."""
        return

    def prove(self) -> TokenStatus:
        """Ask for something that only a valid token gets: what a refusal means depends on it.

        PROVED when it was given, ANONYMOUS without a token, UNPROVEN where the upstream has no such thing to ask for.
        A NotSeen proves nothing, whatever was proved before.
        TokenRejected for a token that the upstream does not know.
        """
        return TokenStatus.UNPROVEN

    def budget(self) -> Mapping[str, BudgetState]:
        """What is known of the upstream's limits, by kind of call (`api`, `resolvers`); empty where nothing is.

        It asks nobody.
        """
        return {}

    def speeds(self) -> Mapping[str, WayPace]:
        """How quickly each of several endpoints gives files, by its address; empty where there is but one.

        It asks nobody.
        """
        return {}


class Bytes(Protocol):
    """What is in the files of an upstream. Raises UpstreamError, while reading as well."""

    def fetch(
        self, repo: Repo, commit: CommitId, file: RemoteFile, start: int = 0, stop: int | None = None
    ) -> AbstractContextManager[ByteStream]:
        """The bytes [start, stop) of a file, neither proved nor complete by themselves. `stop` None: to its end."""
        ...

    def distrust(self, repo: Repo, commit: CommitId, file: RemoteFile) -> None:
        """The bytes that `fetch` gave for this file proved wrong: get them elsewhere if there is an elsewhere.

        It asks nobody.
        """
        ...


class Source(Catalogue, Bytes, Protocol):
    """An upstream. Every verb may be repeated; none changes anything. Safe for many threads."""
