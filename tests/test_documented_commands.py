"""Every command line that a document names is one that the program takes."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from mirror_sync.cli.app import app
from tests.test_documents import DOCUMENTS, ROOT

EVERYWHERE = [*DOCUMENTS, ROOT / "CHANGELOG.md", ROOT / "packaging/README.md"]
_FENCED = re.compile(r"^ *```(\w*)\n(.*?)^ *```", re.MULTILINE | re.DOTALL)
_SPAN = re.compile(r"`([^`]+)`")
_CALL = re.compile(r"(?:^|^\$ |as_mirror |[;(&] *|-- )(?:\S*/)?mirror-sync (.+)")
_CONTAINED = re.compile(r"^run (?:.* )?mirror-sync ([a-z].+)")  # the function by which containers.md runs it
_TYPED = re.compile(r"^\$ ")  # in a block that shows what is answered, too
_END = re.compile(r"\s*(?:[;)#>]|&&|\|\|?\s).*")
_OPEN = re.compile(r"[\[\]]|\.\.\.|COMMAND")  # signs of a synopsis
_PLACEHOLDERS = re.compile(r"[a-z]+(?: \[?[A-Z|/]+\]?(?:\.\.\.)?| org/name)+")  # `promote REPO FROM TO`


def told(text: str) -> Iterator[str]:
    """What follows the program's name, in each line for a shell and each quoted command."""
    names = tuple(get_command(app).commands)  # type: ignore[attr-defined]
    for language, block in _FENCED.findall(text):
        for line in block.splitlines():
            if language == "sh" or _TYPED.match(line):
                yield from (found[1] for call in (_CALL, _CONTAINED) for found in call.finditer(line))
    for span in _SPAN.findall(_FENCED.sub("", text)):
        line = " ".join(span.split())
        if (found := _CALL.search(line)) is not None:
            yield found[1]
        elif line.split()[0] in names and (" -" in line or _PLACEHOLDERS.fullmatch(line)):  # `verify --sample 5%`
            yield line


def words(line: str) -> list[str]:
    return shlex.split(_OPEN.sub("", _END.sub("", line)).replace("SHELL", "bash"))


def parse(arguments: list[str]) -> object:
    """The exit code of a program that reads its arguments as ours does, and then does nothing."""
    with pytest.raises(SystemExit) as ended:
        _reader().main(arguments, prog_name="mirror-sync")
    return ended.value.code


@cache
def _reader() -> Any:
    program = get_command(app)
    _empty(program)
    return program


def every_command() -> Iterator[str]:
    """Those of a group with its name, like `front nginx`."""
    for name, command in get_command(app).commands.items():  # type: ignore[attr-defined]
        children = getattr(command, "commands", None)
        yield from [name] if children is None else [f"{name} {child}" for child in children]


def _empty(command: Any) -> None:
    command.callback = lambda **_: None
    for child in getattr(command, "commands", {}).values():
        _empty(child)


@pytest.mark.parametrize("document", EVERYWHERE, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_the_program_takes_it(document: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for line in told(document.read_text(encoding="utf-8")):
        assert parse(words(line)) == 0, f"{document.name}: mirror-sync {line}\n{capsys.readouterr().err}"


@pytest.mark.parametrize("name", ["README.md", "README.zh.md"])
def test_the_front_page_lists_every_command_in_the_order_of_help(name: str) -> None:
    listed = re.search("`check`.*?`webhooks list`", (ROOT / name).read_text(encoding="utf-8"), re.DOTALL)
    assert listed is not None
    assert _SPAN.findall(listed[0]) == list(every_command())


def test_commands_are_found_where_documents_have_them() -> None:
    text = (
        "`mirror-sync sync` and\n`verify --sample\n5%`; `plan(x)`; `promote REPO FROM TO`\n"
        "```sh\nas_mirror mirror-sync check  # all\nrun --rm -p 1:1 mirror-sync serve\n```\n"
        "```console\n$ mirror-sync holds\nmirror-sync: no command\n```\n"
    )
    assert [words(line) for line in told(text)] == [
        *(["check"], ["serve"], ["holds"], ["sync"], ["verify", "--sample", "5%"], ["promote", "REPO", "FROM", "TO"])
    ]


@pytest.mark.parametrize("line", ["snyc", "verify --smaple 5%", "trigger", "pause a b", "front apache"])
def test_what_the_program_does_not_take_is_found_out(line: str) -> None:
    assert parse(words(line)) == 2
