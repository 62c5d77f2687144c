"""A key of jobs.yaml is its entry's field, its use and its row: CONTRIBUTING's own diff is one, and works."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MANUAL_TEST = "tests/config/test_manual.py"
JOBS = """
upstreams: {hub: {kind: huggingface}}
targets: {disk: {url: ./mirror}}
licenses: {allow: [mit]}
jobs: [{name: one, repos: [acme/small]}]
maintenance: {prune: {cron: "30 4 * * sat", jitter: 10m}}
"""
USED = """
from pathlib import Path
from mirror_sync.config.load import load
print(*(cron.jitter for cron in load(Path("jobs.yaml"), {}).maintenance.schedules.values()))
"""


def changes() -> dict[str, list[str]]:
    """The hunks of the chapter's diff, without their line numbers, by the file that they change."""
    _, chapter = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8").split("## A new key of jobs.yaml\n")
    (diff,) = re.findall(r"```diff\n(.*?)```", chapter.partition("\n## ")[0], re.DOTALL)
    files = re.split(r"^--- a/.+\n\+\+\+ b/(.+)\n", diff, flags=re.MULTILINE)[1:]
    hunks = (re.split(r"^@@ .+ @@\n", text, flags=re.MULTILINE)[1:] for text in files[1::2])
    return dict(zip(files[::2], hunks, strict=True))


def apply(file: Path, hunk: str) -> None:
    """As patch does it: by the lines around a change, wherever they are now."""
    lines = hunk.splitlines(keepends=True)
    before, after = ("".join(line[1:] for line in lines if line[0] in signs) for signs in (" -", " +"))
    text = file.read_text(encoding="utf-8")
    assert text.count(before) == 1, f"{file.name} has changed: make the diff of CONTRIBUTING.md anew\n{hunk}"
    file.write_text(text.replace(before, after), encoding="utf-8")


def run(copy: Path, *command: str) -> subprocess.CompletedProcess[str]:
    """Python over the copy of the package, and over nothing else of the project."""
    environ = {"PYTHONPATH": str(copy), "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(
        [sys.executable, *command], cwd=copy, env=environ, capture_output=True, text=True, check=False
    )


def manual_test(copy: Path) -> subprocess.CompletedProcess[str]:
    return run(copy, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-c", "/dev/null", MANUAL_TEST, "-k", "PruneEntry")


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The package, the manual, and the test that holds one against the other."""
    for name in ("mirror_sync", "docs"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / MANUAL_TEST).parent.mkdir(parents=True)
    shutil.copy(ROOT / MANUAL_TEST, tmp_path / MANUAL_TEST)
    (tmp_path / "jobs.yaml").write_text(JOBS, encoding="utf-8")
    return tmp_path


def test_a_new_key_is_its_entry_its_use_and_its_row(copy: Path) -> None:
    entry, manual = changes()
    assert (Path(entry).parent.name, Path(manual).name) == ("keys", "configuration.md")
    assert "this key is not known" in run(copy, "-m", "mirror_sync", "check").stderr

    for hunk in changes()[entry]:
        apply(copy / entry, hunk)
    assert run(copy, "-c", USED).stdout == "0:10:00\n"
    schema = json.loads(run(copy, "-m", "mirror_sync", "check", "--schema").stdout)
    assert schema["$defs"]["PruneEntry"]["properties"]["jitter"]["default"] == "0s"
    without = manual_test(copy)
    assert without.returncode == 1, without.stdout
    assert "write a row for `jitter` under maintenance" in without.stdout

    for hunk in changes()[manual]:
        apply(copy / manual, hunk)
    whole = manual_test(copy)
    assert whole.returncode == 0, whole.stdout
