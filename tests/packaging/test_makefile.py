"""`make` on a fresh machine: what fails there is told in a line of ours, not in pip's."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
NEEDED = (
    "Makefile",
    "pyproject.toml",
    "README.md",
    "tests/__init__.py",
    "tests/system.py",
    "tests/parts.py",
    "tests/requirements.py",
)


def test_without_a_package_index_make_says_so_and_how_long_it_would_take(tmp_path: Path) -> None:
    for name in NEEDED:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    nowhere = {"PIP_INDEX_URL": "http://127.0.0.1:9/", "PIP_RETRIES": "0", "PIP_CONFIG_FILE": os.devnull}
    # As a person calls it: below `make test` it would be a make within a make, which names itself otherwise.
    outside = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    ended = subprocess.run(
        ["make", "demo", f"PYTHON={sys.executable}"],
        cwd=tmp_path,
        env={**outside, **nowhere},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert ended.returncode != 0
    assert "about a minute" in ended.stdout
    ours = [line for line in ended.stderr.splitlines() if not line.startswith("make: ***")]
    assert len(ours) == 1, ended.stderr
    assert "PIP_INDEX_URL" in ours[0]
    assert "pip.log" in ours[0]
    assert (tmp_path / ".venv" / "pip.log").read_text(encoding="utf-8").strip()
