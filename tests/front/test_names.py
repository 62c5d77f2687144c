"""Any path name survives the bucket and both fronts."""

from __future__ import annotations

from urllib.parse import quote, urlencode

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mirror_sync.domain.content.manifest import check_path
from mirror_sync.domain.content.snapshot import sort_key
from mirror_sync.errors import UnsafePath
from tests.front.bucket import model
from tests.front.mirrors import Mirror, quoted

# What URLs, JSON, regular expressions, nginx, shells and sorting give a meaning to.
SPECIAL = " #?%+&=;:,@!$'()*\"\\|^`<>[]{}~_-.\n\r\t\x01\x7fé\u0301\u2028\ufeff\U0001f600\uffffAz09"
ODD = [
    "%2e%2e",
    "%2F",
    "a%20b+c d",
    "...",
    ".hidden",
    "-",
    "$&",
    "$1",
    '"path":"x",',
    '\\"path\\":\\"x\\",',
    "\n",
    "{}\n{",
    "a\\",
    "a\\b",
    "resolve/main/x",
    "tree/main",
    "x" * 250,
    "\U0001f600/é/\u4e2d\u6587.json",
    "(a|b)*[c]^$.",
    "\x07\x80/000000000\x1f\x1f\\/0",  # where a global match of njs 0.7.9 never ended
]

segments = st.text(st.sampled_from(SPECIAL) | st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12)
paths = st.lists(segments, min_size=1, max_size=3).map("/".join)


def publishable(names: set[str]) -> set[str]:
    """Those names that can stand beside each other in a commit."""
    kept: set[str] = set()
    for name in sorted(names):
        try:
            check_path(name)
        except UnsafePath:
            continue
        if not any(name.startswith(f"{other}/") or other.startswith(f"{name}/") for other in kept):
            kept.add(name)
    return kept


def survive(mirror: Mirror, names: set[str]) -> None:
    """Each name, through every request that has a path in it."""
    files = {name: name.encode() for name in names}
    repo = model(mirror.store)
    commit = repo.publish(files)
    listed = mirror.listed(f"{repo.api}/tree/main?recursive=true")
    assert [path for path in listed if path in files] == sorted(files, key=sort_key)
    for name, body in files.items():
        pinned = f"{repo.at}/resolve/{commit}/{quote(name)}"
        assert mirror.head(f"{repo.at}/resolve/main/{quote(name)}").header("Location") == pinned
        assert mirror.head(pinned).header("X-Linked-Size") == str(len(body))
        assert mirror.get(pinned).body == body
        assert mirror.get(f"{repo.at}/resolve/main/{quoted(name)}").body == body
        parent = name.rpartition("/")[0]
        assert name in mirror.listed(f"{repo.api}/tree/main/{quoted(parent)}")
    form = urlencode({"paths": list(files), "expand": "False"}, doseq=True).encode()
    reply = mirror.ask(
        "POST", f"{repo.api}/paths-info/main", {"Content-Type": "application/x-www-form-urlencoded"}, form
    )
    assert [entry["path"] for entry in reply.json] == list(files)


def test_odd_names_survive(mirror: Mirror) -> None:
    survive(mirror, publishable({*ODD, *(f"d {name}/{name}" for name in ODD), *(f"x{char}y" for char in SPECIAL)}))


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(names=st.sets(paths, min_size=1, max_size=4).map(publishable))
def test_any_name_survives(mirror: Mirror, names: set[str]) -> None:
    survive(mirror, names)


@pytest.mark.parametrize("depth", [60])
def test_a_deep_path_survives(mirror: Mirror, depth: int) -> None:
    survive(mirror, {"/".join(f"folder é {number}" for number in range(depth)) + "/file"})
