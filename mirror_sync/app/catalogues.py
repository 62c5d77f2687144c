"""Publishes the catalogues of targets. It fails no run: what goes wrong is told, and made good by the next one."""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Callable, Collection
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mirror_sync.app.remembered import LocalMemory
from mirror_sync.config.checks.target_identity import place_of
from mirror_sync.config.settings import Settings
from mirror_sync.domain.outcome.events import CatalogueFailed, CataloguePublished
from mirror_sync.engine.context import RunContext, Target
from mirror_sync.engine.vanished import is_emptied
from mirror_sync.errors import Interrupted, MirrorError, StoreError, UsageError
from mirror_sync.logger import Logger
from mirror_sync.owners import cause
from mirror_sync.state.history import History
from mirror_sync.state.locks import acquired, locks_of

if TYPE_CHECKING:
    from mirror_sync.catalogue.publication import PublishResult

_log = Logger()


@dataclass
class _Publications:
    """Of one target: how many publications were asked for, and up to which all have been made."""

    asked: int = 0
    done: int = 0


class Catalogues:
    """Safe for many threads: a target has one publication at a time, on this machine."""

    def __init__(
        self,
        settings: Settings,
        context: RunContext,
        history: History,
        remembered: LocalMemory,
        then: Callable[[str, bool], None] = lambda target, sure: None,
    ) -> None:
        """`then` is told of each target that something was done in, and whether its catalogue may not tell of that."""
        self._settings, self._context, self._history, self._remembered = settings, context, history, remembered
        self._then = then
        self._turns: defaultdict[str, _Publications] = defaultdict(_Publications)
        self._counting = threading.Lock()

    def publish_all(self, targets: Collection[str], doubted: Collection[str] = ()) -> None:
        """After a run. Raises nothing.

        None goes into a `doubted` target that has lost everything: that may be the folder below a mount.
        """
        for name in sorted(targets):
            if name not in doubted or not self._is_emptied(name):
                self.publish(self._context.targets[name])

    def publish(self, target: Target) -> None:
        """No catalogue where it is switched off, nothing where the program stops. Raises nothing."""
        if not self._context.stop.is_set():
            self._then(target.name, not (self._settings.site.enabled and self._is_published(target)))

    def _is_published(self, target: Target) -> bool:
        """Whether it tells of all that is there now."""
        try:
            self._take_turn(target)
        except Interrupted:
            _log.info("site.stopped", target=target.name)
        except MirrorError as error:
            self._context.tell(CatalogueFailed(target.name, error.code, str(error)))
        except OSError as error:
            place = error.filename or self._settings.state_dir
            self._context.tell(CatalogueFailed(target.name, "os", f"{place}: {cause(error)}"))
        except Exception as error:  # a fault of ours in a page must not fail what is mirrored
            self._context.tell(
                CatalogueFailed(target.name, "internal", f"internal error: {type(error).__name__}: {error}")
            )
            _log.debug("internal-error", target=target.name, exc_info=True)
        else:
            return True
        return False

    def publish_anew(self, target: str) -> PublishResult:
        """Bring the catalogue of a target up to date, all of it compared with what is there.

        UsageError where jobs.yaml switches the catalogue off; MirrorError, OSError.
        """
        if not self._settings.site.enabled:
            raise UsageError(f"{self._settings.path.name} switches the catalogue off; remove site: {{enabled: false}}")
        with self._alone(target):
            return self._publish(self._context.targets[target], anew=True)

    def _is_emptied(self, target: str) -> bool:
        """Not where that cannot be read: whoever writes there then is told."""
        with suppress(StoreError):
            return is_emptied(self._context.targets[target].store, self._remembered.published_in(target))
        return False

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
        # a run without a catalogue does without its pages and their templates, a tenth of its start
        from mirror_sync.app.this_machine import known_of
        from mirror_sync.catalogue.object_writer import PublishRun
        from mirror_sync.catalogue.publication import publish

        began = time.monotonic()
        publish_run = PublishRun(target.store, target.read_cache, self._context.go_on, anew)
        result = publish(
            publish_run,
            known_of(self._settings, self._history, target.name),
            self._settings.access_to(target.name),
        )
        seconds = time.monotonic() - began
        self._context.tell(
            CataloguePublished(target.name, result.put, result.same, result.removed, result.unread, seconds)
        )
        return result

    def _alone(self, target: str) -> AbstractContextManager[object]:
        folder = locks_of(self._settings.state_dir, place_of(self._settings.targets[target]))
        return acquired(folder / "site.lock", self._context.go_on)
