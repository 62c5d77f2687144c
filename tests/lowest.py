"""`make lowest`: the lowest versions that pyproject.toml admits, in an environment of their own.

What runs there asks for no part of the system: the laws of domain, configuration, engine and stores, and a whole
round on a bucket. `make test` runs all the rest, with the highest versions, which pip takes.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.clients.environments import CACHE, ROOT
from tests.parts import find_tool

PLACE = CACHE / "lowest"
TOOLS = ("cryptography", "hypothesis", "jsonschema", "moto[server]", "packaging", "pytest", "pytest-timeout")
"""What tests need; their versions are the highest that agree with the lowest of ours."""
SERVERS = ("radosgw", "seaweedfs")
RUNS = (
    (("tests/domain", "tests/config", "tests/engine"), ("moto", *SERVERS)),
    (("tests/stores", "tests/s3"), SERVERS),
)
"""Folders, and the servers whose tests are left out; side by side."""


def main() -> int:
    """Returns the exit code: 0 when everything passes."""
    began = time.monotonic()
    python = _environment()
    _say(f"{_versions(python)} in {time.monotonic() - began:.0f} s")
    with ThreadPoolExecutor(len(RUNS)) as pool:
        outcomes = list(pool.map(lambda run: _tests(python, *run), RUNS))
    for outcome in outcomes:
        sys.stdout.write(outcome.stdout)
    _say(f"after {time.monotonic() - began:.0f} s")
    return max(outcome.returncode for outcome in outcomes)


def _tests(python: Path, folders: Sequence[str], servers: Sequence[str]) -> subprocess.CompletedProcess[str]:
    without = [f"--without={name}" for name in servers]
    command: list[str | Path] = [python, "-m", "pytest", "--quiet", *folders, *without]
    return subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)


def _environment() -> Path:
    """Anew each time: with uv's cache that takes a moment. Wheels only, as an installation does."""
    CACHE.mkdir(exist_ok=True)
    pins, python = CACHE / "lowest.txt", PLACE / "bin" / "python"
    wheels = ["--only-binary", ":all:", "--no-binary", "mirror-sync"]
    _uv(
        "pip",
        "compile",
        "pyproject.toml",
        "--extra=cluster",
        "--extra=scan",
        "--resolution=lowest-direct",
        *wheels,
        f"--output-file={pins}",
    )
    _uv("venv", "--clear", f"--python={sys.executable}", str(PLACE))
    _uv("pip", "install", f"--python={python}", *wheels, f"--requirements={pins}", f"--constraints={pins}", *TOOLS)
    _uv("pip", "install", f"--python={python}", "--no-deps", "--editable", ".")
    return python


def _uv(*words: str) -> None:
    uv = find_tool("uv")
    if uv is None:
        raise SystemExit("make lowest: the program uv is not in this environment: pip install -e '.[test]'")
    environment = {name: value for name, value in os.environ.items() if name != "VIRTUAL_ENV"}
    outcome = subprocess.run(
        [uv, "--quiet", *words], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    if outcome.returncode:
        raise SystemExit(f"make lowest: uv {' '.join(words[:2])}:\n{outcome.stderr}")


def _versions(python: Path) -> str:
    names: Sequence[str] = ("boto3", "urllib3", "starlette", "pydantic", "huggingface_hub", "distributed")
    code = f"import importlib.metadata as m; print(', '.join(f'{{n}} {{m.version(n)}}' for n in {names!r}))"
    return subprocess.run([python, "-c", code], capture_output=True, text=True, check=True).stdout.strip()


def _say(text: str) -> None:
    sys.stdout.write(f"lowest: {text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
