"""One virtual environment a generation of clients, built from exact pins and kept in `.venvs/`.

`python -m tests.clients.environments` builds all that are missing. An environment is named by the digest of its
requirements and of the Python it was made for; a file in it says that it is whole.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from filelock import FileLock

ROOT = Path(__file__).resolve().parents[2]
CACHE = (ROOT / ".venvs").resolve()  # scripts there name their interpreter by its whole path
REQUIREMENTS = Path(__file__).parent / "requirements"
GENERATIONS = ("hub-2", "hub-1", "hub-0")
"""huggingface_hub 2.4, 1.33 and 0.36, each with the newest transformers and datasets that accept it."""
MODELSCOPES = ("modelscope-1.25", "modelscope-1.37", "modelscope-1.40")
"""ModelScope's client before it knew http, the last of one package, and the newest; none with an extra."""
OTHERS = ("kinds", "suite-llama")
"""What reads kernels and spaces, and the llama-server that commands of repos' pages are run by."""


def environment(generation: str) -> Path:
    """The folder of a generation's environment, built first when it is missing (about a minute, once).

    Raises RuntimeError with pip's words when it cannot be built.
    """
    folder = CACHE / f"{generation}-{_digest(generation)}"
    whole = folder / "whole"
    if whole.exists():
        return folder
    CACHE.mkdir(exist_ok=True)
    with FileLock(CACHE / f"{generation}.lock"):
        if not whole.exists():
            _build(generation, folder)
            whole.touch()
    return folder


def python(generation: str) -> Path:
    """The interpreter of a generation's environment."""
    return environment(generation) / "bin" / "python"


def _digest(generation: str) -> str:
    recipe = f"{sys.version_info.major}.{sys.version_info.minor} {sys.base_prefix}\n"
    return hashlib.sha256(recipe.encode() + _requirements(generation).read_bytes()).hexdigest()[:12]


def _requirements(generation: str) -> Path:
    return REQUIREMENTS / f"{generation}.txt"


def _build(generation: str, folder: Path) -> None:
    """pip installs from outside, so that the environment carries none of its own; what earlier pins left is removed."""
    for stale in CACHE.glob(f"{generation}-*/"):
        shutil.rmtree(stale)
    began = time.monotonic()
    _run([sys.executable, "-m", "venv", "--without-pip", str(folder)], generation)
    pip = [sys.executable, "-m", "pip", "--python", str(folder / "bin" / "python")]
    options = ["--quiet", "--no-compile", "--disable-pip-version-check", "--only-binary", ":all:"]
    _run([*pip, "install", *options, "-r", str(_requirements(generation))], generation)
    _say(f"{generation}: {_mebibytes(folder)} MiB in {time.monotonic() - began:.0f} s")


def _run(command: list[str], generation: str) -> None:
    outcome = subprocess.run(command, capture_output=True, text=True, check=False)
    if outcome.returncode != 0:
        raise RuntimeError(f"the environment of {generation} cannot be built:\n{outcome.stdout}{outcome.stderr}")


def _mebibytes(folder: Path) -> int:
    return sum(one.lstat().st_size for one in folder.rglob("*")) >> 20


def _say(text: str) -> None:
    sys.stdout.write(f"client environment {text}\n")


if __name__ == "__main__":
    with ThreadPoolExecutor(len(GENERATIONS)) as pool:
        list(pool.map(environment, (*GENERATIONS, *MODELSCOPES, *OTHERS)))
