"""Redirected, noted or brought: by both fronts, and never so that a reader learns what is hidden."""

from __future__ import annotations

import re
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlencode, urlsplit

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from mirror_sync.app.wishing import WantedVerdict
from mirror_sync.daemon.misses import MissDesk, MissQuestion, asker, miss_route
from mirror_sync.daemon.requests import RequestState, Started
from mirror_sync.domain.access.access_tokens import digest_of
from mirror_sync.domain.audit_record import BY_DAEMON
from mirror_sync.domain.digest import Sha256
from mirror_sync.domain.job.targets import Tiers
from mirror_sync.domain.outcome.keep_report import LET_GO
from mirror_sync.domain.outcome.report import RepoStatus
from mirror_sync.domain.outcome.tier_report import Move, MovedRepo
from mirror_sync.domain.policy.gone import Gone
from mirror_sync.domain.repo import Repo
from mirror_sync.engine.published import change_refs, read_refs
from mirror_sync.front.hub.desk_answer import DeskAnswer
from mirror_sync.front.hub.front_request import FrontRequest
from mirror_sync.front.misses.daemon_desk import DaemonDesk, DeskOptions
from mirror_sync.front.serve.uvicorn_server import serving
from mirror_sync.observe.metrics.metrics import Metrics
from tests.front.guarded import TOKENS, bearer
from tests.front.mirrors import Mirror, Reply
from tests.misses.world import BIG, Desk, World, desk_of, front_of
from tests.servers.ports import free_port
from tests.standin import Hub
from tests.waiting import PATIENCE, until


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
    signed = redirects.front.get("/pub/wanted/resolve/main/big.bin?x-amz-credential=ours%2Fa")
    assert (signed.status, signed.header("Location")) == (404, None), "no key of ours goes to an upstream"
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


class _Asked:
    """A mirror that knows of no repo, and whose upstream gives everything."""

    def status(self) -> tuple[RepoStatus, ...]:
        return ()

    def note_asked(self, target: str, repo: Repo) -> None:
        """Nothing was let go of."""

    def is_taken_down(self, target: str, repo: Repo) -> bool:
        return False

    def look_at_wanted(self, target: str, repo: Repo) -> WantedVerdict:
        return WantedVerdict(closed=False, outcome="allowed", verdict="")

    def is_cold(self, target: str, digest: Sha256) -> bool:
        return False

    def thaw(self, target: str, repo: Repo) -> MovedRepo:
        raise AssertionError("nothing is cold")


def test_a_repo_is_brought_back_by_one_at_a_time_however_long_that_takes(fetching: tuple[Desk, Path]) -> None:
    begun, go = list[Repo](), threading.Event()

    class Slow(_Asked):
        def thaw(self, target: str, repo: Repo) -> MovedRepo:
            begun.append(repo)
            assert go.wait(PATIENCE)
            return MovedRepo(str(repo), Move.THAWED, 1, 1, "")

    settings, now = fetching[0].settings, [0.0]
    target = replace(settings.targets["disk"], tiers=Tiers(timedelta(days=30), ("log",), storage_class="GLACIER"))
    desk = MissDesk(lambda target, repo: (), Metrics().misses, lambda: now[0])
    desk.take(replace(settings, targets={"disk": target}), Slow())

    def asks(name: str) -> int:
        return desk.answer(MissQuestion("thaw", "disk", f"model:acme/{name}", "GET", "/x", "", "", "10.0.0.1")).status

    assert asks("one") == 503
    until(lambda: bool(begun))
    now[0] = 3600.0
    assert asks("one") == 503
    assert asks("two") == 503  # comes after what waits
    go.set()
    until(lambda: len(begun) == 2)
    assert [repo.id for repo in begun] == ["acme/one", "acme/two"]


def test_one_reader_has_a_bounded_number_of_repos_brought_back_a_day_and_is_told_so(
    fetching: tuple[Desk, Path],
) -> None:
    begun = list[Repo]()

    class Brings(_Asked):
        def thaw(self, target: str, repo: Repo) -> MovedRepo:
            begun.append(repo)
            return MovedRepo(str(repo), Move.THAWED, 1, 1, "")

    settings, now, metrics = fetching[0].settings, [0.0], Metrics()
    tiers = Tiers(timedelta(days=30), ("log",), storage_class="GLACIER", warm_back_most=30)
    desk = MissDesk(lambda target, repo: (), metrics.misses, lambda: now[0])
    desk.take(replace(settings, targets={"disk": replace(settings.targets["disk"], tiers=tiers)}), Brings())

    def asks(number: int, client: str) -> str:
        name = f"model:acme/n{number}"
        said = desk.answer(MissQuestion("thaw", "disk", name, "GET", "/x", "", "", client))
        assert (said.status, said.headers) == (503, {"Retry-After": "3600"})
        until(lambda: not desk._thawing)
        return said.message

    words = [asks(number, "10.0.0.1") for number in range(10)]
    assert len(begun) == 3
    assert ["it is being restored" in one for one in words] == [True] * 3 + [False] * 7
    assert "no more is brought back for you today; ask " in words[-1]
    assert "it is being restored" in asks(0, "10.0.0.1"), "what is on its way already costs nothing"
    for number in range(10, 100):
        asks(number, f"10.1.0.{number}")
    assert len(begun) == 30, "all readers together"
    now[0] = 86_400.0 / 3
    assert "it is being restored" in asks(9, "10.0.0.1")
    counted = {name: metrics.misses.labels(name)._value.get() for name in ("thawing", "thaw-bounded")}
    assert counted == {"thawing": 31, "thaw-bounded": 70}


def test_who_asks_for_a_million_names_has_little_of_the_upstream_and_takes_nothing_from_others(
    fetching: tuple[Desk, Path],
) -> None:
    looked, begun = list[Repo](), list[Repo]()

    class Looks(_Asked):
        def look_at_wanted(self, target: str, repo: Repo) -> WantedVerdict:
            looked.append(repo)
            return WantedVerdict(closed=True, outcome="", verdict="")

    def begins(target: str, repo: Repo) -> tuple[Started, ...]:
        begun.append(repo)
        return ()

    desk = MissDesk(begins, Metrics().misses, lambda: 0.0)
    desk.take(fetching[0].settings, Looks())

    def asks(name: str, client: str, role: str = "") -> int:
        return desk.answer(MissQuestion("info", "disk", f"model:pub/{name}", "GET", "/x", "", role, client)).status

    for number in range(1000):
        asks(f"n{number}", "10.0.0.1")
    assert len(looked) == 60
    asks("another", "10.0.0.2")
    assert len(looked) == 61
    for number in range(1000):
        asks(f"m{number}", f"10.1.{number // 250}.{number % 250}")
    assert len(looked) == 300
    assert asks("gatedone", "", "admins") == 503
    assert begun == [], "nothing is begun for who may have no more"


def test_a_target_that_hangs_holds_up_a_bounded_number_of_questions_and_nothing_else_of_the_daemon(
    fetching: tuple[Desk, Path],
) -> None:
    hangs, reached = threading.Event(), threading.Semaphore(0)

    class Hanging(_Asked):
        def is_taken_down(self, target: str, repo: Repo) -> bool:
            reached.release()
            return not hangs.wait(PATIENCE)

    desk = MissDesk(lambda target, repo: (), Metrics().misses)
    desk.take(fetching[0].settings, Hanging())
    other = Route("/metrics", lambda request: Response("told"))  # in a thread, as the daemon's own
    names = ("what", "target", "repo", "method", "at", "name", "role", "client")
    with serving(Starlette(routes=[miss_route("secret", desk), other])) as url, ThreadPoolExecutor(24) as pool:
        daemon = Mirror(url, fetching[0].program.store("disk"))

        def asks(number: int) -> int:
            said = ("info", "disk", f"pub/h{number}", "GET", "/x", "", "developers", "")
            path = f"/miss?{urlencode(dict(zip(names, said, strict=True)))}"
            return daemon.get(path, X_Front_Secret="secret").status

        waiting = list[Future[int]]()
        for number in range(24):  # one by one: an upstream is asked by no more than a few at once
            waiting.append(pool.submit(asks, number))
            assert reached.acquire(timeout=PATIENCE)
        assert asks(99) == 503
        assert daemon.get("/metrics").body == b"told"
        hangs.set()
        assert {one.result() for one in waiting} == {200}
        assert asks(99) == 200


def test_of_what_an_upstream_says_of_a_file_only_what_a_front_can_send_on_is_told() -> None:
    said = {
        "ETag": '"a\x01b"', "X-Linked-Etag": '"fine"', "X-Repo-Commit": "no commit", "X-Linked-Size": "1e9",
        "X-Error-Code": "two words",
    }  # fmt: skip

    class Upstream(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(404 if self.path == "/none" else 200)
            for name, value in {**said, "Content-Length": "2"}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(b"{}")

    with ThreadingHTTPServer(("127.0.0.1", 0), Upstream) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            desk = MissDesk(lambda target, repo: (), Metrics().misses)
            place = f"http://127.0.0.1:{server.server_port}"
            assert desk._head(place, "/x") == (200, {"X-Linked-Etag": '"fine"', "X-Linked-Size": "2"}, "")
            assert desk._head(place, "/none") == (404, {"X-Linked-Etag": '"fine"'}, "")
        finally:
            server.shutdown()
            thread.join()


def test_one_who_asks_has_no_more_than_half_of_what_is_brought_at_once(fetching: tuple[Desk, Path]) -> None:
    begun = list[str]()

    def begins(target: str, repo: Repo) -> tuple[Started, ...]:
        begun.append(repo.id)
        return (Started("wide", str(repo), RequestState.STARTED),)

    desk = MissDesk(begins, Metrics().misses, lambda: 0.0)
    desk.take(fetching[0].settings, _Asked())
    for client in ("10.0.0.1", "10.0.0.2", "10.0.0.3"):
        for number in range(20):
            name = f"model:pub/{client[-1]}n{number}"
            assert desk.answer(MissQuestion("info", "disk", name, "GET", "/x", "", "", client)).status == 503
    assert [one[:5] for one in begun] == ["pub/1"] * 8 + ["pub/2"] * 8


def test_what_one_question_makes_of_the_daemon_silences_it_for_no_other() -> None:
    answers = iter([503, 400, 200, 401])

    def miss(_: Request) -> Response:
        return JSONResponse(DeskAnswer(404, "told").encode(), next(answers))

    with serving(Starlette(routes=[Route("/miss", miss)])) as url:
        place = urlsplit(url)
        options = DeskOptions("ask", "disk", place.hostname or "", place.port or 0, "secret")
        desk = DaemonDesk(options, lambda: 0.0)
        asked = FrontRequest("GET", "/a/b", "", {}, "")
        told = [desk("info", "model:a/b", asked) for _ in range(5)]
    assert [one and one.message for one in told] == [None, None, "told", None, None]
    assert next(answers, None) is None, "after 401 nobody asks for a while"


def test_the_daemon_answers_nobody_without_the_secret(notes: World) -> None:
    desk = Mirror(notes.desk.url, notes.front.store)
    assert desk.get("/miss?what=form").status == 401
    assert desk.get("/miss?what=form", X_Front_Secret="wrong").status == 401
    assert desk.get("/miss?what=form", X_Front_Secret="front-secret-1234").status == 400


def test_all_addresses_of_a_network_that_is_one_clients_are_one_asker() -> None:
    def of(client: str) -> str:
        return asker(MissQuestion("info", "disk", "model:pub/x", "GET", "/x", "", "", client))

    assert of("2001:db8::1") == of("2001:db8::ffff:1") != of("2001:db8:0:1::1")
    assert of("10.0.0.1") != of("10.0.0.2")
