"""What CONTRIBUTING shows of events, commands and doors works: its diffs are applied to a copy, and used there."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from shutil import copytree, ignore_patterns

import pytest

from tests.requirements import need

ROOT = Path(__file__).parents[1]
JOBS = """
version: 1
state_dir: state
upstreams: {local: {kind: directory, url: upstream}}
targets: {disk: {url: mirror}}
licenses: {allow: [mit]}
jobs: [{name: small, repos: [acme/one]}, {name: others, repos: [acme/two]}]
"""
ASK = """
import sys
from pathlib import Path
from urllib.request import urlopen
from mirror_sync.domain.job.targets import DirectoryTarget
from mirror_sync.front.nginx.nginx_files import NginxOptions
from mirror_sync.stores.directory.directory_store import DirectoryStore
from tests.front.mirrors import by_nginx, by_serve

root = Path("mirror").absolute()
with by_serve(DirectoryStore(root)) if sys.argv[1] == "serve" else by_nginx(
    DirectoryStore(root), NginxOptions(DirectoryTarget(root)), Path("front")
) as mirror:
    sys.stdout.buffer.write(mirror.get("/heads/models/acme/one").body)
"""


def shown(chapter: str) -> str:
    """The diff of a chapter."""
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    _, _, rest = text.partition(f"\n## {chapter}\n")
    _, begun, diff = rest.partition("\n## ")[0].partition("\n```diff\n")
    assert begun, f"no diff in the chapter {chapter}"
    return diff.partition("\n```\n")[0]


def hunks(diff: str) -> Iterator[tuple[str, str, str]]:
    """Each change: of which file, which lines, what for them."""
    for part in re.split(r"^--- .*\n", diff, flags=re.MULTILINE)[1:]:
        head, *changes = re.split(r"^@@ .* @@.*\n", part, flags=re.MULTILINE)
        name = head.strip().removeprefix("+++ b/")
        for change in changes:
            lines = change.splitlines()
            assert {line[:1] or " " for line in lines} <= {" ", "+", "-"}, name
            before = "".join(f"{line[1:]}\n" for line in lines if line[:1] != "+")
            yield name, before, "".join(f"{line[1:]}\n" for line in lines if line[:1] != "-")


def apply(diff: str, folder: Path) -> None:
    """Where a hunk belongs its own lines say, which stand once in the file: the numbers may be old."""
    for name, before, after in hunks(diff):
        path = folder / name
        text = path.read_text(encoding="utf-8") if path.exists() else ""
        assert text.count(before) == 1 if before else not text, f"{name} has not once:\n{before}"
        path.write_text(text.replace(before, after) if before else after, encoding="utf-8")


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A folder that holds the package, in which Python finds it first, and something to mirror."""
    for name in ("mirror_sync", "docs"):
        copytree(ROOT / name, tmp_path / name, ignore=ignore_patterns("__pycache__"))
    for repo in ("acme/one", "acme/two"):
        (tmp_path / "upstream" / repo).mkdir(parents=True)
        (tmp_path / "upstream" / repo / "README.md").write_text("---\nlicense: mit\n---\n", encoding="utf-8")
    (tmp_path / "jobs.yaml").write_text(JOBS, encoding="utf-8")
    return tmp_path


def run(copy: Path, *args: str) -> subprocess.CompletedProcess[str]:
    done = subprocess.run([sys.executable, *args], cwd=copy, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr + done.stdout
    return done


def test_an_event_that_is_added_as_shown_is_two_edits_is_logged_and_has_its_row(copy: Path) -> None:
    diff = shown("A new event")
    assert len({name for name, _, _ in hunks(diff)}) == 2
    apply(diff, copy)
    log = run(copy, "-m", "mirror_sync", "sync").stderr
    assert re.findall(r"event=(job\.finished \S+ \S+) run=", log) == [
        "job.finished job=small left=0",
        "job.finished job=others left=0",
    ]
    meaning = "A run is through with a job; `left` of its repos are undone."
    row = f"| `job.finished` | info | `job`, `left`, `run` | {meaning} |"
    assert row in run(copy, "-m", "docs.events").stdout.splitlines()


def test_a_command_that_is_added_as_shown_is_one_file_and_its_place_in_the_list(copy: Path) -> None:
    diff = shown("A new command")
    files = [name for name, _, _ in hunks(diff)]
    assert [name for name in files if not (copy / name).exists()] == files[:1]
    assert set(files[1:]) == {"mirror_sync/cli/app.py"}
    apply(diff, copy)
    assert run(copy, "-m", "mirror_sync", "jobs").stdout == "small\nothers\n"
    assert "  jobs        Name every job, one a line.\n" in run(copy, "-m", "mirror_sync", "--help").stdout


@pytest.mark.parametrize("front", ["serve", "nginx"])
def test_a_door_that_is_added_as_shown_is_open_in_both_fronts(copy: Path, front: str) -> None:
    if front == "nginx":
        need("nginx")
    diff = shown("A new door of the fronts")
    new = {name for name, before, _ in hunks(diff) if not before}
    assert len(new) == 2
    assert {name for name, _, _ in hunks(diff)} - new == {"mirror_sync/front/protocols/mounted.py"}
    apply(diff, copy)
    run(copy, "-m", "mirror_sync", "sync")
    copytree(ROOT / "tests", copy / "tests", ignore=ignore_patterns("__pycache__"))
    heads = run(copy, "-c", ASK, front).stdout
    assert re.fullmatch(r"[0-9a-f]{40} refs/heads/main\n", heads), heads
