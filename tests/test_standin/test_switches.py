"""Ways to answer that other hubs and mirrors have, each behind a switch of its own."""

from __future__ import annotations

import json

from tests.standin import SIDE_CALLS, Hub

from .conftest import Ask


def test_a_hub_without_side_calls_answers_404_to_them_without_a_code_and_all_else_as_ever(hub: Hub, ask: Ask) -> None:
    hub.behaviour.lacks = SIDE_CALLS
    repo = f"{hub.url}/api/models/acme/tiny"
    for call in ("commits/main", "auth-check", "refs"):
        answer = ask(f"{repo}/{call}")
        assert (answer.status, answer.headers["X-Error-Code"]) == (404, None)
    for url in (repo, f"{repo}/tree/main", f"{hub.url}/acme/tiny/resolve/main/config.json", f"{hub.url}/api/models"):
        assert ask(url).status == 200


def test_a_hub_may_lack_lists_and_whoami(hub: Hub, ask: Ask) -> None:
    hub.behaviour.lacks = frozenset({"models", "whoami-v2"})
    found = [ask(f"{hub.url}/api/{path}").status for path in ("models", "whoami-v2", "datasets", "models/acme/tiny")]
    assert found == [404, 404, 200, 200]


def test_lists_that_are_held_tell_what_was_there_then_and_repos_tell_what_there_is(hub: Hub, ask: Ask) -> None:
    def listed() -> dict[str, object]:
        answer = ask(f"{hub.url}/api/models?author=acme&expand=sha&expand=gated&expand=lastModified")
        return {item["id"]: item for item in json.loads(answer.body)}

    before = listed()
    hub.hold_lists()
    now = hub.model("acme/tiny", gated="auto").commit({"config.json": "{ }"})
    hub.model("acme/new").commit({"a": "b"})
    hub.rename("acme/tiny", "acme/small")
    assert listed() == before
    assert json.loads(ask(f"{hub.url}/api/models/acme/small").body)["sha"] == now
    hub.release_lists()
    assert listed().keys() == {"acme/small", "acme/new"}
