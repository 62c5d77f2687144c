"""The list of operations, filled by the modules beside this one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.clients.truth import Truth

Check = Callable[[Truth, Path], str | None]
"""Does one operation; may write to the folder; returns a remark or nothing; raises when something is wrong."""

CHECKS: dict[str, Check] = {}


def operation(name: str) -> Callable[[Check], Check]:
    """Registers a check under the name it is reported by."""

    def register(check: Check) -> Check:
        assert name not in CHECKS, f"two operations are called {name}"
        CHECKS[name] = check
        return check

    return register


def raises(wanted: type[Exception], act: Callable[..., object], *arguments: Any, **words: Any) -> None:
    """Raises AssertionError unless the act, called with the rest, raises what is wanted, or a kind of it."""
    try:
        outcome = act(*arguments, **words)
    except wanted:
        return
    except Exception as other:
        sentence = f"{type(other).__name__} instead of {wanted.__name__}: {other}"
        raise AssertionError(sentence) from other
    raise AssertionError(f"{wanted.__name__} was not raised; the answer was {outcome!r}")


def same(actual: object, expected: object, what: str) -> None:
    """Raises AssertionError that shows both sides unless they are equal."""
    if isinstance(actual, set) and isinstance(expected, set) and actual != expected:
        raise AssertionError(f"{what}: too much {sorted(actual - expected)}, missing {sorted(expected - actual)}")
    assert actual == expected, f"{what}: {actual!r} instead of {expected!r}"
