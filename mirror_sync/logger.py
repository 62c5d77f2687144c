"""Says what the program does: an event's name and its fields, to whatever the process was set up to write them by.

structlog writes for terminals, and until somebody sets the log up. It takes longer to import than all else that a run
over an unchanged repo needs, so nobody else imports it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

Writer = Callable[[str, str, dict[str, Any]], None]
"""Takes a level's name, an event's name and its fields, `exc_info` among them where a traceback is worth one."""


def by_structlog(level: str, event: str, fields: dict[str, Any]) -> None:
    """Write a line as structlog is configured."""
    import structlog

    getattr(structlog.get_logger(), level)(event, **fields)


class Logger:
    """Says things, each on one line. Safe for many threads."""

    writer: Writer = staticmethod(by_structlog)
    silent: frozenset[str] = frozenset()
    """Levels of which nothing is written: what is said of them need not be put into words."""

    def at(self, level: str, event: str, **fields: Any) -> None:
        """Say it at debug, info, warning or error."""
        type(self).writer(level, event, fields)

    def debug(self, event: str, **fields: Any) -> None:
        """For who looks for a fault."""
        self.at("debug", event, **fields)

    def info(self, event: str, **fields: Any) -> None:
        """What happens as it should."""
        self.at("info", event, **fields)

    def warning(self, event: str, **fields: Any) -> None:
        """What a person should look at some day."""
        self.at("warning", event, **fields)

    def error(self, event: str, **fields: Any) -> None:
        """What failed."""
        self.at("error", event, **fields)


def write_by(writer: Writer, silent: Iterable[str] = ()) -> None:
    """From now on, for the whole process; nothing is written of the levels in `silent`."""
    Logger.writer, Logger.silent = staticmethod(writer), frozenset(silent)
