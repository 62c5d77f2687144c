"""Mirrors with open doors, on both kinds of targets."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.signing.mirrors import SignedMirror


@pytest.fixture(params=["directory", "moto"])
def opened(request: pytest.FixtureRequest, tmp_path: Path) -> SignedMirror:
    """A mirror whose registry is open and that signs nothing; it has synced nothing yet."""
    if request.param == "directory":
        place = {"url": (tmp_path / "mirror").as_uri()}
    else:
        place = request.getfixturevalue("moto").place("some/prefix/")
    made = SignedMirror(tmp_path, place, front={"oci": {"images": True}})
    made.trust = {}
    return made
