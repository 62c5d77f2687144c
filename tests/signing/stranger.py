"""What a stranger has: ssh-keygen, sha256sum, the lines of the manual, OpenSSF's model_signing, validators of bills."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path

from tests.clients.environments import python

GUIDE = Path(__file__).parents[2] / "docs" / "guide" / "trust.md"
_CHECKS = Path(__file__).parents[1] / "clients" / "checks"
STRICT = {"bom.cdx.json": _CHECKS / "bom.py", "bom.spdx3.json": _CHECKS / "spdx.py"}


def run(command: Sequence[str | Path], folder: Path, given: str | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=folder, input=given, capture_output=True, text=True, check=False, timeout=240)


def by_hand(folder: Path) -> subprocess.CompletedProcess[str]:
    """The lines of the manual, as they stand there, in a folder with what they need."""
    text = GUIDE.read_text(encoding="utf-8").partition("<!-- by hand -->\n```sh\n")[2].partition("```")[0]
    assert text, "the manual has the lines"
    return run(["/bin/sh", "-ec", text], folder)


def model_signing(folder: Path, *words: str | Path) -> subprocess.CompletedProcess[str]:
    """`model_signing verify` with these words, in an environment that has nothing of ours."""
    return run([python("trust"), "-m", "model_signing", "verify", *words], folder)


def validate(document: str, path: Path) -> subprocess.CompletedProcess[str]:
    """A strict look at a bill of materials, of the kind that `document` is called."""
    return run([python("trust"), STRICT[document], path], path.parent)
