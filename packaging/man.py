"""Writes man pages, one for each command, from what the commands say of themselves: `python packaging/man.py DIR`.

Source of the format: man-pages(7), man(7).
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

from typer.main import get_command

from mirror_sync.cli.app import app

NAME = "mirror-sync"


def pages(group: Any = None, name: str = NAME) -> Iterator[tuple[str, str]]:
    """File names and texts: mirror-sync.1, mirror-sync-sync.1, ..."""
    entry = group or get_command(app)
    children = getattr(entry, "commands", {})
    yield f"{name.replace(' ', '-')}.1", "\n".join(_page(entry, name, children)) + "\n"
    for child, found in sorted(children.items()):
        yield from pages(found, f"{name} {child}")


def _page(entry: Any, name: str, children: dict[str, Any]) -> Iterator[str]:
    title, _, rest = (entry.help or "").partition("\n\n")
    dashed = name.replace(" ", "-")
    yield f'.TH "{dashed.upper()}" "1" "" "{NAME} {version(NAME)}" "User Commands"'
    yield f".SH NAME\n{_text(dashed)} \\- {_text(_line(title).rstrip('.'))}"
    yield f".SH SYNOPSIS\n.B {_text(name)}\n{_text(_synopsis(entry, children))}"
    if rest:
        yield ".SH DESCRIPTION"
        yield from (f".PP\n{_text(_line(part))}" for part in rest.split("\n\n"))
    yield from _listed("COMMANDS", [(child, found.help) for child, found in sorted(children.items())])
    yield from _listed("ARGUMENTS", [(_metavar(param), param.help) for param in entry.params if _is_argument(param)])
    yield from _listed("OPTIONS", [(_option(param), param.help) for param in entry.params if not _is_argument(param)])
    yield ".SH EXIT STATUS\n0 complete, 1 something failed (the rest is done), 2 bad usage or configuration."
    yield ".SH ENVIRONMENT\n.TP\n.B MIRROR_SYNC_CONFIG\nThe configuration where -c is left out; else jobs.yaml."
    if name != NAME:
        yield f".SH SEE ALSO\n.BR {NAME} (1)"


def _listed(title: str, entries: list[tuple[str, str | None]]) -> Iterator[str]:
    if entries:
        yield f".SH {title}"
    for name, help_text in entries:
        yield f".TP\n.B {_text(name)}\n{_text(_line((help_text or '').partition(chr(10) * 2)[0]))}"


def _synopsis(entry: Any, children: dict[str, Any]) -> str:
    arguments = [_metavar(param) for param in entry.params if _is_argument(param)]
    return " ".join(["[OPTIONS]", *(["COMMAND ..."] if children else arguments)])


def _metavar(param: Any) -> str:
    name = str(param.metavar or param.name.upper())
    return name if param.required else f"[{name}]" if param.nargs == 1 else f"[{name}...]"


def _option(param: Any) -> str:
    """-c, --config FILE"""
    spelled = ", ".join(sorted(param.opts, key=len))
    return f"{spelled} {param.metavar}" if param.metavar and not param.is_flag else spelled


def _is_argument(param: Any) -> bool:
    return bool(param.param_type_name == "argument")


def _line(text: str) -> str:
    return " ".join(text.split())


def _text(text: str) -> str:
    """As roff takes it: no line is a request, and no dash a hyphen."""
    escaped = text.replace("\\", "\\e").replace("-", "\\-")
    return f"\\&{escaped}" if escaped.startswith((".", "'")) else escaped


def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in pages():
        (folder / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
