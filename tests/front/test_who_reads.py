"""Who may read what holds at every door: each route of both fronts, for each role, over each kind of target."""

from __future__ import annotations

import http.client
import os
import random
import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from urllib.parse import quote, unquote, urlencode, urlsplit

import pytest

from mirror_sync.domain.access.rights import Need
from mirror_sync.domain.content.tombstone import Tombstone
from mirror_sync.domain.job.targets import DirectoryTarget, Target
from mirror_sync.front.hub.answers import XML
from mirror_sync.front.hub.protocol import Route, RouteTable
from mirror_sync.front.nginx.nginx_files import NginxOptions
from mirror_sync.front.protocols.mounted import PROTOCOLS
from mirror_sync.front.protocols.s3_addresses import ROOT
from mirror_sync.stores.directory.directory_store import DirectoryStore
from tests.front.bucket import model
from tests.front.guarded import (
    ACCESS,
    BARRED,
    CATALOGUE,
    OPEN_NAMES,
    READS,
    SEES,
    STRANGE,
    TOKENS,
    Guarded,
    basic,
    bearer,
    signed,
    write_tokens,
)
from tests.front.mirrors import DOORS, PUBLISHERS, Mirror, Reply, by_nginx, by_serve, s3_store
from tests.requirements import need
from tests.stores.places import target_of
from tests.waiting import PATIENCE

ROUTES = RouteTable(PROTOCOLS).routes
OF_REPOS = [route for route in ROUTES if route.needs in (Need.SEE, Need.READ)]
ROLES = ("", *TOKENS)
NOTHING_THERE = ("statement", "xet_token")  # routes that have nothing of these repos, whoever asks
REQUESTS = int(os.environ.get("LEAK_REQUESTS", "300"))
"""Random requests for each front and target: `LEAK_REQUESTS=10000 pytest tests/front/test_who_reads.py -k random`."""
SEED = 20261129


@pytest.fixture(scope="module", params=["directory", "moto"])
def place(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Target:
    return target_of(request, tmp_path_factory.mktemp("guarded"))


@pytest.fixture(scope="module")
def guarded(place: Target) -> Guarded:
    return Guarded.filled(DirectoryStore(place.root) if isinstance(place, DirectoryTarget) else s3_store(place))


@pytest.fixture(scope="module", params=["serve", "nginx"])
def front(
    request: pytest.FixtureRequest, place: Target, guarded: Guarded, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Mirror]:
    folder = tmp_path_factory.mktemp("front")
    tokens = write_tokens(folder / "tokens.yaml")
    with _running(request.param, place, guarded, folder / "nginx", tokens) as running:
        yield running


def _running(kind: str, place: Target, guarded: Guarded, folder: Path, tokens: Path) -> AbstractContextManager[Mirror]:
    if kind == "serve":
        return by_serve(guarded.store, access=ACCESS, tokens=tokens)
    need("nginx")
    return by_nginx(
        guarded.store,
        NginxOptions(place, access=ACCESS, tokens=tokens, by_digest=True, doors=DOORS, kernel_publishers=PUBLISHERS),
        folder,
    )


def address(route: Route, guarded: Guarded, name: str, *, rev: str = "") -> str:
    """An address of a route, of a repo as jobs.yaml names it."""
    published, commit = guarded.repos[name], guarded.commits[name]
    plural = published.repo.kind.plural
    fields = {
        "place": "datasets/" if plural == "datasets" else "",
        "kinds": plural,
        "id": published.repo.id,
        "rev": rev or commit,
        "path": "README.md",
        "folder": "",
        "proof": "SHA256SUMS",
        "document": "root.json",
        "statement": "statement.json",
        "colon": ":",
        "ending": ".torrent",
        "suffix": ".meta4",
        "digest": guarded.registry_digest(name, route.name),
        "prefix": "",
        "part": "",
    }
    template = re.sub(r"\(\?!.*?\)", "", route.template).removesuffix("/?")
    query = urlencode({argument: fields[name] for name, argument in route.query.items()})
    return s3_address(template.format_map(fields) + (f"?{query}" if query else ""))


def s3_address(target: str) -> str:
    """What a client of S3 asks for to come to an address of that door; others as they are."""
    if not target.startswith(ROOT):
        return target
    place, _, rest = target.removeprefix(f"{ROOT}/").partition("/")
    bucket, _, prefix = rest.partition("/")
    queries = {"list": f"prefix={quote(prefix.removesuffix('!'), safe='')}&", "location": "location&", "other": "acl&"}
    path = {"object": rest, "none": "nothing", "other": "models", "buckets": "", "presigned": ""}.get(place, bucket)
    return f"/{path}?{queries.get(place, '')}list-type=2"


def ask(front: Mirror, method: str, target: str, token: str) -> Reply:
    body = b"paths=README.md" if method == "POST" else None
    kind = {"Content-Type": "application/x-www-form-urlencoded"} if body else {}
    return front.ask(method, target, {**bearer(token), **kind}, body)


def said(reply: Reply) -> str:
    """The words of a refusal, in whichever form a door has them."""
    if reply.header("Content-Type") == XML:
        return reply.body.decode()
    listed = reply.json.get("errors") or [{"message": ""}]
    return str(reply.json.get("error") or reply.json.get("Message") or listed[0]["message"])


def renamed(target: str, name: str, other: str) -> str:
    """An address with another repo's name."""
    return target.replace(name, other).replace(quote(name, safe=""), quote(other, safe=""))


def shape(reply: Reply, name: str) -> tuple[object, ...]:
    """A refusal without the words of what was asked for."""
    words = reply.body.decode().replace(name.partition(":")[2] or name, "X")
    return reply.status, reply.header("X-Error-Code"), reply.header("Cache-Control"), words


@pytest.mark.parametrize("role", ROLES)
def test_every_route_of_a_repo_gives_it_to_its_readers_shows_it_to_its_viewers_and_hides_it_from_others(
    front: Mirror, guarded: Guarded, role: str
) -> None:
    token = TOKENS.get(role, "")
    for route in OF_REPOS:
        method = route.methods[0]
        for name in guarded.repos:
            asked = address(route, guarded, name)
            reply = ask(front, method, asked, token)
            case = (role, method, asked, reply.status, reply.body[:200])
            if name in READS[role] or (name in SEES[role] and route.needs is Need.SEE):
                assert reply.status in (200, 302) or route.name in NOTHING_THERE, case
                public = name in OPEN_NAMES
                assert ("public" in (reply.header("Cache-Control") or "")) <= public, case
                by = {"Authorization", *(["Cookie"] if "/api/v1/" in asked or "/openapi/" in asked else [])}
                told = {one for one in ("Authorization", "Cookie") if one in (reply.header("Vary") or "")}
                assert told == by or reply.status != 200, case
            elif name in SEES[role]:
                assert (reply.status, reply.header("X-Error-Code")) == (403, "GatedRepo"), case
                assert {"auditors", ACCESS.contact} <= set(re.findall(r"[\w@.-]+[\w]", said(reply))), case
            else:
                kind = name.partition(":")[0] if ":" in name else ""
                unknown = ask(front, method, renamed(asked, guarded.repos[name].repo.id, "pub/not-here"), token)
                assert shape(reply, guarded.repos[name].repo.id) == shape(unknown, "pub/not-here"), case
                there_is_none = 200 if route.listing else 404
                assert reply.status == (401 if route.tagged and not token else there_is_none), (kind, case)
                assert b"<Key>" not in reply.body, case


@pytest.mark.parametrize("token", BARRED)
def test_a_token_of_ours_that_is_not_good_gets_nothing_and_is_told_why(
    front: Mirror, guarded: Guarded, token: str
) -> None:
    for route in ROUTES:
        if route.needs is Need.NOTHING:
            continue
        asked = address(route, guarded, "pub/plain") if route in OF_REPOS else _plain_address(route, guarded)
        reply = ask(front, route.methods[0], asked, token)
        of_s3 = ROOT in route.template
        assert (reply.status, reply.header("X-Error-Code")) == (403 if of_s3 else 401, None), (asked, reply.body)
        assert BARRED[token] in said(reply) or route.name == "s3_bucket", asked
        assert token not in str(reply.headers) + reply.body.decode()
        if of_s3:
            continue
        scheme = "Bearer realm=" if asked.startswith("/v2") and asked != "/v2/token" else "Basic "
        assert (reply.header("WWW-Authenticate") or "").startswith(scheme), asked


def _plain_address(route: Route, guarded: Guarded) -> str:
    """Of a route that names no repo."""
    if route.name == "blob":
        return guarded.digest_address("pub/plain")
    fields = {"page": "", "kinds": "models", "parts": "", "any": "a/b c/", "owner": "vouched"}
    return s3_address(route.template.removesuffix("/?").replace("\\.", ".").format_map(fields))


def test_a_token_of_another_hub_reads_what_everybody_may_and_gets_401_without_a_code_for_what_nobody_may_without_ours(
    front: Mirror, guarded: Guarded
) -> None:
    for route in OF_REPOS:
        method = route.methods[0]
        plain = ask(front, method, address(route, guarded, "pub/plain"), STRANGE)
        assert plain.status in (200, 302) or route.name in NOTHING_THERE, (route.name, plain.status)
        for name in ("team/inner", "team/privateone"):
            reply = ask(front, method, address(route, guarded, name), STRANGE)
            unknown = ask(front, method, renamed(address(route, guarded, name), name, "team/not-here"), STRANGE)
            wanted = 403 if ROOT in route.template else 401
            assert (reply.status, reply.header("X-Error-Code")) == (wanted, None), (route.name, reply.status)
            assert shape(reply, name) == shape(unknown, "team/not-here")


def test_basic_works_as_bearer_does_so_that_browsers_and_curl_can_read(front: Mirror, guarded: Guarded) -> None:
    asked = f"/team/inner/resolve/{guarded.commits['team/inner']}/README.md"
    for headers in (basic(TOKENS["developers"]), basic(TOKENS["developers"], ""), basic("", TOKENS["developers"])):
        assert front.ask("GET", asked, headers).body == guarded.secrets["team/inner"]
    for broken in ("Basic !!!", "Basic", "Digest x", "Bearer", f"Basic {TOKENS['developers']}"):
        assert front.ask("GET", asked, {"Authorization": broken}).status == 401, broken
    assert front.get("/-/login").status == 401
    assert front.ask("GET", "/-/login", basic(TOKENS["developers"])).header("Location") == "./"


def test_clients_of_modelscope_send_a_token_in_a_cookie_and_no_other_door_looks_at_one(
    front: Mirror, guarded: Guarded
) -> None:
    asked = address(next(route for route in OF_REPOS if route.name == "ms_file"), guarded, "team/inner")
    token = TOKENS["developers"]
    for cookie in (f"m_session_id={token}", f"a=b; m_session_id={token}; c=d", f"m_session_id; m_session_id={token}"):
        reply = front.ask("GET", asked, {"Cookie": cookie})
        assert (reply.status, reply.body) == (200, guarded.secrets["team/inner"])
        assert "public" not in (reply.header("Cache-Control") or "")
    for cookie in (f"other={token}", f"xm_session_id={token}", "m_session_id=", f"m_session_id={token}x"):
        assert front.ask("GET", asked, {"Cookie": cookie}).status in (401, 404), cookie
    assert front.ask("GET", asked, {"Cookie": f"m_session_id={token}", **bearer(STRANGE)}).status == 401
    elsewhere = f"/team/inner/resolve/{guarded.commits['team/inner']}/README.md"
    assert front.ask("GET", elsewhere, {"Cookie": f"m_session_id={token}"}).status == 404


def test_whoami_tells_whose_token_it_is_and_never_the_token(front: Mirror) -> None:
    reply = ask(front, "GET", "/api/whoami-v2", TOKENS["developers"])
    assert (reply.status, reply.json["name"], reply.json["auth"]["type"]) == (200, "the-developers", "access_token")
    assert "no-store" in (reply.header("Cache-Control") or "")
    assert TOKENS["developers"] not in reply.body.decode()
    assert [ask(front, "GET", "/api/whoami-v2", token).status for token in ("", STRANGE)] == [401, 401]


def test_contents_by_their_digest_are_for_those_who_may_read_everything(front: Mirror, guarded: Guarded) -> None:
    found = {
        role: [ask(front, "GET", guarded.digest_address(name), TOKENS.get(role, "")).status for name in guarded.repos]
        for role in ROLES
    }
    assert {role: set(statuses) for role, statuses in found.items()} == {
        role: {200 if role == "admins" else 404} for role in ROLES
    }


@pytest.mark.parametrize("role", ROLES)
def test_lists_and_the_catalogue_name_a_repo_to_those_alone_who_may_see_it(
    front: Mirror, guarded: Guarded, role: str
) -> None:
    token = TOKENS.get(role, "")
    listed = {
        f"{prefix}{item['id']}"
        for plural, prefix in (("models", ""), ("datasets", "dataset:"))
        for item in ask(front, "GET", f"/api/{plural}", token).json
    }
    assert listed == SEES[role]
    newest = ask(front, "GET", "/api/models?sort=lastModified", token).json
    assert {one["id"] for one in newest} == {name for name in SEES[role] if ":" not in name}
    whole = SEES[role] == SEES["admins"]
    for page in ("", *CATALOGUE, "list/one.json"):
        body = ask(front, "GET", f"/-/{page}", token).body.decode()
        named = {name for name in guarded.repos if guarded.repos[name].repo.id in body}
        assert named <= SEES[role], (role, page)
        assert whole or named <= OPEN_NAMES, (role, page)
    for name, published in guarded.repos.items():
        page = f"/-/{published.repo.kind.plural}/{published.repo.id.replace('/', '--')}.html"
        assert (ask(front, "GET", page, token).status == 200) == (name in SEES[role]), (role, name)


def test_another_name_of_a_repo_leads_there_for_those_alone_who_may_see_it(front: Mirror, guarded: Guarded) -> None:
    for role in ROLES:
        for name, published in guarded.repos.items():
            former = f"former/{published.repo.id.replace('/', '-')}"
            asked = f"/api/{published.repo.kind.plural}/{former}"
            reply = ask(front, "GET", asked, TOKENS.get(role, ""))
            if name in SEES[role]:
                assert (reply.status, published.repo.id in (reply.header("Location") or "")) == (307, True)
            else:
                unknown = ask(front, "GET", asked + "-no", TOKENS.get(role, ""))
                assert shape(reply, former) == shape(unknown, f"{former}-no"), (role, name)


def test_the_word_of_a_take_down_goes_to_those_who_might_have_seen_the_repo(front: Mirror, guarded: Guarded) -> None:
    for name, closed in (("pub/down", False), ("pub/downsecret", True)):
        buried = model(guarded.store, name)
        buried.publish({"README.md": b"gone"})
        buried.bury(Tombstone("2026-11-20T08:00:00Z", "a lawyer said so", closed=closed))
        for role in ROLES:
            reply = ask(front, "GET", f"/{name}/resolve/main/README.md", TOKENS.get(role, ""))
            told = not closed or role in ("admins", "auditors")
            assert (reply.status, "lawyer" in reply.body.decode()) == ((403, True) if told else (404, False)), (
                name,
                role,
            )


@pytest.mark.timeout(300 + REQUESTS // 5)
def test_no_random_request_gives_a_byte_or_a_name_to_whom_it_is_hidden(front: Mirror, guarded: Guarded) -> None:
    choose = random.Random(SEED)
    parts = urlsplit(front.url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=PATIENCE)
    leaks, answered = [], 0
    try:
        for _ in range(REQUESTS):
            role, headers = _some_reader(choose)
            method, target = _some_request(choose, guarded)
            body = b"paths=README.md&paths=data" if method == "POST" else None
            connection.request(method, target, body, {**headers, **_some_headers(choose)})
            answer = connection.getresponse()
            text = str(answer.headers).encode() + answer.read()
            answered += answer.status in (200, 206, 304, 302, 307)
            leaks += [(role, method, target, leak) for leak in _leaked(guarded, role, target, text)]
    finally:
        connection.close()
    assert leaks == []
    assert answered > REQUESTS / 20, "of requests that all are refused nothing is learned"


def _some_reader(choose: random.Random) -> tuple[str, dict[str, str]]:
    """A role, and how its token comes; of tokens that are not good the role is nobody's."""
    role = choose.choice([*ROLES, "strange", "barred"])
    token = {"strange": STRANGE, "barred": choose.choice(list(BARRED))}.get(role) or TOKENS.get(role, "")
    if not token:
        return "", {}
    sent = [bearer(token), basic(token), basic(token, "x y"), signed(token)]
    return (role if role in TOKENS else ""), choose.choice(sent)


def _some_request(choose: random.Random, guarded: Guarded) -> tuple[str, str]:
    route, name = choose.choice(ROUTES), choose.choice(list(guarded.repos))
    repo = guarded.repos[name].repo
    if route.name == "blob":
        target = guarded.digest_address(name)
    elif route.name == "site":
        page = f"{repo.kind.plural}/{repo.id.replace('/', '--')}.html"
        some = (
            "",
            "index.html",
            "status.json",
            "feed.atom",
            "changes.json",
            "relations.json",
            "lists.json",
            "list/one.json",
            "all/index.html",
            "all/lists.json",
        )
        target = f"/-/{choose.choice([page, f'all/{page}', *some])}"
    elif route in OF_REPOS:
        target = address(route, guarded, name, rev=choose.choice(["", "main", "HEAD", "refs%2Fheads%2Fmain", "0" * 40]))
    else:
        target = _plain_address(route, guarded)
    if choose.random() < 0.2:
        target = renamed(target, repo.id, f"former/{repo.id.replace('/', '-')}")
    for twist in choose.sample(_TWISTS, choose.choice([0, 0, 1, 2])):
        target = twist(target, choose)
    return choose.choice([*route.methods, *route.methods, "GET", "HEAD"]), target


_TWISTS: tuple[Callable[[str, random.Random], str], ...] = (
    lambda target, choose: "/" * choose.randint(1, 3) + target,
    lambda target, _: target + "/",
    lambda target, choose: target + choose.choice(["?a=b", "?recursive=1&expand=true", "?search=team", "?limit=2"]),
    lambda target, choose: "".join(quote(one) if choose.random() < 0.9 else f"%{ord(one):02x}" for one in target),
    lambda target, choose: "".join(one.upper() if choose.random() < 0.2 else one for one in target),
    lambda target, choose: target[: choose.randint(1, len(target))],
    lambda target, _: target.replace("README.md", "data%2Fpart.bin"),
    lambda target, _: target.replace("/-/", "/-/%61ll/"),
    lambda target, _: f"/-/documents{target}",
    lambda target, _: f"/-/blob{target}",
)


def _some_headers(choose: random.Random) -> dict[str, str]:
    return choose.choice(
        [
            {},
            {"Accept": "text/html"},
            {"Range": "bytes=0-9"},
            {"If-None-Match": "*"},
            {"X-Reader": "held admins the-admins "},
            {"X-Forwarded-Prefix": "/hub"},
            {"Origin": "https://page.example.org"},
        ]
    )


def _leaked(guarded: Guarded, role: str, target: str, text: bytes) -> Iterator[str]:
    """Contents of what the role may not read, and names of what it may not see that it has not said itself."""
    said = unquote(target).lower().replace("--", "/").replace("former/", "").replace("-", "/")
    for name, published in guarded.repos.items():
        if name not in READS[role] and guarded.secrets[name] in text:
            yield f"bytes of {name}"
        if name not in SEES[role] and guarded.signs[name] in text:
            yield f"what is said of {name}"
        if name not in SEES[role] and published.repo.id.lower() not in said and published.repo.id.encode() in text:
            yield f"the name {name}"
