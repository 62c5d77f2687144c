"""Both fronts tell who watches them how they do: to nobody else, and without a name of anybody."""

from __future__ import annotations

import json
import os
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from mirror_sync.config.load import load
from mirror_sync.daemon.front_watch import FollowedLog, FrontWatch, ask_front
from mirror_sync.domain.job.targets import S3Target
from mirror_sync.domain.outcome.front_counts import EDGES, OUTCOMES, STATUSES, ZONES, FrontCounts, FrontHours
from mirror_sync.front.nginx.nginx_files import CONNECTIONS, NginxOptions
from mirror_sync.observe.metrics.front_families import read_front
from mirror_sync.state.traffic_file import FRONT, kept_front
from mirror_sync.stores.directory.directory_store import DirectoryStore
from tests.daemon.living import living
from tests.front.bucket import model
from tests.front.mirrors import OPENED, Mirror, by_nginx, s3_store
from tests.requirements import need
from tests.servers.ports import LOOPBACK, free_port
from tests.waiting import PATIENCE

BODY = b"some weights"


def line(status: int = 200, sent: float = 5, first: float | None = 0.01, **more: str) -> str:
    return json.dumps({"status": status, "bytes": sent, "first": first, **more}) + "\n"


def settings_of(folder: Path, watch: dict[str, str], **more: Any) -> Path:
    document = {
        "state_dir": str(folder / "state"),
        "upstreams": {"hub": {"kind": "huggingface", "endpoints": ["http://127.0.0.1:9"]}},
        "targets": {"disk": {"url": str(folder / "mirror")}},
        "licenses": {"allow": ["mit"]},
        "front": {"watch": watch, **more},
        "jobs": [{"name": "job", "repos": ["acme/one"], "readers": "everyone"}],
    }
    (folder / "state").mkdir(exist_ok=True)
    path = folder / "jobs.yaml"
    path.write_text(json.dumps(document), encoding="utf-8")
    return path


class Watching:
    """A watch that looks when the test says so."""

    def __init__(self, folder: Path, watch: dict[str, str]) -> None:
        self.folder = folder
        self.watch = FrontWatch(threading.Event())
        self.watch.take(load(settings_of(folder, watch), {}))

    def look(self) -> FrontCounts:
        self.watch.look(last=True)
        counts = self.watch.figures.counts
        assert counts is not None
        return counts


@contextmanager
def serving(folder: Path, port: int, watched: int, *words: str) -> Iterator[Mirror]:
    """`serve` as it is started, in two processes."""
    path = settings_of(
        folder, {"listen": f"{LOOPBACK}:{watched}"}, listen=f"{LOOPBACK}:{port}", limits={"requests": "9000/s"}
    )
    command = ["-m", "mirror_sync", "--config", str(path), "serve", "--processes", "2", *words]
    with living(command, folder) as running:
        running.until_logged("is served at")
        yield Mirror(f"http://{LOOPBACK}:{port}", DirectoryStore(folder / "mirror"))


def page(port: int) -> str:
    with urllib.request.urlopen(f"http://{LOOPBACK}:{port}/metrics", timeout=PATIENCE) as answer:
        return str(answer.read().decode())


def test_nginx_says_in_its_log_what_its_caches_did_and_when_answers_began_and_in_no_answer(
    moto_bucket: S3Target, tmp_path: Path
) -> None:
    need("nginx")
    store, watched = s3_store(moto_bucket), free_port()
    published = model(store)
    commit = published.publish({"weights": BODY})
    options = NginxOptions(moto_bucket, access=OPENED, watch=(LOOPBACK, watched))
    with by_nginx(store, options, tmp_path / "front") as mirror:
        watching = Watching(
            tmp_path, {"log": str(tmp_path / "front/logs/access.log"), "listen": f"{LOOPBACK}:{watched}"}
        )
        pinned = f"{published.at}/resolve/{commit}/weights"
        for _ in range(3):
            reply = mirror.get(pinned)
            assert (reply.status, reply.body, reply.headers["X-First-Byte"]) == (200, BODY, None)
        for address in (published.api, f"{published.at}/resolve/main/none", "/metrics", "/stub_status", "/limit"):
            assert mirror.get(address).headers["X-First-Byte"] is None
        figures = ask_front(LOOPBACK, watched)
        assert (figures.transfers, figures.limit) == (0, CONNECTIONS / 2 * (os.cpu_count() or 1))
    counts = watching.look()
    assert counts.statuses == dict.fromkeys(STATUSES, 0.0) | {"2xx": 4, "4xx": 4}
    assert (counts.caches["blobs", "miss"], counts.caches["blobs", "hit"]) == (1, 2)
    assert counts.caches["pointers", "hit"] + counts.caches["pointers", "miss"] >= 3
    assert counts.caches["answers", "miss"] == 1
    assert counts.first_bytes[-1][1] == counts.requests == 8
    assert counts.bytes > 3 * len(BODY)
    assert watching.watch.figures.watched is False, "nginx has ended, and does not answer any more"


def test_serve_counts_for_all_of_its_processes_at_an_address_of_its_own(tmp_path: Path) -> None:
    store, port, watched = DirectoryStore(tmp_path / "mirror"), free_port(), free_port()
    published = model(store, "acme/one")
    published.publish({"weights": BODY})
    with serving(tmp_path, port, watched) as mirror:
        watching = Watching(tmp_path, {"listen": f"{LOOPBACK}:{watched}"})
        watching.watch.look()
        for _ in range(20):
            assert mirror.get(f"{published.at}/resolve/main/weights").body == BODY
        assert mirror.get("/metrics").status == 404, "readers are told nothing"
        text = page(watched)
        with pytest.raises(urllib.error.HTTPError, match="404"):
            urllib.request.urlopen(f"http://{LOOPBACK}:{watched}{published.api}", timeout=PATIENCE)
        watching.watch.look(last=True)
    found = read_front(text)
    assert found.counts is not None
    assert found.counts.statuses == dict.fromkeys(STATUSES, 0.0) | {"2xx": 20, "4xx": 1}
    assert found.counts.first_bytes[-1][1] == 21
    assert found.counts.caches["documents", "hit"] > found.counts.caches["documents", "miss"] > 0
    assert (found.transfers, (found.limit or 0) > 1) == (0, True)
    assert "acme" not in text
    # the daemon does not tell again what is told there, and keeps it for the catalogue
    assert (watching.watch.figures.counts, watching.watch.figures.watched) == (None, True)
    [kept] = kept_front(tmp_path / "state").encode().values()
    assert (kept["status 2xx"], kept["status 4xx"]) == (20, 1)


def test_no_request_makes_another_series() -> None:
    counts = FrontCounts()
    for status in range(1000):
        counts.add(status, 1, status / 100)
    for zone in (*ZONES, "acme/one", ""):
        for outcome in (*OUTCOMES, "HIT", "-", "hf_token"):
            counts.add_cached(zone, outcome)
    assert len(counts.cells) == 2 + len(STATUSES) + len(EDGES) + 1 + len(ZONES) * len(OUTCOMES)
    assert set(counts.caches) == {(zone, outcome) for zone in ZONES for outcome in OUTCOMES}
    assert FrontCounts.decode(counts.encode()).cells == counts.cells


def test_a_log_that_is_moved_away_loses_no_line_and_one_that_is_emptied_is_a_gap(tmp_path: Path) -> None:
    path, counts = tmp_path / "access.log", FrontCounts()
    path.write_text(line() + line()[:20])  # before we began, and half a line
    log = FollowedLog(path)
    log.count(counts)
    with path.open("a") as old:
        old.write(line()[20:] + line(206) + line(404)[:9])
        old.flush()
        log.count(counts)
        assert counts.statuses["2xx"] == 1, "a line that we saw the end of alone is not counted, nor half a one"
        old.write(line(404)[9:])
        path.rename(tmp_path / "access.log.1")
        old.flush()
        log.count(counts)
        path.write_text(line(502))
        log.count(counts)
        old.write(line(200))  # by a worker that has yet to end
        old.flush()
        log.count(counts)
    assert {name: count for name, count in counts.statuses.items() if count} == {"2xx": 2, "4xx": 1, "5xx": 1}
    assert (log.gaps, log.unread) == (0, 0)
    path.write_text("")
    log.count(counts)
    path.write_text(line(101) + "no line of a front's\n" + line(200, 1e999) + "x" * 400_000 + "\n" + line(302))
    log.count(counts)
    assert (log.gaps, log.unread, counts.statuses["1xx"], counts.statuses["3xx"]) == (1, 3, 1, 1)
    log.close()


def test_what_cannot_be_read_is_no_quiet_front(tmp_path: Path) -> None:
    watching = Watching(tmp_path, {"log": str(tmp_path / "logs/access.log")})
    assert watching.look().requests == 0
    assert (watching.watch.figures.watched, kept_front(tmp_path / "state").encode()) == (False, {})
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs/access.log").write_text(line() + line(499, 0, None))
    assert watching.look().requests == 2, "a log that was not there when we began is new"
    assert watching.watch.figures.watched is True
    (tmp_path / "state" / FRONT).write_text("[[")
    assert kept_front(tmp_path / "state").encode() == {}


def test_a_day_has_the_hours_that_were_watched_and_no_others() -> None:
    from datetime import UTC, datetime, timedelta

    begin, hours, one = datetime(2026, 1, 1, tzinfo=UTC), FrontHours(), FrontCounts()
    one.add(200, 7, 0.1)
    for hour in range(30):
        if hour != 20:
            hours.add(begin + timedelta(hours=hour), 3000, one)
    now = begin + timedelta(hours=30)
    day = FrontHours.decode(hours.encode()).day(now)
    assert day is not None
    assert (day.counts.requests, day.seconds) == (22, 22 * 3000)
    assert hours.day(now + timedelta(days=2)) is None
