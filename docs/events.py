"""Writes events.md from the code: `python -m docs.events > docs/guide/events.md`.

Names, levels and fields are read from the calls that log, and from what the domain's events are logged as. What each
event means stands here; one without a meaning, or a meaning without an event, stops this.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

from mirror_sync.domain.outcome import events
from mirror_sync.domain.outcome.report import RepoOutcome, RepoReport, RunReport
from mirror_sync.domain.outcome.traffic import Oddity, Unusual
from mirror_sync.domain.repo import Kind, Repo
from mirror_sync.observe.log.event_log import line_of

_PACKAGE = Path(__file__).parents[1] / "mirror_sync"
_LEVELS = {"debug": "debug", "info": "info", "warning": "warning", "error": "error", "exception": "error"}
_LOGS = frozenset({"_log", "log"})
_REPO = Repo(Kind.MODEL, "org/name")

_MEANINGS = {
    "checkpoint.not-written": "`verify` goes on, and would begin anew after an interrupt.",
    "checkpoint.taken": "The same `verify` is under way: this one would begin anew after an interrupt.",
    "config.fault": "A fault of `jobs.yaml`, at a reload.",
    "config.warning": "Something in `jobs.yaml` that is allowed and is perhaps not meant.",
    "control.failed": "A fault of this program itself while it answered `trigger`; the daemon goes on.",
    "control.off": "`trigger` will not work: the socket cannot be made, or another daemon has it.",
    "daemon.not-reloaded": "`jobs.yaml` cannot be used; the jobs stay as they were.",
    "daemon.reloaded": "`jobs.yaml` was read again.",
    "daemon.started": "The daemon runs; `status` says what is due next.",
    "daemon.stopped": "The daemon has ended; as an error when a sync did not end in time.",
    "daemon.stopping": "SIGTERM came.",
    "errand.finished": "A worker has brought a repo up to date.",
    "errand.given-back": "A worker stops, and another one goes on with the repo.",
    "errand.started": "A worker begins with a repo.",
    "file.failed": "A file could not be brought or proved; nothing of it is published.",
    "file.interrupted": "A file was on its way when the run was stopped; what came is gone on with.",
    "file.resumed": "Of a large file, what an earlier run had brought is stored and is gone on with.",
    "file.started": "A file is on its way.",
    "file.stored": "A file is proved by SHA-256 and stored.",
    "front.closed": "`front nginx` wrote for workers who may not enter a folder that they need.",
    "history.not-written": "A fault of the disk: a gap in what `status` knows, and no end to the run.",
    "history.set-aside": "The history could not be read; a new one is begun, the old one kept beside it.",
    "history.unreadable": "The history cannot be read, and nothing of it is shown; the next run sets it aside.",
    "hook.done": "A hook was told.",
    "hook.dropped": "A hook was not told, since too much waited for it, or the program ended.",
    "hook.failed": "A hook could not be told.",
    "hook.output": "A line that a hook's command wrote.",
    "http.listening": "Where `/metrics`, `/healthz` and `/readyz` are answered.",
    "internal-error": "The traceback of a fault of this program itself, which stopped one repo.",
    "job.cut-short": "A `select` was not filled: `repos` of the first `seen` fit, and no more were looked at.",
    "list.lags": "A list of `repos` repos is older than what `repo` says of itself: each is asked for by itself.",
    "job.failed": "A run ended without a report; it counts as a try that failed, and is soon run again.",
    "job.listed": "A job's patterns are expanded: so many repos and revisions.",
    "job.not-started": "A run that was due or asked for does not begin, and why.",
    "job.tried-again": "Repos that failed for a reason that may pass are run again, before their job is due.",
    "letter.lost": "A message between the daemon and a worker could not be read.",
    "library": "What a library logs; `name` is its logger.",
    "metrics.nothing-remembered": "The history cannot be read: metrics begin at nothing.",
    "pauses.unreadable": "Which jobs are paused cannot be read: none is taken for it.",
    "progress": "Once a minute where no terminal watches; blobs of a `verify`, else repos and files of the runs.",
    "traffic.unusual": "A client of a front did on the last day what it never does; told once.",
    "target.tended": "A target was verified (all of it, or a sample) or pruned; an error where it needs a person.",
    "tending.failed": "A verify or prune that was due could not be done, or a prune found what needs a person; the "
    "next one is at its time.",
    "repo.failed": "A repo could not be brought up to date; what was published before stays.",
    "repo.held": "Policy, the guard or an upstream that does not give the repo: what was published before stays. At "
    "debug where the last run found the same.",
    "repo.interrupted": "The run was stopped while it brought a repo; what came is kept.",
    "repo.planned": "A repo has changed; what is fetched and what is here already.",
    "repo.published": "Readers get the new snapshot from now on.",
    "repo.refs-left-out": "A job's globs stand for names of refs that git, or a person, could not use: not mirrored.",
    "repo.refused": "Policy does not allow the repo: nothing of it is mirrored. At debug where the last run found the "
    "same.",
    "repo.unchanged": "A repo is as upstream has it.",
    "retrying": "A call to an upstream failed and is repeated after `wait` seconds. Of several runs, any may be meant.",
    "run.finished": "The end of a run, with its counts, also of what is held or refused as before; an error when a "
    "repo failed.",
    "run.interrupted": "A run was asked to stop; the next one goes on with it.",
    "run.started": "The beginning of a run; `run` is its id in all its lines, in `status --json` and in the history.",
    "site.failed": "The catalogue of a target could not be published to its end; the next run does it.",
    "site.others-left-out": "What other machines say in status.json cannot be shown; the catalogue leaves it out.",
    "site.published": "The catalogue of a target was brought up to date; `unread` repos cannot be read: run `verify`.",
    "site.stopped": "The catalogue was not published to its end, since the program stops; the next run does it.",
    "site.unread": "A repo's documents could not be read for its page in the catalogue; the others were published.",
    "state.not-writable": "What happens is not remembered: the state folder, or a file in it, is another user's.",
    "sweep.done": "Uploads that nobody went on with for a week are removed from a target.",
    "sweep.failed": "A target would not list its unfinished uploads; they harm nobody.",
    "target.silent": "A target did not answer the daemon's look.",
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
    entries = _entries()
    if entries.keys() != _MEANINGS.keys():
        raise ValueError(f"without a meaning, or without an event: {sorted(entries.keys() ^ _MEANINGS.keys())}")
    rows = [_row(name, entries[name]) for name in sorted(entries)]
    return "\n".join([_HEAD, "| event | level | fields | meaning |", "|---|---|---|---|", *rows]) + "\n"


def _row(name: str, entry: Entry) -> str:
    fields = ", ".join(f"`{each}`" for each in entry.fields)
    return f"| `{name}` | {', '.join(sorted(entry.levels))} | {fields} | {_MEANINGS[name]} |"


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
                at = node.func.attr == "log"  # log(level, name, ...)
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
        return isinstance(value.func, ast.Attribute) and value.func.attr == "get_logger"
    return isinstance(value, ast.Name) and value.id in _LOGS


def _told() -> Iterator[tuple[str, str, list[str]]]:
    for event in _samples():
        level, name, fields = line_of(event)
        extra = ["run"] if isinstance(event, events.Retrying) else []
        yield name, level, [*fields, *extra]


def _samples() -> Iterator[events.Event]:
    """One of each kind that is logged, with all that it can say."""
    yield events.RunStarted("1", ("job",), "")
    yield events.ReposListed("1", "job", 1)
    yield events.RankingCutShort("1", "job", 1, 2, 3)
    yield events.RefsLeftOut("1", "job", _REPO, ("ref",), 1)
    yield events.ListLags("1", "job", _REPO, "c", 1)
    yield events.RepoPlanned("1", "job", _REPO, "main", "c", 1, 1, 1, 1, 1)
    yield events.FileStarted("1", _REPO, "file", 1)
    yield events.PartsFound("1", _REPO, "file", 1)
    yield events.FileFinished("1", _REPO, "file", 1)
    yield events.FileFinished("1", _REPO, "file", 1, error="why")
    yield events.FileFinished("1", _REPO, "file", 1, interrupted=True)
    yield events.Retrying("what", "cause", "why", 1, 1.0)
    yield events.Crashed("1", _REPO, "trace")
    for outcome in RepoOutcome:
        good = outcome in (RepoOutcome.PUBLISHED, RepoOutcome.UNCHANGED)
        why = ("", "") if good else ("why", "code")
        lag = 1.0 if outcome is RepoOutcome.PUBLISHED else None
        report = RepoReport("job", Kind.MODEL, "org/name", "main", outcome, "c", *why, lag_seconds=lag)
        yield from (events.RepoFinished("1", report, again) for again in (False, True))
        yield events.RunFinished(RunReport("1", "", "", (report,)))
    yield events.RunFinished(RunReport("1", "", "", (), interrupted=True))
    yield events.Tended("target", events.Care.VERIFY, "", 0)
    yield events.Tended("target", events.Care.VERIFY, "", 1)
    yield events.CataloguePublished("target", 1, 1, 1, 0, 1.0)
    yield events.CataloguePublished("target", 1, 1, 1, 1, 1.0)
    yield events.CatalogueFailed("target", "code", "why")


_HEAD = """# Events of the log

Written by `python -m docs.events`; a test keeps it true to the code.

Every line of the log is an event's name and its fields, on stderr: `key=value` in files and the journal, coloured on a
terminal, one JSON object a line with `--log-format json`. Under systemd each line has its priority, so that
`journalctl -u mirror-sync -p warning` shows what needs a look. `debug` lines need `-v`. No secret and no control
character is ever written.

All that one run did: `journalctl -u mirror-sync | grep run=ID`, with the id that `status --json` and the changes of
`status REPO --json` name.
"""


if __name__ == "__main__":
    sys.stdout.write(page())
