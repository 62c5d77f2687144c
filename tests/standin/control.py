"""Steering from another process: ``POST /__control__`` with one JSON command."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from . import faults
from .answer import Answer, Request, as_json
from .content import Generated
from .repo import Repo
from .tree import LFS, FileLike

if TYPE_CHECKING:
    from .hub import Hub

CONTROL_PATH = "/__control__"
Command = dict[str, Any]


def control(hub: Hub, request: Request) -> Answer:
    """Carry out ``{"do": "<command>", ...}`` and answer what came of it, or 400 with the fault."""
    try:
        command = json.loads(request.body)
        return as_json(COMMANDS[command.pop("do")](hub, command))
    except (ValueError, KeyError, TypeError) as fault:
        return as_json({"error": f"{type(fault).__name__}: {fault}"}, status=400)


def file_from_json(value: str | dict[str, Any]) -> FileLike:
    """Return a file from text, or from ``{text | base64 | size, seed}`` with ``lfs: true`` or not."""
    if isinstance(value, str):
        return value
    raw: bytes | Generated
    if "size" in value:
        raw = Generated(value["size"], value.get("seed", 0))
    elif "base64" in value:
        raw = base64.b64decode(value["base64"])
    else:
        raw = value["text"].encode()
    return LFS(raw, value.get("xet_hash")) if value.get("lfs") else raw


def repo_of(hub: Hub, command: Command) -> Repo:
    """Return the repo a command names with ``repo`` and, for datasets, ``kind``."""
    kind, repo_id = command.pop("kind", "model"), command.pop("repo")
    return hub.dataset(repo_id) if kind == "dataset" else hub.model(repo_id)


def _fault(hub: Hub, command: Command) -> Command:
    names = ("match", "origin", "times", "skip", "probability", "seed")
    rule = {name: command.pop(name) for name in names if name in command}
    hub.faults.add(faults.named(command.pop("fault"), command), **rule)
    return {}


def _refuse(hub: Hub, command: Command) -> Command:
    hub.faults.refuse_connections(command["origin"], command["times"])
    return {}


def _clear(hub: Hub, _: Command) -> Command:
    hub.faults.clear()
    hub.log.clear()
    return {}


def _commit(hub: Hub, command: Command) -> Command:
    repo = repo_of(hub, command)
    files = {path: file_from_json(value) for path, value in command.pop("files", {}).items()}
    return {"commit": repo.commit(files, **command)}


def _set(hub: Hub, command: Command) -> Command:
    repo_of(hub, command).set(**command)
    return {}


def _ref(hub: Hub, command: Command) -> Command:
    repo = repo_of(hub, command)
    {"tag": repo.tag, "branch": repo.branch}[command.get("type", "branch")](command["name"], command.get("commit"))
    return {}


def _rename(hub: Hub, command: Command) -> Command:
    hub.rename(command["old"], command["new"], command.get("kind", "model"))
    return {}


def _token(hub: Hub, command: Command) -> Command:
    hub.token(command.pop("token"), **command)
    return {}


def _log(hub: Hub, command: Command) -> list[Command]:
    return [record.as_json() for record in hub.log.records(command.get("match", "*"), command.get("origin"))]


COMMANDS: dict[str, Callable[[Hub, Command], Any]] = {
    "fault": _fault,
    "refuse": _refuse,
    "clear": _clear,
    "commit": _commit,
    "set": _set,
    "ref": _ref,
    "rename": _rename,
    "token": _token,
    "log": _log,
}
"""The commands by name."""
