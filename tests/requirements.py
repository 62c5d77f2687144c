"""`need("nginx")`: a test says what it cannot do without.

Where the part is missing the test is skipped, with the reason; where CI is set it fails, so that no
integration test is ever silently left out of the run that counts.
"""

from __future__ import annotations

import pytest

from tests.parts import absent, strict


def need(*names: str) -> None:
    """Goes on when every named part of the system (see `tests.parts`) is here; else skips, or fails in CI."""
    missing = absent(names)
    if not missing:
        return
    reason = "; ".join(f"{part.name}: {', '.join(part.missing())} not installed" for part in missing)
    if strict():
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)
