"""All workloads by the name that `WORKLOADS=` takes, in the order of the run.

To add one: a function that takes the `Setting` and returns a `Section`. The run fills in its name, date and time.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from bench import asking, doors, huge, one_of_many, readers, readers_tokens, starts, transfers, unchanged, verifying
from bench.setting import Setting
from bench.table import Section

WORKLOADS: dict[str, Callable[[Setting], Section]] = {
    one.name: partial(transfers.run, transfer=one)
    for one in (transfers.LARGE, transfers.MEDIUM, transfers.SMALL, transfers.CONFIRM, transfers.MIXED)
} | {
    "starts": starts.run,
    "unchanged": unchanged.run,
    "one-of-many": one_of_many.run,
    "huge": huge.run,
    "verify": verifying.run,
    "doors": doors.run,
    "asking": asking.run,
    "readers": readers.run,
    "readers-minute": readers.run_minute,
    "readers-tokens": readers_tokens.run,
}
