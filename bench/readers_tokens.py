"""What it costs readers that a front knows who they are: the nginx front with tokens, and without, over one directory.

Both take turns, and the order changes from round to round. With tokens each request brings one of 50 that the file has.
The ratio is of the median rates; the ratio by CPU, of the CPU seconds for the same, is the steadier of the two where
others use the machine.
"""

from __future__ import annotations

import shutil
from collections import defaultdict
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from statistics import median

from bench.builds import Build
from bench.figures import MIB, Target
from bench.readers import CACHE, READS, Read
from bench.readers_client import Ask, run_load
from bench.readers_servers import SMALL, Content, Running, front, publish
from bench.setting import Setting, say
from bench.table import Row, Section
from mirror_sync.domain.access.access_tokens import AccessToken, AccessTokens, digest_of
from mirror_sync.domain.job.targets import DirectoryTarget
from mirror_sync.stores.directory.directory_store import DirectoryStore

LEAST = 0.95
CLIENTS = 10
_TOKENS = 50
_SECONDS, _WARM_SECONDS = 1.5, 0.15
_RULES = {"anonymous": [], "roles": {"readers": {"read": ["*"]}}}


def run(setting: Setting) -> Section:
    """Whole files, ranges and small files, for ten clients."""
    rates: dict[tuple[str, str], list[float]] = defaultdict(list)
    costs: dict[tuple[str, str], list[float]] = defaultdict(list)
    folder = setting.fresh("tokens")
    content = publish(DirectoryStore(folder / "mirror"))
    with ExitStack() as running:
        fronts = {name: running.enter_context(_front(setting.ours, folder, name)) for name in ("open", "tokens")}
        for number in range(setting.rounds):
            say(f"readers with tokens: round {number + 1} of {setting.rounds}")
            for read in READS:
                for name in list(fronts)[:: -1 if number % 2 else 1]:
                    rate, cost = _measure(fronts[name], name, read, content)
                    rates[read.name, name].append(rate)
                    costs[read.name, name].append(cost)
    shutil.rmtree(folder)
    rows: list[Row] = []
    verdicts = []
    for read in READS:
        shown = {name: median(rates[read.name, name]) for name in fronts}
        paid = {name: median(costs[read.name, name]) for name in fronts}
        ratio, by_cpu = shown["tokens"] / shown["open"], paid["open"] / paid["tokens"] if paid["tokens"] else 1.0
        figures = {"open": f"{shown['open']:,.0f}", "tokens": f"{shown['tokens']:,.0f}", "ratio": f"{ratio:.2f}"}
        rows.append({"read": read.name, "unit": read.unit, **figures, "ratio by CPU": f"{by_cpu:.2f}"})
        verdicts.append(Target(f"{read.name}, with a token", "at least", LEAST, "x").judge(max(ratio, by_cpu)))
    notes = [(__doc__ or "").partition("\n\n")[2].strip().replace("\n", " ")]
    return Section("readers-tokens", "Readers with tokens", rows, verdicts, notes=notes, rounds=setting.rounds)


@contextmanager
def _front(build: Build, folder: Path, name: str) -> Iterator[Running]:
    target = DirectoryTarget(folder / "mirror")
    tokens = folder / "tokens.yaml"
    every = [AccessToken(f"reader-{one}", "readers", digest_of(_token(one))) for one in range(_TOKENS)]
    tokens.write_text(AccessTokens(tuple(every)).encode(), encoding="ascii")
    rules = _RULES | {"tokens": str(tokens)} if name == "tokens" else None
    with front(build, target, folder / name, CACHE, rules) as running:
        yield running


def _token(number: int) -> str:
    return f"hf_{number:037}"


def _measure(running: Running, name: str, read: Read, content: Content) -> tuple[float, float]:
    """The rate, and the CPU seconds for what was done. RuntimeError for any answer that is not the expected one."""
    asks = [_with_token(one, at) if name == "tokens" else one for at, one in enumerate(read.asks(content))]
    warm = run_load(running.url, asks, CLIENTS, _WARM_SECONDS)
    before = running.cpu_seconds()
    found = run_load(running.url, asks, CLIENTS, _SECONDS)
    if warm.errors + found.errors:
        raise RuntimeError(f"{name}, {read.name}: {(warm.errors + found.errors)[:3]}")
    done = len(found.latencies) if read.length == SMALL else found.body_bytes / MIB
    rate = found.requests_per_second if read.length == SMALL else found.mib_per_second
    return rate, (running.cpu_seconds() - before) / max(done, 1)


def _with_token(ask: Ask, at: int) -> Ask:
    return replace(ask, headers=(*ask.headers, f"Authorization: Bearer {_token(at % _TOKENS)}"))
