"""What `status` is asked, and its answer."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from datetime import UTC, datetime

from mirror_sync.bootstrap import Mirror, places_of
from mirror_sync.cli.found import Published
from mirror_sync.cli.invocation import Invocation
from mirror_sync.cli.standing import history_text, status_document, status_text
from mirror_sync.domain.repo import RepoPattern
from mirror_sync.errors import UsageError
from mirror_sync.inventory.inventory import Inventory, Memory, narrowed, take_inventory
from mirror_sync.inventory.pauses import Pauses
from mirror_sync.observers.history import RUNS_KEPT


@dataclass(frozen=True, slots=True)
class Question:
    """`pattern` None for all repos; `every` change, however old."""

    pattern: RepoPattern | None
    as_json: bool
    every: bool


def asked(repo: str | None, *, as_json: bool, every: bool) -> Question:
    """UsageError for what is no repo and no pattern."""
    try:
        return Question(None if repo is None else RepoPattern.parse(repo), as_json, every)
    except ValueError as error:
        raise UsageError(str(error)) from None


def shown(question: Question, mirror: Mirror, published: Published, invocation: Invocation) -> str:
    """The answer as text or JSON. OSError when the history cannot be read; UsageError for a repo nobody knows."""
    now, pattern = datetime.now(UTC), question.pattern
    inventory = _inventory(mirror, published, pattern, now)
    document, parts = status_document(inventory), [status_text(inventory, invocation.page, now)]
    if pattern is not None and not pattern.is_glob:
        changes = mirror.history.changes(pattern.kind, pattern.glob)
        if not inventory.lines and not changes:
            raise UsageError(f"no job of {mirror.settings.path.name} names {pattern}, and nothing is remembered of it")
        document["changes"] = [asdict(change) for change in changes]
        parts = [*(parts if inventory.lines else ()), history_text(changes, invocation.page, every=question.every)]
    if not question.as_json:
        return "\n\n".join(parts)
    return json.dumps(invocation.redaction.value(document), indent=2, ensure_ascii=False)


def _inventory(mirror: Mirror, published: Published, pattern: RepoPattern | None, now: datetime) -> Inventory:
    settings = mirror.settings
    statuses, runs = mirror.status(), mirror.history.runs(RUNS_KEPT)  # the first to say that the folder is none
    memory = Memory(statuses, runs, places_of(settings), Pauses(settings.state_dir).all())
    inventory = published.complete(take_inventory(settings.jobs, memory, now))
    return inventory if pattern is None else narrowed(inventory, pattern)
