"""How other programs of this machine ask the daemon for something: one line of JSON, and one in answer.

The socket lies in the state folder, and only its owner may connect. {"trigger": "JOB or REPO"} is answered with
{"begun": [{"job": ..., "repo": ..., "state": ...}]}, or with {"error": "why not"}. A "by" beside it is the name of who
asks, for the audit. {"role": true} is answered with {"role": "leader since ..."}: which of several daemons it is, in
words; {"progress": true} with {"progress": {...}}: how far runs are, and files on their way.
"""

from __future__ import annotations

import json
import os
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from mirror_sync.daemon.requests import RequestState, Started
from mirror_sync.domain.audit_record import Actor, ActorKind
from mirror_sync.domain.outcome.events import Verified
from mirror_sync.errors import MirrorError, UsageError
from mirror_sync.logger import Logger
from mirror_sync.observe.tally import InFlight, Progress
from mirror_sync.owners import PRIVATE, cause, with_hindrance
from mirror_sync.state.file_lock import Held, hold

SOCKET, _LOCK = "daemon.sock", "daemon.lock"
MOST = 4096  # bytes of a request
_MOST_ANSWER = 1024 * 1024  # bytes
_PATIENCE = 5.0  # seconds that the other end gets
_SOON = 1.0  # seconds, of who asks again and again
_LAST = 1.0  # seconds that a request gets when the daemon ends
_OWNER_ONLY = 0o600

_FILES = 200  # on their way, that are told

Trigger = Callable[[str, Actor], tuple[Started, ...]]
Questions = Mapping[str, Callable[[], Any]]  # what JSON can hold, by the key that asks for it
_log = Logger()


@contextmanager
def controlled(folder: Path, trigger: Trigger, questions: Questions = MappingProxyType({})) -> Iterator[None]:
    """Answer in a thread for as long as the block lasts; `questions` are answered each by its name.

    Where that cannot be, or another daemon has this folder, it is logged: the schedules do not need it.
    """
    with ExitStack() as stack:
        try:
            listener = stack.enter_context(_listener(folder, stack))
        except Held:
            _log.warning(
                "control.off", reason=f"another daemon uses {folder}; it answers trigger, and this one does not"
            )
        except OSError as error:
            said = f"{folder / SOCKET}: {error.strerror or error}; trigger will not work"
            _log.warning("control.off", reason=with_hindrance(said, folder))
        else:
            thread = threading.Thread(
                target=_answer_all, args=(listener, trigger, questions), name="control", daemon=True
            )
            thread.start()
            stack.callback(_end, listener, thread)
        yield


def ask_daemon(folder: Path, request: dict[str, str]) -> tuple[Started, ...]:
    """Ask the daemon that has this state folder. ConnectionError when there is none; UsageError when it refuses."""
    answer = _asked(folder, request)
    return tuple(Started(one["job"], one["repo"], RequestState(one["state"])) for one in answer["begun"])


def ask_role(folder: Path) -> str:
    """Which of several daemons the one with this state folder is, in words; empty where it is the only one.

    ConnectionError when there is none.
    """
    return str(_asked(folder, {"role": True}).get("role", ""))


def _asked(folder: Path, request: Mapping[str, Any]) -> dict[str, Any]:
    try:
        answer: dict[str, Any] = _told(folder, request, _PATIENCE)
    except (FileNotFoundError, ConnectionRefusedError):
        raise ConnectionError(f"no daemon runs with state_dir {folder}; start one with mirror-sync daemon") from None
    except (OSError, ValueError) as error:
        said = f"the daemon at {folder / SOCKET} does not answer: {cause(error, folder / SOCKET)}"
        raise ConnectionError(said) from error
    if "error" in answer:
        raise UsageError(str(answer["error"]))
    return answer


def told_progress(now: Progress) -> dict[str, Any]:
    """As `progress_of_daemon` reads it, of a bounded size."""
    return asdict(replace(now, in_flight=now.in_flight[:_FILES]))


def progress_of_daemon(folder: Path) -> Progress | None:
    """How far the runs of the daemon are that has this state folder; None where none answers in time, or it is older
    than we.
    """
    try:
        answer = _told(folder, {"progress": True}, _SOON)["progress"]
        files = tuple(InFlight(**file) for file in answer.pop("in_flight"))
        verified = answer.pop("verified")
        return Progress(in_flight=files, verified=None if verified is None else Verified(**verified), **answer)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def _told(folder: Path, request: Mapping[str, Any], patience: float) -> Any:
    """OSError, ValueError."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as line, _short(folder) as path:
        line.settimeout(patience)
        line.connect(path)
        line.sendall(json.dumps(request).encode() + b"\n")
        return json.loads(_line(line, _MOST_ANSWER))


def _listener(folder: Path, stack: ExitStack) -> socket.socket:
    """A socket that a killed daemon has left is replaced: the lock says that it is dead."""
    folder.mkdir(PRIVATE, parents=True, exist_ok=True)
    stack.enter_context(hold(folder / _LOCK, 0))
    (folder / SOCKET).unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        os.fchmod(listener.fileno(), _OWNER_ONLY)  # Linux makes the file so: nobody can connect before, and no link
        with _short(folder) as path:  # that is put in its place has its mode changed
            listener.bind(path)
        listener.listen()
    except OSError:
        listener.close()
        raise
    stack.callback((folder / SOCKET).unlink, missing_ok=True)
    return listener


@contextmanager
def _short(folder: Path) -> Iterator[str]:
    """A path to the socket that fits in the 107 bytes of unix(7), however deep the folder lies."""
    descriptor = os.open(folder, os.O_PATH | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{descriptor}/{SOCKET}"
    finally:
        os.close(descriptor)


def _end(listener: socket.socket, thread: threading.Thread) -> None:
    with suppress(OSError):
        listener.shutdown(socket.SHUT_RDWR)  # wakes who accepts
    thread.join(_LAST)


def _answer_all(listener: socket.socket, trigger: Trigger, questions: Questions) -> None:
    with suppress(OSError):  # the listener was shut down
        while True:
            line, _ = listener.accept()
            with line, suppress(OSError):
                line.settimeout(_PATIENCE)
                line.sendall(json.dumps(_answer(line, trigger, questions)).encode() + b"\n")


def _answer(line: socket.socket, trigger: Trigger, questions: Questions) -> dict[str, Any]:
    try:
        request = json.loads(_line(line, MOST))
        for name, tell in questions.items():
            if request.get(name):
                return {name: tell()}
        text = str(request["trigger"])
        actor = Actor(ActorKind.USER, str(request.get("by") or "at the socket"))
        return {"begun": [asdict(begun) for begun in trigger(text, actor)]}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return {"error": f'a request is one line of JSON of at most {MOST} bytes: {{"trigger": "JOB or REPO"}}'}
    except MirrorError as error:
        return {"error": str(error)}
    except OSError:  # the other end has gone, or says nothing
        raise
    except Exception as error:  # the next request must be answered all the same
        _log.error("control.failed", reason=f"{type(error).__name__}: {error}", exc_info=True)
        return {"error": f"internal error: {type(error).__name__}"}


def _line(line: socket.socket, most: int) -> bytes:
    """Up to the end of the line. ValueError when it is longer; TimeoutError."""
    came = b""
    while not came.endswith(b"\n"):
        if len(came) > most:
            raise ValueError("the line is too long")
        part = line.recv(65536)
        if not part:
            break
        came += part
    return came
