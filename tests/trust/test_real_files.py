"""Files that the libraries of their formats have written, classed under their own names and under none."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from mirror_sync.domain.formats.classifier import classify
from mirror_sync.domain.formats.file_class import Classified
from tests.clients.environments import python


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("made")
    command = [str(python("formats")), str(Path(__file__).with_name("made.py")), str(folder)]
    subprocess.run(command, check=True, timeout=240)
    return folder


def _classed(path: Path, name: str) -> Classified:
    with path.open("rb") as file:

        def read(start: int, length: int) -> bytes:
            file.seek(start)
            return file.read(length)

        return classify(name, path.stat().st_size, read)


def test_what_libraries_write_is_of_its_class_whatever_its_name(made: Path) -> None:
    paths = sorted(made.iterdir())
    assert len(paths) >= 30
    found = {path.name: (_classed(path, path.name).of, _classed(path, "plain").of) for path in paths}
    assert found == {path.name: (path.name.partition("-")[0],) * 2 for path in paths}
