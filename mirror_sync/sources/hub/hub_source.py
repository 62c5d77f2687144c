"""One endpoint that speaks the Hugging Face Hub's API, as a Source."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from itertools import chain
from typing import Any
from urllib.parse import quote, urlencode

import httpx2
from huggingface_hub import HfApi, get_session, hf_raise_for_status
from huggingface_hub.errors import HfHubHTTPError

from mirror_sync.domain.content.manifest import RemoteFile
from mirror_sync.domain.content.refs import Ref
from mirror_sync.domain.content.upstream import BudgetState, Commit, Found, Heads, Resolved
from mirror_sync.domain.digest import CommitId
from mirror_sync.domain.job.ranking import Ranking, Sought
from mirror_sync.domain.outcome.events import Observer
from mirror_sync.domain.policy.gone import TokenStatus
from mirror_sync.domain.policy.scan_policy import ScannedFile
from mirror_sync.domain.repo import Kind, Repo
from mirror_sync.domain.url import Url
from mirror_sync.errors import NotFoundOrPrivate
from mirror_sync.ports.byte_stream import ByteStream
from mirror_sync.ports.source import Source
from mirror_sync.sources.http.hub_errors import RequestContext, bad_answer, refusal
from mirror_sync.sources.http.transport import USER_AGENT, Transport
from mirror_sync.sources.hub.budget import Budget
from mirror_sync.sources.hub.download import Download, Way, place_of
from mirror_sync.sources.hub.download_addresses import Addresses
from mirror_sync.sources.hub.endpoint import Endpoint
from mirror_sync.sources.hub.hub_json import (
    HEADS,
    PROPERTIES,
    UNREADABLE,
    commits_of,
    file_and_folder,
    file_of,
    items_of,
    json_of,
    ref_of,
    resolved_of,
    scan_of,
)
from mirror_sync.sources.hub.listing_cost import ListingCost
from mirror_sync.sources.hub.repo_lists import Reading, RepoListPage, first, following, listed, matching, questions
from mirror_sync.sources.hub.session import SLIP, Slip, install_session

DEFAULT_BRANCH = "main"
_PAGE = 1000  # repos a page of a list: the Hub's cap
_WHOLE_TREE = {"recursive": "True", "expand": "False"}
_SCANS = 100  # files of which the scans are asked at once
_HISTORY = 50  # commits: the Hub's page
_PAGES = 20_000  # of one list: more than any has, fewer than endless
_ENTRIES = 2_000_000  # files and folders of one commit, as many as memory bears


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
        install_session()
        self._token = token or None
        budget = budget or Budget(endpoint)
        self._line = Endpoint(endpoint, self._token, transport, budget, allow_private=allow_private, tell=tell)
        self._addresses = Addresses()
        self._endpoint = self._line.url
        self._slip = Slip(self._line)
        self._barren: dict[tuple[Kind, str], int] = {}  # owners: of how many repos their list told too little
        self._headers = {"user-agent": USER_AGENT, SLIP: self._slip.word}  # in small letters, to replace the library's
        self._api = HfApi(endpoint=self._endpoint, token=False, headers=self._headers)  # the line adds the token

    def __repr__(self) -> str:
        return f"HubSource({self._endpoint!r})"

    def __str__(self) -> str:
        return self._endpoint

    def search(self, sought: Sought) -> Iterator[Found]:
        """One call for every thousand repos of the owner; a repo that is named costs one of its own.

        A ranking costs one call, or one for each of its licences; more where a repo without a commit stands among the
        first.
        """
        if isinstance(sought, Ranking):
            yield from self._ranked(sought)
        elif sought.is_glob:
            with self._asking(self._asked()):
                pages = self._owned(sought.kind, sought.owner, expand=PROPERTIES[sought.kind])
                yield from (listed(sought.kind, item) for item in matching(sought.kind, sought.matches, pages))
        else:
            yield self.resolve(sought.repo, DEFAULT_BRANCH)

    def _ranked(self, ranking: Ranking) -> Iterator[Found]:
        kind, reading = ranking.pattern.kind, Reading(ranking)
        with self._asking(self._asked()):
            lists = (self._turned(f"/api/{kind.plural}", query) for query in questions(ranking))
            read = (matching(kind, ranking.takes, reading.pages(pages)) for pages in lists)
            found = first(ranking, read)
            yield from (listed(kind, item) for item in found)
            yield from reading.shortfall(len(found))

    def heads(self, repos: Collection[Repo]) -> Heads:
        """Reads the owner's list, the most downloaded first, for as long as that pays: see `ListingCost`."""
        kind, owner = next((repo.kind, repo.owner) for repo in repos)
        listing_cost = ListingCost(repos)
        if len(repos) <= self._barren.get((kind, owner), 1):
            return listing_cost.heads
        with self._asking(self._asked()):
            for page in self._owned(kind, owner, expand=HEADS, sort="downloads"):
                listing_cost.count(page)
                if not listing_cost.goes_on:
                    break
        if listing_cost.lost:
            self._barren[kind, owner] = len(repos)
        return listing_cost.heads

    def resolve(self, repo: Repo, revision: str) -> Resolved:
        """One call; a second one when a renamed repo's redirect forgets the revision."""
        asked = self._asked(repo, revision)
        with self._asking(asked):
            answer = self._get(_info_path(repo, revision), expand=PROPERTIES[repo.kind])
            found = resolved_of(repo, json_of(answer.content))
            if found.renamed and _revision_part(revision) not in str(answer.url):
                answer = self._get(_info_path(found.current, revision), expand=PROPERTIES[repo.kind])
                found = resolved_of(repo, json_of(answer.content))
            if CommitId.matches(revision) and found.commit != revision:
                raise bad_answer(asked, f"asked for commit {revision}, got {found.commit}")
            return found

    def refs(self, repo: Repo) -> tuple[Ref, ...]:
        """One call."""
        with self._asking(self._asked(repo, side="branches and tags")):
            found = self._api.list_repo_refs(repo.id, repo_type=repo.kind)
            groups = {"branches": found.branches, "tags": found.tags, "converts": found.converts}
            return tuple(ref_of(group, entry) for group, entries in groups.items() for entry in entries)

    def authorize(self, repo: Repo) -> None:
        """One call, which counts as no download."""
        with self._asking(self._asked(repo, side="access to gated files")):
            self._api.auth_check(repo.id, repo_type=repo.kind)

    def list(self, repo: Repo, commit: CommitId) -> Iterator[RemoteFile]:
        """One call for every thousand entries. BadAnswer for a path that is listed twice or is a folder, too."""
        asked = self._asked(repo, commit)
        seen: set[str] = set()
        with self._asking(asked):
            pages = self._pages(f"/api/{repo.kind.plural}/{repo.id}/tree/{commit}", _WHOLE_TREE)
            for count, entry in enumerate(chain.from_iterable(pages)):
                if count >= _ENTRIES:
                    raise bad_answer(asked, f"a commit of more than {_ENTRIES:,} entries")
                file = file_of(entry)
                if file is None:
                    continue
                if file.path in seen:
                    raise bad_answer(asked, f"{file.path!r} is listed twice")
                seen.add(file.path)
                yield file
            doubled = file_and_folder(seen)
            if doubled is not None:
                raise bad_answer(asked, f"{doubled!r} is both a file and a folder")

    def history(self, repo: Repo, commit: CommitId) -> tuple[Commit, ...]:
        """One call: the newest fifty."""
        asked = self._asked(repo, commit, side="history of commits")
        with self._asking(asked):
            answer = self._get(f"/api/{repo.kind.plural}/{repo.id}/commits/{commit}")
            commits = commits_of(json_of(answer.content), _HISTORY)
        if not commits or commits[0].id != commit:
            raise bad_answer(asked, f"a history that does not begin with {commit}")
        return commits

    def scans(self, repo: Repo, commit: CommitId, paths: Collection[str]) -> Mapping[str, ScannedFile]:
        """One call for every hundred files."""
        asked, wanted = self._asked(repo, commit, side="scans"), list(paths)
        url = f"{self._endpoint}/api/{repo.kind.plural}/{repo.id}/paths-info/{commit}"
        found: dict[str, ScannedFile] = {}
        with self._asking(asked):
            for start in range(0, len(wanted), _SCANS):
                form = {"paths": wanted[start : start + _SCANS], "expand": "True"}
                answer = get_session().post(url, headers=self._headers, data=form)
                hf_raise_for_status(answer)
                told = map(scan_of, items_of(json_of(answer.content)))
                found |= {one.path: one for one in told if one is not None}
        return found

    def fetch(
        self, repo: Repo, commit: CommitId, file: RemoteFile, start: int = 0, stop: int | None = None
    ) -> AbstractContextManager[ByteStream]:
        """One call to the endpoint, and one to where it redirects to; the next range of a file goes there at once."""
        asked = self._asked(repo, commit, file.path)
        way = Way(self._line, self._addresses)
        return Download(way, asked, file, start, file.size if stop is None else stop).open()

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
            with self._asking(self._asked()):
                self._get("/api/whoami-v2")
        except NotFoundOrPrivate:
            return TokenStatus.UNPROVEN  # a mirror or a gateway, which knows no users
        return TokenStatus.PROVED

    def _asked(
        self, repo: Repo | None = None, revision: str | None = None, path: str | None = None, side: str = ""
    ) -> RequestContext:
        return RequestContext(self._endpoint, self._token, repo, revision, path, side)

    def _get(self, path: str, **query: Any) -> httpx2.Response:
        question = f"?{urlencode(query, doseq=True)}" if query else ""
        return self._get_url(f"{self._endpoint}{path}{question}")

    def _get_url(self, url: str) -> httpx2.Response:
        answer = get_session().get(url, headers=self._headers)
        hf_raise_for_status(answer)
        return answer

    def _owned(self, kind: Kind, owner: str, **query: Any) -> Iterator[Sequence[Any]]:
        return self._pages(f"/api/{kind.plural}", {"author": owner, "limit": _PAGE, **query})

    def _pages(self, path: str, query: Mapping[str, Any]) -> Iterator[Sequence[Any]]:
        return (page.items for page in self._turned(path, query))

    def _turned(self, path: str, query: Mapping[str, Any]) -> Iterator[RepoListPage]:
        """A list, page by page. huggingface_hub would go round in a circle for ever."""
        url: str | None = f"{self._endpoint}{path}?{urlencode(query, doseq=True)}"
        seen: set[str] = set()
        while url is not None:
            if url in seen or len(seen) == _PAGES:
                raise ValueError("a list whose pages go round in a circle")
            seen.add(url)
            answer = self._get_url(url)
            url = self._following(answer)
            yield RepoListPage(items_of(json_of(answer.content)), leads_on=url is not None)

    def _following(self, answer: httpx2.Response) -> str | None:
        link = answer.links.get("next", {}).get("url")
        return None if link is None else str(following(Url.parse(self._endpoint), Url.parse(str(answer.url)), link))

    @contextmanager
    def _asking(self, asked: RequestContext) -> Iterator[None]:
        try:
            yield
        except HfHubHTTPError as error:
            raise refusal(error.response.status_code, error.response.headers, asked) from error
        except (*UNREADABLE, httpx2.InvalidURL) as error:
            raise bad_answer(asked, repr(error)) from error


def _info_path(repo: Repo, revision: str) -> str:
    return f"/api/{repo.kind.plural}/{repo.id}{_revision_part(revision)}"


def _revision_part(revision: str) -> str:
    return f"/revision/{quote(revision, safe='')}"
