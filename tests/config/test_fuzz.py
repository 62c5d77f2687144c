"""Whatever jobs.yaml holds, loading it gives settings or faults with places, and nothing else."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from mirror_sync.config.keys.model import File
from mirror_sync.config.keys.schema import json_schema
from mirror_sync.config.load import load
from mirror_sync.config.settings import Settings
from mirror_sync.config.yaml import document
from mirror_sync.errors import ConfigError

SECRET = "zQ9secretQz"
ENVIRON = {"SECRET": SECRET, "EMPTY": "", "BELL": "\a"}
SHAPES = json_schema()["$defs"].values()
KEYS = sorted({*File.model_fields, *(key for shape in SHAPES for key in shape.get("properties", ()))})
WORDS = [
    "a", "a/b", "a/*", "main", "hub", "huggingface", "directory", "https://x.org", "s3://bucket/x", "./x", "6h", "UTC",
    "0 3 * * *", "mit", "other", "127.0.0.1:80", "manual", "${SECRET}", "${EMPTY}", "${NOPE}", "${BELL}", "${NOPE:-x}",
    "$", "$$", "path", "public", "refuse", "/dev/null", "/",
]  # fmt: skip

scalars = st.none() | st.booleans() | st.integers(-1, 70) | st.floats() | st.sampled_from(WORDS) | st.text(max_size=8)
keys = st.sampled_from(KEYS) | st.text(max_size=8)
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=4), max_leaves=25
)


def sound() -> dict[str, Any]:
    """A file without faults, with a secret in each place that has one."""
    return {
        "upstreams": {"hub": {"kind": "huggingface", "endpoints": ["https://x.org"], "token": "${SECRET}"}},
        "targets": {"it": {"url": "s3://bucket", "access_key": SECRET, "secret_key": "${SECRET}"}},
        "front": {"listen": "localhost:80"},
        "http": {"listen": "none"},
        "defaults": {"workers": 2, "schedule": {"every": "6h", "jitter": "5m"}},
        "licenses": {"allow": ["mit"], "approved": [{"repo": "a/b", "by": "x", "why": "y"}]},
        "jobs": [{"name": "one", "repos": ["a/b"], "licenses": {"allow": ["mit"]}}, {"name": "two", "repos": ["a/*"]}],
    }


def attempt(content: bytes) -> Settings | ConfigError:
    with TemporaryDirectory() as folder:
        path = Path(folder, "jobs.yaml")
        path.write_bytes(content)
        try:
            return load(path, ENVIRON)
        except ConfigError as error:
            return error


def check(content: bytes) -> None:
    """Settings or faults; each fault has its place in the file, unless that is no text, and is one line."""
    outcome = attempt(content)
    assert isinstance(outcome, Settings) or outcome.faults
    for fault in outcome.warnings if isinstance(outcome, Settings) else outcome.faults:
        first = 1 if _is_text(content) else 0
        assert (
            first <= fault.line <= content.count(b"\n") + content.count(b"\r") + 5
        )  # YAML has more kinds of line ends
        assert fault.column >= first
        assert fault.message
        assert str(fault).isprintable()
        str(fault).encode()


def _is_text(content: bytes) -> bool:
    try:
        content.decode()
    except UnicodeDecodeError:
        return False
    return True


@settings(deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes(content: bytes) -> None:
    check(content)


@settings(deadline=None)
@given(st.text(alphabet="ab:-[]{}?,!&*#|>'\"%@`\\ \n\t~<=${}", max_size=80))
def test_any_text_of_the_characters_that_mean_something_in_yaml(text: str) -> None:
    check(text.encode())


@settings(deadline=None)
@given(values)
def test_any_yaml_value(value: object) -> None:
    check(yaml.safe_dump(value).encode())


@st.composite
def damaged(draw: st.DrawFn) -> dict[str, Any]:
    """A sound file with one or two of its values replaced by anything."""
    tree = sound()
    for _ in range(draw(st.integers(1, 2))):
        _damage(tree, draw)
    return tree


def _damage(node: Any, draw: st.DrawFn) -> None:
    steps = list(node) if isinstance(node, dict) else list(range(len(node)))
    step = draw(st.sampled_from(steps)) if steps else None
    deeper = step is not None and isinstance(node[step], dict | list) and draw(st.integers(0, 3))
    if deeper:
        _damage(node[step], draw)
    elif isinstance(node, dict):
        node[draw(keys) if step is None or draw(st.booleans()) else step] = draw(values)
    elif step is not None:
        node[step] = draw(values)


@settings(deadline=None, max_examples=150)
@given(damaged())
def test_a_sound_file_with_anything_in_some_places(tree: dict[str, Any]) -> None:
    content = yaml.safe_dump(tree, sort_keys=False).encode()
    check(content)
    outcome = attempt(content)
    shown = repr(outcome) if isinstance(outcome, Settings) else str(outcome)
    assert SECRET not in shown


def test_the_file_that_is_damaged_is_sound() -> None:
    assert isinstance(attempt(yaml.safe_dump(sound()).encode()), Settings)


@given(values)
@settings(max_examples=150)
def test_both_ways_through_a_file_lead_to_the_same_values_at_the_same_places(value: Any) -> None:
    """libyaml's events and PyYAML's nodes: where the quick way is taken at all, nobody can tell which it was."""
    for style in (None, True, False):
        text = yaml.safe_dump({"a": value, "b": [value]}, default_flow_style=style, allow_unicode=True)
        quickly = document.read_plainly(Path("jobs.yaml"), text)
        if quickly is not None:
            by_nodes = document.read_by_nodes(Path("jobs.yaml"), text)
            assert repr(quickly.value) == repr(by_nodes.value)  # NaN is not equal to itself
            assert (quickly.keys, quickly.values) == (by_nodes.keys, by_nodes.values)
            assert not len(by_nodes.faults)


PIECES = [*"abn0*!&|>'\"#-[]{}:, \n\t\u00e9?@`~\ufeff", "\n  ", ": ", "- ", "\n- ", "<<", "%YAML 1.2", "---", "\u00a0"]


@given(st.lists(st.sampled_from(PIECES), max_size=14))
@settings(max_examples=400)
def test_what_only_one_parser_can_read_is_read_as_the_slow_one_says(pieces: list[str]) -> None:
    text = "a: " + "".join(pieces)
    quickly = document.read_plainly(Path("jobs.yaml"), text)
    if quickly is not None:
        by_nodes = document.read_by_nodes(Path("jobs.yaml"), text)
        assert (quickly.value, quickly.keys, quickly.values) == (by_nodes.value, by_nodes.keys, by_nodes.values)
