"""The edge that the manual puts before a front, as it is printed: real Caddy, an HTTP/3 client, curl, Chromium."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from textwrap import dedent
from urllib.parse import urlsplit

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from mirror_sync.domain.access.rights import AccessRules
from mirror_sync.domain.job.targets import DirectoryTarget
from mirror_sync.stores.directory.directory_store import DirectoryStore
from tests.clients.curl import Reply, curl
from tests.front.bucket import Published, model
from tests.front.guarded import ACCESS, STRANGE, TOKENS, Guarded, bearer, write_tokens
from tests.front.http3 import Answered, Asked, Http3
from tests.front.mirrors import by_either, quoted
from tests.requirements import need, need_tool
from tests.servers.caddy import caddy
from tests.servers.certificates import Authority
from tests.servers.child import Child
from tests.servers.ports import free_ports

MANUAL = Path(__file__).parents[2] / "docs/guide/edge.md"
NAME = "models.example.org"
PIECE = 300_000  # bytes of a range
BODY = b"".join(hashlib.sha256(b"%d" % number).digest() for number in range(100_000)) + b"end"
FRONTS = ("nginx", "serve")


def printed(title: str) -> str:
    """The recipe below a heading of the manual; '' as heading: the first."""
    section = MANUAL.read_text(encoding="utf-8").partition(title)[2]
    recipe = re.search(r"( *)```caddyfile\n(.*?)```", section, re.DOTALL)
    assert recipe is not None
    return dedent(recipe[2])


def placed(recipe: str, changes: dict[str, str]) -> str:
    """The recipe with places of this test in place of the manual's, and nothing else of it changed."""
    for theirs, ours in changes.items():
        assert theirs in recipe, theirs
        recipe = recipe.replace(theirs, ours)
    return recipe


@dataclass(frozen=True)
class Edge:
    """A running edge, and who asks it."""

    running: Child
    port: int
    plain: int
    """The port without TLS."""
    authority: Path
    folder: Path

    @property
    def http3(self) -> Http3:
        return Http3(self.port, NAME, self.authority)

    def get(self, *paths: str, token: str = "", source: str = "127.0.0.1") -> list[Answered]:
        return self.http3.get(*(Asked(path, bearer(token)) for path in paths), source=source)

    def curl(self, path: str, *options: str) -> Reply:
        known = ("--resolve", f"{NAME}:{self.port}:127.0.0.1", "--cacert", str(self.authority))
        return curl(f"https://{NAME}:{self.port}{path}", *known, *options, folder=self.folder)


@contextmanager
def before(front: str, folder: Path, recipe: str | None = None, also: dict[str, str] | None = None) -> Iterator[Edge]:
    """The edge of the manual before a front; `also`: what is changed beyond places."""
    need("curl")
    program = need_tool("caddy")
    folder.mkdir()
    port, plain = free_ports(2)
    authority = Authority(folder)
    mine = authority.certify(NAME)
    listening = f"{{\n\thttp_port {plain}\n\thttps_port {port}\n\tdefault_bind 127.0.0.1\n"
    changes = {
        "/etc/ssl/models.pem": str(mine.chain),
        "/etc/ssl/models.key": str(mine.key),
        "127.0.0.1:8080": front.removeprefix("http://"),
    }
    text = placed(recipe or printed("Write `/etc/caddy/Caddyfile`"), changes | (also or {}))
    assert text.startswith("{\n")
    configuration = folder / "Caddyfile"
    configuration.write_text(text.replace("{\n", listening, 1), encoding="utf-8")
    with caddy(program, configuration, folder, port) as running:
        yield Edge(running, port, plain, authority.file, folder)


@dataclass(frozen=True)
class Open:
    """A mirror for everybody behind the edge."""

    edge: Edge
    repo: Published
    file: str


@pytest.fixture(scope="module", params=FRONTS)
def mirror(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Open]:
    folder = tmp_path_factory.mktemp("edge")
    repo = model(DirectoryStore(folder / "bucket"))
    commit = repo.publish({"large.bin": BODY, "a folder/ü+%.txt": b"odd\n", "README.md": b"hello\n"})
    with (
        by_either(request.param, DirectoryTarget(folder / "bucket"), folder / "front") as front,
        before(front.url, folder / "edge") as edge,
    ):
        yield Open(edge, repo, f"{repo.at}/resolve/{commit}/large.bin")


def test_a_file_comes_whole_over_http_3_with_all_that_the_front_says_of_it(mirror: Open) -> None:
    [whole] = mirror.edge.get(mirror.file)
    assert (whole.status, hashlib.sha256(whole.body).digest()) == (200, hashlib.sha256(BODY).digest())
    other = mirror.edge.curl(mirror.file, "--http1.1")
    for name in ("Content-Length", "ETag", "Accept-Ranges", "Cache-Control", "X-Repo-Commit", "X-Linked-Size"):
        assert whole.headers[name.lower()] == other.headers[name], name
    assert whole.headers["strict-transport-security"] == "max-age=31536000"


def test_ranges_asked_all_at_once_over_one_connection_are_the_file(mirror: Open) -> None:
    spans = [(start, min(start + PIECE, len(BODY))) for start in range(0, len(BODY), PIECE)]
    asked = [Asked(mirror.file, {"Range": f"bytes={start}-{stop - 1}"}) for start, stop in spans]
    parts = mirror.edge.http3.get(*asked)
    for part, (start, stop) in zip(parts, spans, strict=True):
        assert (part.status, part.headers["content-range"]) == (206, f"bytes {start}-{stop - 1}/{len(BODY)}")
    assert hashlib.sha256(b"".join(part.body for part in parts)).digest() == hashlib.sha256(BODY).digest()
    [beyond] = mirror.edge.http3.get(Asked(mirror.file, {"Range": f"bytes={len(BODY)}-"}))
    assert (beyond.status, beyond.headers["content-range"]) == (416, f"bytes */{len(BODY)}")


def test_http_2_and_1_1_say_that_there_is_http_3(mirror: Open) -> None:
    for option, protocol in (("--http2", "HTTP/2"), ("--http1.1", "HTTP/1.1")):
        reply = mirror.edge.curl(mirror.file, option)
        assert (reply.protocol, reply.status, reply.body) == (protocol, 200, BODY)
        assert f'h3=":{mirror.edge.port}"' in reply.headers["Alt-Svc"]


def test_an_address_reaches_the_front_as_it_was_written(mirror: Open) -> None:
    by_slash = f"{mirror.repo.at}/resolve/main/a%20folder/%C3%BC%2B%25.txt"
    file, folder, refused = mirror.edge.get(
        by_slash,
        f"{mirror.repo.api}/tree/main/{quoted('a folder')}",
        f"{mirror.repo.at}/resolve/main/a%2f..%2fREADME.md",
    )
    assert (file.status, file.body) == (200, b"odd\n")
    assert [one["path"] for one in json.loads(folder.body)] == ["a folder/ü+%.txt"]
    assert refused.status == 400
    moved = mirror.edge.curl(by_slash, "--head", "--http2")
    assert moved.headers["Location"].endswith("/a%20folder/%C3%BC%2B%25.txt")


def test_by_another_name_nothing_is_answered_and_without_tls_nothing_but_the_way_there(mirror: Open) -> None:
    [other] = mirror.edge.http3.get(Asked(mirror.file, {":authority": "other.example.org"}))
    assert other.status == 421
    assert mirror.edge.curl(mirror.file, "--header", "Host: other.example.org").status == 421
    plain = curl(f"http://127.0.0.1:{mirror.edge.plain}{mirror.file}", folder=mirror.edge.folder)
    assert (plain.status, urlsplit(plain.headers["Location"]).scheme) == (308, "https")


@dataclass(frozen=True)
class Closed:
    """A mirror with tokens behind an edge that is not of its machine."""

    edge: Edge
    guarded: Guarded

    def file(self, name: str) -> str:
        return f"{self.guarded.repos[name].at}/resolve/{self.guarded.commits[name]}/README.md"


FAR = "127.0.0.9"  # where the edge asks from: an address that no front trusts by itself
FROM_FAR = {"\t\ttransport http {\n": f"\t\ttransport http {{\n\t\t\tlocal_address {FAR}\n"}


@contextmanager
def closed(front: str, folder: Path, access: AccessRules) -> Iterator[Closed]:
    target = DirectoryTarget(folder / "bucket")
    target.root.mkdir()
    guarded, tokens = Guarded.filled(DirectoryStore(target.root)), write_tokens(folder / "tokens.yaml")
    with (
        by_either(front, target, folder / "front", access=access, tokens=tokens) as running,
        before(running.url, folder / "edge", also=FROM_FAR) as edge,
    ):
        yield Closed(edge, guarded)


@pytest.mark.parametrize("front", FRONTS)
def test_tokens_go_through_and_what_one_got_is_given_to_no_other(front: str, tmp_path: Path) -> None:
    with closed(front, tmp_path, ACCESS) as mirror:
        file, secret = mirror.file("team/privateone"), mirror.guarded.secrets["team/privateone"]
        for _ in range(2):
            for token, status in ((TOKENS["developers"], 200), ("", 404), (STRANGE, 401), (TOKENS["auditors"], 403)):
                [reply] = mirror.edge.get(file, token=token)
                assert (reply.status, reply.body == secret) == (status, status == 200)
        [open_to_all] = mirror.edge.get(mirror.file("pub/plain"))
        assert open_to_all.body == mirror.guarded.secrets["pub/plain"]
        assert open_to_all.headers["vary"] == "Authorization"
        said = mirror.edge.curl("/api/whoami-v2", "--user", f"anybody:{TOKENS['admins']}")
        assert (said.status, json.loads(said.body)["name"]) == (200, "the-admins")


@pytest.mark.parametrize("front", FRONTS)
def test_the_front_goes_by_the_address_of_who_asks_the_edge_that_it_was_told_of(front: str, tmp_path: Path) -> None:
    here = replace(ACCESS, allow=("127.0.0.2/32",))
    for number, (proxies, status) in enumerate((((f"{FAR}/32",), 200), ((), 403))):
        (tmp_path / str(number)).mkdir()
        with closed(front, tmp_path / str(number), replace(here, proxies=proxies)) as mirror:
            file = mirror.file("pub/plain")
            assert mirror.edge.get(file, source="127.0.0.2")[0].status == status
            assert mirror.edge.get(file, source="127.0.0.3")[0].status == 403
            # who says to be somebody else is not believed: the edge says whom it sees
            [lying] = mirror.edge.http3.get(Asked(file, {"X-Forwarded-For": "127.0.0.2"}), source="127.0.0.3")
            assert lying.status == 403


def test_what_the_edge_logs_holds_no_token(tmp_path: Path) -> None:
    with before("http://127.0.0.1:1", tmp_path / "edge") as edge:  # nobody is there
        [reply] = edge.get("/acme/x/resolve/main/a.bin", token=TOKENS["developers"])
        assert reply.status == 502
        assert "dial tcp 127.0.0.1:1" in edge.running.log.read_text("utf-8")
        assert TOKENS["developers"] not in edge.running.log.read_text("utf-8")


@pytest.mark.parametrize("front", FRONTS)
def test_a_mirror_below_a_path_leads_its_readers_there(front: str, tmp_path: Path) -> None:
    repo = model(DirectoryStore(tmp_path / "bucket"))
    commit = repo.publish({f"data/{number:04}.txt": b"%d" % (number % 7) for number in range(1500)})
    whole, below = printed("Write `/etc/caddy/Caddyfile`"), printed("## A path before it")
    own = re.search(r"\treverse_proxy .*?\n\t}\n", whole, re.DOTALL)
    assert own is not None
    recipe = whole.replace(own[0], below)
    with (
        by_either(front, DirectoryTarget(tmp_path / "bucket"), tmp_path / "front") as running,
        before(running.url, tmp_path / "edge", recipe) as edge,
    ):
        file, page, outside = edge.get(
            f"/hub{repo.at}/resolve/main/data/0003.txt",
            f"/hub{repo.api}/tree/main?recursive=true",
            f"{repo.at}/resolve/main/data/0003.txt",
        )
        assert (file.status, file.body, outside.status) == (200, b"3", 404)
        assert page.headers["link"].startswith(f"<https://{NAME}:{edge.port}/hub{repo.api}/tree/{commit}")
        moved = edge.curl(f"/hub{repo.at}/resolve/main/data/0003.txt", "--head")
        assert (moved.status, moved.headers["Location"]) == (307, f"/hub{repo.at}/resolve/{commit}/data/0003.txt")


def test_a_browser_reads_the_catalogue_by_http_3(tmp_path: Path) -> None:
    need("chromium")
    from tests.catalogue.browser import chromium

    target = DirectoryTarget(tmp_path / "bucket")
    target.root.mkdir()
    guarded = Guarded.filled(DirectoryStore(target.root))
    with (
        by_either("nginx", target, tmp_path / "front") as front,
        before(front.url, tmp_path / "edge") as edge,
        chromium(tmp_path / "profile", *_by_quic_alone(edge)) as browser,
    ):
        at = f"https://{NAME}:{edge.port}"
        browser.get(f"{at}{guarded.repos['pub/plain'].api}")
        assert "pub/plain" in browser.page_source
        spoken = "return performance.getEntriesByType('navigation')[0].nextHopProtocol"
        assert browser.execute_script(spoken) == "h3"


def _by_quic_alone(edge: Edge) -> tuple[str, ...]:
    """The certificate is known by its key: Chromium takes no authority of the tests for QUIC."""
    key = x509.load_pem_x509_certificate((edge.folder / "certificate.pem").read_bytes()).public_key()
    pin = hashlib.sha256(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).digest()
    return (
        f"--host-resolver-rules=MAP {NAME} 127.0.0.1",
        f"--origin-to-force-quic-on={NAME}:{edge.port}",
        f"--ignore-certificate-errors-spki-list={base64.b64encode(pin).decode()}",
    )
