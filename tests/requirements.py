"""`need("nginx")`: a test says what it cannot do without.

Where the part is missing the test is skipped, with the reason; where CI is set it fails, so that no
integration test is ever silently left out of the run that counts.
"""

from __future__ import annotations

from pathlib import Path
from typing import NoReturn

import pytest

from tests.parts import absent, find_tool, strict


def need(*names: str) -> None:
    """Goes on when every named part of the system (see `tests.parts`) is here; else skips, or fails in CI."""
    missing = absent(names)
    if not missing:
        return
    _leave("; ".join(f"{part.name}: {', '.join(part.missing())} not installed" for part in missing))


def need_tool(name: str) -> Path:
    """Where a program of this environment is, one that a Python package brought; else skips, or fails in CI."""
    found = find_tool(name)
    if found is None:
        _leave(f"the program {name} is not in this environment: pip install -e '.[test]'")
    return found


def _leave(reason: str) -> NoReturn:
    if strict():
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)
