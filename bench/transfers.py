"""The workloads that move bytes: everybody in turn, round by round, from the same Hub into empty targets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

from bench import competitors, turns
from bench.builds import OURS
from bench.content import Batch, make_repo
from bench.figures import GIB, MIB, Measurement, Middle, Target, Verdict, best, cpu_ratio, middle, per_gib, ratio
from bench.setting import Setting, say
from bench.table import Row, Section
from bench.turns import Place, To, Turn
from bench.upstream import Upstream, upstream


def to_bucket(flags: tuple[str, ...]) -> tuple[Turn, ...]:
    """Everybody who fills a bucket; rclone's tuned form with these flags."""
    return (
        turns.ours_to_bucket,
        turns.rclone_to_bucket(turns.TUNED, flags),
        turns.rclone_to_bucket(turns.DEFAULT, ()),
        turns.two_steps(flags),
    )


TO_FOLDER: tuple[Turn, ...] = (
    turns.ours_to_folder,
    turns.rclone_to_folder(turns.TUNED, competitors.TUNED_FOLDER),
    turns.rclone_to_folder(turns.DEFAULT),
    turns.durable_rclone(turns.DURABLE, competitors.TUNED_FOLDER, hashed=False),
    turns.durable_rclone(turns.HASHED, competitors.TUNED_FOLDER, hashed=True),
)


@dataclass(frozen=True)
class Faster:
    """How many times our seconds another is to take; `ours`: which row of ours, where it has settings of its own."""

    other: str
    to: To
    times: float
    ours: str = OURS


@dataclass(frozen=True)
class Transfer:
    """A repo to move, who moves it, and what is wanted of us."""

    name: str
    title: str
    batches: tuple[Batch, ...]
    turns: tuple[Turn, ...]
    wanted: tuple[Faster, ...]
    cpu: float | None = None
    """CPU seconds a GiB that we may take to S3."""
    memory: float = 300
    """MiB that we may take."""


BEST_TWO_STEP = "best two-step"
NOTE = (
    "Ours proves every SHA-256 and ends when all is on the disk; of the others only aria2c + sha256sum proves, and "
    "only those with `sync -f` wait for the disk: with hashsum they promise what ours does. Our catalogue is off: they "
    "make none. `calls` are requests to the Hub, its CDN and the bucket; `objects` and `MiB` are in the target then."
)


def run(setting: Setting, transfer: Transfer) -> Section:
    """Measure one workload in all rounds. Raises what a turn raises."""
    repo = make_repo(transfer.name, transfer.batches, setting.fresh("content"))
    with upstream(repo, setting.fresh("upstream")) as offered:
        measurements = [one for number in range(setting.rounds) for one in _round(setting, transfer, offered, number)]
    setting.clear()
    return section(transfer, len(repo.files), repo.size, measurements)


def _round(setting: Setting, transfer: Transfer, offered: Upstream, number: int) -> list[Measurement]:
    """Everybody once; who begins moves on by one each round."""
    taken = turns.everybody(transfer.turns, setting.builds)
    first = number % len(taken)
    found = []
    for turn in (*taken[first:], *taken[:first]):
        place = Place(setting, offered, setting.fresh("turn"), check=number == 0)
        for contestant, cost in turn(place).items():
            found.append(Measurement(contestant, number, cost.seconds, cost.cpu_seconds, cost.peak_rss, cost.effect))
            say(f"  round {number + 1}: {contestant}: {cost.seconds:.2f} s")
    return found


def section(transfer: Transfer, files: int, size: int, measurements: Sequence[Measurement]) -> Section:
    """Say what was measured, and judge it."""
    known = list(measurements)
    two_steps = [f"{turns.BY_RCLONE} > S3", f"{turns.BY_S5CMD} > S3"]
    if any(one.contestant in two_steps for one in known):
        known += best(f"{BEST_TWO_STEP} > S3", two_steps, known)
    middles = {name: middle(name, known) for name in dict.fromkeys(one.contestant for one in known)}
    return Section(
        transfer.name,
        transfer.title,
        rows=[_row(one, middles, files, size) for one in sorted(middles.values(), key=_order)],
        verdicts=_verdicts(transfer, middles, size),
        notes=[NOTE],
        rounds=max(one.rounds for one in middles.values()),
        raw=[asdict(one) for one in measurements],
    )


def _order(one: Middle) -> tuple[bool, float]:
    return one.contestant.endswith("directory"), one.seconds


def _row(one: Middle, middles: dict[str, Middle], files: int, size: int) -> Row:
    who, _, to = one.contestant.partition(" > ")
    ours = middles.get(f"{OURS} > {to}")
    return {
        "": who,
        "to": to,
        "s": f"{one.seconds:.2f}",
        "MiB/s": f"{size / MIB / one.seconds:.0f}",
        "files/s": f"{files / one.seconds:.0f}",
        "CPU s/GiB": f"{per_gib(one.cpu_seconds, size):.2f}",
        "CPU s": f"{one.cpu_seconds:.2f}",
        "peak MiB": f"{one.peak_rss / MIB:.0f}",
        "calls": f"{one.effect.calls}" if one.effect else "",
        "objects": f"{one.effect.objects}" if one.effect else "",
        "MiB": f"{one.effect.bytes / MIB:.1f}" if one.effect else "",
        "theirs/ours": f"{ratio(one, ours):.2f}" if ours else "",
        "their CPU/ours": f"{cpu_ratio(one, ours):.2f}" if ours else "",
    }


def _verdicts(transfer: Transfer, middles: dict[str, Middle], size: int) -> list[Verdict]:
    verdicts = []
    for wanted in transfer.wanted:
        other, ours = middles[f"{wanted.other} > {wanted.to}"], middles[f"{wanted.ours} > {wanted.to}"]
        said = "ours" if wanted.ours == OURS else wanted.ours
        target = Target(f"to {wanted.to}: {wanted.other} / {said}", "at least", wanted.times, "x")
        verdicts.append(target.judge(ratio(other, ours)))
    ours_to_s3 = middles.get(f"{OURS} > S3")
    if transfer.cpu is not None and ours_to_s3:
        target = Target("to S3: our CPU", "at most", transfer.cpu, " s/GiB")
        verdicts.append(target.judge(per_gib(ours_to_s3.cpu_seconds, size)))
    peaks = [one.peak_rss for name, one in middles.items() if _is_this_build(name)]
    if peaks:
        target = Target("our peak memory", "at most", transfer.memory, " MiB")
        verdicts.append(target.judge(max(peaks) / MIB))
    return verdicts


def _is_this_build(contestant: str) -> bool:
    """With whatever settings: an older build has its revision behind the name."""
    return contestant.startswith((f"{OURS} > ", f"{OURS}, "))


def _bucket(tuned: float, default: float, two_step: float) -> tuple[Faster, ...]:
    named = {turns.TUNED: tuned, turns.DEFAULT: default, BEST_TWO_STEP: two_step}
    return tuple(Faster(other, "S3", times) for other, times in named.items())


def _folder(
    *, durable: float | None = None, hashed: float | None = None, snapshot: float, aria2: float | None = None
) -> tuple[Faster, ...]:
    named = {turns.DURABLE: durable, turns.HASHED: hashed, turns.SNAPSHOT: snapshot, turns.ARIA: aria2}
    return tuple(Faster(other, "directory", times) for other, times in named.items() if times is not None)


LARGE = Transfer(
    "large",
    "One file of 2 GiB",
    (Batch(1, 2 * GIB, "model-{:05}.safetensors"),),
    (*to_bucket(competitors.TUNED), *TO_FOLDER, turns.aria2_to_folder),
    (*_bucket(1.35, 1.6, 2.5), *_folder(hashed=1.0, snapshot=3, aria2=1.5)),
    cpu=1.25,
)
MEDIUM = Transfer(
    "medium",
    "200 files of 10 MiB",
    (Batch(200, 10 * MIB, "model-{:05}.safetensors"),),
    (*to_bucket(competitors.TUNED), turns.ours_unsigned, *TO_FOLDER, turns.aria2_to_folder),
    (
        *_bucket(0.9, 1.0, 2),
        Faster(turns.TUNED, "S3", 1.0, turns.UNSIGNED),
        *_folder(hashed=1.0, snapshot=3, aria2=1.5),
    ),
    cpu=1.25,
)
SMALL = Transfer(
    "small",
    "5,000 files of 4 KiB",
    (Batch(5000, 4096, "samples/{:05}.npy"),),
    (*to_bucket(competitors.TUNED_SMALL), *TO_FOLDER),
    (*_bucket(1.2, 2, 3), *_folder(durable=1.2, snapshot=5)),
)
CONFIRM = Transfer(
    "confirm",
    "5,000 files of 4 KiB, looked for after they were put and not",
    SMALL.batches,
    (turns.ours_to_bucket, turns.ours_unconfirmed),
    (Faster(turns.UNCONFIRMED, "S3", 0.6),),
)
MIXED = Transfer(
    "mixed",
    "3 files of 300 MiB, 60 of 4 MiB, 2,000 of 4 KiB",
    (
        Batch(3, 300 * MIB, "model-{:05}.safetensors"),
        Batch(60, 4 * MIB, "adapters/{:03}.safetensors"),
        Batch(2000, 4096, "configs/{:04}.json"),
    ),
    to_bucket(competitors.TUNED),
    (),
)
