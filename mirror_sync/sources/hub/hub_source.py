"""One endpoint that speaks the Hugging Face Hub's API, as a Source."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from itertools import chain, islice
from typing import Any
from urllib.parse import quote, urlencode

from mirror_sync.domain.content.manifest import RemoteFile
from mirror_sync.domain.content.refs import Ref
from mirror_sync.domain.content.upstream import BudgetState, Commit, Found, Heads, Resolved
from mirror_sync.domain.digest import CommitId
from mirror_sync.domain.job.ranking import Ranking, Sought
from mirror_sync.domain.job.variants import Variants
from mirror_sync.domain.outcome.cost import SCANS
from mirror_sync.domain.outcome.events import Observer
from mirror_sync.domain.policy.gone import TokenStatus
from mirror_sync.domain.policy.scan_policy import ScannedFile
from mirror_sync.domain.repo import Kind, Repo
from mirror_sync.domain.url import Url
from mirror_sync.errors import NoSuchCall, NotFoundOrPrivate
from mirror_sync.net.transport import Transport
from mirror_sync.ports.byte_stream import ByteStream
from mirror_sync.ports.source import Source
from mirror_sync.scratch.distinct_keys import DistinctKeys
from mirror_sync.sources.hub.api_calls import ApiAnswer, ApiCalls
from mirror_sync.sources.hub.budget import Budget
from mirror_sync.sources.hub.download import Download, Way, place_of
from mirror_sync.sources.hub.download_addresses import Addresses
from mirror_sync.sources.hub.endpoint import Endpoint
from mirror_sync.sources.hub.hub_errors import RequestContext, bad_answer
from mirror_sync.sources.hub.hub_json import (
    PROPERTIES,
    UNREADABLE,
    RepoScan,
    commits_of,
    file_and_folder,
    file_of,
    heads_asked,
    items_of,
    json_of,
    order_of,
    path_in_order,
    refs_of,
    repo_scan_of,
    resolved_of,
    scan_of,
)
from mirror_sync.sources.hub.repo_lists import (
    RANKED_PAGES,
    ListingCost,
    Reading,
    RepoListPage,
    choice,
    first,
    following,
    listed,
    matching,
    question_of,
    questions,
    ranked,
)

DEFAULT_BRANCH = "main"
_PAGE = 1000  # repos a page of a list: the Hub's cap
_WHOLE_TREE = {"recursive": "True", "expand": "False"}
_HISTORY = 50  # commits: the Hub's page
_PAGES = 20_000  # of one list: more than any has, fewer than endless
_DESCRIBED = {
    kind: f"?{urlencode({'expand': names}, doseq=True)}" if names else "" for kind, names in PROPERTIES.items()
}
_FIRST = {Kind.SPACE: "likes"}  # nobody downloads a space
_ENTRIES = 2_000_000  # files and folders of one commit: fewer than endless


class HubSource(Source):
    """Reads one Hub endpoint; `token` None or empty: anonymous. No call is repeated here.

    Neither the operator's HF_ENDPOINT, HF_TOKEN and HF_HUB_OFFLINE nor a token saved by `hf auth login` changes what it
    does: endpoint and token are those given.
    """

    def __init__(
        self,
        endpoint: str,
        token: str | None,
        transport: Transport,
        *,
        budget: Budget | None = None,
        allow_private: bool = False,
        tell: Observer = lambda _: None,
    ) -> None:
        self._token = token or None
        budget = budget or Budget(endpoint)
        self._line = Endpoint(endpoint, self._token, transport, budget, allow_private=allow_private, tell=tell)
        self._addresses = Addresses()
        self._endpoint = self._line.url
        self._api = ApiCalls(self._line)
        self._barren: dict[tuple[Kind, str], int] = {}  # owners: of how many repos their list told too little

    def __repr__(self) -> str:
        return f"HubSource({self._endpoint!r})"

    def __str__(self) -> str:
        return self._endpoint

    def search(self, sought: Sought) -> Iterator[Found]:
        """One call for every thousand repos of the owner; a repo that is named costs one of its own.

        A ranking costs one call, or one for each of its licences; more where a repo without a commit stands among the
        first.
        """
        if isinstance(sought, Variants):
            yield from self._made_of(sought)
        elif isinstance(sought, Ranking):
            yield from self._ranked(sought)
        elif sought.is_glob:
            asked = self._asked()
            with self._reading(asked):
                pages = self._owned(asked, sought.kind, sought.owner, expand=PROPERTIES[sought.kind])
                yield from (listed(sought.kind, item) for item in matching(sought.kind, sought.matches, pages))
        else:
            yield self.resolve(sought.repo, DEFAULT_BRANCH)

    def _ranked(self, ranking: Ranking) -> Iterator[Found]:
        kind, reading = ranking.pattern.kind, Reading(ranking)
        asked = self._asked()
        with self._reading(asked):
            lists = (self._turned(asked, f"/api/{kind.plural}", query) for query in questions(ranking))
            read = (matching(kind, ranking.takes, reading.pages(pages)) for pages in lists)
            found = first(ranking, read)
            yield from (ranked(ranking, item) for item in found)
            yield from reading.shortfall(len(found))

    def _made_of(self, variants: Variants) -> Iterator[Found]:
        """A call for every hundred repos that say so of a base, up to RANKED_PAGES of them."""
        asked = self._asked()
        seen: set[str] = set()
        for base in variants.bases:
            with self._reading(asked):
                pages = self._turned(asked, f"/api/{base.kind.plural}", question_of(base))
                yield from choice(variants, islice(pages, RANKED_PAGES), seen)

    def heads(self, repos: Collection[Repo]) -> Heads:
        """Reads the owner's list, the most downloaded first, for as long as that pays: see `ListingCost`."""
        kind, owner = next((repo.kind, repo.owner) for repo in repos)
        listing_cost = ListingCost(repos)
        if kind is Kind.KERNEL or len(repos) <= self._barren.get((kind, owner), 1):
            return listing_cost.heads
        asked = self._asked()
        with self._reading(asked):
            for page in self._owned(asked, kind, owner, expand=heads_asked(kind), sort=_FIRST.get(kind, "downloads")):
                listing_cost.count(page)
                if not listing_cost.goes_on:
                    break
        if listing_cost.lost:
            self._barren[kind, owner] = len(repos)
        return listing_cost.heads

    def resolve(self, repo: Repo, revision: str) -> Resolved:
        """One call; a second one when a renamed repo's redirect forgets the revision."""
        asked = self._asked(repo, revision)
        with self._reading(asked):
            answer = self._get(asked, f"{_info_path(repo, revision)}{_DESCRIBED[repo.kind]}")
            found = resolved_of(repo, json_of(answer.body))
            if found.renamed and _revision_part(revision) not in answer.url:
                answer = self._get(asked, f"{_info_path(found.canonical, revision)}{_DESCRIBED[repo.kind]}")
                found = resolved_of(repo, json_of(answer.body))
            if CommitId.matches(revision) and found.commit != revision:
                raise bad_answer(asked, f"asked for commit {revision}, got {found.commit}")
            return found

    def refs(self, repo: Repo) -> tuple[Ref, ...]:
        """One call."""
        asked = self._asked(repo, side="branches and tags")
        with self._reading(asked):
            return refs_of(json_of(self._get(asked, f"/api/{repo.kind.plural}/{repo.id}/refs").body))

    def authorize(self, repo: Repo) -> None:
        """One call, which counts as no download."""
        self._get(self._asked(repo, side="access to gated files"), f"/api/{repo.kind.plural}/{repo.id}/auth-check")

    def list(self, repo: Repo, commit: CommitId) -> Iterator[RemoteFile]:
        """One call for every thousand entries. BadAnswer for a path that is listed twice or is a folder, too."""
        asked = self._asked(repo, commit)
        seen = DistinctKeys()
        with self._reading(asked):
            pages = self._pages(asked, f"/api/{repo.kind.plural}/{repo.id}/tree/{commit}", _WHOLE_TREE)
            for count, entry in enumerate(chain.from_iterable(pages)):
                if count >= _ENTRIES:
                    raise bad_answer(asked, f"a commit of more than {_ENTRIES:,} entries")
                file = file_of(entry)
                if file is None:
                    continue
                seen.add(order_of(file.path))
                yield file
            twice = seen.twice()
            if twice is not None:
                raise bad_answer(asked, f"{path_in_order(twice)!r} is listed twice")
            doubled = file_and_folder(seen.in_order())
            if doubled is not None:
                raise bad_answer(asked, f"{doubled!r} is both a file and a folder")

    def history(self, repo: Repo, commit: CommitId) -> tuple[Commit, ...]:
        """One call: the newest fifty."""
        asked = self._asked(repo, commit, side="history of commits")
        with self._reading(asked):
            answer = self._get(asked, f"/api/{repo.kind.plural}/{repo.id}/commits/{commit}")
            commits = commits_of(json_of(answer.body), _HISTORY)
        if not commits or commits[0].id != commit:
            raise bad_answer(asked, f"a history that does not begin with {commit}")
        return commits

    def scans(self, repo: Repo, commit: CommitId, paths: Collection[str]) -> Mapping[str, ScannedFile]:
        """One call about the repo, and one for every hundred files; the worse word counts.

        `/scan` knows no commit: it tells of the newest. What it says is no proof that a file of another commit is
        clean, and enough to ask a person.
        """
        asked, wanted = self._asked(repo, commit, side="scans"), list(paths)
        url = f"{self._endpoint}/api/{repo.kind.plural}/{repo.id}/paths-info/{commit}"
        found: dict[str, ScannedFile] = {}
        with self._reading(asked):
            whole = self._repo_scan(asked, repo)
            for start in range(0, len(wanted), SCANS):
                form = urlencode({"paths": wanted[start : start + SCANS], "expand": "True"}, doseq=True)
                told = map(scan_of, items_of(json_of(self._api.post(asked, url, form).body)))
                found |= {one.path: whole.beside(one) for one in told if one is not None}
        return found

    def _repo_scan(self, asked: RequestContext, repo: Repo) -> RepoScan:
        """Where a gateway, or a mirror, has no such call, what each file says of itself stands alone."""
        try:
            return repo_scan_of(json_of(self._get(asked, f"/api/{repo.kind.plural}/{repo.id}/scan").body))
        except NoSuchCall:
            return RepoScan(done=True, issues={})

    def fetch(
        self, repo: Repo, commit: CommitId, file: RemoteFile, start: int = 0, stop: int | None = None
    ) -> AbstractContextManager[ByteStream]:
        """One call to the endpoint, and one to where it redirects to; the next range of a file goes there at once."""
        asked = self._asked(repo, commit, file.path)
        way = Way(self._line, self._addresses)
        return Download(way, asked, file, start, file.size if stop is None else stop)

    def distrust(self, repo: Repo, commit: CommitId, file: RemoteFile) -> None:
        """There is no elsewhere but where the hub redirects to now."""
        self._addresses.forget(place_of(self._asked(repo, commit, file.path), file))

    def budget(self) -> Mapping[str, BudgetState]:
        """What the endpoint's answers have said of its limits."""
        return self._line.budget.state()

    def prove(self) -> TokenStatus:
        """One call to `/api/whoami-v2`, which only a valid token gets an answer from."""
        if self._token is None:
            return TokenStatus.ANONYMOUS
        try:
            self._get(self._asked(), "/api/whoami-v2")
        except NotFoundOrPrivate:
            return TokenStatus.UNPROVEN  # a mirror or a gateway, which knows no users
        return TokenStatus.PROVED

    def _asked(
        self, repo: Repo | None = None, revision: str | None = None, path: str | None = None, side: str = ""
    ) -> RequestContext:
        return RequestContext(self._endpoint, self._token, repo, revision, path, side)

    def _get(self, asked: RequestContext, path: str) -> ApiAnswer:
        return self._api.get(asked, f"{self._endpoint}{path}")

    def _owned(self, asked: RequestContext, kind: Kind, owner: str, **query: Any) -> Iterator[Sequence[Any]]:
        return self._pages(asked, f"/api/{kind.plural}", {"author": owner, "limit": _PAGE, **query})

    def _pages(self, asked: RequestContext, path: str, query: Mapping[str, Any]) -> Iterator[Sequence[Any]]:
        return (page.items for page in self._turned(asked, path, query))

    def _turned(self, asked: RequestContext, path: str, query: Mapping[str, Any]) -> Iterator[RepoListPage]:
        """A list, page by page. ValueError for one that goes round in a circle."""
        url: str | None = f"{self._endpoint}{path}?{urlencode(query, doseq=True)}"
        seen: set[str] = set()
        while url is not None:
            if url in seen or len(seen) == _PAGES:
                raise ValueError("a list whose pages go round in a circle")
            seen.add(url)
            answer = self._api.get(asked, url)
            link = answer.following
            url = None if link is None else str(following(Url.parse(self._endpoint), Url.parse(answer.url), link))
            yield RepoListPage(items_of(json_of(answer.body)), leads_on=url is not None)

    @contextmanager
    def _reading(self, asked: RequestContext) -> Iterator[None]:
        """BadAnswer for what is not as the Hub gives it."""
        try:
            yield
        except UNREADABLE as error:
            raise bad_answer(asked, repr(error)) from error


def _info_path(repo: Repo, revision: str) -> str:
    return f"/api/{repo.kind.plural}/{repo.id}{_revision_part(revision)}"


def _revision_part(revision: str) -> str:
    return f"/revision/{quote(revision, safe='')}"
