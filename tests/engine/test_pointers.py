"""A clone without LFS, or a download that was cut, as an upstream: no pointer is ever published as a model."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from mirror_sync.domain.content.selection import Selection
from mirror_sync.domain.digest import Sha256
from mirror_sync.domain.job.job import Job
from mirror_sync.sources.directory.folders import DirectorySource
from tests.engine.workshop import Workshop, job

WEIGHTS = bytes(11 * 1024 * 1024)
POINTER = f"version https://git-lfs.github.com/spec/v1\noid sha256:{Sha256.of(WEIGHTS)}\nsize {len(WEIGHTS)}\n".encode()


@pytest.fixture
def workshop(tmp_path: Path) -> Workshop:
    """`acme/cloned` has a pointer, `acme/whole` what it stands for, `acme/cut` a download that was cut."""
    for name, files in {
        "cloned": {"model.safetensors": POINTER},
        "whole": {"model.safetensors": WEIGHTS},
        "cut": {"config.json": b"{}", "model.bin.incomplete": b"half"},
    }.items():
        (tmp_path / "up/acme" / name).mkdir(parents=True)
        for path, body in {"README.md": b"---\nlicense: mit\n---\n", **files}.items():
            (tmp_path / "up/acme" / name / path).write_bytes(body)
    workshop = Workshop("http://127.0.0.1:9", tmp_path)
    workshop.context = replace(workshop.context, sources={"hub": DirectorySource(tmp_path / "up")})
    return workshop


def test_a_pointer_whose_bytes_are_nowhere_is_refused_by_plan_and_sync_with_the_file_named(workshop: Workshop) -> None:
    cloned = job("acme/cloned")
    for report in (workshop.plan_one(cloned), workshop.sync_one(cloned)):
        assert (report.outcome, report.code) == ("failed", "pointer-only")
        assert report.reason.startswith("model.safetensors is an LFS pointer, and what it stands for is not there")
    assert workshop.store.written == []


def test_a_pointer_to_what_the_target_holds_already_is_as_good_as_the_file(workshop: Workshop) -> None:
    assert workshop.sync_one(job("acme/whole")).outcome == "published"
    report = workshop.sync_one(job("acme/cloned"))
    assert (report.outcome, report.fetched_files) == ("published", 0)
    (manifest,) = {tuple(workshop.manifest(f"acme/{name}").items()) for name in ("whole", "cloned")}
    assert dict(manifest)["model.safetensors"].sha256 == Sha256.of(WEIGHTS)


def test_a_pointer_that_no_pattern_wants_does_no_harm(workshop: Workshop) -> None:
    wanted: Job = job("acme/cloned", selection=Selection(exclude=("*.safetensors",)))
    assert workshop.sync_one(wanted).outcome == "published"
    assert workshop.manifest("acme/cloned").keys() == {"README.md"}


def test_what_a_download_left_behind_is_left_out_and_said_as_long_as_it_lies_there(workshop: Workshop) -> None:
    cut = job("acme/cut")
    said = "left out, as the leavings of downloads: model.bin.incomplete"
    assert (workshop.plan_one(cut).outcome, workshop.plan_one(cut).reason) == ("published", said)
    assert [(workshop.sync_one(cut)).reason for _ in range(2)] == [said, said]
    assert workshop.manifest("acme/cut").keys() == {"README.md", "config.json"}
