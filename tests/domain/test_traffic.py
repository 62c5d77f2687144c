"""What the log of a front says of who reads the mirror."""

from __future__ import annotations

import random
from datetime import UTC, date, datetime, timedelta

import pytest

from mirror_sync.domain.digest import CommitId
from mirror_sync.domain.outcome.traffic import Hit, Oddity, PublishedSnapshot, Traffic, TrafficReport
from mirror_sync.domain.repo import Repo

NOW = datetime(2026, 5, 31, 12, tzinfo=UTC)
ONE, TWO, NONE = (Repo.parse(f"acme/{name}") for name in ("one", "two", "none"))
OLD, NEW = (CommitId(digit * 40) for digit in "12")
GIB = 1 << 30


def hit(days_ago: float = 0, **said: object) -> Hit:
    usual: dict[str, object] = {
        "client": "10.0.0.1", "repo": ONE, "commit": NEW, "status": 200, "bytes": 100, "is_file": True, "begins": True
    }  # fmt: skip
    return Hit(at=NOW - timedelta(days=days_ago), **{**usual, **said})  # type: ignore[arg-type]


def ago(repo: Repo, commit: CommitId, days: int) -> PublishedSnapshot:
    return PublishedSnapshot(repo, commit, NOW - timedelta(days=days))


def report(*hits: Hit, published: tuple[PublishedSnapshot, ...] = ()) -> TrafficReport:
    traffic = Traffic([ONE, TWO])
    for each in hits:
        traffic.add(each)
    return traffic.report(published, NOW)


def test_a_download_is_a_file_read_from_its_first_byte_on_and_bytes_are_all_that_was_sent() -> None:
    found = report(hit(), hit(begins=False, status=206), hit(is_file=False, bytes=7), hit(client="10.0.0.2"))
    reads = found.repos[ONE]
    assert (reads.downloads, reads.bytes, len(reads.clients)) == (2, 307, 2)
    assert found.days[date(2026, 5, 31)].downloads == 2


@pytest.mark.parametrize("status", [304, 403, 404, 499, 500])
def test_what_was_not_given_is_no_download(status: int) -> None:
    assert report(hit(status=status)).repos == {}


def test_a_miss_is_a_repo_that_is_not_mirrored_and_most_wanted_comes_first() -> None:
    other = Repo.parse("dataset:acme/other")
    asked = [hit(repo=NONE, status=404, client=str(number)) for number in range(3)]
    found = report(*asked, hit(repo=other, status=404), hit(repo=other, status=404), hit(repo=ONE, status=404))
    assert [(repo, miss.requests, len(miss.clients)) for repo, miss in found.misses.items()] == [
        (NONE, 3, 3),
        (other, 2, 1),
    ]


def test_a_snapshot_is_cold_when_nobody_read_it_for_thirty_days_and_it_is_not_younger() -> None:
    published = (ago(ONE, OLD, 90), ago(ONE, NEW, 60), ago(TWO, NEW, 5))
    found = report(hit(40, commit=OLD), hit(29), published=published)
    assert found.cold == (published[0],)


def test_logs_that_do_not_reach_back_far_enough_cannot_tell_what_is_cold() -> None:
    assert report(hit(29), published=(PublishedSnapshot(ONE, OLD, NOW - timedelta(days=90)),)).cold is None
    assert report().cold is None


def test_a_client_far_above_its_usual_is_told_and_a_busy_one_is_not() -> None:
    hits = [hit(day, client=name, bytes=GIB) for day in (1, 2, 3) for name in ("surging", "busy")]
    hits += [hit(client="surging", bytes=11 * GIB), hit(client="busy", bytes=9 * GIB)]
    [surge] = report(*hits).unusual
    assert (surge.kind, surge.client, surge.bytes, surge.usual) == (Oddity.SURGE, "surging", 11 * GIB, GIB)


@pytest.mark.parametrize("unit", [1, 1000, GIB])
def test_what_is_unusual_does_not_depend_on_how_large_a_mirror_is(unit: int) -> None:
    hits = [hit(day, client=f"10.0.0.{number}", bytes=unit) for day in (1, 2, 3) for number in range(8)]
    hits += [hit(client="taker", bytes=40 * unit), hit(client="guest", bytes=unit), hit(client="10.0.0.1", bytes=unit)]
    [newcomer] = report(*hits).unusual
    assert (newcomer.kind, newcomer.client, newcomer.usual, newcomer.names) == (Oddity.NEWCOMER, "taker", 0, 1)


def test_who_asks_for_many_names_sweeps_whatever_the_bytes_and_whether_they_are_mirrored() -> None:
    names = [Repo.parse(f"acme/{number}") for number in range(30)]
    hits = [hit(day, client="build") for day in (1, 2, 3)]
    hits += [hit(day, client="cron", repo=name, status=404) for day in (1, 2, 3) for name in names]
    hits += [hit(client=client, repo=name, status=404, bytes=9) for client in ("build", "cron") for name in names]
    [sweep] = report(*hits).unusual
    assert (sweep.kind, sweep.client, sweep.names, sweep.usual_names) == (Oddity.SWEEP, "build", 30, 1)
    assert "sweep: client build, 0 bytes of 30 repos" in sweep.text


def test_a_log_of_a_few_days_tells_nothing_unusual() -> None:
    assert report(hit(1, client="a"), hit(client="new", bytes=99 * GIB)).unusual == ()


def test_the_order_of_lines_does_not_matter() -> None:
    chance = random.Random(7)
    hits = [
        hit(chance.random() * 60, client=str(chance.randrange(5)), repo=chance.choice([ONE, TWO, NONE]),
            status=chance.choice([200, 206, 404]), bytes=chance.randrange(10**10), commit=chance.choice([OLD, NEW]))
        for _ in range(300)
    ]  # fmt: skip
    published = (
        PublishedSnapshot(ONE, OLD, NOW - timedelta(days=90)),
        PublishedSnapshot(TWO, NEW, NOW - timedelta(days=31)),
    )
    once = report(*hits, published=published).encode()
    chance.shuffle(hits)
    assert report(*hits, published=published).encode() == once
