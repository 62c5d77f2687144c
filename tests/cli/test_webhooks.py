"""Webhooks are registered at the Hub for what jobs.yaml names, and only once."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.cli.program import Program
from tests.standin import Hub

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
        (("hf_x", "", URL), 2, "jobs.yaml takes no webhooks; write http: {webhook_secret: ${WEBHOOK_SECRET}}"),
        (("hf_x", "s3cret", "mirror"), 2, "'mirror' is no address; write https://mirror.example.org/webhook"),
        (("hf_wrong", "s3cret", URL), 1, "webhooks of http://127.0.0.1"),
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
