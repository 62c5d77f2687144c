"""Mirrors that sign, on both kinds of targets."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.signing.mirrors import SignedMirror


@pytest.fixture(params=["directory", "moto"])
def signed(request: pytest.FixtureRequest, tmp_path: Path) -> SignedMirror:
    """A mirror that has synced nothing yet, over a folder and over a bucket in turn."""
    if request.param == "directory":
        return SignedMirror(tmp_path, {"url": (tmp_path / "mirror").as_uri()})
    return SignedMirror(tmp_path, request.getfixturevalue("moto").place("some/prefix/"))
