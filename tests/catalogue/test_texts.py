"""Both languages say the same things, and every text is used."""

from __future__ import annotations

import re
from importlib.resources import files
from pathlib import Path

import pytest

from mirror_sync.catalogue import formats, texts

_SLOT = re.compile(r"\{(\w+)\}")
_HAN = re.compile(r"[\u4e00-\u9fff]")
_SAME = {"repo.python", "repo.ollama", "repo.llama"}  # in both languages


@pytest.mark.parametrize("key", texts.TEXTS)
def test_both_languages_are_told_the_same_figures(key: str) -> None:
    english, chinese = texts.TEXTS[key]
    for part in english.split("|"):
        assert set(_SLOT.findall(part)) == set(_SLOT.findall(chinese)), key
    assert key in _SAME or _HAN.search(chinese), key
    assert "|" not in chinese


def test_no_text_is_written_for_nobody() -> None:
    package, ways = files("mirror_sync.catalogue"), files("mirror_sync.domain.doors").joinpath("ways.py")
    places = [
        ways,
        *package.joinpath("templates").iterdir(),
        *Path(str(package)).rglob("*.py"),
    ]
    source = "".join(one.read_text(encoding="utf-8") for one in places if one.name != "texts.py")
    made = re.compile(
        r"(state|kind|run|runs|class|verb|shard|outcome|reason|relation|made|rule|allowed|compare|sort|unit)\.|"
        r"home\.(any|size)-"
    )  # of a word of the values
    unused = [key for key in texts.TEXTS if not made.match(key) and f'"{key}"' not in source]
    assert unused == []


def test_one_is_not_many() -> None:
    assert "1 repo<" in texts.text("n.repos", n=1)
    assert "2,000 repos<" in texts.text("n.repos", n=2000)


@pytest.mark.parametrize(
    ("count", "said"),
    [
        (0, "0 B"), (999, "999 B"), (1000, "1.00 kB"), (9_999, "10.0 kB"), (999_499, "999 kB"), (999_999, "1.00 MB"),
        (45_600_000, "45.6 MB"), (1_230_000_000, "1.23 GB"), (12 * 10**21, "12000 EB"),
    ],
)  # fmt: skip
def test_a_size_has_three_digits_and_a_unit(count: int, said: str) -> None:
    assert formats.size(count) == said


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0, "0 s"), (59.6, "1 min"), (245, "4 min 5 s"), (3600, "1 h"), (90_061, "1 d 1 h"), (-3, "0 s")],
)
def test_a_span_is_told_in_its_two_greatest_units(seconds: float, said: str) -> None:
    assert formats.span(seconds) == said
