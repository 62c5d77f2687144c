"""When a target was verified and pruned last is known to status, metrics and the catalogue."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from mirror_sync.cli.commands.mirror.verify_command import scope_of
from mirror_sync.cli.output.tables import TextLayout
from mirror_sync.cli.output.verify_text import verify_text
from mirror_sync.daemon.notify import Notifier
from mirror_sync.daemon.retries import Ladder
from mirror_sync.daemon.service import Daemon
from mirror_sync.domain.audit_record import BY_DAEMON
from mirror_sync.domain.content.keys import blob_key
from mirror_sync.domain.digest import Sha256
from mirror_sync.domain.outcome.events import Care, ConfigRead, Event, Tended, Verified
from mirror_sync.domain.repo import Repo
from mirror_sync.engine.upkeep.verify import Scope
from mirror_sync.errors import ConfigError, UsageError
from mirror_sync.observe.metrics.ledger import Ledger
from mirror_sync.observe.metrics.metrics import Metrics
from mirror_sync.state.locks import kept_checkpoint
from tests.standin import Hub
from tests.stores.scripted import Answer, scripted
from tests.test_catalogue_runs import mirror, upstream


def status(folder: Path) -> dict[str, object]:
    document: dict[str, object] = json.loads((folder / "mirror" / "site" / "status.json").read_text("utf-8"))
    return document


def test_a_verify_and_a_prune_of_all_are_remembered_and_published(tmp_path: Path) -> None:
    upstream(tmp_path, "x")
    upstream(tmp_path, "y")
    told: list[Event] = []
    with mirror(tmp_path, told) as it:
        it.sync(BY_DAEMON)
        assert (it.tended(), status(tmp_path)["verified"]) == ((), {"at": None, "faults": 0})
        it.tend(BY_DAEMON, Care.VERIFY)
        it.tend(BY_DAEMON, Care.PRUNE)
        tended = {each.care: each for each in it.tended()}
        assert [event for event in told if isinstance(event, Tended)] == [tended[Care.VERIFY], tended[Care.PRUNE]]
        assert {each.faults for each in tended.values()} == {0}
        shown = status(tmp_path)
        assert shown["verified"] == {"at": tended[Care.VERIFY].at, "faults": 0}
        assert shown["pruned"] == {"at": tended[Care.PRUNE].at}


def test_what_a_verify_found_is_remembered_and_one_of_a_part_is_none(tmp_path: Path) -> None:
    upstream(tmp_path, "x")
    with mirror(tmp_path, jobs=[{"name": "a", "repos": ["acme/x"]}]) as it:
        it.sync(BY_DAEMON)
        now = datetime.now(UTC)
        it.verify(BY_DAEMON, scope_of("100%", "1d", None, now, repair=False))
        it.verify(BY_DAEMON, scope_of("100%", None, None, now, repair=False, repo="acme/x"))
        assert it.tended() == ()
        with pytest.raises(UsageError, match=r"nothing of acme/xx is mirrored; did you mean acme/x\?"):
            it.verify(BY_DAEMON, scope_of("100%", None, None, now, repair=False, repo="acme/xx"))
        max((tmp_path / "mirror" / "blobs").rglob("*"), key=lambda path: path.is_file()).unlink()
        it.verify(BY_DAEMON)
        assert [(each.target, each.care, each.faults >= 1) for each in it.tended()] == [("it", Care.VERIFY, True)]


def test_a_target_where_there_is_nothing_yet_is_not_told_as_verified(tmp_path: Path) -> None:
    upstream(tmp_path, "x")
    targets = {"it": {"url": str(tmp_path / "mirror")}, "new": {"url": str(tmp_path / "new")}}
    jobs = [{"name": name, "repos": ["acme/x"], "target": name} for name in targets]
    with mirror(tmp_path, targets=targets, jobs=jobs) as it:
        report = it.verify(BY_DAEMON)
        assert verify_text(report, TextLayout(width=100)).startswith("Nothing to verify: ")
        assert (report.targets, it.tended()) == ((), ())
        it.sync(BY_DAEMON, ["it"])
        assert it.verify(BY_DAEMON).targets == ("it",)
        assert [each.target for each in it.tended()] == ["it"]


@pytest.mark.parametrize("name", ["acme/old", "acme/Old", "acme/new", "acme/NEW"])
def test_a_repo_is_verified_by_each_name_that_leads_to_it(name: str, hub: Hub, tmp_path: Path) -> None:
    hub.model("acme/old", license="mit").commit({"a": b"1"})
    hub.model("acme/other", license="mit").commit({"b": b"2"})
    hub.rename("acme/old", "acme/new")
    upstreams = {"hub": {"kind": "huggingface", "endpoints": [hub.url]}}
    with mirror(tmp_path, upstreams=upstreams, jobs=[{"name": "a", "repos": ["acme/old", "acme/other"]}]) as it:
        assert it.sync(BY_DAEMON).ok
        report = it.verify(BY_DAEMON, Scope(repo=Repo.parse(name)))
        assert (report.ok, report.repos, report.snapshots) == (True, 1, 1)
        (tmp_path / "mirror" / blob_key(Sha256.of(b"1"))).unlink()
        (tmp_path / "mirror" / blob_key(Sha256.of(b"2"))).unlink()
        report = it.verify(BY_DAEMON, Scope(repo=Repo.parse(name)))
        assert [(fault.repo, fault.path) for fault in report.faults] == [("acme/new", "a")]


def test_a_prune_that_came_to_no_end_is_no_last_prune_of_its_target_and_is_told(tmp_path: Path) -> None:
    upstream(tmp_path, "x")
    targets = {name: {"url": str(tmp_path / name), "grace": "0s"} for name in ("broken", "sound")}
    jobs = [{"name": name, "repos": ["acme/x"], "target": name} for name in targets]
    with mirror(tmp_path, targets=targets, jobs=jobs) as it:
        it.sync(BY_DAEMON)
        (refs,) = (tmp_path / "broken").glob("hub/*/*/refs.json")
        refs.write_text("{", encoding="utf-8")
        with capture_logs() as logged:
            it.tend(BY_DAEMON, Care.PRUNE)
        assert {each.target: each.faults for each in it.tended()} == {"sound": 0}
        (said,) = [line for line in logged if line["event"] == "tending.failed"]
        assert said["reason"].startswith("target broken is not pruned to its end: ")


def test_the_daemon_s_verify_reads_the_part_that_its_sample_says_and_each_time_the_next(tmp_path: Path) -> None:
    for number in range(8):
        upstream(tmp_path, f"x{number}", str(number))
    told: list[Event] = []
    care = {"verify": {"cron": "0 2 * * sun", "sample": "50%"}}
    with mirror(tmp_path, told, jobs=[{"name": "a", "repos": ["acme/*"]}], maintenance=care) as it:
        it.sync(BY_DAEMON)
        seen = []
        for _ in range(2):
            it.tend(BY_DAEMON, Care.VERIFY)
            seen.append([event for event in told if isinstance(event, Verified)][-1].blobs)
        parts = [it.verify(BY_DAEMON, Scope(sample=0.5, round=number)) for number in range(2)]
        assert seen == [part.blobs for part in parts]
        assert sum(part.skipped for part in parts) == 8
        assert 0 < parts[0].skipped < 8
        assert [each.care for each in it.tended()] == [Care.VERIFY]


@pytest.mark.parametrize("sample", ["0%", "101%", "5", 5])
def test_a_sample_is_a_share_above_none_and_up_to_all(sample: object, tmp_path: Path) -> None:
    care = {"verify": {"cron": "0 2 * * sun", "sample": sample}}
    with pytest.raises(ConfigError, match=r"maintenance.verify.sample: '?\d+%?'? is no share above 0% and up to 100%"):
        mirror(tmp_path, maintenance=care).__enter__()


def test_a_verify_that_was_stopped_is_none(tmp_path: Path) -> None:
    upstream(tmp_path, "x")
    with mirror(tmp_path, jobs=[{"name": "a", "repos": ["acme/x"]}]) as it:
        it.sync(BY_DAEMON)
        it.stop.set()
        assert it.verify(BY_DAEMON).interrupted
        assert it.tended() == ()


def test_metrics_tell_when_and_what_was_found() -> None:
    metrics = Metrics()
    at = "2026-11-08T15:30:00Z"
    metrics.ledger.remember_care([Tended("it", Care.PRUNE, at)])
    metrics(ConfigRead(("a",)))
    metrics(Tended("it", Care.VERIFY, at, 3))
    seconds = datetime.fromisoformat(at).timestamp()
    read = metrics.registry.get_sample_value
    assert read("mirror_sync_last_verify_timestamp_seconds", {"target": "it"}) == seconds
    assert read("mirror_sync_last_prune_timestamp_seconds", {"target": "it"}) == seconds
    assert read("mirror_sync_last_verify_faults", {"target": "it"}) == 3


def test_what_the_history_knows_is_never_older_than_what_was_told() -> None:
    ledger = Ledger()
    ledger(Tended("it", Care.VERIFY, "2026-11-08T15:30:00Z"))
    ledger.remember_care([Tended("it", Care.VERIFY, "2026-11-07T15:30:00Z", 9)])
    assert ledger.page().tended["it", Care.VERIFY].faults == 0


def test_the_daemon_verifies_and_prunes_at_its_times(tmp_path: Path) -> None:
    upstream(tmp_path, "x")
    care = {"verify": {"cron": "0 2 * * sun", "rate": "50MB/s"}, "prune": {"cron": "30 4 * * sat"}}
    jobs = [{"name": "a", "repos": ["acme/x"], "schedule": {"cron": "0 3 * * *"}}]
    with mirror(tmp_path, jobs=jobs, maintenance=care) as it:
        assert it.settings.maintenance.rate == 50_000_000
        it.sync(BY_DAEMON)
        daemon = Daemon(lambda: it.settings, lambda settings, stop: it, Notifier({}), Metrics(), Ladder())
        daemon._take(it.settings)
        daemon._timetable._scheduler.start(paused=True)
        try:
            due = daemon._timetable.next_runs()
            assert {name: (at.weekday(), at.hour) for name, at in due.items() if name != "a"} == {
                "(verify)": (6, 2),
                "(prune)": (5, 4),
            }
            daemon._due("(verify)")
            assert [each.care for each in it.tended()] == [Care.VERIFY]
        finally:
            daemon._timetable.stop()


def test_a_target_that_was_not_verified_to_its_end_is_not_told_as_verified(tmp_path: Path) -> None:
    upstream(tmp_path, "x")
    keys = {"access_key": "AKEY", "secret_key": "a-secret", "region": "us-east-1", "addressing": "path"}
    jobs = [{"name": "a", "repos": ["acme/x"], "target": "it"}, {"name": "b", "repos": ["acme/x"], "target": "closed"}]
    with scripted(lambda asked: Answer(status=403)) as server:
        closed = {"url": "s3://models", "endpoint_url": server.endpoint_url, **keys}
        targets = {"closed": closed, "it": {"url": str(tmp_path / "mirror")}}
        with mirror(tmp_path, targets=targets, jobs=jobs) as it:
            it.sync(BY_DAEMON, ["a"])
            report = it.verify(BY_DAEMON)
            assert [(each.target, each.kind) for each in report.unreadable] == [("closed", None)]
            assert [(each.target, each.faults) for each in it.tended()] == [("it", 0)]
            assert (
                it.verify(BY_DAEMON, scope_of("100%", None, None, datetime.now(UTC), repair=False, repo="acme/x")).repos
                == 1
            )
            assert "unreadable  target closed" in verify_text(report, TextLayout(width=100))


def test_samples_reach_every_file_whatever_else_is_verified_between_them(tmp_path: Path) -> None:
    upstream(tmp_path, "x")
    names = {f"f{number:02}" for number in range(40)}
    for name in names:
        (tmp_path / "upstream" / "acme" / "x" / name).write_text(name, encoding="utf-8")
    with mirror(tmp_path, jobs=[{"name": "a", "repos": ["acme/x"]}]) as it:
        it.sync(BY_DAEMON)
        for name in names:
            digest = Sha256.of(name.encode())
            (tmp_path / "mirror" / blob_key(digest)).unlink()
        missed: set[str] = set()
        for _ in range(10):
            missed |= {fault.path for fault in it.verify(BY_DAEMON, Scope(sample=0.1)).faults}
            it.verify(BY_DAEMON, Scope(since=datetime(2020, 1, 1, tzinfo=UTC)))
            it.verify(BY_DAEMON, Scope(sample=0.5))
            it.verify(BY_DAEMON)
        assert missed == names


def test_no_verify_of_another_kind_undoes_how_far_one_has_come(tmp_path: Path) -> None:
    upstream(tmp_path, "x")
    whole = tmp_path / "state" / "verify.json"
    with mirror(tmp_path, jobs=[{"name": "a", "repos": ["acme/x"]}]) as it:
        it.sync(BY_DAEMON)
        whole.write_text('{"a place": 1}', encoding="utf-8")
        it.verify(BY_DAEMON, Scope(since=datetime(2020, 1, 1, tzinfo=UTC)))
        it.verify(BY_DAEMON, Scope(sample=0.1))
        it.verify(BY_DAEMON, Scope(repair=True))
        it.verify(BY_DAEMON, Scope(repo=Repo.parse("acme/x")))
        assert whole.read_text(encoding="utf-8") == '{"a place": 1}'


def test_the_same_verify_in_two_processes_at_once_leaves_the_place_of_the_first(tmp_path: Path) -> None:
    upstream(tmp_path, "x")
    with mirror(tmp_path, jobs=[{"name": "a", "repos": ["acme/x"]}]) as it:
        it.sync(BY_DAEMON)
        with kept_checkpoint(tmp_path / "state", "verify") as checkpoint:
            checkpoint.save({"a place": 1}, [])
            assert it.verify(BY_DAEMON).ok
            assert checkpoint.load() == {"a place": 1}
        assert it.verify(BY_DAEMON).ok
        with kept_checkpoint(tmp_path / "state", "verify") as checkpoint:
            assert checkpoint.load() == {"round": 0}
