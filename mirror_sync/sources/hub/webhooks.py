"""The webhooks of an account of the Hub: which there are, and one more for what none of them watches."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from huggingface_hub import HfApi, WebhookInfo
from huggingface_hub.errors import HfHubHTTPError

from mirror_sync.domain.job.upstreams import Timeouts
from mirror_sync.domain.repo import RepoPattern
from mirror_sync.errors import UpstreamError
from mirror_sync.net.http1 import USER_AGENT
from mirror_sync.net.transport import Transport
from mirror_sync.sources.hub.api_calls import ApiCalls
from mirror_sync.sources.hub.budget import Budget
from mirror_sync.sources.hub.endpoint import Endpoint
from mirror_sync.sources.hub.hub_errors import RequestContext, refusal
from mirror_sync.sources.hub.session import speaking

_NOT_FOUND = 404


@dataclass(frozen=True, slots=True, order=True)
class WatchedSubject:
    """`type` is model, dataset, org or user."""

    type: str
    name: str


@dataclass(frozen=True, slots=True)
class Webhook:
    id: str
    url: str
    watched: frozenset[WatchedSubject]
    disabled: bool


class Webhooks:
    """Of the account whose token this is. UpstreamError when the Hub does not do what is asked."""

    def __init__(self, endpoint: str, token: str, timeouts: Timeouts) -> None:
        self._asked = RequestContext(endpoint, token)
        self._calls = ApiCalls(Endpoint(endpoint, token, Transport(timeouts=timeouts), Budget(endpoint)))
        # without a token: the endpoint adds it
        self._api = HfApi(endpoint=endpoint, token=False, headers={"user-agent": USER_AGENT})

    def list(self) -> tuple[Webhook, ...]:
        try:
            with speaking(self._calls, self._asked):
                return tuple(map(_webhook, self._api.list_webhooks()))
        except Exception as error:  # ours, and whatever the client raises at an answer that is none
            raise self._failure(error) from error

    def watch(self, url: str, secret: str, patterns: Iterable[RepoPattern]) -> Sequence[WatchedSubject]:
        """Have the Hub tell `url` of all that `patterns` name; returns what it was not told of before."""
        known = {
            one for webhook in self.list() if webhook.url == url and not webhook.disabled for one in webhook.watched
        }
        try:
            with speaking(self._calls, self._asked):
                missing = sorted({self._watched(pattern) for pattern in patterns} - known)
                if missing:
                    items = [{"type": one.type, "name": one.name} for one in missing]
                    self._api.create_webhook(url=url, watched=list(items), domains=["repo"], secret=secret)
        except Exception as error:  # as above
            raise self._failure(error) from error
        return missing

    def _watched(self, pattern: RepoPattern) -> WatchedSubject:
        """All of an owner for a glob: the Hub knows no other."""
        if not pattern.is_glob:
            return WatchedSubject(pattern.kind, pattern.glob)
        try:
            self._api.get_organization_overview(pattern.owner)
        except HfHubHTTPError as error:
            if error.response.status_code != _NOT_FOUND:
                raise
            return WatchedSubject("user", pattern.owner)
        return WatchedSubject("org", pattern.owner)

    def _failure(self, error: Exception) -> UpstreamError:
        if isinstance(error, UpstreamError):
            return error
        if isinstance(error, HfHubHTTPError) and error.response.status_code != _NOT_FOUND:
            return refusal(error.response.status_code, error.response.headers, self._asked)
        first = (str(error).splitlines() or [type(error).__name__])[0]
        return UpstreamError(f"webhooks of {self._asked.endpoint}: {first}")


def _webhook(found: WebhookInfo) -> Webhook:
    watched = frozenset(WatchedSubject(item.type, item.name) for item in found.watched)
    return Webhook(found.id, found.url or "", watched, found.disabled)
