"""One call of the program: its options, where its words go, and what it opens."""

from __future__ import annotations

import json
import logging
import os
import pwd
import socket
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TextIO

from mirror_sync.cli.interrupts import stopped_by_signals
from mirror_sync.cli.output.tables import TextLayout
from mirror_sync.domain.audit_record import Actor, ActorKind
from mirror_sync.errors import UsageError
from mirror_sync.observe.log.log import Format, LineWriter, LogStyle, in_color, start_log
from mirror_sync.observe.redaction import Redaction, json_shown, lines_shown
from mirror_sync.owners import bar_to_program, become_owner, become_root_again

if TYPE_CHECKING:
    from mirror_sync.config.settings import Settings
    from mirror_sync.domain.outcome.events import Observer
    from mirror_sync.observe.tally import Tally
    from mirror_sync.observe.tracing import Traces
    from mirror_sync.wiring.program import Mirror

_LEVELS = {-1: logging.WARNING, 0: logging.INFO, 1: logging.DEBUG}


@dataclass(frozen=True, slots=True)
class Options:
    """What every command understands. `loudness` is -1 for quiet, 1 for verbose."""

    config: Path = field(default_factory=lambda: Path(os.environ.get("MIRROR_SYNC_CONFIG") or "jobs.yaml"))
    log_format: Format = Format.AUTO
    loudness: int = 0
    debug: bool = False

    @property
    def verbose(self) -> bool:
        return self.loudness > 0


class Encodable(Protocol):
    """What is one JSON document."""

    def encode(self) -> dict[str, Any]: ...


@dataclass
class Invocation:
    """Shared by a command and by the place that turns its errors into an exit code."""

    options: Options = field(default_factory=Options)
    redaction: Redaction = field(default_factory=Redaction)
    lines: LineWriter = field(default_factory=LineWriter)
    stop: threading.Event = field(default_factory=threading.Event)
    actor: Actor = field(default_factory=lambda: caller(os.environ))

    def settings(self) -> Settings:
        """Read jobs.yaml; from now on its secrets are known and never shown. ConfigError when it has faults."""
        from mirror_sync.config.load import load

        settings = load(self.options.config, os.environ)
        self.redaction.learn(settings.secrets)
        return settings

    def owned(self, *, reading: bool = False, for_good: bool = True) -> Settings:
        """Read jobs.yaml as whoever we are; from now on we are the owner of its state folder. See `settings`.

        UsageError where root cannot become that owner, or where that one cannot read the program.
        """
        from mirror_sync.domain.job.targets import DirectoryTarget

        settings = self.settings()
        roots = [target.root for target in settings.targets.values() if isinstance(target, DirectoryTarget)]
        begun_as = os.geteuid()
        become_owner(settings.state_dir, roots, reading=reading, for_good=for_good)
        if os.geteuid() != begun_as and (bar := bar_to_program()):
            raise UsageError(f"root goes on as the owner of {settings.state_dir}, who cannot read this program: {bar}")
        return settings

    def start_log(self) -> None:
        options = self.options
        level = logging.DEBUG if options.debug else _LEVELS[options.loudness]
        start_log(LogStyle(options.log_format, level, options.debug), self.lines, self.redaction)

    @contextmanager
    def mirror(self, doing: str | None = "", *, reading: bool = False, for_good: bool = True) -> Iterator[Mirror]:
        """The mirror that jobs.yaml describes; a first Ctrl-C stops it cleanly, a second one at once.

        `doing` is what a terminal shows until there are figures; None shows no progress at all.
        `reading`: for the verbs that change nothing. Not `for_good`: whoever called is who goes on behind it.
        """
        from mirror_sync.observe.tally import Tally
        from mirror_sync.wiring.program import Mirror

        self.start_log()
        settings = self.owned(reading=reading, for_good=for_good)
        tally = Tally()
        with ExitStack() as stack:
            if not for_good:
                stack.callback(become_root_again)
            observers: list[Observer] = [self._log(), tally]
            if not reading:
                observers += stack.enter_context(self.traced())(settings)
            mirror = Mirror(settings, observers, self.stop, self.redaction.rotate, reading=reading)
            stack.callback(mirror.close)
            stack.enter_context(stopped_by_signals(self.stop, self.say))
            if doing is not None:
                stack.enter_context(self._progress(tally, doing))
            yield mirror

    @contextmanager
    def traced(self) -> Iterator[Callable[[Settings], list[Observer]]]:
        """Gives what makes the observers by which runs are traces, for each jobs.yaml that is read; none where it asks
        for none. What was not sent yet is, at the end. UsageError where the library is not installed.
        """
        made: dict[str, Traces] = {}

        def trace(settings: Settings) -> list[Observer]:
            endpoint = settings.traces.endpoint
            if endpoint is None:
                return []
            if endpoint not in made:
                from mirror_sync.observe.tracing import Traces

                made[endpoint] = Traces(endpoint, self.redaction.text)
            return [made[endpoint]]

        try:
            yield trace
        finally:
            for one in made.values():
                one.close()

    def print(self, text: str) -> None:
        """Put text on stdout, at once: BrokenPipeError when its reader has gone. Nothing in it rules a terminal."""
        sys.stdout.write(f"{lines_shown(self.redaction.text(text))}\n")
        sys.stdout.flush()

    def reveal(self, secret: str) -> None:
        """Put a secret on stdout, for whoever asked for it: this once nothing is masked."""
        sys.stdout.write(f"{secret}\n")
        sys.stdout.flush()

    def draw(self, text: str) -> None:
        """Put text with control sequences of our own on a terminal's stdout, as it is."""
        sys.stdout.write(self.redaction.text(text))
        sys.stdout.flush()

    def answer(self, found: Encodable, text: Callable[[TextLayout], str], *, as_json: bool) -> None:
        """Put what was found on stdout, as one JSON document or as text."""
        if as_json:
            self.print_json(found.encode())
        else:
            self.print(text(self.page))

    def print_json(self, document: Any) -> None:
        """Put one JSON document on stdout; what is not printable in it is escaped."""
        sys.stdout.write(json_shown(json.dumps(self.redaction.value(document), indent=2, ensure_ascii=False)) + "\n")
        sys.stdout.flush()

    def say(self, text: str) -> None:
        """Tell the person at the terminal, on stderr."""
        self.lines.msg(f"mirror-sync: {lines_shown(self.redaction.text(text))}")

    @property
    def page(self) -> TextLayout:
        """How text on stdout is laid out: wrapped and coloured where a person looks on."""
        width = _size().columns if sys.stdout.isatty() else None
        return TextLayout(width, in_color(sys.stdout))

    @property
    def size(self) -> os.terminal_size:
        """Of the terminal on stdout."""
        return _size()

    def _log(self) -> Observer:
        from mirror_sync.observe.log.event_log import EventLog

        options = self.options
        if not self._watched or options.log_format is not Format.AUTO or options.loudness or options.debug:
            return EventLog()
        from mirror_sync.observe.log.terminal import TerminalLog

        stream = self.lines.stream
        return TerminalLog(lambda line: self.lines.msg(self.redaction.text(line)), lambda: _size(stream).columns)

    def _progress(self, tally: Tally, doing: str) -> AbstractContextManager[object]:
        if self._watched:
            from mirror_sync.observe.progress.live_progress import LOOKING, LiveProgress

            return LiveProgress(tally, self.lines, doing=doing or LOOKING)
        from mirror_sync.observe.progress.plain_progress import PlainProgress

        return PlainProgress(tally)

    @property
    def _watched(self) -> bool:
        options = self.options
        movable = self.lines.stream.isatty() and os.environ.get("TERM") != "dumb"
        return movable and options.log_format is not Format.JSON and options.loudness >= 0


def caller(environ: Mapping[str, str]) -> Actor:
    """Who calls a command: the user of the process, and before `sudo` who that was, on this host. No proof: who may
    become another user may call themselves anything.
    """
    uid = os.getuid()
    try:
        user = pwd.getpwuid(uid).pw_name
    except KeyError:  # as in a container: a number without a name
        user = f"uid-{uid}"
    before = environ.get("SUDO_USER", "")
    name = f"{before} as {user}" if before and before != user else user
    return Actor(ActorKind.USER, f"{name}@{socket.gethostname()}")


def _size(stream: TextIO | None = None) -> os.terminal_size:
    """Of the terminal on a stream, stdout where none is given; some do not know theirs, and say 0."""
    found = os.get_terminal_size((stream or sys.stdout).fileno())
    return os.terminal_size((found.columns or 80, found.lines or 24))
