"""Answers without bounds, packed answers that burst, and redirects into our own network end in one clear error."""

from __future__ import annotations

import gzip
import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress

import pytest

from mirror_sync.domain.content.manifest import RemoteFile
from mirror_sync.domain.digest import CommitId, GitOid
from mirror_sync.domain.repo import RepoPattern
from mirror_sync.errors import BadAnswer, Unreachable, UpstreamError
from mirror_sync.net.body import Unpacked
from mirror_sync.net.transport import Transport
from mirror_sync.sources.hub import hub_source as hub_module
from mirror_sync.sources.hub.api_calls import Bounds
from mirror_sync.sources.hub.hub_source import HubSource
from tests.sources.raw import sending, serving
from tests.sources.reading import FILES, TINY, fetched, fill_hub, published
from tests.sources.relays import Proxy, below
from tests.standin import Hub, Memory, faults
from tests.standin.answer import Answer, Request

LARGE, SMALL = "sub/model.safetensors", "config.json"
ANY = CommitId("b" * 40)
FILE = RemoteFile(SMALL, 18, GitOid("b" * 40))
MIB = 1024 * 1024
VERBS: dict[str, Callable[[HubSource], object]] = {
    "resolve": lambda source: source.resolve(TINY, "main"),
    "refs": lambda source: source.refs(TINY),
    "authorize": lambda source: source.authorize(TINY),
    "list": lambda source: [*source.list(TINY, ANY)],
    "search": lambda source: [*source.search(RepoPattern.parse("acme/*"))],
    "history": lambda source: source.history(TINY, ANY),
}
READING = {name: verb for name, verb in VERBS.items() if name != "authorize"}  # which has no body to speak of
reading_verbs = pytest.mark.parametrize("verb", READING.values(), ids=READING)


def bounded(source: HubSource, largest: int) -> HubSource:
    source._api.bounds = Bounds(largest, largest, largest)
    return source


def packed(size: int) -> faults.Fault:
    body = gzip.compress(b" " * size)
    return faults.status(200, {"Content-Encoding": "gzip"}, body)


@reading_verbs
def test_an_answer_beyond_the_bound_is_refused(
    hub: Hub, source: HubSource, verb: Callable[[HubSource], object]
) -> None:
    hub.faults.add(faults.status(200, {}, b"[" + b" " * MIB + b"]"))
    with pytest.raises(BadAnswer, match="more than 100000 bytes"):
        verb(bounded(source, 100_000))


def test_an_answer_without_a_length_is_bounded_too(transport: Transport) -> None:
    endless = b"HTTP/1.1 200 OK\r\n\r\n" + b" " * MIB
    with serving(sending(endless)) as url, pytest.raises(BadAnswer, match="more than"):
        bounded(HubSource(url, None, transport), 100_000).resolve(TINY, "main")


@pytest.mark.parametrize(
    "answer",
    [b"Content-Length: 9\r\n\r\n[]", b"Transfer-Encoding: chunked\r\n\r\n2\r\n[]\r\n"],
    ids=["of a length", "in chunks"],
)
def test_an_answer_that_ends_early_is_none_although_what_came_of_it_is_json(
    transport: Transport, answer: bytes
) -> None:
    with serving(sending(b"HTTP/1.1 200 OK\r\n" + answer)) as url, pytest.raises(Unreachable, match="early"):
        VERBS["search"](HubSource(url, None, transport))


@reading_verbs
def test_a_packed_answer_is_bounded_by_what_it_unfolds_to(
    hub: Hub, source: HubSource, verb: Callable[[HubSource], object]
) -> None:
    hub.faults.add(packed(50 * MIB))
    with pytest.raises(BadAnswer, match="more than"):
        verb(bounded(source, MIB))


def in_pieces(body: Unpacked, packed: memoryview, piece: int) -> None:
    for start in range(0, len(packed), piece):
        body.add(packed[start : start + piece])


@pytest.mark.parametrize("piece", [1 << 20, 64, 7])
def test_a_bomb_never_unfolds_beyond_its_bound(piece: int) -> None:
    """Nor beyond a hundred times what came of it, however it is cut into pieces."""
    packed = memoryview(gzip.compress(b" " * 20 * MIB))
    for limit, most in ((MIB // 2, MIB // 2), (64 * MIB, max(MIB, 100 * len(packed)))):
        body = Unpacked("gzip", limit)
        with pytest.raises(ValueError, match="more than"):
            in_pieces(body, packed, piece)
        assert len(body._body) <= most + 1


def test_a_listing_shrinks_less_than_that(transport: Transport) -> None:
    """A thousand entries of one folder, whose names and sizes are alike: only the ids differ."""
    names = [f"data/train-{number:05}-of-01000.parquet" for number in range(1000)]
    page = [
        {"type": "file", "path": name, "size": 500_000_000, "oid": f"{number:040x}"}
        for number, name in enumerate(names)
    ]
    whole = json.dumps(page).encode()
    body = Unpacked("gzip", 10 * MIB)
    body.add(memoryview(gzip.compress(whole, 9)))
    assert body.end() == whole


def test_each_kind_of_answer_has_its_bound(hub: Hub, source: HubSource) -> None:
    fill_hub(hub)
    bounds = Bounds()
    assert bounds == Bounds(info=4 * MIB, tree=10 * MIB, repos=64 * MIB)
    tried = {
        "resolve": bounds.info,
        "refs": bounds.info,
        "history": bounds.info,
        "list": bounds.tree,
        "search": bounds.repos,
    }
    for verb, bound in tried.items():
        hub.faults.add(of_size(bound), "/api/*", times=1)
        with suppress(BadAnswer):  # of what it says, at the bound; one byte more is refused for its size
            VERBS[verb](source)
        hub.faults.add(of_size(bound + 1), "/api/*", times=1)
        with pytest.raises(BadAnswer, match=f"sent an answer of more than {bound} bytes"):
            VERBS[verb](source)


def test_behind_a_path_too(hub: Hub, transport: Transport) -> None:
    hub.faults.add(of_size(10 * MIB + 1), "/api/*")
    with below(hub.url, "/hf") as url:
        for verb, bound in (("list", 10 * MIB), ("resolve", 4 * MIB)):
            with pytest.raises(BadAnswer, match=f"more than {bound} bytes"):
                VERBS[verb](HubSource(url, None, transport))


def of_size(size: int) -> faults.Fault:
    return faults.status(200, {"Content-Type": "application/json"}, b"[" + b" " * (size - 2) + b"]")


@pytest.mark.parametrize("value", [b"[]", b"{}", b"0"])
def test_an_answer_of_too_many_values_is_refused_before_it_is_one(hub: Hub, source: HubSource, value: bytes) -> None:
    """In memory each takes many times its bytes."""
    hub.faults.add(faults.status(200, {}, b"[" + b",".join([value] * 2_000_001) + b"]"), "/api/models")
    with pytest.raises(BadAnswer, match="more than 2,000,000 values"):
        VERBS["search"](source)


@pytest.mark.parametrize("encoding", ["gzip, gzip", "br", "zstd", "deflate", "x" * 1000])
def test_an_encoding_that_was_not_asked_for_is_refused(hub: Hub, source: HubSource, encoding: str) -> None:
    hub.faults.add(faults.status(200, {"Content-Encoding": encoding}, b"x" * 100))
    with pytest.raises(BadAnswer, match="did not ask for"):
        source.refs(TINY)


def test_gzip_is_asked_for_and_understood(hub: Hub, source: HubSource) -> None:
    fill_hub(hub)

    def pack(_: Request, answer: Answer) -> Answer:
        whole = b"".join(answer.body.chunks(0, answer.body.size))
        return Answer(200, {**answer.headers, "Content-Encoding": "gzip"}, Memory(gzip.compress(whole)))

    hub.faults.add(pack, "/api/*")
    assert published(source)[1].keys() == FILES.keys()
    assert {record.request.headers["accept-encoding"] for record in hub.log} == {"gzip"}


@pytest.mark.parametrize(
    "body",
    [b"", gzip.compress(b"{}")[:-9], b"no gzip", gzip.compress(b"[]") + b"more"],
    ids=["empty", "cut", "none", "followed by more"],
)
def test_gzip_that_is_none_is_refused(hub: Hub, source: HubSource, body: bytes) -> None:
    hub.faults.add(faults.status(200, {"Content-Encoding": "gzip"}, body))
    with pytest.raises(BadAnswer):
        source.resolve(TINY, "main")


@pytest.mark.parametrize("verb", ["list", "search"])
def test_pages_without_end_are_bounded(hub: Hub, source: HubSource, verb: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub_module, "_PAGES", 20)
    pages = iter(range(1_000_000))

    def another(request: Request, _: Answer) -> Answer:
        return Answer(200, {"Link": f'<{request.base}{request.path}?cursor={next(pages)}>; rel="next"'}, Memory(b"[]"))

    hub.faults.add(another)
    with pytest.raises(BadAnswer, match="circle"):
        VERBS[verb](source)
    assert hub.calls() == 20


def test_a_listing_that_repeats_its_page_is_refused(hub: Hub, source: HubSource) -> None:
    hub.faults.add(faults.status(200, {"Link": '<?cursor=1>; rel="next"'}, b"[]"))
    with pytest.raises(BadAnswer, match="circle"):
        [*source.list(TINY, ANY)]


def test_a_commit_of_too_many_entries_is_refused(hub: Hub, source: HubSource, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub_module, "_ENTRIES", 3)
    fill_hub(hub)
    with pytest.raises(BadAnswer, match="more than 3 entries"):
        published(source)


def entries(*paths: str) -> bytes:
    return json.dumps([{"type": "file", "path": path, "size": 3, "oid": "b" * 40} for path in paths]).encode()


@pytest.mark.parametrize("paths", [("a", "a/b"), ("a/b/c", "a.txt", "a/b"), ("x/a", "x/a-b", "x/a/b")])
def test_a_name_that_is_a_file_and_a_folder_is_refused(hub: Hub, source: HubSource, paths: tuple[str, ...]) -> None:
    hub.faults.add(faults.status(200, {}, entries(*paths)))
    with pytest.raises(BadAnswer, match="both a file and a folder"):
        [*source.list(TINY, ANY)]


def test_names_that_differ_by_case_alone_are_two_names(hub: Hub, source: HubSource) -> None:
    hub.faults.add(faults.status(200, {}, entries("a", "A", "a.txt", "ab/c", "README", "readme/x")))
    assert len([*source.list(TINY, ANY)]) == 6


def test_two_hundred_thousand_files_are_listed(hub: Hub, source: HubSource) -> None:
    pages = 200

    def page(request: Request, _: Answer) -> Answer:
        number = int(request.first("cursor", "0"))
        link = {"Link": f'<{request.base}{request.path}?cursor={number + 1}>; rel="next"'} if number + 1 < pages else {}
        return Answer(200, link, Memory(entries(*(f"d{number:03}/f{at:03}" for at in range(1000)))))

    hub.faults.add(page)
    assert sum(1 for _ in source.list(TINY, ANY)) == 200_000


HUGE = b"X-Long: " + b"x" * 70_000 + b"\r\n"
HEADS = {
    "a line of 70 kB": HUGE,
    "200 headers": b"".join(b"X-%d: y\r\n" % number for number in range(200)),
    "no colon": b"this is no header\r\n",
    "two lengths": b"Content-Length: 3\r\nContent-Length: 4\r\n",
    "a length that is none": b"Content-Length: -7\r\n",
    "a length beyond bounds": b"Content-Length: " + b"9" * 5000 + b"\r\n",
    "control characters": b"X-Y: \x00\x01\x7f\r\nRateLimit: \xff\xfe\r\n",
    "a folded header": b"X-Y: a\r\n b: c\r\nSet-Cookie: a=b\r\n",
    "a chunk size that is none": b"Transfer-Encoding: chunked\r\n",
    "a location with a line break": b"Location: http://x/\x0dX-Injected: yes\r\n",
}


@pytest.mark.parametrize("head", HEADS.values(), ids=HEADS)
@pytest.mark.parametrize("status", [b"200 OK", b"302 Found", b"99999 What", b"OK"])
def test_headers_of_any_kind_end_in_an_error_of_ours(transport: Transport, head: bytes, status: bytes) -> None:
    with serving(sending(b"HTTP/1.1 " + status + b"\r\n" + head + b"\r\n" + b"zz\r\n")) as url:
        source = HubSource(url, None, transport)
        for verb in VERBS.values():
            if verb is VERBS["authorize"]:
                continue  # a status is all that it looks at
            with pytest.raises(UpstreamError):
                verb(source)
        with pytest.raises(UpstreamError):
            fetched(source, TINY, ANY, FILE)


@pytest.fixture
def outside(hub: Hub) -> Iterator[Hub]:
    """A Hub that seems to be on the open internet, and whose CDN is not."""
    with Hub(cdn_host="127.0.0.2") as standing:
        fill_hub(standing)
        yield standing


def outsider(hub: Hub, *, allow_private: bool = False, public: tuple[str, ...] = ("127.0.0.1",)) -> HubSource:
    return HubSource(hub.url, None, Transport(public=lambda at: at in public), allow_private=allow_private)


def test_a_public_hub_may_not_send_us_into_our_own_network(outside: Hub) -> None:
    source = outsider(outside)
    commit, files = published(source)
    with pytest.raises(BadAnswer, match=r"127\.0\.0\.2, which is not on the open internet: refused"):
        fetched(source, TINY, commit, files[LARGE])
    assert outside.calls(origin="cdn") == 0
    assert fetched(source, TINY, commit, files[SMALL]) == FILES[SMALL].read()


def test_nor_may_its_api(outside: Hub) -> None:
    outside.faults.add(faults.status(307, {"Location": f"{outside.cdn_url}/api"}), "/api/*")
    for name, verb in VERBS.items():
        with pytest.raises(BadAnswer, match="refused"):
            verb(outsider(outside))
        assert outside.calls(origin="cdn") == 0, name


def test_it_may_where_the_operator_says_so(outside: Hub) -> None:
    source = outsider(outside, allow_private=True)
    commit, files = published(source)
    assert fetched(source, TINY, commit, files[LARGE]) == FILES[LARGE].read()


def test_a_mirror_inside_may_send_us_on_inside(outside: Hub) -> None:
    source = outsider(outside, public=())
    commit, files = published(source)
    assert fetched(source, TINY, commit, files[LARGE]) == FILES[LARGE].read()


def test_a_public_cdn_of_a_mirror_inside_may_not_send_us_back_inside(outside: Hub) -> None:
    commit, files = published(outsider(outside))
    outside.faults.add(faults.status(302, {"Location": "http://127.0.0.3:9/"}), origin="cdn")
    source = outsider(outside, public=("127.0.0.2",))
    with pytest.raises(BadAnswer, match=r"127\.0\.0\.3"):
        fetched(source, TINY, commit, files[LARGE])


def test_behind_a_proxy_a_private_address_is_known_by_its_spelling(
    outside: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit, files = published(outsider(outside))
    outside.log.clear()
    with Proxy().running() as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        with pytest.raises(BadAnswer, match="open internet"):
            fetched(outsider(outside), TINY, commit, files[LARGE])
        assert len(proxy.asked) == 1
    assert outside.calls(origin="cdn") == 0


def test_a_server_that_answers_before_it_is_asked_is_no_harm(transport: Transport) -> None:
    def early(client: socket.socket, _: threading.Event) -> None:
        client.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")

    with serving(early) as url:
        source = HubSource(url, None, transport)
        for _ in range(2):
            with pytest.raises(UpstreamError):
                source.resolve(TINY, "main")
