"""Fronts know who asks: by a file of tokens as it is now, by the address through trusted servers; in doubt nobody."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from mirror_sync.domain.access.access_tokens import AccessToken, AccessTokens, Badge, digest_of
from mirror_sync.domain.access.rights import AccessRules, Opening, RepoSet
from mirror_sync.domain.job.targets import DirectoryTarget
from mirror_sync.domain.repo import Kind, Repo, RepoPattern
from mirror_sync.front.hub.doorkeeper import Doorkeeper
from mirror_sync.front.hub.front_request import FrontRequest
from mirror_sync.front.hub.hub_lists import Lists
from mirror_sync.front.hub.served import Served
from mirror_sync.front.hub.snapshots import Snapshots
from mirror_sync.front.nginx.nginx_files import NginxOptions
from mirror_sync.front.protocols.access_log import LogFile, Logged, hit_of
from mirror_sync.front.serve.asgi import ServeOptions, make_app
from mirror_sync.front.serve.uvicorn_server import serving
from mirror_sync.stores.directory.directory_store import DirectoryStore
from tests.front.bucket import Published
from tests.front.guarded import ACCESS, TOKENS, Guarded, basic, bearer, made, signed, write_tokens
from tests.front.mirrors import Mirror, by_nginx
from tests.requirements import need
from tests.waiting import next_second

SECRET = "team/inner"


@dataclass(frozen=True)
class Place:
    """A bucket that tests share, and a folder of one test."""

    target: DirectoryTarget
    guarded: Guarded
    folder: Path

    @property
    def tokens(self) -> Path:
        return self.folder / "tokens.yaml"

    @property
    def asked(self) -> str:
        return f"/{SECRET}/resolve/{self.guarded.commits[SECRET]}/README.md"

    @property
    def log(self) -> list[dict[str, object]]:
        [path] = [*self.folder.glob("front/logs/access.log"), *self.folder.glob("serve.log")]
        return [json.loads(line) for line in path.read_text("utf-8").splitlines()]

    def status(self, front: Mirror, token: str, **headers: str) -> int:
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        return front.ask("GET", self.asked, {**bearer(token), **given}).status


Start = Callable[..., AbstractContextManager[Mirror]]


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> tuple[DirectoryTarget, Guarded]:
    target = DirectoryTarget(tmp_path_factory.mktemp("known"))
    return target, Guarded.filled(DirectoryStore(target.root))


@pytest.fixture
def place(filled: tuple[DirectoryTarget, Guarded], tmp_path: Path) -> Place:
    return Place(*filled, tmp_path)


@pytest.fixture(params=["serve", "nginx"])
def start(request: pytest.FixtureRequest, place: Place) -> Start:
    """Starts a front over the place, with rules and the file of tokens."""
    if request.param == "nginx":
        need("nginx")

    def started(access: AccessRules = ACCESS, tokens: Path | None = None) -> AbstractContextManager[Mirror]:
        if request.param == "nginx":
            options = NginxOptions(place.target, access=access, tokens=tokens)
            return by_nginx(place.guarded.store, options, place.folder / "front")
        app = make_app(place.guarded.store, ServeOptions(access=access, tokens=tokens), refs_seconds=0.2)
        return _served(Logged(app, LogFile(place.folder / "serve.log").write), place)

    return started


@contextmanager
def _served(app: Logged, place: Place) -> Iterator[Mirror]:
    with serving(app) as url:
        yield Mirror(url, place.guarded.store)


def test_a_change_of_the_file_counts_from_the_next_second_on(place: Place, start: Start) -> None:
    write_tokens(place.tokens)
    known = AccessTokens.decode(place.tokens.read_bytes())
    with start(tokens=place.tokens) as front:
        assert place.status(front, TOKENS["developers"]) == 200
        place.tokens.write_text(known.revoking("the-developers", "2026-01-01T00:00:00Z", "me").encode())
        next_second()
        assert place.status(front, TOKENS["developers"]) == 401
        place.tokens.write_text(known.with_token(AccessToken("new", "admins", digest_of("hf_new"))).encode())
        assert [place.status(front, token) for token in ("hf_new", TOKENS["developers"])] == [200, 200]


def test_serve_remembers_for_a_second_who_sends_a_token_and_no_header_that_was_made_to_fill_it(place: Place) -> None:
    token, asked = TOKENS["developers"], 0

    def tokens() -> AccessTokens:
        nonlocal asked
        asked += 1
        return AccessTokens((made("the-developers", "developers", token),))

    store = place.guarded.store
    served = Served(store, Snapshots(store, 1.0), Lists(store, 1.0), access=ACCESS)
    keeper = Doorkeeper(served, tokens, lambda: 1.0)
    for sent, looked in (
        (f"Bearer {token}", 1),
        (basic(token)["Authorization"], 1),
        (signed(token)["Authorization"], 2),
        (f"Bearer {' ' * 9999}{token}", 2),
    ):
        before = asked
        for _ in range(2):
            reader = keeper.reader(FrontRequest("GET", "/", "", {"authorization": sent}, ""))
            assert (reader.badge, reader.name) == (Badge.HELD, "the-developers")
        assert asked - before == looked, sent[:99]


def test_of_a_file_that_is_broken_or_missing_nobody_is_known_and_everybody_reads_what_is_for_everybody(
    place: Place, start: Start
) -> None:
    write_tokens(place.tokens)
    whole = place.tokens.read_text("ascii")
    public = f"/pub/plain/resolve/{place.guarded.commits['pub/plain']}/README.md"
    with start(tokens=place.tokens) as front:
        for broken in (whole + "- {name: half", whole.replace("role: ", "roles: ", 1), whole + "\x00", "é", None):
            if broken is None:
                place.tokens.unlink()
            else:
                place.tokens.write_text(broken, encoding="utf-8")
            next_second()
            assert place.status(front, TOKENS["admins"]) == 401, broken
            assert front.ask("GET", public, bearer(TOKENS["admins"])).status == 200, broken
        place.tokens.write_text(whole)
        assert place.status(front, TOKENS["admins"]) == 200


def test_of_a_token_that_stands_there_twice_nobody_knows_what_is_meant(place: Place, start: Start) -> None:
    twice = [AccessToken(name, "admins", digest_of("hf_twice")) for name in ("one", "other")]
    place.tokens.write_text(AccessTokens((twice[0],)).encode(), "ascii")
    with start(tokens=place.tokens) as front:
        assert place.status(front, "hf_twice") == 200
        place.tokens.write_text(AccessTokens(tuple(twice)).encode(), "ascii")
        next_second()
        assert place.status(front, "hf_twice") == 401


def test_the_log_names_whose_token_it_was_and_never_the_token(place: Place, start: Start) -> None:
    write_tokens(place.tokens)
    with start(tokens=place.tokens) as front:
        place.status(front, TOKENS["developers"])
        place.status(front, "hf_strange")
        place.status(front, "")
    lines = [line for line in place.log if line["uri"] == place.asked]
    assert sorted(str(line["user"]) for line in lines) == ["", "", "the-developers"]
    [theirs] = [line for line in lines if line["user"]]
    hit = hit_of(json.dumps(theirs))
    assert hit is not None
    assert hit.user == "the-developers"
    written = "".join(path.read_text("utf-8") for path in place.folder.rglob("*.log"))
    assert not any(token in written for token in (*TOKENS.values(), "hf_strange"))


def test_who_asks_from_elsewhere_gets_nothing_but_whether_the_front_is_there(place: Place, start: Start) -> None:
    write_tokens(place.tokens)
    access = replace(ACCESS, allow=("10.0.0.0/8", "2001:db8::/32"), proxies=("192.0.2.0/24",))
    with start(access, place.tokens) as front:
        sent = {
            "10.1.2.3": 200,
            "2001:db8::7": 200,
            "2001:db9::7": 403,
            "203.0.113.5": 403,
            "10.1.2.3, 192.0.2.9": 200,
            "10.1.2.3, 203.0.113.5": 403,
            "::ffff:10.1.2.3": 200,
            "nonsense": 403,
            "": 403,
        }
        found = {way: place.status(front, TOKENS["admins"], X_Forwarded_For=way) for way in sent if way}
        found[""] = place.status(front, TOKENS["admins"])
        assert found == sent
        assert front.get("/healthz").status == 200
        page = front.ask("GET", "/pub/plain/resolve/main/README.md", {"X-Forwarded-For": "10.1.2.3"})
        assert (page.status, "public" in (page.header("Cache-Control") or "")) == (200, False)


def test_a_token_is_good_from_its_networks_alone(place: Place, start: Start) -> None:
    token = AccessToken("near", "admins", digest_of("hf_near"), networks=("10.0.0.0/9", "2001:db8::/33"))
    place.tokens.write_text(AccessTokens((token,)).encode())
    sent = {"10.127.0.1": 200, "10.128.0.1": 401, "2001:db8:7fff::1": 200, "2001:db8:8000::1": 401}
    with start(tokens=place.tokens) as front:
        assert {way: place.status(front, "hf_near", X_Forwarded_For=way) for way in sent} == sent


def test_without_rules_what_is_closed_upstream_is_for_nobody_and_a_job_may_open_it(place: Place, start: Start) -> None:
    def found(access: AccessRules) -> dict[str, int]:
        with start(access) as front:
            return {
                name: front.get(f"{one.at}/resolve/{place.guarded.commits[name]}/README.md").status
                for name, one in place.guarded.repos.items()
            }

    public = {"pub/plain", "team/inner", "dataset:pub/tables"}
    assert {name for name, status in found(AccessRules()).items() if status == 200} == public
    opening = Opening(
        (RepoPattern.parse("pub/*"), RepoPattern.parse("team/*")), (RepoPattern.parse("team/privateone"),)
    )
    assert {name for name, status in found(AccessRules(opened=(opening,))).items() if status == 200} == public | {
        "pub/gatedone",
        "pub/closedsince",
    }


def test_where_nothing_is_for_everybody_who_brings_no_token_is_asked_for_one(place: Place, start: Start) -> None:
    write_tokens(place.tokens)
    with start(replace(ACCESS, anonymous=()), place.tokens) as front:
        for asked in (
            "/",
            "/-/",
            "/api/models",
            place.asked,
            "/pub/not-here/resolve/main/f",
            "/-/trust/allowed_signers",
        ):
            reply = front.get(asked)
            assert (reply.status, reply.header("X-Error-Code")) == (401, None), asked
            assert "Basic" in (reply.header("WWW-Authenticate") or ""), asked
        assert front.get("/healthz").status == 200
        assert front.get("/api/agent-harnesses").status == 200
        assert place.status(front, TOKENS["developers"]) == 200


def test_of_a_repo_with_the_addresses_of_a_protocol_that_knows_cookies_no_cache_forgets_the_cookie(
    place: Place, start: Start
) -> None:
    write_tokens(place.tokens)
    repo = Published(place.guarded.store, Repo(Kind.MODEL, "api/v1"))
    commit = repo.publish({"README.md": b"hello"}, described={"private": False, "gated": "manual"})
    with start(tokens=place.tokens) as front:
        for given in ({"Cookie": f"m_session_id={TOKENS['admins']}"}, bearer(TOKENS["admins"])):
            reply = front.ask("GET", f"/api/v1/resolve/{commit}/README.md", given)
            assert (reply.status, reply.header("Vary")) == (200, "Authorization, Cookie")


def test_patterns_match_the_same_on_both_fronts(place: Place, start: Start) -> None:
    patterns = {"team/i?ner": 200, "team/[!a-h]nner": 200, "team/[z-a]nner": 404, "team/INNER": 404}
    for pattern, status in patterns.items():
        with start(AccessRules(anonymous=(RepoSet.parse(pattern),))) as front:
            assert place.status(front, "") == status, pattern


def test_a_script_that_cannot_say_who_asks_admits_nobody(place: Place) -> None:
    need("nginx")
    write_tokens(place.tokens)
    options = NginxOptions(place.target, access=ACCESS, tokens=place.tokens)
    folder = place.folder / "front"

    def broken(configuration: str) -> str:
        script, asked = folder / "readers.js", "    const client = r.variables.remote_addr;"
        text = script.read_text("utf-8")
        assert asked in text
        script.write_text(text.replace(asked, "    throw new Error('no');", 1))
        return configuration

    with by_nginx(place.guarded.store, options, folder, broken) as front:
        for role in ("", *TOKENS):
            for name, one in place.guarded.repos.items():
                reply = front.ask(
                    "GET", f"{one.at}/resolve/{place.guarded.commits[name]}/README.md", bearer(TOKENS.get(role, ""))
                )
                assert reply.status == 502, (role, name)
                assert front.ask("GET", one.api, bearer(TOKENS.get(role, ""))).status == 502, (role, name)
        assert front.get("/healthz").status == 502


@contextmanager
def _mute(place: Place, access: AccessRules = ACCESS) -> Iterator[tuple[Mirror, Callable[[bool], None]]]:
    """An nginx, and what makes its script fail or not: then it answers by what it knows itself."""
    need("nginx")
    folder = place.folder / "front"

    def hushed(configuration: str) -> str:
        script, asked = folder / "readers.js", "    const client = r.variables.remote_addr;"
        text = script.read_text("utf-8")
        assert asked in text
        script.write_text(text.replace(asked, f"    fs.accessSync('{folder}/speaks');\n{asked}", 1))
        return configuration

    def speak(whether: bool) -> None:
        (folder / "speaks").touch() if whether else (folder / "speaks").unlink()

    options = NginxOptions(place.target, access=access, tokens=place.tokens)
    with by_nginx(place.guarded.store, options, folder, hushed) as front:
        speak(True)
        yield front, speak


def _told_alone(place: Place, front: Mirror, speak: Callable[[bool], None], token: str, moving: bool = False) -> bool:
    """Whether nginx knows a token without the script, in the second in which the script has said whose it is; where
    another script answers, too, as the HEAD of a revision that is `moving`.
    """
    while True:
        next_second()
        began = int(time.time())
        assert place.status(front, token) in (200, 401, 404)
        speak(False)
        status = front.head(f"/{SECRET}/resolve/main/README.md", **bearer(token)).status if moving else None
        status = status or place.status(front, token)
        speak(True)
        if int(time.time()) == began:
            return status == (307 if moving else 200)


def test_nginx_knows_by_itself_for_a_second_whose_a_token_is_that_the_script_has_vouched_for(place: Place) -> None:
    write_tokens(place.tokens)
    with _mute(place) as (front, speak):
        assert _told_alone(place, front, speak, TOKENS["developers"])
        assert _told_alone(place, front, speak, TOKENS["developers"], moving=True)
        speak(False)
        next_second()
        assert place.status(front, TOKENS["developers"]) == 502
    lines = [line for line in place.log if line["status"] == 200]
    assert {line["user"] for line in lines} == {"the-developers"}


def test_nginx_goes_by_itself_for_no_token_of_which_the_file_now_says_something_else(place: Place) -> None:
    soon = "2099-01-01T00:00:00Z"
    token, other = TOKENS["admins"], TOKENS["developers"]
    first = made("the-admins", "admins", token)
    place.tokens.write_text(AccessTokens((first, made("the-other", "developers", other))).encode(), "ascii")
    with _mute(place) as (front, speak):
        assert _told_alone(place, front, speak, token)
        changes = {
            "role": replace(first, role="developers"),
            "name": replace(first, name="someone"),
            "end": replace(first, expires=soon),
            "networks": replace(first, networks=("127.0.0.0/8",)),
        }
        for changed, line in changes.items():
            place.tokens.write_text(AccessTokens((line,)).encode(), "ascii")
            assert not _told_alone(place, front, speak, token), changed
        assert not _told_alone(place, front, speak, other)
        place.tokens.write_text(AccessTokens((first, first)).encode(), "ascii")
        assert not _told_alone(place, front, speak, token)
        place.tokens.write_text(AccessTokens((first,)).encode(), "ascii")
        assert _told_alone(place, front, speak, token)


def test_what_is_not_exactly_a_token_of_ours_the_script_decides(place: Place) -> None:
    token, ends = TOKENS["admins"], "2099-01-01T00:00:00Z"
    one = "hf_1".ljust(40, "x")  # the letters before which secure_link's own 1 stands
    near = made("near", "admins", TOKENS["auditors"])
    alike = [
        made(name, "admins", f"hf_{letters}".ljust(40, "z")) for name, letters in (("a", "Abcdefgh"), ("b", "abcdefgh"))
    ]
    tokens = (
        replace(made("ends", "admins", token), expires=ends),
        made("one", "admins", one),
        replace(near, networks=("127.0.0.0/8",)),
        AccessToken("plain", "admins", digest_of(TOKENS["developers"])),
        replace(made("on-no-calendar", "admins", TOKENS["nothings"]), expires="2099-02-30T00:00:00Z"),
        *alike,
    )
    place.tokens.write_text(AccessTokens(tokens).encode(), "ascii")
    written = "Abcdefgh".ljust(37, "z")
    with _mute(place) as (front, speak):
        assert _told_alone(place, front, speak, token)
        for slow in (
            *(TOKENS[role] for role in ("auditors", "developers", "nothings")),
            f"hf_{written}",
            f"hf_{written.lower()}",
        ):
            assert place.status(front, slow) == 200
            assert not _told_alone(place, front, speak, slow)
        for right in (token, one):
            for wrong in (right[:-1] + "y", right + "x", right[:-1], right.upper()):
                assert place.status(front, right) == 200
                assert place.status(front, wrong) == 401, wrong
        text = (place.folder / "front" / "nginx.conf").read_text("utf-8")
        assert all(said not in text for said in (token, one, *TOKENS.values(), written[:12]))


def test_where_networks_are_ruled_the_script_decides_of_every_token(place: Place) -> None:
    write_tokens(place.tokens)
    with _mute(place, replace(ACCESS, allow=("127.0.0.0/8",))) as (front, speak):
        assert place.status(front, TOKENS["admins"]) == 200
        assert not _told_alone(place, front, speak, TOKENS["admins"])


def test_notes_of_seconds_and_states_that_are_over_are_swept(place: Place) -> None:
    write_tokens(place.tokens)
    with _mute(place) as (front, speak):
        for _ in range(3):
            assert _told_alone(place, front, speak, TOKENS["admins"])
            place.tokens.write_text(place.tokens.read_text("ascii") + "# another state\n", "ascii")
        assert _told_alone(place, front, speak, TOKENS["admins"])
        notes = list((place.folder / "front/temp/body/vouched").iterdir())
        assert sorted(note.is_symlink() for note in notes) == [False, True]
