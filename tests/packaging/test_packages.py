"""What is packed: man pages and completion made from the commands, a wheel and a Debian package that run."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.parts import program
from tests.requirements import need

TOP = Path(__file__).parents[2]


def ran(*command: str | Path, cwd: Path = TOP, **environ: str) -> str:
    outcome = subprocess.run(command, cwd=cwd, env=os.environ | environ, capture_output=True, text=True, check=False)
    assert outcome.returncode == 0, outcome.stderr
    return outcome.stdout


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("man1")
    ran(sys.executable, "packaging/man.py", folder)
    return folder


def test_every_command_has_a_man_page_that_roff_takes_without_a_warning(pages: Path) -> None:
    need("man")
    commands = ["check", "daemon", "front-nginx", "plan", "sync", "verify"]
    assert {f"mirror-sync-{name}.1" for name in commands} < {page.name for page in pages.iterdir()}
    outcome = subprocess.run(
        [program("groff"), "-man", "-Tutf8", "-ww", *sorted(pages.iterdir())], capture_output=True, check=True
    )
    assert outcome.stderr == b""


def test_a_page_says_what_help_says(pages: Path) -> None:
    need("man")
    page = subprocess.run(
        [program("groff"), "-man", "-Tascii", "-P-c", "-P-b", "-P-u", pages / "mirror-sync-verify.1"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    told = " ".join(page.split())
    assert "mirror-sync-verify - Prove by SHA-256 that what is published is whole" in told
    assert "--rate RATE Read no faster than this, like 50MB/s." in told


@pytest.mark.parametrize(("line", "offered"), [("mirror-sync ver", ["verify"]), ("mirror-sync sync ", ["one", "two"])])
def test_bash_completes_commands_and_the_names_of_jobs(tmp_path: Path, line: str, offered: list[str]) -> None:
    need("man")
    (tmp_path / "jobs.yaml").write_text("jobs: [{name: one}, {name: two}, {nme: x}, 3]\n")
    (tmp_path / "mirror-sync").write_text(f'#!/bin/sh\nexec {sys.executable} -m mirror_sync "$@"\n')
    (tmp_path / "mirror-sync").chmod(0o755)
    script = (
        f"eval \"$(mirror-sync completion bash)\"; COMP_WORDS=({line} ''); COMP_LINE='{line}'; "
        f"COMP_CWORD={len(line.split(' ')) - 1}; COMP_WORDS=({line}); _mirror_sync_completion mirror-sync; "
        'printf "%s\\n" "${COMPREPLY[@]}"'
    )
    path = f"{tmp_path}:{os.environ['PATH']}"
    said = ran(program("bash"), "-c", script, cwd=tmp_path, PATH=path, PYTHONPATH=str(TOP))
    assert said.split() == offered


def test_a_wheel_made_from_the_sdist_holds_all_that_the_program_reads(tmp_path: Path) -> None:
    ran(sys.executable, "-m", "build", "--outdir", tmp_path, TOP)
    [wheel], [sdist] = tmp_path.glob("*.whl"), tmp_path.glob("*.tar.gz")
    names = set(zipfile.ZipFile(wheel).namelist())
    here = {str(path.relative_to(TOP)) for path in (TOP / "mirror_sync").rglob("*") if path.is_file()}
    assert {name for name in here if "__pycache__" not in name} <= names
    assert not any(name.startswith(("tests/", "bench/")) for name in names)
    assert sdist.stat().st_size < 5_000_000


def test_a_debian_package_holds_a_program_that_runs(tmp_path: Path) -> None:
    need("venv")
    copy = tmp_path / "checkout"
    ran("cp", "-a", *(TOP / name for name in ("mirror_sync", "packaging", "systemd", "docs")), _made(copy))
    ran(
        "cp",
        *(TOP / name for name in ("pyproject.toml", "README.md", "jobs.yaml", "LICENSE") if (TOP / name).exists()),
        copy,
    )
    ran(copy / "packaging/deb.sh", cwd=copy, PYTHON=sys.executable)
    [package] = (copy / "dist").glob("mirror-sync_*.deb")
    root = tmp_path / "root"
    ran("dpkg-deb", "-x", package, root)
    venv = root / "opt/mirror-sync"
    assert "mirror-sync " in ran(venv / "bin/python", "-m", "mirror_sync", "--version")
    assert (venv / "bin/mirror-sync").read_text().startswith("#!/opt/mirror-sync/bin/python")
    jobs = root / "etc/mirror-sync/jobs.yaml"
    assert ": ok, " in ran(venv / "bin/python", "-m", "mirror_sync", "-c", jobs, "check", MIRROR_STATE=str(tmp_path))
    assert "url: file:///srv/mirror" in jobs.read_text()
    for name in (
        "lib/systemd/system/mirror-sync.service",
        "lib/systemd/system/mirror-sync-worker.service",
        "usr/share/man/man1/mirror-sync-sync.1.gz",
        "usr/share/doc/mirror-sync/docs/configuration.md",
    ):
        assert (root / name).is_file()
    assert str((root / "usr/bin/mirror-sync").readlink()) == "/opt/mirror-sync/bin/mirror-sync"


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder
