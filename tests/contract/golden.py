"""Golden files: one surface each, a fact a line, so that a failure names the facts that changed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from difflib import SequenceMatcher
from pathlib import Path

FOLDER = Path(__file__).parent / "golden"
HOW = "python -m tests.contract.rewrite"
_SHOWN = 40  # changed lines of a message


def path_of(name: str) -> Path:
    """The golden file of a surface."""
    return FOLDER / f"{name}.txt"


def text_of(lines: Iterable[str]) -> str:
    """What a golden file with these lines holds."""
    return "".join(f"{line}\n" for line in lines)


def expect(name: str, lines: Iterable[str]) -> None:
    """AssertionError, with every line that came, went or changed, unless the surface is as its golden file says."""
    written, now = path_of(name).read_text(encoding="utf-8").splitlines(), text_of(lines).splitlines()
    changes = list(_changes(written, now))
    if changes:
        more = [f"... and {len(changes) - _SHOWN} more"] if len(changes) > _SHOWN else []
        raise AssertionError(
            "\n".join(
                [
                    f"what others hold on to has changed: {path_of(name).relative_to(FOLDER.parents[2])}",
                    *changes[:_SHOWN],
                    *more,
                    f"If that is meant, CHANGELOG.md must name it, and {HOW} {name} writes the file anew.",
                ]
            )
        )


def _changes(written: list[str], now: list[str]) -> Iterator[str]:
    for kind, first, last, begin, end in SequenceMatcher(None, written, now, autojunk=False).get_opcodes():
        if kind != "equal":
            yield from (f"  line {number + 1}: - {written[number]}" for number in range(first, last))
            yield from (f"  line {first + 1}: + {line}" for line in now[begin:end])
