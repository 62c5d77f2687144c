"""Redirected, noted or brought: by both fronts, and never so that a reader learns what is hidden."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

from mirror_sync.domain.access.access_tokens import digest_of
from mirror_sync.domain.audit_record import BY_DAEMON
from mirror_sync.domain.outcome.keep_report import LET_GO
from mirror_sync.domain.policy.gone import Gone
from mirror_sync.domain.repo import Repo
from mirror_sync.engine.published import change_refs, read_refs
from mirror_sync.front.misses.daemon_desk import DeskOptions
from tests.front.guarded import TOKENS, bearer
from tests.front.mirrors import Mirror, Reply
from tests.misses.world import BIG, Desk, World, desk_of, front_of, until
from tests.servers.ports import free_port
from tests.standin import Hub


def shape(reply: Reply, name: str) -> tuple[object, ...]:
    """An answer without the words of what was asked for."""
    headers = sorted((key, value.replace(name, "X")) for key, value in reply.headers.items() if key.lower() != "date")
    return reply.status, headers, reply.body.decode().replace(name, "X")


def test_a_file_of_a_repo_that_a_job_names_is_redirected_with_what_clients_read_off_the_redirect(
    redirects: World,
) -> None:
    commit = redirects.hub.model("pub/wanted").head()
    got = redirects.front.get("/pub/wanted/resolve/main/big.bin")
    assert (got.status, got.header("Location")) == (307, f"{redirects.hub.url}/pub/wanted/resolve/main/big.bin")
    assert (got.header("X-Mirror-Leaves"), got.header("Cache-Control")) == (redirects.hub.url, "no-store")
    assert got.body == b""
    for path, size in (("big.bin", len(BIG)), ("config.json", 2)):
        head = redirects.front.head(f"/pub/wanted/resolve/main/{path}")
        assert (head.status, head.header("X-Repo-Commit"), head.header("X-Linked-Size")) == (307, commit, str(size))
        assert head.header("Location") == f"{redirects.hub.url}/pub/wanted/resolve/{commit}/{path}"
        assert head.header("ETag")
        assert head.header("X-Xet-Hash") is None
    info = redirects.front.get("/api/models/pub/wanted/revision/main?expand=sha")
    assert info.header("Location") == f"{redirects.hub.url}/api/models/pub/wanted/revision/main?expand=sha"
    xet = f"/api/models/pub/wanted/xet-read-token/{commit}"
    assert redirects.front.get(xet).header("Location") == f"{redirects.hub.url}{xet}"
    here = redirects.front.get(f"/api/models/pub/here/xet-read-token/{commit}")
    assert (here.status, "Nothing is here" in here.json["error"]) == (404, True)
    missing = redirects.front.head("/pub/wanted/resolve/main/none.json")
    assert (missing.error, missing.header("X-Repo-Commit")) == ((404, "EntryNotFound"), commit)
    assert redirects.front.head("/pub/wanted/resolve/nope/none.json").error == (404, "RevisionNotFound")


def test_nothing_is_redirected_that_no_job_names_or_a_rule_refuses_or_the_upstream_gives_to_some_only(
    redirects: World,
) -> None:
    for name in ("far/x", "pub/denied", "pub/gatedtwo", "pub/notthere", "team/wanted", "open/none"):
        for method in ("GET", "HEAD"):
            reply = redirects.front.ask(method, f"/{name}/resolve/main/README.md")
            assert reply.error == (404, "RepoNotFound"), (name, method)
    assert redirects.front.get("/pub/here/resolve/main/config.json").body == b"{}"
    assert not [record for record in redirects.hub.log.records("GET /pub/wanted*") if record.had_authorization]


def test_what_is_hidden_is_answered_byte_for_byte_as_what_nobody_knows(
    redirects: World, notes: World, fetches: World
) -> None:
    for world in (redirects, notes, fetches):
        for role in ("", "nothings"):
            for route in ("/{}/resolve/main/README.md", "/api/models/{}", "/api/models/{}/tree/main", "/{}"):
                for method in ("GET", "HEAD"):
                    for hidden, unknown in (("pub/gatedone", "pub/gatednot"), ("team/here", "team/nope")):
                        one = world.front.ask(method, route.format(hidden), bearer(TOKENS.get(role, "")))
                        other = world.front.ask(method, route.format(unknown), bearer(TOKENS.get(role, "")))
                        assert shape(one, hidden) == shape(other, unknown), (role, route, method, world.desk.url)


def test_a_wish_is_noted_with_who_asked_and_how_to_go_on(notes: World) -> None:
    reply = notes.front.get("/far/x/resolve/main/README.md")
    assert reply.error == (404, "RepoNotFound")
    assert "is noted; ask ml-platform@example.org" in reply.json["error"]
    notes.front.ask("GET", "/api/models/far/x", bearer(TOKENS["developers"]))
    address, holder = sorted(notes.desk.wishes["far/x"])
    assert holder == "token the-developers"
    assert re.fullmatch("address [0-9a-f]{12}", address)


def test_what_a_job_names_is_brought_and_given_once_it_is_proved(fetches: World, kind: str) -> None:
    name = "pub/wanted" if kind == "serve" else "pub/late"
    first = fetches.front.get(f"/{name}/resolve/main/big.bin")
    assert (first.status, first.header("Retry-After")) == (503, "10")
    until(lambda: fetches.front.get(f"/{name}/resolve/main/big.bin").status != 503)
    assert fetches.front.get(f"/{name}/resolve/main/big.bin").body == BIG
    until(lambda: fetches.front.get("/pub/nc/resolve/main/README.md").status != 503)
    said = fetches.front.get("/pub/nc/resolve/main/README.md").json["error"]
    assert "could not be brought" in said or "cc-by-nc-4.0 is not in licenses.allow" in said
    for other in ("far/x", "pub/denied", "pub/gatedtwo", "team/wanted"):
        assert fetches.front.get(f"/{other}/resolve/main/README.md").error == (404, "RepoNotFound"), other


def _let_go(desk: Desk, repo: Repo) -> None:
    target, at = desk.program._context().targets["disk"], datetime.now(UTC).replace(microsecond=0)
    change_refs(target, repo, lambda refs: refs.withdrawn(Gone(LET_GO, at)))


@pytest.mark.parametrize("mode", ["redirect", "ask", "fetch"])
def test_a_reader_who_asks_at_a_front_of_the_daemon_gets_back_what_was_let_go_of(
    hub: Hub, tmp_path: Path, mode: str
) -> None:
    """Without any log: what the front answers is no 404 by which the next count could tell."""
    repo, at = Repo.parse("pub/here"), "/pub/here/resolve/main/config.json"
    with desk_of(hub, tmp_path, mode, f", keep: {{bytes: 1MB, logs: [{tmp_path}/none.log]}}") as desk:
        store = desk.program.store("disk")
        assert desk.program.sync(BY_DAEMON, ["here"], [repo]).ok
        _let_go(desk, repo)
        desk.program.sync(BY_DAEMON, ["here"], [repo])
        assert not read_refs(store, repo).snapshots
        with front_of("serve", tmp_path, desk.options(mode), desk.settings.access_to("disk")) as front:
            assert front.get(at).status == {"redirect": 307, "ask": 404, "fetch": 503}[mode]
            if mode != "fetch":
                desk.program.sync(BY_DAEMON, ["here"])
            until(lambda: front.get(at).status == 200)
            assert front.get(at).body == b"{}"
            assert read_refs(store, repo).gone is None


@pytest.mark.parametrize("mode", ["redirect", "ask", "fetch"])
def test_a_dead_daemon_makes_nobody_wait_and_nothing_else_than_404(notes: World, kind: str, mode: str) -> None:
    options = DeskOptions(mode, "disk", "127.0.0.1", free_port(), "nobody")
    with front_of(kind, notes.folder, options, notes.desk.settings.access_to("disk")) as front:
        reply = front.get("/pub/nowhere/resolve/main/README.md")
        assert reply.error == (404, "RepoNotFound")
        assert ("does not answer" in reply.json["error"]) == (mode != "ask")
        assert _ask(front, "repo=pub/nowhere").header("Location") == "asked.html#undone"


def _ask(front: Mirror, form: str, **said: str) -> Reply:
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    headers |= {name.replace("_", "-"): value for name, value in said.items()}
    return front.ask("POST", "/-/ask", headers, form.encode())


def test_the_form_notes_a_wish_says_what_licences_allow_and_is_for_our_own_pages_alone(notes: World) -> None:
    told = {
        "repo=far%2Fx": "asked.html#allowed",
        "repo=pub/nc": "asked.html#refused",
        "repo=pub/gatedtwo": "asked.html#noted",
        "repo=https://huggingface.co/org/name": "asked.html#noted",
        "repo=no+name+at+all": "asked.html#bad",
        "repo=": "asked.html#bad",
        "&" * 20: "asked.html#bad",
    }
    for form, where in told.items():
        reply = _ask(notes.front, form)
        assert (reply.status, reply.header("Location")) == (303, where), form
    assert {"far/x", "pub/nc", "org/name"} <= notes.desk.wishes.keys()
    host = notes.front.url
    assert _ask(notes.front, "repo=a/foreign", Sec_Fetch_Site="cross-site").status == 403
    assert _ask(notes.front, "repo=a/foreign", Origin="https://evil.example.org").status == 403
    assert _ask(notes.front, "repo=a/foreign", Origin="null").status == 403
    assert _ask(notes.front, "repo=" + "x" * 2000).status == 413
    assert "a/foreign" not in notes.desk.wishes
    assert _ask(notes.front, "repo=a/own", Origin=host).status == 303
    assert _ask(notes.front, "repo=a/own", Sec_Fetch_Site="same-origin", Origin="null").status == 303
    assert digest_of(TOKENS["admins"]) not in str(notes.desk.wishes)


def test_the_daemon_answers_nobody_without_the_secret(notes: World) -> None:
    desk = Mirror(notes.desk.url, notes.front.store)
    assert desk.get("/miss?what=form").status == 401
    assert desk.get("/miss?what=form", X_Front_Secret="wrong").status == 401
    assert desk.get("/miss?what=form", X_Front_Secret="front-secret-1234").status == 400
