"""What the logs of fronts say of who reads now: a hole in them, or a doubt about them, is never taken for silence."""

from __future__ import annotations

import gzip
import json
import os
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from glob import glob
from pathlib import Path
from typing import Any

import pytest

from mirror_sync.app.reading import CountReads
from mirror_sync.domain.content.keys import refs_key
from mirror_sync.domain.content.refs import Refs
from mirror_sync.domain.digest import Sha256
from mirror_sync.domain.job.keep import Keep, ReadTimes
from mirror_sync.domain.repo import Repo
from mirror_sync.stores.directory.directory_store import DirectoryStore

NOW = datetime(2026, 5, 31, 12, tzinfo=UTC)
A, B = Repo.parse("acme/a"), Repo.parse("dataset:acme/b")
SILENCE = "/healthz"


def line(hours: float, uri: str = SILENCE, **said: object) -> str:
    usual: dict[str, object] = {
        "time": (NOW - timedelta(hours=hours)).isoformat(), "client": "10.0.0.1", "user": "", "method": "GET",
        "uri": uri, "status": 200, "bytes": 1, "seconds": 0.1, "range": "", "commit": "", "agent": "curl", "door": "",
    }  # fmt: skip
    return json.dumps(usual | said)


def silence(begin: float, end: float = 0.0, every: float = 6.0) -> list[str]:
    """Lines of a watcher, oldest first, from so many hours ago to so many."""
    return [line(begin - step * every) for step in range(int((begin - end) // every) + 1)]


class Logs:
    def __init__(self, folder: Path) -> None:
        self.folder, self.now = folder, NOW
        self.store = DirectoryStore(folder / "bucket")
        for repo in (A, B):
            body = Refs().encode()
            self.store.put(refs_key(repo), body, Sha256.of(body))

    def write(self, lines: Iterable[str], name: str = "access.log") -> Path:
        path = self.folder / name
        text = "".join(f"{one}\n" for one in lines)
        with gzip.open(path, "wt") if name.endswith(".gz") else path.open("w") as file:
            file.write(text)
        os.utime(path, (self.now.timestamp(),) * 2)
        return path

    def count(self, *patterns: str, **keep: Any) -> ReadTimes:
        logs = tuple(str(self.folder / one) for one in patterns or ("access.log*",))
        return CountReads(self.folder / "state", lambda: self.now)("disk", self.store, Keep(1, logs, **keep))

    def hours(self, at: float | None) -> float:
        assert at is not None
        return round((NOW.timestamp() - at) / 3600, 1)


@pytest.fixture
def logs(tmp_path: Path) -> Logs:
    return Logs(tmp_path)


def test_the_last_read_of_each_repo_is_known_whatever_the_door_and_the_order_of_lines(logs: Logs) -> None:
    logs.write([
        *silence(240),
        line(50, "/acme/a/resolve/main/w"),
        line(90, "/acme/a/resolve/main/w"),
        line(40, "/datasets/acme/b/main/w", door="s3"),
        line(30, "/acme/a/resolve/main/none", status=404),
        line(20, "/acme/other/resolve/main/w"),
    ])  # fmt: skip
    found = logs.count()
    assert found.doubt == ""
    assert {repo: logs.hours(at) for repo, at in found.read.items()} == {A: 50, B: 40}
    assert {repo: logs.hours(at) for repo, at in found.asked.items()} == {A: 30}
    assert logs.hours(found.since) == 240


@pytest.mark.parametrize(
    ("uri", "said"),
    [
        ("/api/models/acme/a/revision/main", {}),
        ("/acme/a/resolve/main/w", {"method": "HEAD"}),
        ("/acme/a/resolve/main/w", {"status": 304}),
        ("/acme/a/resolve/main/w", {"status": 307}),
        ("/v2/acme/a/manifests/latest", {}),
    ],
)
def test_whoever_has_the_files_and_asks_whether_they_are_new_reads_the_repo(
    logs: Logs, uri: str, said: dict[str, object]
) -> None:
    logs.write([*silence(24), line(5, uri, **said)])
    assert {repo: logs.hours(at) for repo, at in logs.count().read.items()} == {A: 5}


def test_a_hole_that_is_longer_than_quiet_hours_begins_the_count_anew(logs: Logs) -> None:
    logs.write([*silence(240, 120), *silence(96)])
    assert logs.hours(logs.count().since) == 96
    (logs.folder / "state" / "reads-disk.json").unlink()
    assert logs.hours(logs.count(quiet=timedelta(hours=25)).since) == 240


def test_a_day_that_was_put_away_and_is_lost_is_a_hole_and_a_packed_one_is_none(logs: Logs) -> None:
    for day in (0, 1, 3):
        logs.write(silence(24 * day + 23.9, 24 * day), f"access.log.{day}" if day else "access.log")
    assert logs.hours(logs.count().since) == 47.9
    logs.write(silence(71.9, 48), "access.log.2.gz")
    (logs.folder / "state" / "reads-disk.json").unlink()
    assert logs.hours(logs.count().since) == 95.9


def test_every_front_is_counted_and_the_shortest_count_holds(logs: Logs) -> None:
    logs.write([*silence(240), line(30, "/acme/a/resolve/main/w")], "one.log")
    logs.write([*silence(48), line(20, "/acme/a/resolve/main/w")], "two.log")
    found = logs.count("one.log", "two.log")
    assert (logs.hours(found.since), logs.hours(found.read[A])) == (48, 20)
    gone = logs.count("one.log", "two.log", "three.log")
    assert (gone.since, gone.doubt) == (None, f"{logs.folder}/three.log: there is no such log")


@pytest.mark.parametrize(
    ("lines", "doubt"),
    [
        (silence(240, 24), "it ends at 2026-05-30T12:00:00Z, and who has read since is not known"),
        ([], "no line of a front's log that says what each door gave"),
        ([line(1), *["an old line"] * 3], "3 of 4 lines are not of a front's JSON log, and may be reads"),
        ([line(-2), line(-3), line(-4), line(1)], "3 of 4 lines"),  # of times to come
    ],
)
def test_a_log_that_ends_early_or_is_none_leaves_a_doubt(logs: Logs, lines: list[str], doubt: str) -> None:
    logs.write(lines)
    found = logs.count()
    assert doubt in found.doubt
    assert found.why_unsure(timedelta(days=1), NOW.timestamp()) == found.doubt


def test_a_line_that_is_being_written_is_no_doubt_and_counts_when_it_is_whole(logs: Logs) -> None:
    whole = line(1, "/acme/a/resolve/main/w")
    logs.write([*silence(24), whole[:40]])
    assert (logs.count().doubt, logs.count().read) == ("", {})
    logs.write([*silence(24), whole])
    assert logs.hours(logs.count().read[A]) == 1


def test_lines_of_a_front_that_did_not_tell_of_each_door_are_no_count(logs: Logs) -> None:
    before = [json.dumps({k: v for k, v in json.loads(one).items() if k != "door"}) for one in silence(240, 48)]
    logs.write([*before, *silence(42)])
    assert logs.hours(logs.count().since) == 42


def test_content_that_was_read_by_its_digest_alone_is_of_any_repo(logs: Logs) -> None:
    blob = f"/blobs/sha256/ab/{'ab' * 32}"
    logs.write([*silence(240), line(100, blob), line(40, blob, status=404)])
    assert logs.hours(logs.count().since) == 100


def test_what_was_counted_goes_on_where_logs_are_put_away_and_reads_back_no_file_twice(logs: Logs) -> None:
    first = logs.write([*silence(240, 120), line(130, "/acme/a/resolve/main/w")])
    logs.now = NOW - timedelta(hours=120)
    os.utime(first, (logs.now.timestamp(),) * 2)
    assert logs.hours(logs.count().since) == 240
    logs.now = NOW - timedelta(hours=110)
    first.rename(first.with_name("access.log.1"))
    logs.write([line(111, "/datasets/acme/b/resolve/main/w")])
    put_away = first.with_name("access.log.1")
    put_away.write_text("unreadable\n" * 9)
    os.utime(put_away, ((NOW - timedelta(hours=120)).timestamp() - 120,) * 2)  # by which it has nothing new
    found = logs.count()
    assert (found.doubt, logs.hours(found.since)) == ("", 240)
    assert {repo: logs.hours(at) for repo, at in found.read.items()} == {A: 130, B: 111}
    put_away.unlink()
    logs.now = NOW
    logs.write([line(0)])
    assert logs.hours(logs.count().since) == 0  # nobody has counted for longer than quiet hours: a log may be lost
    assert {repo: logs.hours(at) for repo, at in logs.count().read.items()} == {A: 130, B: 111}  # which is true still


def test_a_log_that_is_put_away_while_it_is_read_is_read_under_its_new_name(
    logs: Logs, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, plain = logs.write([*silence(24), line(1, "/acme/a/resolve/main/w")]), glob
    moved: list[str] = []

    def listed(pattern: str) -> list[str]:
        found = plain(pattern)
        if not moved:
            moved.append(str(path.rename(path.with_name("access.log.1"))))
            logs.write([])
        return found

    monkeypatch.setattr("mirror_sync.app.reading.glob", listed)
    found = logs.count()
    assert (found.doubt, logs.hours(found.read[A])) == ("", 1)


def test_a_log_that_cannot_be_unpacked_and_a_folder_that_cannot_be_written_are_doubts(logs: Logs) -> None:
    packed = logs.write(silence(48), "access.log.1.gz")
    packed.write_bytes(packed.read_bytes()[:-12])
    logs.write(silence(24))
    assert "access.log.1.gz" in logs.count().doubt
    packed.unlink()
    (logs.folder / "state").rename(logs.folder / "was")
    (logs.folder / "state").write_text("")
    assert "cannot be kept" in logs.count().doubt
