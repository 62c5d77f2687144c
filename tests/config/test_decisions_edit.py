"""A decision is added to decisions.yaml in place: all else stays as a person wrote it, whatever way that is."""

from __future__ import annotations

import os
import stat
import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mirror_sync.config.decisions.decisions_edit import add_entry, with_entry
from mirror_sync.config.decisions.decisions_file import decisions_in, read_decisions
from mirror_sync.domain.digest import CommitId
from mirror_sync.domain.policy.decisions import Decision, DecisionOutcome, RuleKey
from mirror_sync.domain.repo import RepoPattern
from mirror_sync.errors import ConfigError, UsageError

FILE = Path("decisions.yaml")
NEW = Decision(
    RepoPattern.parse("dataset:acme/new"),
    CommitId("0" * 39 + "a"),
    RuleKey.RESTRICTED,
    DecisionOutcome.APPROVE,
    "Ada: #1",
    'it says "yes" – 好的',
    "LEGAL-1",
    datetime(2030, 1, 1, tzinfo=UTC),
)
ENTRY = '{repo: acme/x, commit: any, rule: guard, outcome: approve, by: "a", why: b}'
BLOCK = "- repo: acme/x\n  commit: any\n  rule: guard\n  outcome: approve\n  by: a  # who\n  why: b"
WAYS = {
    "header": "# ours\nversion: 1\n",
    "nothing but a comment behind it": "version: 1 # one",
    "an empty list": "version: 1\ndecisions: []\n# the end\n",
    "an empty list with a comment": "decisions: [ ]  # none\nversion: 1\n",
    "a key with nothing": "decisions:\nversion: 1\n",
    "a key with nothing at the end": "version: 1\ndecisions:",
    "a key with a comment": "version: 1\ndecisions: # below\n",
    "null": "decisions: ~\nversion: 1\n",
    "a list": f"version: 1\ndecisions:\n{BLOCK}\n",
    "a list that ends the file": f"version: 1\ndecisions:\n{BLOCK}",
    "a list with what comes after": f"decisions:\n{BLOCK} # last\n\n# more\nversion: 1\n",
    "a list that is indented": "decisions:\n"
    + "".join(f"    {line}\n" for line in BLOCK.splitlines())
    + "version: 1\n",
    "a list of brackets": f"decisions:\n  - {ENTRY}\n  - {ENTRY}\nversion: 1\n",
    "brackets": f"decisions: [{ENTRY}]\n",
    "brackets over lines": f"decisions: [\n  {ENTRY}, # one\n  {ENTRY} # two, the last\n]\nversion: 1\n",
    "brackets with a comma at their end": f"decisions: [\n  {ENTRY},\n]\n",
    "a block of text": f"decisions:\n{BLOCK[:-1]}|\n    because\n    of it\n\n# end\nversion: 1\n",
    "other line ends": f"version: 1\r\ndecisions:\r\n{BLOCK}\r\n".replace("\n", "\r\n").replace("\r\r", "\r"),
    "a mark of the byte order": f"\ufeffversion: 1\ndecisions:\n{BLOCK}\n",
    "an end of the document": f"---\nversion: 1\ndecisions:\n{BLOCK}\n...\n",
    "brackets over lines in a list": f"decisions:\n- {ENTRY[:-1]},\n  ticket: x\n  }}  # here\n# end\nversion: 1\n",
    "an alias": f"decisions:\n- &one {ENTRY}\n- *one\nversion: 1\n",
}


def alike(one: str, other: str) -> int:
    """How many characters both begin with."""
    return next((at for at, (left, right) in enumerate(zip(one, other, strict=False)) if left != right), len(one))


def kept(before: str, after: str) -> bool:
    """Whether all that stood there stands there, around one piece that is new; what was empty may have made room."""
    head, tail = alike(before, after), alike(before[::-1], after[::-1])
    left = before[head : len(before) - min(tail, len(before) - head)]
    return left.strip(" []~\n") == ""


@pytest.mark.parametrize("text", WAYS.values(), ids=WAYS)
def test_an_entry_comes_behind_the_others_and_all_else_stays(text: str) -> None:
    made = with_entry(FILE, text, NEW)
    assert decisions_in(FILE, made).decisions.every == (*decisions_in(FILE, text).decisions.every, NEW)
    assert kept(text, made), made
    twice = with_entry(FILE, made, NEW)
    assert decisions_in(FILE, twice).decisions.every[-2:] == (NEW, NEW)
    assert kept(made, twice), twice


words = st.text(st.characters(exclude_categories=("C", "Z")), min_size=1, max_size=20)
comments = st.lists(st.sampled_from(["# a note", "", "  # indented", "#: - [ { ]"]), max_size=3)
entries = st.builds(
    Decision,
    st.sampled_from(["acme/x", "dataset:acme/y-1", "Org_1/n.a"]).map(RepoPattern.parse),
    st.none() | st.text("0123456789abcdef", min_size=40, max_size=40).map(CommitId),
    st.sampled_from(RuleKey),
    st.sampled_from(DecisionOutcome),
    words,
    words,
    st.just("") | words,
    st.none() | st.datetimes(timezones=st.just(UTC)),
)


@settings(deadline=None)
@given(st.lists(st.tuples(entries, comments), max_size=4), entries, comments)
def test_whatever_was_decided_and_noted_stays_byte_for_byte(
    known: list[tuple[Decision, list[str]]], new: Decision, last: list[str]
) -> None:
    text = "# ours\nversion: 1\n"
    for decision, notes in known:
        text = with_entry(FILE, text, decision)
        text += "".join(f"{note}\n" for note in notes)
    text += "".join(f"{note}\n" for note in last)
    made = with_entry(FILE, text, new)
    assert decisions_in(FILE, made).decisions.every == (*(decision for decision, _ in known), new)
    assert kept(text, made)


def test_a_file_is_made_with_a_header_and_keeps_its_owner_and_mode(tmp_path: Path) -> None:
    path = tmp_path / "decisions.yaml"
    add_entry(path, NEW)
    assert path.read_text(encoding="utf-8").startswith("# What people have decided")
    path.chmod(0o640)
    add_entry(path, NEW)
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert read_decisions(path).decisions.every == (NEW, NEW)
    assert [one.name for one in tmp_path.iterdir()] == ["decisions.yaml"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives a file away")
def test_a_file_stays_its_owners_whoever_decides(tmp_path: Path) -> None:
    path = tmp_path / "decisions.yaml"
    add_entry(path, NEW)
    os.chown(path, 65534, 65534)
    add_entry(path, NEW)
    assert (path.stat().st_uid, path.stat().st_gid) == (65534, 65534)


def test_a_link_is_followed_and_stays_one(tmp_path: Path) -> None:
    path, link = tmp_path / "kept" / "decisions.yaml", tmp_path / "decisions.yaml"
    path.parent.mkdir()
    link.symlink_to(path)
    add_entry(path, NEW)
    add_entry(link, NEW)
    assert link.is_symlink()
    assert read_decisions(path).decisions.every == (NEW, NEW)


def test_a_broken_file_is_refused_with_its_fault_and_stays(tmp_path: Path) -> None:
    path = tmp_path / "decisions.yaml"
    path.write_text("version: 1\ndecisions:\n- repo: acme/x\n", encoding="utf-8")
    before = path.read_bytes()
    with pytest.raises(ConfigError, match=r"decisions.yaml:3:3: decisions\[0\].commit: is missing; write commit: any"):
        add_entry(path, NEW)
    assert path.read_bytes() == before


def test_what_nothing_can_be_added_to_says_what_to_write_by_hand() -> None:
    text = f"list: &all [{ENTRY}]\n"
    with pytest.raises((ConfigError, UsageError)):
        with_entry(FILE, text, NEW)


def test_two_who_decide_at_once_both_have_decided(tmp_path: Path) -> None:
    path = tmp_path / "decisions.yaml"
    threads = [threading.Thread(target=add_entry, args=(path, NEW)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(read_decisions(path).decisions.every) == 8
