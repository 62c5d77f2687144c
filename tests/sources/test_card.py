"""The metadata of a README.md is what huggingface_hub reads; what cannot be read is never taken for none."""

from __future__ import annotations

import datetime
import json
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub.repocard import metadata_load

from mirror_sync.sources.directory.card import DEEPEST, LIMIT, UnreadableCard, read_card

READ = [
    "",
    "# Tiny, without metadata",
    "text\n---\nlicense: mit\n---\n",
    "-----\nlicense: mit\n---\n",
    "---\nlicense: mit\n---\n# Tiny",
    "---\nlicense: mit\n---",
    "---\nlicense: mit\n---  \t\ntext",
    "\n\n  \n---\nlicense: mit\n---\n",
    "\ufeff---\nlicense: mit\n---\n",
    "\ufeff\n---\nlicense: mit\n---\n",
    "---\r\nlicense: mit\r\ntags:\r\n- a\r\n---\r\ntext",
    "---\nlicense: [mit, apache-2.0]\n---\n",
    "---\nlicense: mit\nbase: &base [a, b]\nother: *base\n---\n",
    "---\ncommon: &common {license: mit}\n<<: *common\nlanguage: en\n---\n",
    "---\nlicense: mit\ntitle: 'Tiny: a model'\n---\n",
    "---\nlicense: mit\ntitle: |\n  Tiny: a model\n  ---\n---\n",
    "---\nlicense: mit\ntitle: Tiny:a model of ours:\n---\n".replace("ours:", "ours"),
    "---\nlicense: mit\n# a comment: with a colon\n---\n",
    "---\n\n---\n",
    "---\n# nothing\n---\n",
    "---\nlicense: no\n---\n",
    "---\nlicense: mit\nlicense: apache-2.0\n---\n",
    "---\nlicense: mit\ndate: 2026-01-01\nat: 2026-01-01T10:00:00Z\n1: one\nyes: x\n---\n",
    "---\nlicense: mit\nvalue: .nan\n---\n",
    "---\nlicense: mit\nset: !!set {a, b}\n---\n",
    "---\nlicense: mit\ntext: é 模型\n---\n",
    "---\nlicense: mit\ntags:\n" + "- a tag of some letters\n" * 2000 + "---\n",
    "---\nlicense: mit\n---\n" + "a long text\n" * 20_000,
    "---\nlicense: mit\nnested: " + "[" * (DEEPEST - 2) + "]" * (DEEPEST - 2) + "\n---\n",
]
UNREAD = {
    "---\nlicense: mit\ntitle: Tiny: a model\n---\n": "line 3: mapping values are not allowed here",
    "---\nlicense: [mit\n---\n": "line 2",
    "\n\n---\n\nlicense: @mit\n---\n": "line 5: found character '@'",
    "---\n- mit\n---\n": "no mapping",
    "---\nmit\n---\n": "no mapping",
    "---\nlicense: !own mit\n---\n": "line 2: could not determine a constructor",
    "---\nlicense: mit\n...\nlicense: gpl\n---\n": "expected '<document start>'",
    "---\nlicense: mit\nx: *nothing\n---\n": "undefined alias",
    "---\nlicense: mit": "no line of --- alone ends its metadata",
    "--- \nlicense: mit\n---\n": "spaces behind it",
    "---\nlicense: mit\nx: &x [*x]\n---\n": "contains itself",
}


def at(folder: Path, text: str | bytes) -> Path:
    place = folder / "README.md"
    place.write_bytes(text if isinstance(text, bytes) else text.encode())
    return place


def as_json(value: Any) -> Any:
    """What a Hub could say of it in JSON: dates as text, no number that is none."""
    if isinstance(value, dict):
        return {_key(key): as_json(inner) for key, inner in value.items()}
    if isinstance(value, set):
        return sorted(value)
    if isinstance(value, list):
        return [as_json(inner) for inner in value]
    if isinstance(value, datetime.date):
        return str(value)
    return None if value != value else value  # noqa: PLR0124  NaN


def _key(key: object) -> str:
    return key if isinstance(key, str) else json.dumps(key)


@pytest.mark.parametrize("text", READ, ids=lambda text: text[:30])
def test_what_huggingface_hub_reads_we_read(tmp_path: Path, text: str) -> None:
    readme = at(tmp_path, text)
    assert read_card(readme) == as_json(metadata_load(readme) or {})


@pytest.mark.parametrize(("text", "reason"), UNREAD.items(), ids=lambda text: text[:30])
def test_metadata_that_cannot_be_read_says_why_and_where_in_the_file(tmp_path: Path, text: str, reason: str) -> None:
    with pytest.raises(UnreadableCard) as caught:
        read_card(at(tmp_path, text))
    assert reason in str(caught.value)
    assert str(caught.value).isprintable()


def test_metadata_that_is_no_utf_8_cannot_be_read_and_text_below_it_is_nobodys_concern(tmp_path: Path) -> None:
    with pytest.raises(UnreadableCard, match="line 3: it is not UTF-8"):
        read_card(at(tmp_path, "---\nlicense: mit\nauthor: Zoë\n---\n".encode("latin-1")))
    with pytest.raises(UnreadableCard, match="UTF-16"):
        read_card(at(tmp_path, "---\nlicense: mit\n---\n".encode("utf-16")))
    assert read_card(at(tmp_path, "---\nlicense: mit\n---\nZoë\n".encode("latin-1"))) == {"license": "mit"}
    assert read_card(at(tmp_path, "Zoë\n".encode("latin-1"))) == {}


def test_metadata_is_bounded_in_bytes_levels_and_what_it_unfolds_to(tmp_path: Path) -> None:
    """Each of these is a little above its bound, and harmless."""
    longer = "---\nlicense: mit\ntext: " + "a" * LIMIT + "\n---\n"
    deeper = "---\nlicense: mit\nnested: " + "[" * DEEPEST + "]" * DEEPEST + "\n---\n"
    wider = "---\nlicense: mit\ntext: &text " + "a" * (LIMIT // 2) + "\nagain: [" + "*text, " * 8 + "]\n---\n"
    for text, reason in ((longer, "longer than 64 KiB"), (deeper, "deeper than 32"), (wider, "unfold to more than")):
        with pytest.raises(UnreadableCard, match=reason):
            read_card(at(tmp_path, text))


def test_no_more_than_the_bound_is_read_of_a_readme(tmp_path: Path) -> None:
    """A sparse file that no memory would take whole."""
    readme = at(tmp_path, "---\nlicense: mit\n---\n")
    with readme.open("r+b") as stream:
        stream.truncate(1 << 40)
    assert read_card(readme) == {"license": "mit"}
