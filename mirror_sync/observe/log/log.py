"""The log: an event name and its fields, one line each, on stderr.

`console` is for a terminal, key=value lines are for files, JSON is for collectors; systemd's journal gets the same line
and each field beside it (`journal`). No secret and no control character leaves here; tracebacks only leave when they
were asked for.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import threading
from collections.abc import Callable, Iterator, MutableMapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, TextIO

from mirror_sync.domain.bounds import plain
from mirror_sync.logger import Logger, by_structlog, write_by
from mirror_sync.observe.log.journal import Journal, JournalLine
from mirror_sync.observe.redaction import Redaction

_Fields = MutableMapping[str, Any]
_TRACE = "exception"
_LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40, "critical": 50}
# sd-daemon(3): journald takes a line's priority from its beginning
_PRIORITIES = {"debug": "<7>", "info": "<6>", "warning": "<4>", "error": "<3>", "critical": "<2>"}


class Format(StrEnum):
    AUTO = "auto"  # console on a terminal, key=value lines elsewhere
    CONSOLE = "console"
    JSON = "json"


@dataclass(frozen=True, slots=True)
class LogStyle:
    """`level` is logging's; `tracebacks` shows where errors arose and lets libraries speak, at info and above.

    Below that they name requests with all headers, signed addresses, and the keys that they were given.
    """

    format: Format = Format.AUTO
    level: int = logging.INFO
    tracebacks: bool = False


class LineWriter:
    """Where lines go. A stream that is gone is no reason to stop a run: then nobody reads them."""

    def __init__(self, stream: TextIO | None = None, journal: Journal | None = None) -> None:
        self._stream, self._journal = stream, journal or Journal()
        self._lock = threading.RLock()
        self._printer: Callable[[str], None] | None = None

    @property
    def stream(self) -> TextIO:
        return self._stream or sys.stderr

    def msg(self, line: str) -> None:
        if isinstance(line, JournalLine) and self._journal.send(line.entry):
            return
        with self._lock, suppress(OSError, ValueError):
            if self._printer is not None:
                self._printer(line)
            else:
                self.stream.write(f"{line}\n")
                self.stream.flush()

    log = debug = info = warning = error = critical = fatal = failure = msg

    @contextmanager
    def through(self, printer: Callable[[str], None]) -> Iterator[None]:
        """Meanwhile lines go to `printer`: a live display prints them above itself."""
        self._printer = printer
        try:
            yield
        finally:
            self._printer = None


def start_log(style: LogStyle, lines: LineWriter, redaction: Redaction) -> None:
    """Set up how lines are written, and pass what libraries log among them.

    structlog writes them where its part is more than plumbing: what a terminal shows, and tracebacks. Who has imported
    it already may speak through it, and gets the same lines.
    """
    silent = [name for name, level in _LEVELS.items() if level < style.level]
    if style.tracebacks or _is_for_people(style, lines.stream) or "structlog" in sys.modules:
        _configure_structlog(style, lines, redaction)
        write_by(by_structlog, silent)
    else:
        write_by(_PlainLines(style, lines, redaction), silent)
    root = logging.getLogger()
    root.handlers = [_FromLibraries()]
    root.setLevel(logging.INFO if style.tracebacks else logging.WARNING)
    logging.captureWarnings(capture=True)


class _PlainLines:
    """Writes each event as a line of key=value pairs or of JSON, without its traceback."""

    def __init__(self, style: LogStyle, lines: LineWriter, redaction: Redaction) -> None:
        self._least, self._lines, self._clean = style.level, lines, _cleaner(redaction)
        self._render = _plain_rendering(style, lines.stream)

    def __call__(self, level: str, event: str, fields: _Fields) -> None:
        if _LEVELS[level] >= self._least:
            whole = {**_drop_traceback(None, level, fields), "event": event, "level": level}
            self._lines.msg(self._render(None, level, self._clean(None, level, whole)))


def _configure_structlog(style: LogStyle, lines: LineWriter, redaction: Redaction) -> None:
    import structlog

    tail: list[Any] = [structlog.processors.format_exc_info] if style.tracebacks else [_drop_traceback]
    people = _is_for_people(style, lines.stream)
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            *tail,
            _cleaner(redaction),
            *(_console(lines.stream) if people else [_plain_rendering(style, lines.stream)]),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(style.level),
        logger_factory=lambda *_: lines,
        cache_logger_on_first_use=False,
    )


def in_journal(stream: TextIO) -> bool:
    """Whether a stream is the journal's, by systemd.exec(5): JOURNAL_STREAM is its device and inode."""
    try:
        found = os.fstat(stream.fileno())
    except (OSError, ValueError):
        return False
    return os.environ.get("JOURNAL_STREAM") == f"{found.st_dev}:{found.st_ino}"


def in_color(stream: TextIO) -> bool:
    """https://no-color.org: a terminal, and NO_COLOR is not set."""
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def _is_for_people(style: LogStyle, stream: TextIO) -> bool:
    return style.format is Format.CONSOLE or (style.format is Format.AUTO and stream.isatty())


def _console(stream: TextIO) -> list[Any]:
    import structlog

    console = structlog.dev.ConsoleRenderer(
        colors=in_color(stream), pad_event_to=16, sort_keys=False, exception_formatter=structlog.dev.plain_traceback
    )
    return [structlog.processors.TimeStamper(fmt="%H:%M:%S", utc=False), console]


def _plain_rendering(style: LogStyle, stream: TextIO) -> Callable[[Any, str, _Fields], str]:
    if style.format is Format.JSON:
        return lambda _logger, _name, fields: json.dumps(_stamped(fields), default=str)
    if in_journal(stream):
        return _with_priority
    return lambda _logger, _name, fields: _key_values(_stamped(fields))


def _stamped(fields: _Fields) -> _Fields:
    fields["timestamp"] = datetime.now(UTC).isoformat().replace("+00:00", "Z")
    return fields


def _drop_traceback(_logger: Any, _name: str, fields: _Fields) -> _Fields:
    fields.pop("exc_info", None)
    fields.pop("stack_info", None)
    return fields


def _cleaner(redaction: Redaction) -> Callable[[Any, str, _Fields], _Fields]:
    def clean(_logger: Any, _name: str, fields: _Fields) -> _Fields:
        trace = fields.pop(_TRACE, None)
        cleaned: _Fields = {key: _without_controls(redaction.value(value)) for key, value in fields.items()}
        if trace is not None:
            cleaned[_TRACE] = "\n".join(map(plain, redaction.text(str(trace)).splitlines()))
        return cleaned

    return clean


def _without_controls(value: Any) -> Any:
    if isinstance(value, str):
        return plain(value)
    return [_without_controls(item) for item in value] if isinstance(value, list) else value


def _key_values(fields: _Fields) -> str:
    """logfmt (https://brandur.org/logfmt), as structlog writes it; lists are joined."""
    trace = fields.pop(_TRACE, None)
    first = {key: fields.pop(key) for key in ("timestamp", "level", "event") if key in fields}
    line = " ".join(_pair(key, value) for key, value in {**first, **fields}.items())
    return line if trace is None else f"{line}\n{trace}"


def _pair(key: str, value: Any) -> str:
    if value is True:
        return key
    if value is None:
        return f"{key}="
    text = ",".join(map(str, value)) if isinstance(value, list) else "false" if value is False else str(value)
    quoted = " " in text or "=" in text or '"' in text
    text = text.replace("\\", "\\\\") if quoted else text
    text = text.replace('"', '\\"').replace("\n", "\\n")
    return f'{key}="{text}"' if quoted else f"{key}={text}"


def _with_priority(_logger: Any, _name: str, fields: _Fields) -> str:
    level = str(fields.pop("level", "info"))
    event, priority = str(fields.get("event", "")), _PRIORITIES.get(level, "<6>")
    rest = {name: value for name, value in fields.items() if name != "event"}
    message = _key_values(fields)
    return JournalLine.of("\n".join(priority + line for line in message.splitlines()), message, level, event, rest)


class _FromLibraries(logging.Handler):
    """What huggingface_hub, boto3 and others log, in our own form; never what they say only to their own developers.

    The handler has the level, too: a logger with a level of its own does not ask the root for it.
    """

    def __init__(self) -> None:
        super().__init__(logging.INFO)

    def emit(self, record: logging.LogRecord) -> None:
        try:
            message = record.getMessage()
        except (TypeError, ValueError):
            message = str(record.msg)
        level = logging.getLevelName(min(record.levelno, logging.CRITICAL)).lower()
        level = level if level in _LEVELS else "info"
        Logger().at(level, "library", name=record.name, message=message, exc_info=record.exc_info)
