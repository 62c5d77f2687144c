"""Brings notices to commands and addresses, one after the other, in a thread of its own: no sync ever waits for it.

What goes wrong is logged and harms nobody. What a command prints goes into the log.
"""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import threading
import time
from contextlib import suppress

import structlog
import tenacity
import urllib3

from mirror_sync.domain.notices import Command, Hook, Hooks, Notice, Post

WAITING = 1000  # notices that may wait; a repo that fails is one of them
_TRIES = 3  # of one POST
_PAUSE = 1.0  # seconds before a POST is tried again, and twice that before the third time
_LINES = 100  # of a command's output
_OK, _MULTIPLE, _SERVER_ERROR = 200, 300, 500
_REFUSALS = ("errcode", "code", "StatusCode")  # WeCom and DingTalk, Feishu: 200, and not 0 in here

_log = structlog.get_logger("mirror_sync.hooks")


class _Undelivered(Exception):
    """Worth another try."""


class Courier:
    """Call it with a notice; `close` waits for those under way."""

    def __init__(self, hooks: Hooks) -> None:
        self._hooks = hooks
        self._waiting: queue.Queue[tuple[Hook, Notice] | None] = queue.Queue(WAITING)
        self._network = urllib3.PoolManager(retries=False)
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()
        self._closed = threading.Event()

    def __call__(self, notice: Notice) -> None:
        for hook in self._hooks.get(notice.turn, ()):
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
                _log.warning("hook.failed", **_facts(hook, notice), reason=str(error) or type(error).__name__)

    def _bring(self, hook: Hook, notice: Notice) -> None:
        match hook:
            case Command():
                _run(hook, notice)
            case Post():
                self._post(hook, notice)
        _log.info("hook.done", **_facts(hook, notice))

    @tenacity.retry(
        retry=tenacity.retry_if_exception_type(_Undelivered),
        wait=tenacity.wait_exponential(multiplier=_PAUSE),
        stop=tenacity.stop_after_attempt(_TRIES),
        reraise=True,
    )
    def _post(self, hook: Post, notice: Notice) -> None:
        body, seconds = notice.body(hook.shape), hook.timeout.total_seconds()
        try:
            answer = self._network.request("POST", hook.url, json=body, timeout=seconds, redirect=False)
        except urllib3.exceptions.HTTPError as error:  # its message may hold parts of the address
            raise _Undelivered(type(error).__name__) from None
        if answer.status >= _SERVER_ERROR:
            raise _Undelivered(f"answered {answer.status}")
        if not _OK <= answer.status < _MULTIPLE:
            raise OSError(f"answered {answer.status}")
        refusal = _refusal(answer.data)
        if refusal:
            raise OSError(f"answered {refusal}")


def _run(hook: Command, notice: Notice) -> None:
    """Raises OSError, TimeoutError; ends the whole process group of a command that takes too long."""
    with subprocess.Popen(  # noqa: S603  what jobs.yaml names, without a shell
        hook.arguments,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    ) as child:
        try:
            output, _ = child.communicate(json.dumps(notice.encode()).encode(), hook.timeout.total_seconds())
        except subprocess.TimeoutExpired:
            os.killpg(child.pid, signal.SIGKILL)
            raise TimeoutError(f"took longer than {hook.timeout.total_seconds():g} s, and was ended") from None
    for line in output.decode(errors="replace").splitlines()[:_LINES]:
        _log.info("hook.output", **_facts(hook, notice), line=line)
    if child.returncode:
        raise OSError(f"ended with code {child.returncode}")


def _refusal(body: bytes) -> str:
    """Chat services answer 200 and say in the body that they took nothing; empty where nothing of that kind stands."""
    try:
        said = json.loads(body)
    except ValueError:
        return ""
    named = [f"{name} {said[name]}" for name in _REFUSALS if isinstance(said, dict) and said.get(name)]
    return ", ".join(named)


def _facts(hook: Hook, notice: Notice) -> dict[str, str]:
    """An address is not named: it holds a secret."""
    what = hook.arguments[0] if isinstance(hook, Command) else f"post ({hook.shape})"
    return {"hook": what, "on": notice.turn, "repo": notice.report.repo, "run": notice.run}
