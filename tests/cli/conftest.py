"""What the tests of the command line share."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.program import Program


@pytest.fixture
def program(tmp_path: Path) -> Program:
    """A program over two jobs: `good`, and `bad` with a repo that policy refuses and one that is not there."""
    made = Program(tmp_path)
    made.write()
    made.add_repo("acme/one", weights="12345")
    made.add_repo("acme/closed", "cc-by-nc-4.0")
    return made
