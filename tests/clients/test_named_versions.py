"""Unmodified clients of three generations ask for names of ours, and never see a mix of two versions."""

from __future__ import annotations

import json
import os
import subprocess
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mirror_sync.domain.job.targets import DirectoryTarget
from mirror_sync.stores.directory.directory_store import DirectoryStore
from tests.clients.environments import GENERATIONS, ROOT, python
from tests.front.bucket import model
from tests.front.mirrors import Mirror, by_either

OLD = {"weights": b"old weights", "config.json": b'{"version": "old"}'}
NEW = {"weights": b"new weights", "config.json": b'{"version": "new"}', "more": b"new"}


def asked(mirror: Mirror, generation: str, repo: str, home: Path, *revisions: str) -> dict[str, Any]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("HF_", "HUGGING"))}
    own = {"HF_ENDPOINT": mirror.url, "HF_HOME": str(home), "HF_HUB_DISABLE_PROGRESS_BARS": "1"}
    own |= {"NO_PROXY": "127.0.0.1,localhost", "HF_HUB_DISABLE_TELEMETRY": "1"}
    command = [str(python(generation)), "-m", "tests.clients.revision_operations", repo, *revisions]
    ran = subprocess.run(command, cwd=ROOT, env=kept | own, capture_output=True, text=True, timeout=300, check=False)
    assert ran.returncode == 0, ran.stderr[-2000:]
    return {line["asked"]: line["said"] for line in map(json.loads, ran.stdout.splitlines())}


def expect(said: dict[str, Any], commit: str, files: dict[str, bytes]) -> None:
    """All of one version, whatever was asked."""
    told = {name: body.decode() for name, body in files.items()}
    assert (said["files"], said["one"], said["listed"]) == (told, told["weights"], sorted(told))
    assert (said["info"], said["folder"], said["commits"][0]) == (commit, commit, commit)


@pytest.mark.timeout(900)
@pytest.mark.parametrize("generation", GENERATIONS)
@pytest.mark.parametrize("front", ["serve", "nginx"])
def test_a_client_asks_for_stable_and_gets_all_of_it_before_and_after_it_moves(
    front: str, generation: str, tmp_path: Path
) -> None:
    target = DirectoryTarget(tmp_path / "bucket")
    target.root.mkdir()
    repo = model(DirectoryStore(target.root))
    old, new = repo.publish(OLD), repo.publish(NEW)
    repo.write_refs(replace(repo.refs, channels={"stable": old, "v1.0": old}).encode())
    with by_either(front, target, tmp_path / "front") as mirror:
        first = asked(mirror, generation, repo.repo.id, tmp_path / "home", "stable", "v1.0", "main")
        assert first["refs"] == {"main": new, "stable": old, "v1.0": old}
        expect(first["stable"], old, OLD)
        expect(first["v1.0"], old, OLD)
        expect(first["main"], new, NEW)
        repo.write_refs(replace(repo.refs.moving_main(old), channels={"stable": new, "v1.0": old}).encode())
        mirror.get_until(f"{repo.at}/resolve/stable/weights", NEW["weights"])
        mirror.get_until(f"{repo.at}/resolve/main/weights", OLD["weights"])
        time.sleep(2.5)  # nginx keeps answers about a repo for a second, as it counts seconds
        again = asked(mirror, generation, repo.repo.id, tmp_path / "home", "stable", "v1.0", "main")
        expect(again["stable"], new, NEW)
        expect(again["v1.0"], old, OLD)
        expect(again["main"], old, OLD)
