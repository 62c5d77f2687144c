"""Each of the Hub's refusals has its own error, and its message says what to do. Over plain http, as over https."""

from __future__ import annotations

from collections.abc import Callable
from email.utils import formatdate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mirror_sync.domain.content.manifest import RemoteFile
from mirror_sync.domain.digest import CommitId, GitOid
from mirror_sync.domain.repo import Kind, Repo
from mirror_sync.errors import (
    BadAnswer,
    Disabled,
    FileNotFound,
    Gated,
    NotFoundOrPrivate,
    RateLimited,
    RevisionNotFound,
    TokenRejected,
    Unreachable,
    UpstreamError,
)
from mirror_sync.net.transport import Transport
from mirror_sync.sources.hub.hub_errors import RequestContext, refusal, retry_after
from mirror_sync.sources.hub.hub_source import HubSource
from tests.sources.reading import TINY, fetched, fill_hub
from tests.standin import Hub, faults

SECRET = "hf_this-is-a-secret"
ANY = CommitId("0" * 40)
FILE = RemoteFile("config.json", 18, GitOid("0" * 40))
Verb = Callable[[HubSource], object]
VERBS: dict[str, Verb] = {
    "resolve": lambda source: source.resolve(TINY, "main"),
    "refs": lambda source: source.refs(TINY),
    "authorize": lambda source: source.authorize(TINY),
    "list": lambda source: [*source.list(TINY, ANY)],
    "history": lambda source: source.history(TINY, ANY),
    "fetch": lambda source: fetched(source, TINY, ANY, FILE),
}
every_verb = pytest.mark.parametrize("verb", VERBS.values(), ids=VERBS)
file_verbs = pytest.mark.parametrize("verb", [VERBS["authorize"], VERBS["fetch"]], ids=["authorize", "fetch"])


@pytest.fixture
def world(hub: Hub) -> Hub:
    fill_hub(hub)
    return hub


def asking(world: Hub, transport: Transport, verb: Verb, token: str | None) -> UpstreamError:
    with pytest.raises(UpstreamError) as raised:
        verb(HubSource(world.url, token, transport))
    message = str(raised.value)
    assert "\n" not in message
    assert SECRET not in message
    return raised.value


@file_verbs
def test_gated_without_a_token(world: Hub, transport: Transport, verb: Verb) -> None:
    world.model("acme/tiny", gated="auto")
    error = asking(world, transport, verb, None)
    assert type(error) is Gated
    assert f"accept the terms at {world.url}/acme/tiny" in str(error)


@file_verbs
def test_gated_with_a_token_that_was_not_approved(world: Hub, transport: Transport, verb: Verb) -> None:
    world.model("acme/tiny", gated="manual")
    error = asking(world, transport, verb, world.token(SECRET))
    assert type(error) is Gated
    assert "ask for it" in str(error)


@file_verbs
def test_gated_with_a_bad_token(world: Hub, transport: Transport, verb: Verb) -> None:
    world.model("acme/tiny", gated="auto")
    assert type(asking(world, transport, verb, SECRET)) is TokenRejected


def test_metadata_of_a_gated_repo_is_public(world: Hub, source: HubSource) -> None:
    world.model("acme/tiny", gated="manual")
    found = source.resolve(TINY, "main")
    assert found.terms.gated
    assert [*source.list(TINY, found.commit)]


def test_an_approved_token_opens_a_gated_repo(world: Hub, transport: Transport) -> None:
    world.model("acme/tiny", gated="manual")
    source = HubSource(world.url, world.token(SECRET, approved=["acme/tiny"]), transport)
    source.authorize(TINY)
    commit = source.resolve(TINY, "main").commit
    for file in source.list(TINY, commit):
        assert len(fetched(source, TINY, commit, file)) == file.size
    assert world.calls(origin="cdn") == 1


@every_verb
def test_missing_or_private_and_anonymous(world: Hub, transport: Transport, verb: Verb) -> None:
    world.model("acme/tiny", private=True)
    error = asking(world, transport, verb, None)
    assert type(error) is NotFoundOrPrivate
    assert "set a token" in str(error)


@every_verb
def test_missing_or_private_with_a_token(world: Hub, transport: Transport, verb: Verb) -> None:
    world.remove("acme/tiny")
    error = asking(world, transport, verb, world.token(SECRET))
    assert type(error) is NotFoundOrPrivate
    assert "the token may see it" in str(error)


@every_verb
def test_a_bad_token(world: Hub, transport: Transport, verb: Verb) -> None:
    error = asking(world, transport, verb, SECRET)
    assert type(error) is TokenRejected
    assert "set a valid one" in str(error)


@pytest.mark.parametrize("verb", [VERBS[name] for name in ("list", "history", "fetch")])
def test_a_bad_revision(world: Hub, transport: Transport, verb: Verb) -> None:
    assert type(asking(world, transport, verb, None)) is RevisionNotFound


def test_a_bad_path(world: Hub, transport: Transport) -> None:
    commit = CommitId(world.model("acme/tiny").head())
    missing = RemoteFile("no such/file", 3, GitOid("0" * 40))
    error = asking(world, transport, lambda source: fetched(source, TINY, commit, missing), None)
    assert type(error) is FileNotFound
    assert "no such/file" in str(error)


@every_verb
def test_disabled(world: Hub, transport: Transport, verb: Verb) -> None:
    world.model("acme/tiny", disabled=True)
    assert type(asking(world, transport, verb, None)) is Disabled


def test_a_datasets_page_is_the_one_to_visit(world: Hub, transport: Transport) -> None:
    rows = Repo(Kind.DATASET, "acme/rows")
    world.dataset("acme/rows", gated="auto")
    error = asking(world, transport, lambda source: source.authorize(rows), None)
    assert f"{world.url}/datasets/acme/rows" in str(error)


@every_verb
@pytest.mark.parametrize("code", [500, 502, 503, 504, 408])
def test_a_server_that_is_out_of_order(world: Hub, transport: Transport, verb: Verb, code: int) -> None:
    world.faults.add(faults.status(code))
    assert type(asking(world, transport, verb, None)) is Unreachable
    assert world.calls() == 1


@every_verb
def test_a_spent_window_says_how_long_it_lasts(world: Hub, transport: Transport, verb: Verb) -> None:
    world.limits.exhaust("api")
    world.limits.exhaust("resolvers")
    error = asking(world, transport, verb, None)
    assert isinstance(error, RateLimited)
    assert error.retry_after is not None
    assert 1 < error.retry_after <= world.limits.quotas.window + 1
    assert world.calls() == 1


@every_verb
def test_a_limit_on_one_action_says_how_long_it_lasts(world: Hub, transport: Transport, verb: Verb) -> None:
    world.faults.add(faults.busy(7))
    error = asking(world, transport, verb, None)
    assert isinstance(error, RateLimited)
    assert error.retry_after == 7
    assert world.calls() == 1


@every_verb
def test_a_connection_that_breaks_is_no_answer(world: Hub, transport: Transport, verb: Verb) -> None:
    world.faults.add(faults.refuse())
    assert type(asking(world, transport, verb, None)) is Unreachable
    assert world.calls() == 1


@pytest.mark.parametrize(
    ("headers", "wait"),
    [
        ({}, None),
        ({"Retry-After": "12"}, 12),
        ({"Retry-After": formatdate(1000 + 30, usegmt=True)}, 30),
        ({"Retry-After": formatdate(900, usegmt=True)}, 0),
        ({"Retry-After": "soon"}, None),
        ({"RateLimit": '"api";r=0;t=55'}, 56),
        ({"RateLimit": '"api";r=3;t=55'}, None),
        ({"RateLimit": '"api";r=3;t=55', "Retry-After": "2"}, 2),
        ({"RateLimit": '"api";r=0;t=55', "Retry-After": "2"}, 56),
        ({"RateLimit": "nonsense"}, None),
        ({"RateLimit": f'"api";r=0;t={"9" * 5000}'}, None),
        ({"RateLimit": f'"api";r={"0" * 5000};t=55'}, None),
        ({"Retry-After": "9" * 400}, None),
        ({"Retry-After": "\u00b2"}, None),
        ({"Retry-After": f"Fri, {'9' * 20} Dec 2026 00:00:00 GMT"}, None),
        ({"Retry-After": f"Fri, 1 Dec {'9' * 5000} 00:00:00 GMT"}, None),
        ({"Retry-After": "Fri, 1 Dec 2026 00:00:00 +9999999999999"}, None),
        ({"Retry-After": "Fri, 1 Dec 2026 99:99:99 GMT"}, None),
    ],
)
def test_the_wait_is_what_the_answer_states(headers: dict[str, str], wait: float | None) -> None:
    assert retry_after(headers, now=1000.0) == wait


@given(st.text(max_size=40) | st.text("0123456789 ,:;+-GMTFriDec()", max_size=60), st.sampled_from([429, 503, 404]))
def test_any_words_of_any_refusal_are_an_error_of_ours(words: str, status: int) -> None:
    headers = dict.fromkeys(("Retry-After", "RateLimit", "RateLimit-Policy", "X-Error-Code", "X-Error-Message"), words)
    assert str(refusal(status, headers, RequestContext("https://hub.example", SECRET, TINY)))


@every_verb
@pytest.mark.parametrize(
    "headers",
    [
        {"RateLimit": f'"api";r=0;t={"9" * 5000}'},
        {"Retry-After": f"Fri, {'9' * 20} Dec 2026 00:00:00 GMT"},
        {"Content-Type": "x", "RateLimit-Policy": f'"fixed window";"api";q={"9" * 5000};w={"9" * 5000}'},
    ],
    ids=["window", "date", "policy"],
)
def test_a_limit_stated_in_figures_without_sense_is_still_a_limit(
    world: Hub, transport: Transport, verb: Verb, headers: dict[str, str]
) -> None:
    world.faults.add(faults.status(429, headers))
    error = asking(world, transport, verb, None)
    assert isinstance(error, RateLimited)
    assert error.retry_after is None


@pytest.mark.parametrize(
    ("status", "token", "kind"),
    [
        (401, None, NotFoundOrPrivate),
        (401, SECRET, TokenRejected),
        (403, SECRET, UpstreamError),
        (404, None, NotFoundOrPrivate),
        (451, None, Disabled),
        (400, None, BadAnswer),
        (416, None, BadAnswer),
        (599, None, Unreachable),
    ],
)
def test_a_status_alone_is_told_apart_as_far_as_it_goes(
    status: int, token: str | None, kind: type[UpstreamError]
) -> None:
    assert type(refusal(status, {}, RequestContext("https://hub.example", token, TINY))) is kind


def test_a_server_that_repeats_our_token_does_not_bring_it_into_a_message() -> None:
    said = {"X-Error-Message": f"who is\n{SECRET}? {'x' * 1000}"}
    message = str(refusal(403, said, RequestContext("https://hub.example", SECRET, TINY)))
    assert SECRET not in message
    assert "\n" not in message
    assert len(message) < 400
