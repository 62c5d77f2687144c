"""Publishes the catalogues of targets. It fails no run: what goes wrong is told, and made good by the next one."""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from contextlib import AbstractContextManager
from dataclasses import dataclass

import structlog

from mirror_sync.app.this_machine import known_of
from mirror_sync.catalogue.object_writer import PublishRun
from mirror_sync.catalogue.publication import PublishResult, publish
from mirror_sync.config.checks.target_identity import place_of
from mirror_sync.config.settings import Settings
from mirror_sync.domain.outcome.events import CatalogueFailed, CataloguePublished, Observer
from mirror_sync.engine.context import Target
from mirror_sync.errors import Interrupted, MirrorError
from mirror_sync.owners import cause
from mirror_sync.state.history import History
from mirror_sync.state.locks import acquired, locks_of

_log = structlog.get_logger("mirror_sync.bootstrap")


@dataclass
class _Publications:
    """Of one target: how many publications were asked for, and up to which all have been made."""

    asked: int = 0
    done: int = 0


class Catalogues:
    """Safe for many threads: a target has one publication at a time, on this machine."""

    def __init__(self, settings: Settings, history: History, tell: Observer, stop: threading.Event) -> None:
        self._settings, self._history, self._tell, self._stop = settings, history, tell, stop
        self._turns: defaultdict[str, _Publications] = defaultdict(_Publications)
        self._counting = threading.Lock()

    def publish(self, target: Target) -> None:
        """After a run. Nothing where the catalogue is switched off, or the program stops. Raises nothing."""
        if self._settings.site is None or self._stop.is_set():
            return
        try:
            self._take_turn(target)
        except Interrupted:
            _log.info("site.stopped", target=target.name)
        except MirrorError as error:
            self._tell(CatalogueFailed(target.name, error.code, str(error)))
        except OSError as error:
            place = error.filename or self._settings.state_dir
            self._tell(CatalogueFailed(target.name, "os", f"{place}: {cause(error)}"))
        except Exception as error:  # a fault of ours in a page must not fail what is mirrored
            self._tell(CatalogueFailed(target.name, "internal", f"internal error: {type(error).__name__}: {error}"))
            _log.debug("internal-error", target=target.name, exc_info=True)

    def publish_anew(self, target: Target) -> PublishResult:
        """Compare all of it with what is there. Raises MirrorError, OSError."""
        with self._alone(target.name):
            return self._publish(target, anew=True)

    def _take_turn(self, target: Target) -> None:
        """One that began after it was asked for, in another thread, will do."""
        with self._counting:
            turn = self._turns[target.name]
            turn.asked += 1
            mine = turn.asked
        with self._alone(target.name):
            with self._counting:
                if turn.done >= mine:
                    return
                began = turn.asked
            self._publish(target)
            with self._counting:
                turn.done = began

    def _publish(self, target: Target, *, anew: bool = False) -> PublishResult:
        began = time.monotonic()
        publish_run = PublishRun(target.store, target.looks, self._go_on, anew)
        result = publish(publish_run, known_of(self._settings, self._history, target.name))
        seconds = time.monotonic() - began
        self._tell(CataloguePublished(target.name, result.put, result.same, result.removed, result.unread, seconds))
        return result

    def _go_on(self) -> None:
        if self._stop.is_set():
            raise Interrupted("stopped before the end")

    def _alone(self, target: str) -> AbstractContextManager[object]:
        folder = locks_of(self._settings.state_dir, place_of(self._settings.targets[target]))
        return acquired(folder / "site.lock", self._go_on)
