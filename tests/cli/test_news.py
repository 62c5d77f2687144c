"""What a run finds as the last one left it is no warning a second time: one line sums up."""

from __future__ import annotations

import re

from tests.cli.program import CONFIG, Program

REFUSED = re.compile(r"event=repo\.refused .*repo=acme/closed@main")


def test_a_refusal_is_a_warning_once_and_the_last_line_counts_it_every_time(program: Program) -> None:
    first, second = program("sync", "bad"), program("sync", "bad")
    assert len(REFUSED.findall(first.err)) == 1
    assert "level=warning event=repo.refused" in first.err
    assert not REFUSED.findall(second.err)
    assert [len(re.findall(r"event=run\.finished .*refused=1", ended.err)) for ended in (first, second)] == [1, 1]


def test_it_is_told_at_debug_again_and_at_warning_when_it_changes(program: Program) -> None:
    program("sync", "bad")
    assert "level=debug event=repo.refused" in program("-v", "sync", "bad").err
    program.add_repo("acme/closed", "gpl-3.0")
    assert "level=warning event=repo.refused" in program("sync", "bad").err


def test_what_fails_is_an_error_every_time(program: Program) -> None:
    program.write(CONFIG)
    for _ in range(2):
        assert "level=error event=repo.failed" in program("sync", "bad").err
