"""Unmodified clients find at a mirror what they find at the Hub."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.clients.environments import GENERATIONS, ROOT, python
from tests.clients.mirror import Mirror

LEAST = 45
"""Operations below which the suite itself must have lost some."""


@pytest.mark.timeout(600)
@pytest.mark.parametrize("generation", GENERATIONS)
def test_every_operation_of_a_client_works(mirror: Mirror, generation: str, tmp_path: Path) -> None:
    outcomes = run_operations(generation, mirror.url, mirror.truth.to_json(), tmp_path)
    failed = [f"  {one['operation']}: {one['detail']}" for one in outcomes if not one["ok"]]
    lines = "\n".join(failed)
    assert not failed, f"{len(failed)} of {len(outcomes)} operations failed:\n{lines}\nThe front:\n{mirror.log()}"
    assert len(outcomes) >= LEAST


def run_operations(generation: str, url: str, truth: str, folder: Path) -> list[dict[str, Any]]:
    """What a generation of clients reports of the mirror at this URL; the folder becomes its home."""
    (folder / "truth.json").write_text(truth, encoding="utf-8")
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith(("HF_", "HUGGING"))},
        "HF_ENDPOINT": url,
        "HF_HOME": str(folder / "home"),
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
        "NO_PROXY": "127.0.0.1,localhost",
    }
    command = [str(python(generation)), "-m", "tests.clients.operations", str(folder / "truth.json")]
    ran = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=500, check=False)
    outcomes = [json.loads(line) for line in ran.stdout.splitlines() if line.startswith('{"operation"')]
    assert outcomes, f"the operations did not run:\n{ran.stderr[-3000:]}"
    return outcomes
