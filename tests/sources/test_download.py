"""The way of a file's bytes: redirects, the token's limits, ranges, and bodies that are not what they claim."""

from __future__ import annotations

import gzip
from functools import cached_property

import pytest

from mirror_sync.domain.content.manifest import RemoteFile
from mirror_sync.domain.digest import CommitId
from mirror_sync.domain.job.upstreams import Timeouts
from mirror_sync.domain.repo import Repo
from mirror_sync.errors import BadAnswer, IntegrityError, RateLimited, Unreachable, UpstreamError
from mirror_sync.net.transport import Transport
from mirror_sync.sources.hub.hub_source import HubSource
from tests.sources.reading import FILES, TINY, fetched, fill_hub, published
from tests.standin import LFS, Generated, Hub, faults
from tests.standin.answer import Answer, Request

SECRET = "hf_this-is-a-secret"
LARGE, SMALL = "sub/model.safetensors", "config.json"
RESOLVE, CACHE = "GET /acme/*/resolve/*", "GET /api/resolve-cache/*"
Facts = tuple[HubSource, CommitId, dict[str, RemoteFile]]


@pytest.fixture
def listed(hub: Hub, source: HubSource) -> Facts:
    fill_hub(hub)
    commit, files = published(source)
    hub.log.clear()
    return source, commit, files


def get(listed: Facts, path: str, start: int = 0, stop: int | None = None) -> bytes:
    source, commit, files = listed
    return fetched(source, TINY, commit, files[path], start, stop)


class Huge(Generated):
    """Has the size that it says, and not the digest: nobody reads it to its end."""

    @cached_property
    def sha256(self) -> str:
        return "a" * 64


def without_range(request: Request, answer: Answer) -> Answer:
    """As a server answers that knows no ranges."""
    whole = FILES[LARGE] if "/repos/" in request.path else FILES[SMALL]
    return Answer(200, {}, whole)


def test_the_token_stays_on_the_hub_and_never_comes_to_the_cdn(hub: Hub, transport: Transport) -> None:
    fill_hub(hub)
    hub.behaviour.small_files = "resolve-cache"
    source = HubSource(hub.url, hub.token(SECRET), transport)
    commit, files = published(source)
    for file in files.values():
        fetched(source, TINY, commit, file)
    assert all(record.had_authorization for record in hub.log.records(origin="hub"))
    assert hub.calls(path=CACHE.removeprefix("GET ")) == 3  # an empty file is not asked for
    assert hub.calls(origin="cdn") == 1
    assert hub.leaks == []


def test_where_large_files_come_in_parts_alone_one_is_fetched_whole_by_a_range_of_all(hub: Hub, listed: Facts) -> None:
    """As the Hub's bridge gives what has more than 50 GB; here the bound is lower, and one 400 tells it."""
    hub.behaviour.cdn_whole_up_to = 1_000_000
    size = FILES[LARGE].size
    assert get(listed, LARGE) == FILES[LARGE].read()
    assert get(listed, LARGE) == FILES[LARGE].read()
    assert get(listed, LARGE, size - 5) == FILES[LARGE].read(size - 5, size)
    assert [record.range for record in hub.log.records(origin="cdn")] == [
        None,
        f"bytes=0-{size - 1}",
        f"bytes=0-{size - 1}",
        f"bytes={size - 5}-{size - 1}",
    ]
    assert get(listed, SMALL) == FILES[SMALL].read()
    assert hub.log.records(origin="hub")[-1].range is None


def test_a_400_for_another_reason_is_what_it_was(hub: Hub, listed: Facts) -> None:
    hub.faults.add(faults.status(400), origin="cdn", times=None)
    with pytest.raises(Unreachable, match="refuses even freshly signed addresses"):
        get(listed, LARGE)
    hub.faults.clear()
    hub.log.clear()
    assert get(listed, LARGE) == FILES[LARGE].read()
    assert [record.range for record in hub.log.records(origin="cdn")] == [None], "no bound is learned of it"


def test_a_file_of_more_than_50_gb_is_asked_for_by_a_range_from_the_start(hub: Hub, source: HubSource) -> None:
    """Of which the bridge would refuse all: no 400 is met, and no byte is read that is not wanted."""
    hub.behaviour.cdn_whole_up_to = 50_000_000_000
    huge = Huge(60_000_000_000)
    hub.model("acme/huge").commit({"w.safetensors": LFS(huge)})
    repo = Repo.parse("acme/huge")
    commit = source.resolve(repo, "main").commit
    (file,) = source.list(repo, commit)
    assert file.size == huge.size
    with source.fetch(repo, commit, file) as stream:
        assert stream.readinto(memoryview(bytearray(100))) > 0
    assert [record.range for record in hub.log.records(origin="cdn")] == ["bytes=0-59999999999"]


def test_no_encoding_is_asked_for(hub: Hub, listed: Facts) -> None:
    get(listed, LARGE)
    assert {record.request.headers.get("accept-encoding") for record in hub.log} == {"identity"}


def test_an_expired_address_is_signed_anew_once(hub: Hub, listed: Facts) -> None:
    hub.faults.add(faults.status(403), origin="cdn", times=1)
    assert get(listed, LARGE) == FILES[LARGE].read()
    assert (hub.calls(origin="hub"), hub.calls(origin="cdn")) == (2, 2)


def test_further_ranges_of_a_file_go_where_the_first_was_found(hub: Hub, listed: Facts) -> None:
    """A hub of which each range is asked runs out of calls: 70 GB are four thousand ranges."""
    whole = FILES[LARGE].read()
    assert [get(listed, LARGE, at, at + 10) for at in (0, 10, 20)] == [whole[at : at + 10] for at in (0, 10, 20)]
    assert (hub.calls(origin="hub"), hub.calls(origin="cdn")) == (1, 3)


def test_an_address_that_expires_between_two_ranges_is_signed_anew(hub: Hub, listed: Facts) -> None:
    get(listed, LARGE, 0, 10)
    hub.faults.add(faults.status(403), origin="cdn", times=1)
    assert get(listed, LARGE, 10, 20) == FILES[LARGE].read()[10:20]
    assert (hub.calls(origin="hub"), hub.calls(origin="cdn")) == (2, 3)


def test_an_address_that_failed_is_not_gone_back_to(hub: Hub, listed: Facts) -> None:
    for fault in (faults.status(503), faults.cut(5)):
        get(listed, LARGE, 0, 10)
        hub.log.clear()
        hub.faults.add(fault, origin="cdn", times=1)
        with pytest.raises(UpstreamError):
            get(listed, LARGE, 10, 20)
        assert get(listed, LARGE, 10, 20) == FILES[LARGE].read()[10:20]
        assert (hub.calls(origin="hub"), hub.calls(origin="cdn")) == (1, 2)


def test_a_file_whose_bytes_proved_wrong_is_asked_of_the_hub_again(hub: Hub, listed: Facts) -> None:
    source, commit, files = listed
    get(listed, LARGE, 0, 10)
    source.distrust(TINY, commit, files[LARGE])
    get(listed, LARGE, 0, 10)
    assert hub.calls(origin="hub") == 2


def test_an_address_that_never_opens_is_no_answer(hub: Hub, listed: Facts) -> None:
    hub.faults.add(faults.status(403), origin="cdn")
    with pytest.raises(Unreachable, match="freshly signed"):
        get(listed, LARGE)
    assert hub.calls(origin="cdn") == 2


def test_a_cdn_that_is_out_of_order_is_no_answer(hub: Hub, listed: Facts) -> None:
    hub.faults.add(faults.status(503), origin="cdn")
    with pytest.raises(Unreachable, match=hub.cdn_url):
        get(listed, LARGE)
    hub.faults.clear()
    hub.faults.add(faults.busy(4), origin="cdn")
    with pytest.raises(RateLimited) as raised:
        get(listed, LARGE)
    assert raised.value.retry_after == 4


def test_a_message_keeps_the_signature_of_an_address_to_itself(hub: Hub, listed: Facts) -> None:
    hub.faults.add(faults.cut(10), origin="cdn")
    with pytest.raises(Unreachable) as raised:
        get(listed, LARGE)
    assert "Signature" not in str(raised.value)


@pytest.mark.parametrize("location", ["file:///etc/passwd", "ftp://127.0.0.1/x", "javascript:1", "//", "http://[", ""])
def test_a_redirect_to_nowhere_is_refused(hub: Hub, listed: Facts, location: str) -> None:
    hub.faults.add(faults.status(302, {"Location": location}), RESOLVE)
    with pytest.raises(BadAnswer):
        get(listed, LARGE)


def test_redirects_in_a_circle_end(hub: Hub, listed: Facts) -> None:
    hub.faults.add(faults.status(302, {"Location": "?again"}), RESOLVE)
    with pytest.raises(BadAnswer, match="more than 5 redirects"):
        get(listed, LARGE)
    assert hub.calls() == 6


def test_a_renamed_repos_files_are_found_under_the_old_name(hub: Hub, listed: Facts) -> None:
    hub.rename("acme/tiny", "acme/mini")
    assert get(listed, SMALL) == FILES[SMALL].read()
    assert get(listed, LARGE, 3, 9) == FILES[LARGE].read()[3:9]


def test_bytes_of_another_commit_are_refused(hub: Hub, listed: Facts) -> None:
    hub.faults.add(lambda _, answer: answer.having({"X-Repo-Commit": "1" * 40}), RESOLVE)
    for path in (SMALL, LARGE):
        with pytest.raises(BadAnswer, match="asked for commit"):
            get(listed, path)


@pytest.mark.parametrize("promise", [{"X-Linked-ETag": f'"{"a" * 64}"'}, {"X-Linked-Size": "17"}])
def test_a_promise_that_has_changed_is_refused_before_the_first_byte(
    hub: Hub, listed: Facts, promise: dict[str, str]
) -> None:
    hub.faults.add(lambda _, answer: answer.having(promise), RESOLVE)
    with pytest.raises(IntegrityError) as raised:
        get(listed, LARGE)
    assert raised.value.path == LARGE
    assert hub.calls(origin="cdn") == 0


@pytest.mark.parametrize("path", [SMALL, LARGE])
@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        (faults.cut(0), Unreachable),
        (faults.cut(7), Unreachable),
        (faults.truncated(7), BadAnswer),
        (faults.longer(3, honest=True), BadAnswer),
        (faults.html(), BadAnswer),
        (faults.status(200, {"Content-Encoding": "gzip"}, gzip.compress(b"x" * 18)), BadAnswer),
        (faults.status(206, {"Content-Range": "bytes 1-18/18"}, b"x" * 18), BadAnswer),
        (faults.status(206, {}, b"x" * 18), BadAnswer),
        (faults.status(204), UpstreamError),
        (faults.refuse(), Unreachable),
    ],
    ids=["cut-0", "cut-7", "truncated", "longer", "html", "gzip", "wrong-range", "no-range", "204", "refused"],
)
def test_a_body_that_is_not_what_was_asked_for_is_an_error(
    hub: Hub, listed: Facts, path: str, fault: faults.Fault, kind: type[UpstreamError]
) -> None:
    hub.faults.add(fault, lambda request: "/repos/" in request.path or request.path.endswith(SMALL))
    with pytest.raises(kind):
        get(listed, path)


@pytest.mark.parametrize("path", [SMALL, LARGE])
def test_bytes_beyond_the_promised_length_never_come_out(hub: Hub, listed: Facts, path: str) -> None:
    hub.faults.add(faults.longer(300), lambda request: "/repos/" in request.path or request.path.endswith(SMALL))
    assert get(listed, path) == FILES[path].read()
    hub.faults.clear()
    assert get(listed, path) == FILES[path].read()


def test_a_range_is_asked_for_and_answered_as_one(hub: Hub, listed: Facts) -> None:
    assert get(listed, LARGE, 100, 200) == FILES[LARGE].read()[100:200]
    assert {record.range for record in hub.log} == {"bytes=100-199"}


@pytest.mark.parametrize(("path", "start", "stop"), [(SMALL, 4, 9), (SMALL, 0, 9), (LARGE, 1 << 20, 1 << 21)])
def test_a_server_without_ranges_still_gives_the_right_bytes(
    hub: Hub, listed: Facts, path: str, start: int, stop: int
) -> None:
    hub.faults.add(without_range, lambda request: "/repos/" in request.path or request.path.endswith(SMALL))
    assert get(listed, path, start, stop) == FILES[path].read()[start:stop]
    assert get(listed, SMALL) == FILES[SMALL].read()


def test_the_wrong_range_is_refused(hub: Hub, listed: Facts) -> None:
    hub.faults.add(faults.status(206, {"Content-Range": f"bytes 0-99/{FILES[LARGE].size}"}, b"x" * 100), origin="cdn")
    with pytest.raises(BadAnswer, match="bytes 100-199"):
        get(listed, LARGE, 100, 200)


def test_an_empty_range_costs_no_call(hub: Hub, listed: Facts) -> None:
    assert get(listed, LARGE, 5, 5) == b""
    assert get(listed, "empty.txt") == b""
    assert hub.calls() == 0


def test_a_server_that_falls_silent_is_given_up(hub: Hub, listed: Facts) -> None:
    impatient = HubSource(hub.url, None, Transport(timeouts=Timeouts(connect=5, stall=0.2, first_byte=0.2)))
    hub.faults.add(faults.stall(20, after=100_000), origin="cdn")
    with pytest.raises(Unreachable, match="timed out"):
        get((impatient, *listed[1:]), LARGE)
    hub.faults.add(faults.delay(20), RESOLVE)
    with pytest.raises(Unreachable, match="timed out"):
        get((impatient, *listed[1:]), SMALL)


def test_connections_are_used_again_also_after_redirects_and_refusals(hub: Hub, listed: Facts) -> None:
    hub.behaviour.small_files = "resolve-cache"
    get(listed, SMALL)
    hub.faults.refuse_connections("hub", 100)  # from now on only the connection that stands will do
    for _ in range(3):
        get(listed, SMALL)
