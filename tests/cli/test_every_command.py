"""Every command that is written is one that the program has."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from mirror_sync.cli import commands
from mirror_sync.cli.app import CommandGroup

FOLDER = Path(commands.__path__[0])
FILES = sorted(".".join(path.relative_to(FOLDER).with_suffix("").parts) for path in FOLDER.rglob("[!_]*.py"))


def written(file: str) -> list[Callable[..., None]]:
    """The functions of a file that take the common options."""
    module = importlib.import_module(f"{commands.__name__}.{file}")
    found = [value for _, value in inspect.getmembers(module, inspect.isfunction)]
    return [value for value in found if value.__module__ == module.__name__ and hasattr(value, "__signature__")]


def listed() -> Iterator[Any]:
    """The functions that the tables of all groups name."""
    groups: list[type[CommandGroup]] = [CommandGroup, *CommandGroup.__subclasses__()]
    for group in groups:
        for place in group.places.values():
            file, _, function = place.partition(":")
            yield getattr(importlib.import_module(f"{commands.__name__}.{file}"), function)


@pytest.mark.parametrize("file", FILES)
def test_a_file_of_commands_has_some_and_all_are_in_the_list(file: str) -> None:
    assert written(file)
    assert [one.__name__ for one in written(file) if one not in [*listed()]] == []


def test_the_list_has_each_once_and_no_other() -> None:
    everywhere = [one for file in FILES for one in written(file)]
    assert sorted(one.__name__ for one in listed()) == sorted(one.__name__ for one in everywhere)
