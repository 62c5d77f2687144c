"""``python -m bench.tuning large|medium|small``: tries settings of rclone in turn and ranks them on this machine.

What comes out first belongs into `competitors`: rclone is to be measured at its best.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from bench import competitors, transfers, turns
from bench.competitors import BARE_PUT
from bench.content import Batch
from bench.figures import GIB, MIB
from bench.places import ROOT
from bench.setting import Setting, say
from bench.table import table
from bench.transfers import Transfer

Flags = tuple[str, ...]


def streams(count: int, chunk: str) -> Flags:
    """One file in so many parts at a time."""
    cut = ("--multi-thread-cutoff", "64M", "--multi-thread-chunk-size", chunk, "--multi-thread-streams", str(count))
    return (*cut, "--s3-chunk-size", chunk, "--s3-upload-concurrency", str(count), *BARE_PUT)


def files(count: int, *more: str) -> Flags:
    """So many files at a time, each in one PUT."""
    return ("--transfers", str(count), "--checkers", "16", "--s3-upload-cutoff", "64M", *BARE_PUT, *more)


CANDIDATES: Mapping[str, tuple[Batch, Mapping[str, Flags]]] = {
    "large": (
        Batch(1, GIB, "model-{:05}.safetensors"),
        {f"{count} streams of {chunk}": streams(count, chunk) for count in (2, 4, 8) for chunk in ("16M", "32M", "64M")}
        | {"no streams": ("--multi-thread-streams", "0", *BARE_PUT)},
    ),
    "medium": (
        Batch(100, 10 * MIB, "model-{:05}.safetensors"),
        {f"{count} files": files(count) for count in (4, 8, 16)}
        | {"8 files in parts": files(8, "--s3-upload-cutoff", "5M", "--s3-chunk-size", "5M")},
    ),
    "small": (
        Batch(1500, 4096, "samples/{:05}.npy"),
        {f"{count} files": files(count) for count in (8, 16, 32, 64)}
        | {"32 files, no HEAD": files(32, "--http-no-head")},
    ),
}


def main(argv: Sequence[str] | None = None) -> int:
    """Measure the candidates of one workload, and print them, the quickest first."""
    parser = argparse.ArgumentParser(prog="python -m bench.tuning", description="rclone's best flags on this machine.")
    parser.add_argument("workload", choices=CANDIDATES)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--work", type=Path, default=ROOT / "var", help="a folder on the disk to measure on")
    options = parser.parse_args(argv)
    batch, candidates = CANDIDATES[options.workload]
    chosen = competitors.TUNED_SMALL if options.workload == "small" else competitors.TUNED
    everybody = {**candidates, "default": (), "chosen": chosen}
    tried = tuple(turns.rclone_to_bucket(name, flags) for name, flags in everybody.items())
    with Setting(options.work.resolve() / "tuning", options.rounds) as setting:
        transfer = Transfer("tuning", options.workload, (batch,), tried, wanted=())
        say(f"rclone, {options.workload}, medians of {options.rounds}\n{table(transfers.run(setting, transfer).rows)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
