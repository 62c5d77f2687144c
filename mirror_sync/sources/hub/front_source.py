"""A mirror of our own kind, as one that reads it: what a Hub has, the documents of snapshots, and its lists."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

from mirror_sync.domain.digest import CommitId, Sha256
from mirror_sync.domain.outcome.events import Observer
from mirror_sync.domain.repo import Kind, Repo
from mirror_sync.errors import Gated, NotFoundOrPrivate, RevisionNotFound, TokenRejected, UpstreamError
from mirror_sync.net.transport import Transport
from mirror_sync.ports.store import MAX_TREE
from mirror_sync.sources.hub.api_calls import ApiAnswer, ApiCalls, Bounds
from mirror_sync.sources.hub.hub_errors import RequestContext, refusal
from mirror_sync.sources.hub.hub_source import HubSource

_PAGE = 1000  # repos a page of a list
_REFUSALS: dict[int, type[UpstreamError]] = {401: TokenRejected, 403: Gated, 404: NotFoundOrPrivate}
_ERROR = 400


class FrontSource(HubSource):
    """Reads one front; where it says why it refuses, the error says that. No call is repeated here."""

    def __init__(self, url: str, token: str | None, transport: Transport, *, tell: Observer = lambda _: None) -> None:
        super().__init__(url, token, transport, allow_private=True, tell=tell)
        self._api = ApiCalls(self._line, Bounds(info=MAX_TREE))

    def root(self, repo: Repo, revision: str) -> bytes:
        """The root of the snapshot that a revision leads to: unproved. NotFoundOrPrivate also for no mirror of ours."""
        return self._document(repo, revision, "root.json").body

    def shard(self, repo: Repo, commit: CommitId, digest: Sha256) -> bytes:
        """A shard that the root of a commit names: unproved. NotFoundOrPrivate once the commit has another root."""
        return self._document(repo, commit, digest).body

    def published(self, kind: Kind) -> Iterator[dict[str, Any]]:
        """What the list says of each repo that we may see, in the order of names; one call for every thousand."""
        asked = self._asked()
        try:
            with self._reading(asked):
                for page in self._turned(asked, f"/api/{kind.plural}", {"limit": _PAGE}):
                    for item in page.items:
                        if not isinstance(item, dict) or not isinstance(item.get("id"), str):
                            raise TypeError("a list of something else than repos")
                        yield item
        except (NotFoundOrPrivate, TokenRejected) as error:
            token = "is the token good for it?" if self._token else "a token may be wanted (HF_TOKEN)"
            raise type(error)(f"{asked.endpoint} gives us no list of its repos: {token}") from None

    def _document(self, repo: Repo, revision: str, name: str) -> ApiAnswer:
        asked = self._asked(repo, revision)
        place = f"/-/snapshots/{repo.kind.plural}/{repo.id}/{quote(revision, safe='')}/{name}"
        answer = self._api.call(asked, f"{asked.endpoint}{place}", {})
        if answer.status >= _ERROR:
            raise _refused(answer, asked)
        return answer


def _refused(answer: ApiAnswer, asked: RequestContext) -> UpstreamError:
    """In the mirror's own words, which say whom to ask."""
    said, found = asked.spoken(answer.headers.get("X-Error-Message", "")), _REFUSALS.get(answer.status)
    if answer.headers.get("X-Error-Code") == "RevisionNotFound":
        return RevisionNotFound(f"{asked.page} has no {asked.spoken(asked.revision or '')!r}: {said}")
    if found is None:
        return refusal(answer.status, answer.headers, asked)
    if not said:
        return found(
            f"{asked.endpoint} answers {answer.status}: is it a mirror of mirror-sync, of this version or later?"
        )
    return found(f"{asked.page}: {said}")
