"""What it costs readers that a front knows who they are: each front with tokens, and without, over one directory.

With tokens each request brings one of 50 that the file has, and nobody reads without. In a round both take many short
turns, and another one begins each time: what is looked for is smaller than what a machine's speed changes by from
second to second. "Ratio" is of the rates, without a token to with one, the median of those of each round; "by CPU" is
the same of the CPU seconds that the front's processes took for as much. The better of the two is judged.
"""

from __future__ import annotations

import random
import shutil
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import median
from string import ascii_letters, digits
from typing import Any

from bench.builds import Build
from bench.figures import MIB, Target
from bench.readers import CACHE, READS, Read
from bench.readers_client import Ask, run_load
from bench.readers_servers import LARGE, SMALL, Content, Running, front, publish, serve
from bench.setting import Setting, say
from bench.table import Row, Section
from mirror_sync.domain.access.access_tokens import AccessToken, AccessTokens, SecureLink, digest_of
from mirror_sync.domain.job.targets import DirectoryTarget
from mirror_sync.stores.directory.directory_store import DirectoryStore

LEAST = 0.95
CLIENTS = (10, 100)
FRONTS = ("nginx", "serve")
_MODES = ("open", "tokens")
_TOKENS = 50
_TURNS, _SECONDS, _WARM_SECONDS = 6, 0.35, 0.1
_RULES: dict[str, object] = {"anonymous": [], "roles": {"readers": {"read": ["*"]}}}


@dataclass(frozen=True)
class Question:
    """What is asked; `by_bytes`: its rate is in MiB a second, not in answers."""

    name: str
    asks: Callable[[Content], Sequence[Ask]]
    by_bytes: bool = False

    @property
    def unit(self) -> str:
        return "MiB/s" if self.by_bytes else "1/s"


def _of(read: Read) -> Question:
    return Question(read.name, read.asks, read.length != SMALL)


QUESTIONS = (
    *(_of(read) for read in READS if read.length != LARGE),
    Question("HEAD of a file", lambda content: [replace(one, method="HEAD") for one in READS[-1].asks(content)]),
    Question("model info", lambda content: [Ask(content.repo.api)]),
)


@dataclass
class Tally:
    """Of each round the rate, and the CPU microseconds of an answer or a MiB, by front, question, clients and mode."""

    rates: dict[tuple[str, str, int, str], list[float]] = field(default_factory=lambda: defaultdict(list))
    costs: dict[tuple[str, str, int, str], list[float]] = field(default_factory=lambda: defaultdict(list))

    def row(self, front: str, question: Question, clients: int) -> tuple[Row, float]:
        """What is shown, and the ratio that is judged."""
        keys = [(front, question.name, clients, mode) for mode in _MODES]
        (openly, known), (cheap, dear) = ([median(of[key]) for key in keys] for of in (self.rates, self.costs))
        by_rate = median(b / a for a, b in zip(*(self.rates[key] for key in keys), strict=True))
        by_cpu = median(a / b for a, b in zip(*(self.costs[key] for key in keys), strict=True))
        row = {
            "read": question.name,
            "front": front,
            "clients": str(clients),
            "unit": question.unit,
            "open": f"{openly:,.0f}",
            "tokens": f"{known:,.0f}",
            "ratio": f"{by_rate:.2f}",
            "CPU us, open": f"{cheap:,.1f}",
            "CPU us, tokens": f"{dear:,.1f}",
            "by CPU": f"{by_cpu:.2f}",
        }
        return row, max(by_rate, by_cpu)

    def raw(self) -> list[dict[str, Any]]:
        """Every single measurement."""
        return [
            {"front": key[0], "read": key[1], "clients": key[2], "mode": key[3], "rates": rates, "us": self.costs[key]}
            for key, rates in self.rates.items()
        ]


def run(setting: Setting, questions: Sequence[Question] = QUESTIONS, clients: Sequence[int] = CLIENTS) -> Section:
    """Every question to both fronts, by few and by many."""
    tally, folder = Tally(), setting.fresh("tokens")
    content = publish(DirectoryStore(folder / "mirror"))
    with ExitStack() as running:
        fronts = {
            (name, mode): running.enter_context(_front(setting.ours, folder, name, mode))
            for name in FRONTS
            for mode in _MODES
        }
        for number in range(setting.rounds):
            say(f"readers with tokens: round {number + 1} of {setting.rounds}")
            for question in questions:
                for many in clients:
                    for name in FRONTS:
                        both = {mode: fronts[name, mode] for mode in _MODES}
                        for mode, spent in _in_turns(both, question, content, many).items():
                            key = (name, question.name, many, mode)
                            tally.rates[key].append(spent.amount / spent.seconds)
                            tally.costs[key].append(spent.cpu_seconds * 1e6 / spent.amount)
    shutil.rmtree(folder)
    return _section(setting, tally, [(name, one, many) for name in FRONTS for one in questions for many in clients])


def _section(setting: Setting, tally: Tally, measured: Sequence[tuple[str, Question, int]]) -> Section:
    lines = [(key, *tally.row(*key)) for key in measured]
    verdicts = [
        Target(f"{name}: {question.name}, {many} clients, with a token", "at least", LEAST, "x").judge(ratio)
        for (name, question, many), _, ratio in lines
    ]
    notes = [(__doc__ or "").partition("\n\n")[2].strip().replace("\n", " ")]
    rows = [row for _, row, _ in lines]
    return Section("readers-tokens", "Readers with tokens", rows, verdicts, notes, setting.rounds, tally.raw())


@contextmanager
def _front(build: Build, folder: Path, name: str, mode: str) -> Iterator[Running]:
    tokens = folder / "tokens.yaml"
    every = [
        AccessToken(f"reader-{number}", "readers", digest_of(token), link=SecureLink.of(token))
        for number, token in enumerate(map(_token, range(_TOKENS)))
    ]
    tokens.write_text(AccessTokens(tuple(every)).encode(), encoding="ascii")
    rules = _RULES | {"tokens": str(tokens)} if mode == "tokens" else None
    with _started(build, DirectoryTarget(folder / "mirror"), folder / f"{name}-{mode}", rules, name) as running:
        yield running


def _started(
    build: Build, target: DirectoryTarget, folder: Path, rules: dict[str, object] | None, name: str
) -> AbstractContextManager[Running]:
    if name == "serve":
        return serve(build, target, folder, rules)
    return front(build, target, folder, CACHE, rules)


def _token(number: int) -> str:
    """As `token new` makes them: letters that begin alike would load nginx's map as no real file does."""
    return f"hf_{''.join(random.Random(number).choices(ascii_letters + digits, k=37))}"


@dataclass
class Spent:
    """Answers, or MiB, that a front gave in so many seconds, and its CPU seconds in them."""

    amount: float = 0.0
    seconds: float = 0.0
    cpu_seconds: float = 0.0


def _in_turns(fronts: Mapping[str, Running], question: Question, content: Content, clients: int) -> dict[str, Spent]:
    """By mode. RuntimeError for any answer that is not the expected one."""
    spent = {mode: Spent() for mode in fronts}
    for turn in range(_TURNS):
        for mode in list(fronts)[:: -1 if turn % 2 else 1]:
            _measure(fronts[mode], mode, question, content, clients, spent[mode])
    return spent


def _measure(running: Running, mode: str, question: Question, content: Content, clients: int, spent: Spent) -> None:
    asked = question.asks(content)
    if mode == "tokens":
        asked = [_with_token(asked[at % len(asked)], at) for at in range(max(len(asked), _TOKENS))]
    warm = run_load(running.url, asked, clients, _WARM_SECONDS)
    before = running.cpu_seconds()
    found = run_load(running.url, asked, clients, _SECONDS)
    spent.cpu_seconds += running.cpu_seconds() - before
    spent.seconds += found.seconds
    amount = found.body_bytes / MIB if question.by_bytes else len(found.latencies)
    spent.amount += amount
    if warm.errors + found.errors or not amount:
        raise RuntimeError(f"{mode}, {question.name}: {(warm.errors + found.errors)[:3]}")


def _with_token(ask: Ask, at: int) -> Ask:
    return replace(ask, headers=(*ask.headers, f"Authorization: Bearer {_token(at % _TOKENS)}"))
