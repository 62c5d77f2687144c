"""One site that speaks ModelScope's API, as a Source: models and datasets under the names that the Hub's have here.

What is promised of a file is the SHA-256 of its listing, so that any byte is proved; a file is published as the Hub
publishes those in LFS. The default branch, `master`, is `main` here.

A commit is the newest of the revision, of which a listing tells eight digits: the rest is found at a file that it has
changed. Where no listed file has it (it only deleted something, or changed what stands beyond the cut), the id is those
digits and a hash of them; where nothing is told, it is a fingerprint of the listing. Neither is known to ModelScope,
which is then asked by the name, and an answer of another commit is refused.
"""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Generic, TypeVar
from urllib.parse import urlencode

from mirror_sync.domain.content.manifest import RemoteFile
from mirror_sync.domain.content.refs import Ref
from mirror_sync.domain.content.upstream import Commit, Found, Resolved
from mirror_sync.domain.digest import CommitId
from mirror_sync.domain.job.ranking import Ranking, Sought
from mirror_sync.domain.job.upstreams import ModelScopeUpstream
from mirror_sync.domain.outcome.events import Observer
from mirror_sync.domain.policy.gone import TokenStatus
from mirror_sync.domain.repo import Repo, RepoPattern
from mirror_sync.errors import (
    BadAnswer,
    FileNotFound,
    Gated,
    NoSuchCall,
    NotFoundOrPrivate,
    RevisionNotFound,
    Unreachable,
    UpstreamError,
)
from mirror_sync.net.transport import Transport
from mirror_sync.ports.byte_stream import ByteStream
from mirror_sync.ports.source import Source
from mirror_sync.scratch.distinct_keys import DistinctKeys
from mirror_sync.sources.hub.budget import Budget
from mirror_sync.sources.hub.download import Way
from mirror_sync.sources.hub.download_addresses import Addresses
from mirror_sync.sources.hub.hub_errors import RequestContext
from mirror_sync.sources.hub.hub_json import UNREADABLE, file_and_folder, order_of, path_in_order
from mirror_sync.sources.modelscope.modelscope_calls import (
    ForbiddenAnswer,
    ModelScopeCalls,
    ModelScopeContext,
    ModelScopeDownload,
    ModelScopeEndpoint,
)
from mirror_sync.sources.modelscope.modelscope_json import ListingAnswer, RepoInfo, remote_file, typed
from mirror_sync.sources.modelscope.modelscope_walk import RevisionWalk

MASTER, MAIN = "master", "main"
_NO_TARGET = CommitId("0" * 40)  # of a name whose commit was not asked for, as git writes none
_LISTED = 3000  # repos of one owner: page_number x page_size
_PAGE = 100  # repos a page
_REMEMBERED = 4096  # commits
_ENTRIES = 2_000_000  # of one commit
_T = TypeVar("_T")
_Pinned = tuple[RevisionWalk, ListingAnswer, str]
"""The listing of a commit, and the name by which it is asked for; empty where its id is known there."""


class _Learnt(Generic[_T]):
    """The newest of what was learnt of commits. Safe for many threads."""

    def __init__(self) -> None:
        self._known: OrderedDict[tuple[Repo, str], _T] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, repo: Repo, word: str) -> _T | None:
        with self._lock:
            return self._known.get((repo, word))

    def keep(self, repo: Repo, word: str, value: _T) -> None:
        with self._lock:
            self._known[repo, word] = value
            self._known.move_to_end((repo, word))
            if len(self._known) > _REMEMBERED:
                self._known.popitem(last=False)


class ModelScopeSource(Source):
    """Reads one site; without a token anonymously. No call is repeated here."""

    def __init__(
        self,
        upstream: ModelScopeUpstream,
        transport: Transport,
        *,
        budget: Budget | None = None,
        tell: Observer = lambda _: None,
    ) -> None:
        self._token, self._unproved = upstream.token or None, upstream.unproved
        self._line = ModelScopeEndpoint(
            upstream.url,
            self._token,
            transport,
            budget or Budget(upstream.url),
            allow_private=upstream.allow_private,
            tell=tell,
        )
        self._calls, self._addresses = ModelScopeCalls(self._line), Addresses()
        self._names = _Learnt[str]()  # by what a commit is asked for, where its id is not known there
        self._newest = _Learnt[Commit]()
        self._open = _Learnt[bool]()  # whether a repo is open (""), what was read of it (list, file)

    def __repr__(self) -> str:
        return f"ModelScopeSource({self._line.url!r})"

    def __str__(self) -> str:
        return self._line.url

    def search(self, sought: Sought) -> Iterator[Found]:
        """One call for every hundred repos of the owner, whose commits are not told there: bare repos.

        UpstreamError for a ranking, and for an owner of more repos than are listed.
        """
        if isinstance(sought, Ranking):
            raise UpstreamError(f"{self} is read by names and globs alone; write repos: [owner/*]")
        if not sought.is_glob:
            yield self.resolve(sought.repo, MAIN)
            return
        asked = self._asked()
        with self._reading(asked):
            yield from self._owned(asked, sought)

    def _owned(self, asked: RequestContext, sought: RepoPattern) -> Iterator[Repo]:
        for number in range(1, _LISTED // _PAGE + 1):
            path = f"/openapi/v1/{sought.kind.plural}"
            data = self._calls.get(asked, path, owner=sought.owner, page_number=number, page_size=_PAGE)
            total, items = data.get("total_count"), typed(data[sought.kind.plural], list)
            if isinstance(total, int) and total > _LISTED:
                many = f"{self} lists {_LISTED:,} of the {total:,} {sought.kind.plural} of {sought.owner} at the most"
                raise UpstreamError(f"{many}; name them one by one")
            for item in items:
                try:
                    repo = Repo(sought.kind, typed(item["id"], str))
                except ValueError:  # an id that no client accepts
                    continue
                if sought.matches(repo):
                    yield repo
            if len(items) < _PAGE:
                return

    def resolve(self, repo: Repo, revision: str) -> Resolved:
        """Two calls: the repo's terms, and the first answer of its listing, which tells the newest commit.

        More where the default branch is not `master`, for an id that ModelScope does not know, and where nothing tells
        the newest commit: then the whole listing is read.
        """
        asked = self._asked(repo, revision)
        with self._reading(asked):
            info = self._info(asked, repo)
            commit = self._commit(asked, repo, revision)
            return Resolved(repo, Repo(repo.kind, info.id), commit, info.terms, info.described)

    def refs(self, repo: Repo) -> tuple[Ref, ...]:
        """Two calls. Only the default branch has its commit: ModelScope tells names alone, and no ids of them."""
        asked = self._asked(repo)
        with self._reading(asked):
            told = typed(self._get(asked, f"/api/v1/{repo.kind.plural}/{repo.id}/revisions"), dict)["RevisionMap"]
            names = {
                group: [typed(one["Revision"], str) for one in typed(told.get(key) or [], list)]
                for group, key in (("branches", "Branches"), ("tags", "Tags"))
            }
            found = []
            default = MASTER if MASTER in names["branches"] else MAIN
            if default in names["branches"]:
                found.append(Ref("branches", MAIN, f"refs/heads/{MAIN}", self._commit(asked, repo, MAIN)))
            for group, prefix in (("branches", "refs/heads/"), ("tags", "refs/tags/")):
                others = (name for name in names[group] if group == "tags" or name not in (default, MAIN))
                found += [Ref(group, name, f"{prefix}{name}", _NO_TARGET) for name in others]
            return tuple(found)

    def authorize(self, repo: Repo) -> None:
        """One call, for a byte of the card, as nothing else tells."""
        asked = self._asked(repo, path="README.md")
        query = urlencode({"Revision": MASTER, "FilePath": "README.md"})
        try:
            self._calls.open(asked, f"/api/v1/{repo.kind.plural}/{repo.id}/repo?{query}")
        except ForbiddenAnswer as error:
            raise self._meant(asked, "file", error) from error
        except FileNotFound:
            pass  # who may not read it is not told so

    def list(self, repo: Repo, commit: CommitId) -> Iterator[RemoteFile]:
        """A call for a whole model of fewer than 3,000 entries, or for every 200 of a dataset."""
        asked = self._asked(repo, commit)
        seen = DistinctKeys()
        with self._reading(asked):
            for count, entry in enumerate(self._entries(asked, repo, commit)):
                if count >= _ENTRIES:
                    raise ValueError(f"a commit of more than {_ENTRIES:,} entries")
                file = remote_file(entry, self._unproved)
                if file is None:
                    continue
                seen.add(order_of(file.path))
                yield file
            twice = seen.twice()
            if twice is not None:
                raise ValueError(f"{path_in_order(twice)!r} is listed twice")
            doubled = file_and_folder(seen.in_order())
            if doubled is not None:
                raise ValueError(f"{doubled!r} is both a file and a folder")

    def history(self, repo: Repo, commit: CommitId) -> tuple[Commit, ...]:
        """The newest commit alone: ModelScope tells no other. No call where it was resolved a while ago. NoSuchCall."""
        if self._newest.get(repo, commit) is None:
            asked = self._asked(repo, commit)
            with self._reading(asked):
                self._learn(repo, commit, self._pinned(asked, repo, commit)[1])
        found = self._newest.get(repo, commit)
        if found is None:
            raise NoSuchCall(f"{self} tells no commits of {repo}")
        return (found,)

    def fetch(
        self, repo: Repo, commit: CommitId, file: RemoteFile, start: int = 0, stop: int | None = None
    ) -> AbstractContextManager[ByteStream]:
        """One call, and one to where it redirects to. What nothing proves is asked for at its own last commit."""
        asked = self._asked(repo, commit, file.path)
        given = ModelScopeDownload(
            Way(self._line, self._addresses),
            asked,
            file,
            start,
            file.size if stop is None else stop,
            place=self._place(repo, commit, file),
        )
        return self._told_apart(repo, given)

    def distrust(self, repo: Repo, commit: CommitId, file: RemoteFile) -> None:
        """There is no elsewhere but where the site redirects to now."""
        self._addresses.forget(self._place(repo, commit, file))

    def prove(self) -> TokenStatus:
        """One call to `/openapi/v1/users/me`, which only a valid token gets an answer from."""
        if self._token is None:
            return TokenStatus.ANONYMOUS
        try:
            self._calls.get(self._asked(), "/openapi/v1/users/me")
        except NotFoundOrPrivate:
            return TokenStatus.UNPROVEN  # a mirror, which knows no users
        return TokenStatus.PROVED

    def _asked(self, repo: Repo | None = None, revision: str | None = None, path: str | None = None) -> RequestContext:
        return ModelScopeContext(self._line.url, self._token, repo, revision, path)

    def _info(self, asked: RequestContext, repo: Repo) -> RepoInfo:
        if not repo.owner:
            raise NotFoundOrPrivate(f"not found: {asked.page}; ModelScope's repos are owner/name")
        info = RepoInfo.of(repo, self._calls.get(asked, f"/openapi/v1/{repo.kind.plural}/{repo.id}"))
        self._open.keep(repo, "", info.terms.gated is False)
        return info

    def _commit(self, asked: RequestContext, repo: Repo, revision: str) -> CommitId:
        """The commit that a revision stands for; the name by which it is asked for is remembered."""
        for name in _names_of(revision):
            walk = self._walk(asked, repo, name)
            first = walk.first()
            if first is None:
                continue
            if CommitId.matches(revision):
                if first.short and not revision.startswith(first.short[:8]):
                    raise ValueError(f"asked for commit {revision}, got {first.short}")
                found = CommitId(revision)
                self._learn(repo, found, first)
                return found
            return self._head(repo, name, walk, first)
        if CommitId.matches(revision) and self._named(asked, repo, CommitId(revision)) is not None:
            return CommitId(revision)
        raise RevisionNotFound(f"{asked.page} has no branch, tag or commit {asked.spoken(revision)!r}")

    def _head(self, repo: Repo, name: str, walk: RevisionWalk, first: ListingAnswer) -> CommitId:
        """The newest commit of a name that is there."""
        real = first.head()
        found = real or _stand_in(repo, first) or _fingerprint(walk.entries(first))
        if real is None:
            self._names.keep(repo, found, name)
        self._learn(repo, found, first)
        return found

    def _learn(self, repo: Repo, commit: CommitId, first: ListingAnswer) -> None:
        newest = first.newest(commit)
        if newest is not None:
            self._newest.keep(repo, commit, newest)

    def _named(self, asked: RequestContext, repo: Repo, commit: CommitId) -> _Pinned | None:
        """The listing of a commit whose id ModelScope does not know, by the name that leads to it; None for none."""
        known = self._names.get(repo, commit)
        for name in (known,) if known else _names_of(MAIN):
            walk = self._walk(asked, repo, name)
            first = walk.first()
            if first is not None and self._head(repo, name, walk, first) == commit:
                return walk, first, name
        return None

    def _pinned(self, asked: RequestContext, repo: Repo, commit: CommitId) -> _Pinned:
        """The listing of a commit, and its name where it goes by one. BadAnswer where that leads elsewhere by now."""
        if self._names.get(repo, commit) is None:
            walk = self._walk(asked, repo, commit)
            first = walk.first()
            if first is not None:
                return walk, first, ""
        found = self._named(asked, repo, commit)
        if found is None:
            raise BadAnswer(f"{asked.page} has moved on from {commit} meanwhile, which is known by its branch alone")
        return found

    def _entries(self, asked: RequestContext, repo: Repo, commit: CommitId) -> Iterator[Mapping[str, Any]]:
        walk, first, name = self._pinned(asked, repo, commit)
        before = walk.answers
        yield from walk.entries(first)
        if name and walk.answers > before:  # of several answers by a name that may have moved between them
            self._pinned(asked, repo, commit)

    def _walk(self, asked: RequestContext, repo: Repo, revision: str) -> RevisionWalk:
        def ask(path: str, **query: str | int) -> Any:
            found = self._get(asked, path, **query)
            self._open.keep(repo, "list", True)
            return found

        return RevisionWalk(ask, repo, revision)

    def _place(self, repo: Repo, commit: CommitId, file: RemoteFile) -> str:
        revision = file.oid if file.unproved else self._names.get(repo, commit) or commit
        query = urlencode({"Revision": revision, "FilePath": file.path})
        return f"{self._line.url}/api/v1/{repo.kind.plural}/{repo.id}/repo?{query}"

    def _get(self, asked: RequestContext, path: str, **query: str | int) -> Any:
        try:
            return self._calls.get(asked, path, **query)
        except ForbiddenAnswer as error:
            raise self._meant(asked, "list", error) from error

    @contextmanager
    def _told_apart(self, repo: Repo, given: AbstractContextManager[ByteStream]) -> Iterator[ByteStream]:
        try:
            stream = given.__enter__()
        except ForbiddenAnswer as error:
            raise self._meant(self._asked(repo), "file", error) from error
        self._open.keep(repo, "file", True)
        try:
            yield stream
        finally:
            given.__exit__(None, None, None)

    def _meant(self, asked: RequestContext, what: str, error: ForbiddenAnswer) -> UpstreamError:
        """ModelScope answers 403 at random, also for what it has just given; a gated repo stays so."""
        assert asked.repo is not None  # noqa: S101  for the type checker: lists of repos are not asked for here
        if self._open.get(asked.repo, what) or self._open.get(asked.repo, ""):
            return Unreachable(f"{asked.endpoint} answered 403 for {asked.repo}, which it gives: try later")
        if self._open.get(asked.repo, "") is False:
            has = "ask for access" if asked.token else "ask for access, and set a token that has it"
            return Gated(f"gated: {has} at {asked.page}")
        return UpstreamError(f"{error}; check what the token may read")

    @contextmanager
    def _reading(self, asked: RequestContext) -> Iterator[None]:
        """BadAnswer for what is not as ModelScope gives it."""
        try:
            yield
        except UNREADABLE as error:
            words = f"{asked.page}: not an answer as ModelScope gives it"
            raise BadAnswer(f"{words}: {asked.spoken(str(error) or repr(error))}") from error


def _names_of(revision: str) -> tuple[str, ...]:
    """What ModelScope calls a revision, the likeliest first."""
    if revision in (MAIN, "HEAD", f"refs/heads/{MAIN}"):
        return MASTER, MAIN
    for prefix in ("refs/heads/", "refs/tags/"):
        if revision.startswith(prefix):
            return (revision.removeprefix(prefix),)
    return (revision,)


def _stand_in(repo: Repo, first: ListingAnswer) -> CommitId | None:
    """An id for a commit of which eight digits are known; None where not even those are."""
    short = first.short
    if not short:
        return None
    return CommitId(short + hashlib.sha256(f"modelscope {repo} {short}".encode()).hexdigest()[: 40 - len(short)])


def _fingerprint(entries: Iterator[Mapping[str, Any]]) -> CommitId:
    """Of all files, whatever their order: the sum of the hashes of path, size and digest (or last commit) of each."""
    total = 0
    for entry in entries:
        if entry["Type"] != "tree":
            told = entry.get("Sha256") or entry.get("Revision")
            line = f"{typed(entry['Path'], str)}\0{typed(entry['Size'], int)}\0{told}\n"
            total += int.from_bytes(hashlib.sha256(line.encode()).digest(), "big")
    return CommitId(hashlib.sha256(str(total).encode()).hexdigest()[:40])
