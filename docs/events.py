"""Writes events.md from the code: `python -m docs.events > docs/guide/events.md`.

An event of the domain says itself how it is logged, and its docstring what that means. What is logged by a call is read
from the call, and what it means stands here; one without a meaning, or a meaning without an event, stops this.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from dataclasses import fields as attributes_of
from datetime import date
from enum import Enum
from itertools import chain, product
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, get_args, get_origin, get_type_hints

from structlog.testing import capture_logs

from mirror_sync.domain.outcome import events
from mirror_sync.domain.outcome.report import RepoOutcome, RepoReport, RunReport
from mirror_sync.domain.outcome.traffic import Oddity, Unusual
from mirror_sync.domain.repo import Kind, Repo, RepoPattern
from mirror_sync.logger import Logger
from mirror_sync.observe.log.event_log import EventLog

_PACKAGE = Path(__file__).parents[1] / "mirror_sync"
_LEVELS = {"debug": "debug", "info": "info", "warning": "warning", "error": "error", "exception": "error"}
_LOGS = frozenset({"_log", "log"})

_MEANINGS = {
    "checkpoint.not-written": "`verify` goes on, and would begin anew after an interrupt.",
    "checkpoint.taken": "The same `verify` is under way: this one would begin anew after an interrupt.",
    "config.fault": "A fault of `jobs.yaml`, at a reload.",
    "config.warning": "Something in `jobs.yaml` that is allowed and is perhaps not meant.",
    "control.failed": "A fault of this program itself while it answered `trigger`; the daemon goes on.",
    "control.off": "`trigger` will not work: the socket cannot be made, or another daemon has it.",
    "daemon.left": "Of several daemons this one works no more, and nothing of it goes on: another one takes over.",
    "daemon.not-reloaded": "`jobs.yaml` cannot be used; the jobs stay as they were.",
    "daemon.reloaded": "`jobs.yaml` was read again.",
    "daemon.silent": "A front asked the daemon about what is not mirrored, in vain: it asks nobody for some seconds.",
    "daemon.started": "The daemon runs; `status` says what is due next.",
    "daemon.stopped": "The daemon has ended; as an error when a sync did not end in time.",
    "daemon.stopping": "SIGTERM came.",
    "errand.finished": "A worker has brought a repo up to date.",
    "errand.given-back": "A worker stops, and another one goes on with the repo.",
    "errand.started": "A worker begins with a repo.",
    "export.part": "A part of a bundle is whole, and may be carried away.",
    "front.closed": "`front nginx` wrote for workers who may not enter a folder that they need.",
    "front.unwatched": "What `front.watch` names cannot be read: nobody counts what the front answers until it can.",
    "history.not-written": "A fault of the disk: a gap in what `status` knows, and no end to the run.",
    "history.set-aside": "The history could not be read; a new one is begun, the old one kept beside it.",
    "history.unreadable": "The history cannot be read, and nothing of it is shown; the next run sets it aside.",
    "hook.done": "A hook was told.",
    "hook.dropped": "A hook was not told, since too much waited for it, or the program ended.",
    "hook.failed": "A hook could not be told.",
    "hook.output": "A line that a hook's command wrote.",
    "http.listening": "Where `/metrics`, `/healthz` and `/readyz` are answered.",
    "job.failed": "A run ended without a report; it counts as a try that failed, and is soon run again.",
    "job.not-started": "A run that was due or asked for does not begin, and why.",
    "job.tried-again": "Repos that failed for a reason that may pass are run again, before their job is due.",
    "keep.not-written": "What a prune made of a target's bound is not noted for `status` and metrics; it was done.",
    "lease.failed": "A fault of this program itself in what keeps the lease; it is tried again.",
    "lease.given-back": "The daemon has ended, and another one may work at once.",
    "lease.lost": "The daemon has stopped its runs: another one has the lease, or it could not be renewed in time.",
    "lease.not-given-back": "The daemon has ended, and another one works after a lease.",
    "lease.not-reached": "The lease cannot be read or written, and why; told once, until it can.",
    "lease.reached": "The lease can be read and written again, after so many seconds.",
    "lease.seen": "Which machine has the lease, at a standby; empty where it was given back.",
    "lease.taken": "This daemon works from here on; `waited` seconds after the one before was last seen alive.",
    "letter.lost": "A message between the daemon and a worker could not be read.",
    "library": "What a library logs; `name` is its logger.",
    "metrics.nothing-remembered": "The history cannot be read: metrics begin at nothing.",
    "miss.failed": "What a front asked about a repo that is not mirrored could not be told; readers get 404.",
    "miss.fetching": "A run of a repo begins, since a reader asked for it.",
    "miss.upstream": "An upstream did not say in time what a reader needed to know.",
    "names.not-seen": "A look at the names of a target, or at its grey releases, came to no end; the next is soon.",
    "pauses.unreadable": "Which jobs are paused cannot be read: none is taken for it.",
    "progress": "Once a minute where no terminal watches; blobs of a `verify`, else repos and files of the runs.",
    "replica.behind": "A pass over a replica came to no end, and why; the next one goes on.",
    "replica.copied": "A replica has all that its target had published when the pass began.",
    "replica.left": "A command has waited for a replica as long as it may, and ends without it.",
    "rollout.left": "Another machine, or a person, has moved what a rollout was about to; the next look decides anew.",
    "serve.process-ended": "A process of `serve` has ended, by a fault or a signal; another takes its place.",
    "site.others-left-out": "What other machines say in status.json cannot be shown; the catalogue leaves it out.",
    "site.stopped": "The catalogue was not published to its end, since the program stops; the next run does it.",
    "site.unread": "A repo's documents could not be read for its page in the catalogue; the others were published.",
    "state.not-writable": "What happens is not remembered: the state folder, or a file in it, is another user's.",
    "sweep.done": "Uploads that nobody went on with for a week are removed from a target.",
    "sweep.failed": "A target would not list its unfinished uploads; they harm nobody.",
    "target.silent": "A target did not answer the daemon's look.",
    "tending.failed": "A verify or prune that was due could not be done, or a prune found what needs a person; the "
    "next one is at its time.",
    "thaw.failed": "What a reader asked a front for lies in a cold tier, and could not be brought back: `reason`.",
    "tiers.failed": "A pass over a target's tiers after a prune did not move all that was due: `reason`.",
    "tiers.not-written": "What a pass made of a target's tiers is not noted for `status` and metrics; it was done.",
    "tokens.unread": "The file of readers' tokens is missing or broken: only what everybody may read is given.",
    "traffic.unusual": "A client of a front did on the last day what it never does; told once.",
    "tries.failed": "A fault of this program itself where it runs again what failed; it goes on trying.",
    "tries.not-written": "What is run again soon is not noted for `status` and a restart; it is run all the same.",
    "tries.unreadable": "What was to be run again cannot be read: the job's next time does it.",
    "webhook.received": "The Hub told of a repo, and what that began.",
}
_FIELDS = {
    **dict.fromkeys(("hook.done", "hook.dropped", "hook.failed", "hook.output"), ("hook", "on", "repo", "run")),
    "progress": ("job", "repos", "files", "fetched", "rate", "left", "blobs", "verified", "faults"),
    "traffic.unusual": tuple(Unusual(Oddity.SURGE, "", date.min, 0, 0, 0, 0).encode()),
}
"""Those that a call takes from elsewhere, by `**`."""


@dataclass
class Entry:
    """An event as it is logged; several places may log it."""

    levels: set[str] = field(default_factory=set)
    fields: dict[str, None] = field(default_factory=dict)


def page() -> str:
    """The text of events.md. ValueError when events and meanings differ."""
    meanings = _MEANINGS | {name: _meaning(kind, name) for kind in kinds() for name in _names(kind)}
    entries = _entries()
    if entries.keys() != meanings.keys():
        raise ValueError(f"without a meaning, or without an event: {sorted(entries.keys() ^ meanings.keys())}")
    rows = [_row(name, entries[name], meanings[name]) for name in sorted(entries)]
    return "\n".join([_HEAD, "| event | level | fields | meaning |", "|---|---|---|---|", *rows]) + "\n"


def kinds() -> list[type[events.Event]]:
    """Every class of events, in the order in which they stand."""
    found = [kind for kind in vars(events).values() if isinstance(kind, type) and issubclass(kind, events.Event)]
    return [kind for kind in found if kind is not events.Event]


def samples(kind: type[events.Event]) -> Iterator[events.Event]:
    """Events of a class with every combination of values that could change how they are logged."""
    hints = get_type_hints(kind)
    names = [each.name for each in attributes_of(kind)]
    for values in product(*(_values(hints[name]) for name in names)):
        yield kind(**dict(zip(names, values, strict=True)))


def _names(kind: type[events.Event]) -> set[str]:
    return {event.log_name for event in samples(kind)} - {""}


def _meaning(kind: type[events.Event], name: str) -> str:
    """The first paragraph of a docstring, or the one that begins with the name."""
    paragraphs = [" ".join(each.split()) for each in (kind.__doc__ or "").split("\n\n")]
    own = [each.removeprefix(f"{name}: ") for each in paragraphs if each.startswith(f"{name}: ")]
    return own[0] if own else paragraphs[0]


def _row(name: str, entry: Entry, meaning: str) -> str:
    fields = ", ".join(f"`{each}`" for each in entry.fields)
    return f"| `{name}` | {', '.join(sorted(entry.levels))} | {fields} | {meaning} |"


def _entries() -> dict[str, Entry]:
    entries: dict[str, Entry] = {}
    for name, level, fields in [*_called(), *_told()]:
        entry = entries.setdefault(name, Entry())
        entry.levels.add(level)
        entry.fields |= dict.fromkeys((*fields, *_FIELDS.get(name, ())))
    return entries


def _called() -> Iterator[tuple[str, str, list[str]]]:
    """Name, level and fields of every call in the code that logs an event by its name; ValueError for unknown ones."""
    for path in sorted(_PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and _is_log(node.func.value):
                at = node.func.attr == "at"  # at(level, name, ...)
                name = node.args[at] if len(node.args) > at else None
                level = "as the library says" if at else _LEVELS.get(node.func.attr)
                if level and isinstance(name, ast.Constant) and " " not in str(name.value):
                    words = [word.arg for word in node.keywords if word.arg != "exc_info"]
                    event = str(name.value)
                    if None in words and event not in _FIELDS:
                        raise ValueError(f"{event} has fields from elsewhere, which _FIELDS does not name")
                    yield event, level, list(filter(None, words))


def _is_log(value: ast.expr) -> bool:
    if isinstance(value, ast.Call):
        return isinstance(value.func, ast.Name) and value.func.id == "Logger"
    return isinstance(value, ast.Name) and value.id in _LOGS


def _told() -> Iterator[tuple[str, str, list[str]]]:
    """Name, level and fields of the domain's events, as the log has them while a run goes on; it is silent of none."""
    log, silent = EventLog(), Logger.silent
    Logger.silent = frozenset()
    try:
        with capture_logs() as lines:
            for event in chain.from_iterable(map(samples, kinds())):
                log(event)
    finally:
        Logger.silent = silent
    for line in lines:
        yield line.pop("event"), line.pop("log_level"), list(line)


def _values(hint: Any) -> list[Any]:
    """Of a type, values that make a difference: none and some, all of an enum."""
    if hint in _SAMPLES:
        return _SAMPLES[hint]
    if isinstance(hint, type) and issubclass(hint, Enum):
        return list(hint)
    if get_origin(hint) is UnionType:
        return [value for each in get_args(hint) for value in _values(each)]
    if get_origin(hint) is tuple:
        return [tuple(_values(get_args(hint)[0])[-1:])]
    raise ValueError(f"what is an example of {hint}? Write it into _SAMPLES")


def _report(outcome: RepoOutcome) -> RepoReport:
    """With all that one of this outcome says."""
    good = outcome in (RepoOutcome.PUBLISHED, RepoOutcome.UNCHANGED)
    why = ("", "") if good else ("why", "code")
    lag = 1.0 if outcome is RepoOutcome.PUBLISHED else None
    return RepoReport("job", Kind.MODEL, "org/name", "main", outcome, "c", *why, lag_seconds=lag)


_REPORTS = list(map(_report, RepoOutcome))
_SAMPLES: dict[Any, list[Any]] = {
    str: ["word"],
    int: [0, 1],
    float: [1.0],
    bool: [False, True],
    NoneType: [None],
    Repo: [Repo(Kind.MODEL, "org/name")],
    RepoPattern: [RepoPattern(Kind.MODEL, "org/*")],
    events.NamesSeen: [events.NamesSeen(Repo(Kind.MODEL, "org/name"))],
    RepoReport: _REPORTS,
    RunReport: [RunReport("1", "", "", (each,), cut) for each in _REPORTS for cut in (False, True)],
}
"""What the fields of an event can be."""

_HEAD = """# Events of the log

Written by `python -m docs.events`; a test keeps it true to the code.

Every line of the log is an event's name and its fields, on stderr: `key=value` in files, coloured on a terminal, one
JSON object a line with `--log-format json`. Under systemd each line is in the journal with its priority and its fields,
so that `journalctl -u mirror-sync -p warning` shows what needs a look, and `journalctl MIRROR_SYNC_EVENT=repo.failed`
one kind: [the log](monitoring.md#the-log). `debug` lines need `-v`. No secret and no control character is ever written.

All that one run did: `journalctl -u mirror-sync MIRROR_SYNC_RUN=ID`, with the id that `status --json` and the
changes of `status REPO --json` name.
"""


if __name__ == "__main__":
    sys.stdout.write(page())
