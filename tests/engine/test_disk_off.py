"""An import disk that is off, or brings only what is new: what it does not show is not gone."""

from __future__ import annotations

import shutil
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from mirror_sync.domain.job.job import Job
from mirror_sync.domain.policy.gone import OnGone, TokenStatus
from mirror_sync.sources.directory.folders import MARKER, DirectorySource
from tests.engine.workshop import Workshop, job

DAY = timedelta(days=1, minutes=1)
README = b"---\nlicense: mit\n---\n"
WISHES = [job("acme/x", on_gone=wish) for wish in OnGone]
LEFT = {"empty": "is empty: is its disk mounted?", "other": f"no {MARKER} says that"}
"""What the place of the disk shows, and what is said of the repo that was published from it."""


@pytest.fixture
def workshop(tmp_path: Path) -> Workshop:
    """`acme/x` is published from a disk, which lies beside its mount point `up` from then on."""
    _repo(tmp_path / "up/acme/x")
    workshop = Workshop("http://127.0.0.1:9", tmp_path)
    workshop.context = replace(workshop.context, sources={"hub": DirectorySource(tmp_path / "up")})
    assert workshop.sync_one(job("acme/x")).outcome == "published"
    return workshop


def _repo(folder: Path) -> None:
    folder.mkdir(parents=True)
    (folder / "README.md").write_bytes(README)


def _switch_off(workshop: Workshop) -> Path:
    """The mount point stays."""
    place = workshop.folder / "up"
    place.rename(workshop.folder / "disk")
    place.mkdir()
    return place


@pytest.mark.parametrize("wish", WISHES, ids=list(OnGone))
@pytest.mark.parametrize("left", LEFT)
def test_what_a_disk_does_not_show_stays_published_and_is_asked_for_again(
    workshop: Workshop, wish: Job, left: str
) -> None:
    place = _switch_off(workshop)
    if left == "other":
        _repo(place / "acme/new")
    for ahead in (timedelta(0), DAY, 2 * DAY):
        workshop.ahead = ahead
        report = workshop.sync_one(wish)
        assert (report.outcome, report.code) == ("held", "not-found-or-private")
        assert LEFT[left] in report.reason
        assert "nothing proves that it is gone, so that on_gone does not apply" in report.reason
    assert workshop.files("acme/x") == {"README.md": README}
    assert workshop.refs("acme/x").gone is None
    shutil.rmtree(place)
    (workshop.folder / "disk").rename(place)
    assert workshop.sync_one(wish).outcome == "unchanged", "the disk is back"


def test_a_glob_over_a_disk_that_is_off_keeps_what_is_published(workshop: Workshop) -> None:
    _switch_off(workshop)
    report = workshop.sync_one(job("acme/*", on_gone=OnGone.FREEZE))
    assert (report.repo, report.outcome) == ("acme/x", "held")
    assert LEFT["empty"] in report.reason
    assert workshop.refs("acme/x").gone is None


@pytest.mark.parametrize("proved", list(TokenStatus))
def test_what_was_proved_while_the_disk_was_there_is_no_proof_once_it_is_off(
    workshop: Workshop, proved: TokenStatus
) -> None:
    source = workshop.context.sources["hub"]
    source.prove = lambda: proved  # type: ignore[method-assign]
    _switch_off(workshop)
    workshop.sync(job("acme/x", on_gone=OnGone.FREEZE))
    assert workshop.refs("acme/x").gone is None


def test_what_a_whole_folder_does_not_hold_is_withdrawn_as_on_gone_says(workshop: Workshop) -> None:
    withdraw = job("acme/x", on_gone=OnGone.WITHDRAW)
    place = workshop.folder / "up"
    (place / MARKER).touch()
    _repo(place / "acme/other")
    shutil.rmtree(place / "acme/x")
    assert "is withdrawn when the upstream says so again" in workshop.sync_one(withdraw).reason
    workshop.ahead = DAY
    assert workshop.sync_one(withdraw).reason.endswith("withdrawn, as on_gone says")
    assert workshop.refs("acme/x").snapshots == {}


def test_what_a_whole_folder_does_not_hold_is_frozen_as_on_gone_says(workshop: Workshop) -> None:
    (workshop.folder / "up" / MARKER).touch()
    _repo(workshop.folder / "up/acme/other")
    shutil.rmtree(workshop.folder / "up/acme/x")
    workshop.sync(job("acme/x", on_gone=OnGone.FREEZE))
    assert workshop.sync_one(job("acme/x", on_gone=OnGone.FREEZE)).reason.startswith("frozen: gone upstream")
