"""Brings notices to commands and addresses, one after the other, in a thread of its own: no sync ever waits for it.

What goes wrong is logged and harms nobody. A command gets no more of our environment than it was named, and what it
prints goes into the log, up to a bound.
"""

from __future__ import annotations

import json
import os
import queue
import selectors
import signal
import subprocess
import tempfile
import threading
import time
from contextlib import suppress

from mirror_sync.domain.outcome.notices import AnyNotice, Hook, HookCommand, HookPost, Hooks, Shape, StateChange
from mirror_sync.logger import Logger
from mirror_sync.observe.notify.posting import Undelivered, posted
from mirror_sync.observe.redaction import SHOWN
from mirror_sync.owners import cause

WAITING = 1000  # notices that may wait
_TRIES = 3  # of one POST
_PAUSE = 1.0  # seconds before a POST is tried again, and twice that before the third time
_LINES, _MOST = 100, 64 * 1024  # of a command's output, in lines and bytes
_CHUNK = 64 * 1024  # bytes
_OK, _MULTIPLE, _TOO_MANY, _SERVER_ERROR = 200, 300, 429, 500
# What says in the body of a 200 that nothing was taken, by a whole number that is not 0. Of others such words mean
# something else: {"code": 200} is a plain address's way to say that all is well.
_REFUSALS = {Shape.WECOM: ("errcode",), Shape.DINGTALK: ("errcode",), Shape.FEISHU: ("code", "StatusCode")}
_PLAIN = ("PATH", "HOME", "USER", "LOGNAME", "LANG", "LC_ALL", "TZ", "TMPDIR")  # what every command gets
_SHORTEST = 4  # characters of a value that is looked for

_log = Logger()


class HookDelivery:
    """Call it with a notice; `close` waits for those under way."""

    def __init__(self, hooks: Hooks) -> None:
        self._hooks = hooks
        self._waiting: queue.Queue[tuple[Hook, AnyNotice] | None] = queue.Queue(WAITING)
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()
        self._closed = threading.Event()

    def __call__(self, notice: AnyNotice) -> None:
        for hook in self._hooks.get(notice.turn, ()):
            if notice.turn is StateChange.PUBLISHED and hook.one_by_one is notice.several:
                continue  # each publication is told by itself or with the others, and not twice
            try:
                self._waiting.put_nowait((hook, notice))
            except queue.Full:
                _log.warning("hook.dropped", **_facts(hook, notice), reason=f"{WAITING} notices wait already")
            else:
                self._start()

    def close(self, patience: float) -> None:
        """Wait up to `patience` seconds for what was given to be brought; the rest is dropped, and logged."""
        thread = self._thread
        if thread is None:
            return
        limit = time.monotonic() + patience
        with suppress(queue.Full):
            self._waiting.put(None, timeout=patience)
        thread.join(max(limit - time.monotonic(), 0))
        self._closed.set()
        with suppress(queue.Empty):
            while True:
                left = self._waiting.get_nowait()
                if left is not None:
                    _log.warning("hook.dropped", **_facts(*left), reason="the program ends")

    def _start(self) -> None:
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="hooks", daemon=True)
                self._thread.start()

    def _work(self) -> None:
        while not self._closed.is_set() and (item := self._waiting.get()) is not None:
            hook, notice = item
            try:
                self._bring(hook, notice)
            except Exception as error:  # the next one may be brought
                _log.warning("hook.failed", **_facts(hook, notice), reason=cause(error) or type(error).__name__)

    def _bring(self, hook: Hook, notice: AnyNotice) -> None:
        match hook:
            case HookCommand():
                _run(hook, notice)
            case HookPost():
                self._post(hook, notice)
        _log.info("hook.done", **_facts(hook, notice))

    def _post(self, hook: HookPost, notice: AnyNotice) -> None:
        """Try again what may come through later, within the hook's time for all of it."""
        seconds = hook.timeout.total_seconds()
        end = time.monotonic() + seconds
        for attempt in range(1, _TRIES + 1):
            try:
                _post_once(hook, notice, end)
                break
            except Undelivered:
                pause = _PAUSE * 2 ** (attempt - 1)
                if attempt == _TRIES or time.monotonic() + pause >= end or self._closed.wait(pause):
                    raise


def _post_once(hook: HookPost, notice: AnyNotice, end: float) -> None:
    """Raises Undelivered for what may come through later, and OSError."""
    body = json.dumps(notice.body(hook.shape)).encode()
    status, body = posted(hook.url, body, end - time.monotonic(), headers=hook.headers)
    if status >= _SERVER_ERROR or status == _TOO_MANY:
        raise Undelivered(f"answered {status}")
    if not _OK <= status < _MULTIPLE:
        raise OSError(f"answered {status}")
    refusal = _refusal(hook.shape, body)
    if refusal:
        raise OSError(f"answered {refusal}")


def _run(hook: HookCommand, notice: AnyNotice) -> None:
    """Raises OSError, TimeoutError; ends the whole process group of a command that takes too long."""
    seconds = hook.timeout.total_seconds()
    end = time.monotonic() + seconds
    environ = {name: os.environ[name] for name in (*_PLAIN, *hook.env) if name in os.environ}
    with tempfile.TemporaryFile() as given:
        given.write(json.dumps(notice.encode()).encode())
        given.seek(0)
        with subprocess.Popen(  # noqa: S603  what jobs.yaml names, without a shell
            hook.arguments,
            stdin=given,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            env=environ,
        ) as child:
            try:
                output = _output(child, end)
                child.wait(max(end - time.monotonic(), 0))
            except (TimeoutError, subprocess.TimeoutExpired):
                with suppress(ProcessLookupError):
                    os.killpg(child.pid, signal.SIGKILL)
                raise TimeoutError(f"took longer than {seconds:g} s, and was ended") from None
    for line in _without(output, [environ[name] for name in hook.env if name in environ]).splitlines()[:_LINES]:
        _log.info("hook.output", **_facts(hook, notice), line=line)
    if child.returncode:
        raise OSError(f"ended with code {child.returncode}")


def _output(child: subprocess.Popen[bytes], end: float) -> str:
    """What a command prints until it closes its output; what is beyond the bound is read and dropped. TimeoutError."""
    assert child.stdout is not None  # noqa: S101  for the type checker: it is a pipe
    came = bytearray()
    with selectors.DefaultSelector() as ready:
        ready.register(child.stdout, selectors.EVENT_READ)
        while ready.select(max(end - time.monotonic(), 0)):
            part = os.read(child.stdout.fileno(), _CHUNK)
            if not part:
                return came.decode(errors="replace")
            came += part[: _MOST - len(came)]
            if time.monotonic() > end:
                break
    raise TimeoutError


def _without(text: str, secrets: list[str]) -> str:
    """What a command was given may be a secret that jobs.yaml does not know."""
    for secret in sorted((secret for secret in secrets if len(secret) >= _SHORTEST), key=len, reverse=True):
        text = text.replace(secret, SHOWN)
    return text


def _refusal(shape: Shape, body: bytes) -> str:
    """Chat services answer 200 and say in the body that they took nothing; empty where nothing of that kind stands."""
    try:
        said = json.loads(body) if shape in _REFUSALS else None
    except (ValueError, RecursionError):  # what cannot be read refuses nothing
        return ""
    if not isinstance(said, dict):
        return ""
    return ", ".join(f"{name} {said[name]}" for name in _REFUSALS[shape] if type(said.get(name)) is int and said[name])


def _facts(hook: Hook, notice: AnyNotice) -> dict[str, str]:
    """An address is not named: it holds a secret."""
    what = hook.arguments[0] if isinstance(hook, HookCommand) else f"post ({hook.shape})"
    return {"hook": what, "on": notice.turn, "repo": notice.about, "run": notice.run}
