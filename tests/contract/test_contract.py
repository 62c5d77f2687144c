"""What people and programs outside hold on to is as its golden file says: nothing of it changes unnoticed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.contract import golden
from tests.contract.surfaces import SURFACES
from tests.contract.world import World, small_world
from tests.requirements import need


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """The small world, made once."""
    with small_world(tmp_path_factory.mktemp("world")) as made:
        yield made


@pytest.mark.parametrize("name", SURFACES)
def test_a_surface_is_as_it_was(world: World, name: str) -> None:
    surface = SURFACES[name]
    if surface.needs:
        need(surface.needs)
    golden.expect(name, surface.make(world))


def test_every_golden_file_is_of_a_surface_that_is_held() -> None:
    assert {path.stem for path in golden.FOLDER.glob("*")} == set(SURFACES)


def test_a_change_is_told_by_its_lines_and_by_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(golden, "FOLDER", tmp_path / "tests/contract/golden")
    golden.FOLDER.mkdir(parents=True)
    golden.path_of("x").write_text("a: string\nb: number\n", encoding="utf-8")
    golden.expect("x", ["a: string", "b: number"])
    with pytest.raises(AssertionError) as caught:
        golden.expect("x", ["a: string", "b: string", "c: null"])
    said = str(caught.value)
    assert "line 2: - b: number" in said
    assert "line 2: + b: string" in said
    assert "line 2: + c: null" in said
    assert "CHANGELOG.md must name it" in said
    assert "python -m tests.contract.rewrite x" in said
