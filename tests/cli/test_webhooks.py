"""Webhooks are registered at the Hub for what jobs.yaml names, and only once."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.cli.program import Program
from tests.servers.ports import free_port
from tests.standin import Hub, faults

URL = "https://mirror.example.org/webhook"
CONFIG = """\
version: 1
state_dir: state
upstreams: {hub: {kind: huggingface, endpoints: ['HUB'], token: 'TOKEN'}}
targets: {disk: {url: "file://FOLDER/mirror"}}
http: {webhook_secret: 'SECRET'}
jobs:
  - {name: a, repos: [acme/one, 'dataset:acme/rows']}
  - {name: b, repos: ['acme/*', 'jane/*', acme/one]}
"""


@pytest.fixture
def hub() -> Iterator[Hub]:
    with Hub() as hub:
        hub.world.orgs.add("acme")
        yield hub
        assert hub.crashes == []


def write(program: Program, hub: Hub, token: str = "", secret: str = "whsec-1234") -> None:
    program.write(CONFIG.replace("HUB", hub.url).replace("TOKEN", token).replace("SECRET", secret))


def test_all_repos_are_watched_by_name_or_by_owner_and_nothing_is_registered_twice(program: Program, hub: Hub) -> None:
    write(program, hub, hub.token("hf_valid"))
    ended = program("webhooks", "create", "--url", URL)
    assert (ended.code, ended.err) == (0, "")
    (webhook,) = hub.world.webhooks
    assert (webhook["url"], webhook["domains"], webhook["secret"]) == (URL, ["repo"], "whsec-1234")
    names = {"dataset acme/rows", "model acme/one", "org acme", "user jane"}
    assert {f"{one['type']} {one['name']}" for one in webhook["watched"]} == names
    assert program("webhooks", "create", "--url", URL).out == f"hub: {URL} is told of all already\n"
    assert len(hub.world.webhooks) == 1
    assert program("webhooks", "list").out == f"hub: 1 webhook\n  {URL}: {', '.join(sorted(names))}\n"


def test_only_what_is_missing_is_added(program: Program, hub: Hub) -> None:
    write(program, hub, hub.token("hf_valid"))
    program("webhooks", "create", "--url", URL)
    hub.world.webhooks[0]["watched"] = [{"type": "org", "name": "acme"}]
    program("webhooks", "create", "--url", URL)
    assert {one["name"] for one in hub.world.webhooks[1]["watched"]} == {"acme/one", "acme/rows", "jane"}


@pytest.mark.parametrize(
    ("given", "code", "reason"),
    [
        (("", "s3cret", URL), 2, "upstream hub has no token, and webhooks belong to an account: write its token"),
        (("hf_x", "", URL), 2, "http.webhook_secret of jobs.yaml is empty here: write"),
        (("hf_x", "s3cret", "mirror"), 2, "'mirror' is no address; write https://mirror.example.org/webhook"),
        (("hf_wrong", "s3cret", URL), 1, "does not know our token; set a valid one"),
    ],
)
def test_what_is_missing_is_said_in_one_line(
    program: Program, hub: Hub, given: tuple[str, str, str], code: int, reason: str
) -> None:
    token, secret, url = given
    write(program, hub, token, secret)
    ended = program("webhooks", "create", "--url", url)
    assert (ended.code, ended.out) == (code, "")
    assert ended.err.count("\n") == 1
    assert reason in ended.err
    assert hub.world.webhooks == []


@contextmanager
def silent() -> Iterator[str]:
    """A hub that takes every connection and never says a word."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


@pytest.mark.parametrize("command", [("list",), ("create", "--url", URL)])
@pytest.mark.parametrize("answers", [False, True])
def test_a_hub_that_cannot_be_had_is_one_line_and_no_wait_without_end(
    program: Program, command: tuple[str, ...], answers: bool
) -> None:
    text = CONFIG.replace("token: 'TOKEN'", "token: hf_x, timeouts: {connect: 1s, first_byte: 1s}")
    with silent() as hub:
        endpoint = hub if answers else f"http://127.0.0.1:{free_port()}"
        program.write(text.replace("HUB", endpoint).replace("SECRET", "whsec-1234"))
        ended = program("webhooks", *command)
    reason = "timed out" if answers else "Connection refused"
    assert (ended.code, ended.out) == (1, "")
    assert ended.err == f"mirror-sync: {endpoint} does not answer: {reason}\n"


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_neither_the_token_nor_the_secret_follows_a_redirect(
    program: Program, hub: Hub, method: str, status: int
) -> None:
    """Nor does the secret of a webhook go to another address of the hub's own: it is for the one that was asked."""
    write(program, hub, hub.token("hf_valid"))
    places = [f"{hub.cdn_url}/api/x", *(["/api/settings/other"] if method == "POST" else [])]
    for place in places:
        hub.log.clear()
        hub.faults.clear()
        hub.world.webhooks.clear()  # which notes what it answers by a redirect, too
        hub.faults.add(faults.status(status, {"Location": place}), f"{method} /api/settings/webhooks", origin="hub")
        ended = program("webhooks", "create", "--url", URL)
        assert (ended.code, ended.out, ended.err.count("\n")) == (1, "", 1)
        assert "a redirect" in ended.err
        assert "refused" in ended.err
        assert hub.calls(origin="cdn") == hub.calls("*", "/api/settings/other") == 0
        assert "whsec-1234" not in ended.err


def test_an_answer_without_end_is_bounded(program: Program, hub: Hub) -> None:
    write(program, hub, hub.token("hf_valid"))
    hub.faults.add(faults.status(200, {}, b"[" + b" " * (4 << 20) + b"]"))
    ended = program("webhooks", "list")
    assert (ended.code, ended.out) == (1, "")
    assert "more than 4194304 bytes" in ended.err


def test_what_marks_a_call_in_this_process_is_not_sent(program: Program, hub: Hub) -> None:
    write(program, hub, hub.token("hf_valid"))
    program("webhooks", "list")
    assert [name for record in hub.log for name in record.request.headers if "slip" in name.lower()] == []
