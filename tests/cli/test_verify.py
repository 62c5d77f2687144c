"""`verify` looks at what it was asked to, repairs when told to, and goes on after an interrupt."""

from __future__ import annotations

import json
import os
import re
import signal
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from mirror_sync.cli.commands.mirror.verify_command import scope_of
from mirror_sync.domain.digest import Sha256
from tests.cli.program import CONFIG, PATIENCE, Program
from tests.cli.test_ends import on_terminal
from tests.cli.test_prune import HASTY
from tests.standin import LFS, Hub, Memory

NOW = datetime(2026, 11, 8, 15, 30, tzinfo=UTC)
BODIES = {f"f{number:03}": b"content %d" % number for number in range(100)}


@pytest.fixture
def mirrored(tmp_path: Path, hub: Hub) -> Program:
    """A program whose target holds a hundred small files of one repo, and a large one of another."""
    made = Program(tmp_path)
    config = CONFIG.replace(
        'kind: directory, url: "file://FOLDER/upstream"', f"kind: huggingface, endpoints: [{hub.url}]"
    )
    config = config.replace("  - {name: bad, repos: [acme/closed, acme/gone]}\n", "")
    made.write(config.replace("[acme/one]", '["acme/*"]'))
    hub.model("acme/one", license="mit").commit(BODIES)
    hub.model("acme/two", license="mit").commit({"model.bin": LFS(Memory(bytes(8_000_000)))})
    assert made("sync").code == 0
    return made


def blob(program: Program, body: bytes) -> Path:
    digest = Sha256.of(body)
    (path,) = program.folder.glob(f"mirror/blobs/sha256/*/{digest}")
    return path


def test_repair_brings_back_what_is_wrong_and_says_so(mirrored: Program) -> None:
    lost = blob(mirrored, BODIES["f007"])
    lost.unlink()
    found = mirrored("verify")
    assert found.code == 1
    assert re.search(
        rf"^faulty  acme/one@[0-9a-f]{{8}}\n    f007, sha256 {lost.name}, target disk: missing\n", found.out, re.M
    )
    assert found.out.endswith(": 1 fault found.\n")
    repaired = mirrored("verify", "--repair")
    assert repaired.code == 0
    assert f"f007, sha256 {lost.name}, target disk: missing; repaired\n" in repaired.out
    assert repaired.out.endswith(": 1 repaired.\n")
    assert lost.read_bytes() == BODIES["f007"]
    assert mirrored("verify").out.endswith(": all as published.\n")


def test_what_upstream_no_longer_has_stays_a_fault_with_the_reason(mirrored: Program, hub: Hub) -> None:
    lost = blob(mirrored, BODIES["f007"])
    lost.unlink()
    hub.remove("acme/one")
    ended = mirrored("verify", "--repair", "--json")
    assert ended.code == 1
    (fault,) = json.loads(ended.out)["faults"]
    assert (fault["path"], fault["sha256"], fault["problem"]) == ("f007", lost.name, "missing")
    assert fault["repair"].startswith("the upstream no longer has it: ")


def test_an_interrupted_verify_is_gone_on_with_and_says_so(mirrored: Program) -> None:
    whole = json.loads(mirrored("verify", "--json").out)
    checkpoint = mirrored.folder / "state" / "verify.json"
    checkpoint.unlink()
    # the documents and a first batch of small files pass; the large file would take hours
    with mirrored.started("verify", "--rate", "20KB/s") as child:
        end = time.monotonic() + PATIENCE
        while not checkpoint.exists():
            assert child.poll() is None
            assert time.monotonic() < end
            time.sleep(0.02)
        child.send_signal(signal.SIGINT)
        out, _ = child.communicate(timeout=PATIENCE)
    assert child.returncode == 1
    assert out.endswith("\nStopped before the end: run the same command again to go on.\n")
    resumed = mirrored("verify", "--json")
    assert resumed.code == 0
    assert json.loads(resumed.out) == {**whole, "resumed": True}
    assert not json.loads(mirrored("verify", "--json").out)["resumed"]


def test_a_resumed_verify_says_it_in_words(mirrored: Program) -> None:
    mirrored("verify")
    saved = {"format": 2, "question": scope_of("100%", None, None, NOW, repair=False).question, "targets": ["disk"]}
    saved |= {"repos": 2, "snapshots": 2, "blobs": 9, "bytes": 99}
    (mirrored.folder / "state" / "verify.json").write_text(json.dumps(saved), encoding="utf-8")
    ended = mirrored("verify")
    assert ended.out == (
        "Went on where an interrupted verify had stopped; its part is counted in.\n"
        "Verified 2 repos, 2 snapshots, 9 blobs, 99 B: all as published.\n"
    )


def test_a_sample_says_what_was_left_out_and_successive_ones_look_at_all(mirrored: Program) -> None:
    files = len(BODIES) + 1
    looked_at = []
    for _ in range(4):
        ended = mirrored("verify", "--sample", "25%")
        match = re.match(r"A sample of 25%: (\d+) blobs left out\.\nVerified 2 repos, ", ended.out)
        assert match is not None, ended.out
        looked_at.append(files - int(match[1]))
    assert sum(looked_at) == files
    assert all(0 < count < files for count in looked_at)


def test_since_looks_at_what_is_young_only(mirrored: Program) -> None:
    mirrored = Program(mirrored.folder, HASTY)
    assert json.loads(mirrored("verify", "--since", "1h", "--json").out)["snapshots"] == 2
    for path in mirrored.folder.glob("mirror/blobs/*/*/*"):
        os.utime(path, (1_600_000_000, 1_600_000_000))  # 2020-09-13
    assert json.loads(mirrored("verify", "--since", "7d", "--json").out)["snapshots"] == 0
    assert json.loads(mirrored("verify", "--since", "2020-09-14", "--json").out)["snapshots"] == 0
    assert json.loads(mirrored("verify", "--since", "2020-09-13", "--json").out)["snapshots"] == 2


def test_a_terminal_shows_how_far_it_is(mirrored: Program) -> None:
    shown = on_terminal(mirrored, "verify")
    assert "verifying" in shown
    assert ": all as published." in shown


@pytest.mark.parametrize(
    ("since", "start"),
    [
        ("2026-11-01", "2026-11-01T00:00:00+00:00"),
        ("2026-11-01T12:00", "2026-11-01T12:00:00+00:00"),
        ("2026-11-01T12:00+08:00", "2026-11-01T12:00:00+08:00"),
        ("7d", "2026-11-01T00:00:00+00:00"),
        ("1d12h", "2026-11-07T00:00:00+00:00"),
        ("90m", "2026-11-08T14:00:00+00:00"),
        ("9999d", "1999-06-24T00:00:00+00:00"),
    ],
)
def test_a_time_is_a_date_in_utc_or_whole_days_or_hours_ago(since: str, start: str) -> None:
    found = scope_of("100%", since, None, NOW, repair=False).since
    assert found is not None
    assert found == datetime.fromisoformat(start)


def test_the_same_words_a_little_later_ask_the_same() -> None:
    later = NOW.replace(hour=16)
    assert (
        scope_of("5%", "7d", None, NOW, repair=True).question == scope_of("5%", "7d", None, later, repair=True).question
    )
    assert (
        scope_of("5%", None, "1MB/s", NOW, repair=True).question
        == scope_of("5%", None, None, NOW, repair=True).question
    )


@pytest.mark.parametrize(("text", "share"), [("5%", 0.05), ("0.5 %", 0.005), ("100%", 1.0)])
def test_a_sample_is_a_share_of_all_files(text: str, share: float) -> None:
    assert scope_of(text, None, None, NOW, repair=False).sample == pytest.approx(share)


def test_one_repo_can_be_verified_alone(mirrored: Program) -> None:
    blob(mirrored, BODIES["f007"]).unlink()
    assert re.match(r"Verified 1 repo, .*: all as published\.\n", mirrored("verify", "acme/two").out)
    assert mirrored("verify", "acme/one").code == 1
    wrong = mirrored("verify", "acme/on")
    assert (wrong.code, "did you mean acme/one" in wrong.err) == (2, True)
